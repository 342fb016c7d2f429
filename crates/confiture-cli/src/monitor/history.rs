//! The last hour, second by second: what the ledger knows of it, and what was seen meanwhile.

use std::collections::BTreeMap;

use confiture::schema_to_schema::watch::Sight;

/// Seconds that are kept.
const KEPT: i64 = 3600;

/// Seconds that are asked for again, because a batch is seen only once it is committed.
const AGAIN: f64 = 10.0;

/// One second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Point {
    copied: f64,
    applied: i64,
    lag_ms: Option<f64>,
    batch_ms: Option<f64>,
    retained: Option<i64>,
    waiting: Option<i64>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct History {
    points: BTreeMap<i64, Point>,
    /// When it was last looked, and the rows that were copied then.
    last: Option<(f64, i64)>,
}

impl History {
    /// From when on seconds are wanted by the next look.
    pub(crate) fn since(&self) -> f64 {
        self.last.map_or(0.0, |(at, _)| at - AGAIN)
    }

    /// Takes in a look.
    pub(crate) fn take_in(&mut self, sight: &Sight) {
        let now = sight.at.floor() as i64;
        let is_first = self.last.is_none();
        for second in &sight.seconds {
            let point = self.points.entry(second.second).or_default();
            (point.applied, point.lag_ms, point.batch_ms) =
                (second.applied_rows, second.lag_ms.or(point.lag_ms), second.batch_ms);
            if is_first {
                point.copied = second.copied_rows as f64;
            }
        }
        // From the second look on, rows are counted when they are seen: a piece's own time is that of its beginning.
        if let Some((then, copied)) = self.last
            && sight.at > then
        {
            let more = (sight.copied_rows - copied).max(0) as f64;
            let from = (then.floor() as i64 + 1).min(now).max(now - KEPT);
            let each = more / (now - from + 1) as f64;
            for second in from..=now {
                self.points.entry(second).or_default().copied += each;
            }
        }
        if let Some(following) = &sight.status.following {
            let point = self.points.entry(now).or_default();
            if sight.status.at_work.is_some() && !following.paused {
                point.lag_ms = point.lag_ms.or(following.lag);
            }
            (point.retained, point.waiting) = (Some(following.retained_bytes), Some(following.waiting_keys));
        }
        self.last = Some((sight.at, sight.copied_rows));
        self.points = self.points.split_off(&(now - KEPT));
    }

    /// Forgets everything: another migration has begun.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The lag of each of the last seconds that were whole; where there was none, that of the second before.
    pub(crate) fn lags(&self, now: f64, seconds: i64) -> Vec<f64> {
        let mut last = 0.0;
        let lag = |second: i64| {
            last = self.points.get(&second).and_then(|point| point.lag_ms).unwrap_or(last);
            last
        };
        self.whole(now, seconds).map(lag).collect()
    }

    /// Rows of each of the last seconds that were whole.
    pub(crate) fn rates(&self, now: f64, seconds: i64) -> Vec<f64> {
        let rows =
            |second: i64| self.points.get(&second).map_or(0.0, |point| point.copied + point.applied as f64);
        self.whole(now, seconds).map(rows).collect()
    }

    fn whole(&self, now: f64, seconds: i64) -> std::ops::Range<i64> {
        let now = now.floor() as i64;
        let first = self.points.keys().next().copied().unwrap_or(now);
        first.max(now - seconds)..now
    }

    /// The points after a second: `[second, copied, applied, lag, batch, retained, waiting]` each.
    pub(crate) fn after(&self, since: i64) -> Vec<serde_json::Value> {
        let point = |(second, point): (&i64, &Point)| {
            let Point { copied, applied, lag_ms, batch_ms, retained, waiting } = point;
            let rounded = |value: &Option<f64>| value.map(|value| (value * 100.0).round() / 100.0);
            serde_json::json!([
                second,
                copied.round() as i64,
                applied,
                rounded(lag_ms),
                rounded(batch_ms),
                retained,
                waiting
            ])
        };
        self.points.range(since.saturating_add(1)..).map(point).collect()
    }
}
