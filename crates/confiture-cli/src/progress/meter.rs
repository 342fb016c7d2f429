//! How far a run is and how fast it goes: plain arithmetic over events, with the clock passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use confiture::event::TableEstimate;

/// How far back the present speed looks.
const WINDOW: Duration = Duration::from_secs(10);

/// How close two samples may stand.
const GRAIN: Duration = Duration::from_millis(250);

/// All tables of a run.
#[derive(Debug, Default)]
pub(super) struct Meter {
    tables: Vec<Table>,
    rate: Rate,
    started: Option<Instant>,
}

#[derive(Debug)]
struct Table {
    name: String,
    expected_rows: u64,
    rows: u64,
    bytes: u64,
    rate: Rate,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running(Instant),
    Done,
}

/// What is shown of a table, or of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    /// Rows done.
    pub(super) rows: u64,
    /// Rows in all, as far as is known; never less than `rows`.
    pub(super) expected_rows: u64,
    /// Bytes done.
    pub(super) bytes: u64,
    /// Rows a second of late.
    pub(super) rows_per_second: f64,
    /// Bytes a second of late.
    pub(super) bytes_per_second: f64,
    /// Until the end, at that speed.
    pub(super) remaining: Option<Duration>,
}

impl Meter {
    /// These tables are going to be worked on.
    pub(super) fn plan(&mut self, tables: &[TableEstimate]) {
        for estimate in tables {
            self.table(&estimate.table.short()).expected_rows = estimate.rows;
        }
    }

    /// Work on a table begins.
    pub(super) fn start(&mut self, name: &str, now: Instant) {
        self.started.get_or_insert(now);
        let table = self.table(name);
        table.state = State::Running(now);
        table.rate.sample(now, 0, 0);
    }

    /// More of a table is done.
    pub(super) fn add(&mut self, name: &str, rows: u64, bytes: u64, now: Instant) {
        let started = *self.started.get_or_insert(now);
        let table = self.table(name);
        table.rows += rows;
        table.bytes += bytes;
        table.rate.sample(now, table.rows, table.bytes);
        self.sample_total(started, now);
    }

    /// A table is done; `rows` and `bytes` are what it came to.
    pub(super) fn finish(&mut self, name: &str, rows: u64, bytes: u64, now: Instant) {
        let started = *self.started.get_or_insert(now);
        let table = self.table(name);
        table.state = State::Done;
        (table.rows, table.bytes, table.expected_rows) = (rows, bytes, rows);
        self.sample_total(started, now);
    }

    /// A table's figures.
    pub(super) fn of(&self, name: &str, now: Instant) -> Option<Figures> {
        let table = self.tables.iter().find(|table| table.name == name)?;
        Some(figures(table.rows, table.expected_rows, table.bytes, &table.rate, now))
    }

    /// Everything's figures.
    pub(super) fn total(&self, now: Instant) -> Figures {
        let (rows, bytes) = self.done();
        let expected = self.tables.iter().map(|table| table.expected_rows.max(table.rows)).sum();
        figures(rows, expected, bytes, &self.rate, now)
    }

    /// Tables done and tables in all.
    pub(super) fn tables(&self) -> (usize, usize) {
        (self.tables.iter().filter(|table| table.state == State::Done).count(), self.tables.len())
    }

    /// The tables that are being worked on, each with its beginning.
    pub(super) fn running(&self) -> impl Iterator<Item = (&str, Instant)> {
        self.tables.iter().filter_map(|table| match table.state {
            State::Running(since) => Some((table.name.as_str(), since)),
            State::Waiting | State::Done => None,
        })
    }

    fn table(&mut self, name: &str) -> &mut Table {
        let index = self.tables.iter().position(|table| table.name == name).unwrap_or_else(|| {
            let rate = Rate::default();
            let name = name.to_owned();
            self.tables.push(Table {
                name,
                expected_rows: 0,
                rows: 0,
                bytes: 0,
                rate,
                state: State::Waiting,
            });
            self.tables.len() - 1
        });
        &mut self.tables[index]
    }

    fn sample_total(&mut self, started: Instant, now: Instant) {
        let (rows, bytes) = self.done();
        self.rate.sample(started, 0, 0);
        self.rate.sample(now, rows, bytes);
    }

    fn done(&self) -> (u64, u64) {
        let rows = self.tables.iter().map(|table| table.rows).sum();
        (rows, self.tables.iter().map(|table| table.bytes).sum())
    }
}

fn figures(rows: u64, expected: u64, bytes: u64, rate: &Rate, now: Instant) -> Figures {
    let (rows_per_second, bytes_per_second) = rate.per_second(now);
    let expected_rows = expected.max(rows);
    let left = expected_rows - rows;
    let remaining = (left > 0 && rows_per_second > 0.0)
        .then(|| Duration::try_from_secs_f64(left as f64 / rows_per_second).ok())
        .flatten();
    Figures { rows, expected_rows, bytes, rows_per_second, bytes_per_second, remaining }
}

/// The last few seconds of a growing count.
#[derive(Debug, Default)]
struct Rate {
    samples: VecDeque<(Instant, u64, u64)>,
}

impl Rate {
    /// The counts as they stand at `now`. Samples that stand close are one; those out of the window go, but for one.
    fn sample(&mut self, now: Instant, rows: u64, bytes: u64) {
        if let Some(&(last, ..)) = self.samples.back() {
            if now < last || (now == last && rows == 0) {
                return;
            }
            if self.samples.len() > 1 && now - self.samples[self.samples.len() - 2].0 < GRAIN {
                self.samples.pop_back();
            }
        }
        self.samples.push_back((now, rows, bytes));
        while self.samples.get(1).is_some_and(|(second, ..)| now - *second >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Since the oldest sample of the window; a stall lowers it while nothing is counted.
    fn per_second(&self, now: Instant) -> (f64, f64) {
        let (Some(&(first, rows, bytes)), Some(&(_, last_rows, last_bytes))) =
            (self.samples.front(), self.samples.back())
        else {
            return (0.0, 0.0);
        };
        let seconds = now.saturating_duration_since(first).as_secs_f64();
        if seconds < 0.001 {
            return (0.0, 0.0);
        }
        // A table's rows can be corrected downwards at its end.
        (
            (last_rows.saturating_sub(rows)) as f64 / seconds,
            (last_bytes.saturating_sub(bytes)) as f64 / seconds,
        )
    }
}

#[cfg(test)]
mod tests {
    use confiture::sql::QualifiedName;

    use super::*;

    fn planned() -> (Meter, Instant) {
        let mut meter = Meter::default();
        let of = |name: &str, rows| TableEstimate {
            table: QualifiedName::new("public", name),
            rows,
            bytes: rows * 100,
        };
        meter.plan(&[of("users", 1_000), of("events", 9_000)]);
        (meter, Instant::now())
    }

    #[test]
    fn speed_and_time_left_follow_what_was_counted() {
        let (mut meter, start) = planned();
        let at = |seconds| start + Duration::from_secs(seconds);
        meter.start("events", start);
        for second in 1..=4 {
            meter.add("events", 500, 50_000, at(second));
        }
        let events = meter.of("events", at(4)).unwrap();
        assert_eq!((events.rows, events.expected_rows, events.bytes), (2_000, 9_000, 200_000));
        assert_eq!((events.rows_per_second, events.bytes_per_second), (500.0, 50_000.0));
        assert_eq!(events.remaining, Some(Duration::from_secs(14)));
        assert_eq!(meter.total(at(4)).remaining, Some(Duration::from_secs(16)));
        assert_eq!(meter.tables(), (0, 2));
        assert_eq!(meter.running().collect::<Vec<_>>(), [("events", start)]);
    }

    #[test]
    fn only_the_last_seconds_count() {
        let (mut meter, start) = planned();
        meter.start("events", start);
        for second in 1..=30 {
            meter.add("events", if second <= 15 { 10 } else { 100 }, 0, start + Duration::from_secs(second));
        }
        let speed = meter.of("events", start + Duration::from_secs(30)).unwrap().rows_per_second;
        assert!((95.0..=100.0).contains(&speed), "{speed}");
    }

    #[test]
    fn a_stall_shows_as_falling_speed() {
        let (mut meter, start) = planned();
        meter.start("events", start);
        meter.add("events", 1_000, 0, start + Duration::from_secs(1));
        let later = meter.total(start + Duration::from_secs(100));
        assert_eq!(later.rows_per_second, 10.0);
    }

    #[test]
    fn an_estimate_that_was_too_low_gives_way() {
        let (mut meter, start) = planned();
        meter.start("users", start);
        meter.add("users", 1_500, 10, start + Duration::from_secs(1));
        let users = meter.of("users", start + Duration::from_secs(1)).unwrap();
        assert_eq!((users.expected_rows, users.remaining), (1_500, None));
        meter.finish("users", 1_400, 10, start + Duration::from_secs(2));
        assert_eq!(meter.total(start + Duration::from_secs(2)).expected_rows, 10_400);
        assert_eq!(meter.tables(), (1, 2));
    }

    #[test]
    fn nothing_is_divided_by_no_time() {
        let (mut meter, start) = planned();
        meter.add("users", 5, 5, start);
        assert_eq!(meter.total(start).rows_per_second, 0.0);
        assert_eq!(meter.total(start).remaining, None);
    }
}
