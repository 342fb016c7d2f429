//! Batches, summed up between two looks.

use std::time::{Duration, Instant};

use crate::output::numbers::{milliseconds, thousands};

/// How long nothing may be said while nothing changes.
const QUIET: Duration = Duration::from_secs(60);

/// What batches did since somebody looked.
#[derive(Debug, Default)]
pub(super) struct Batches {
    number: i64,
    rows: u64,
    lag: Duration,
    told: Option<Instant>,
}

impl Batches {
    /// One more.
    pub(super) fn add(&mut self, number: i64, rows: u64, lag: Duration) {
        self.number = number;
        self.rows += rows;
        self.lag = lag;
    }

    /// `Following: 1,234 rows in 3.0 sec, lag 4 ms (batch 17)`, where it is worth saying, and where there was one; sums anew from
    /// here.
    pub(super) fn words(&mut self, now: Instant) -> Option<String> {
        if self.number == 0 && self.lag.is_zero() {
            return None;
        }
        let since = *self.told.get_or_insert(now);
        let elapsed = now.duration_since(since);
        if self.rows == 0 && elapsed < QUIET {
            return None;
        }
        let lag = milliseconds(self.lag);
        let words = match self.rows {
            0 => format!(
                "Following: nothing changed, lag {lag} (batch {})",
                thousands(self.number.unsigned_abs())
            ),
            rows => format!(
                "Following: {} {} written, lag {lag} (batch {})",
                thousands(rows),
                if rows == 1 { "row" } else { "rows" },
                thousands(self.number.unsigned_abs())
            ),
        };
        (self.rows, self.told) = (0, Some(now));
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_summed_up() {
        let (mut batches, start) = (Batches::default(), Instant::now());
        assert_eq!([0, 61].map(|seconds| batches.words(start + Duration::from_secs(seconds))), [None, None]);
        batches.add(16, 1000, Duration::from_millis(2));
        batches.add(17, 234, Duration::from_micros(4200));
        insta::assert_snapshot!(batches.words(start).unwrap(), @"Following: 1,234 rows written, lag 4 ms (batch 17)");
        assert_eq!(batches.words(start + Duration::from_secs(3)), None);
        insta::assert_snapshot!(batches.words(start + Duration::from_secs(61)).unwrap(), @"Following: nothing changed, lag 4 ms (batch 17)");
    }
}
