//! What stderr shows while a plan is executed: bars on a terminal, a line every few seconds on a pipe, a timestamped
//! line for everything with `--verbose`, warnings alone with `--quiet`.

mod bars;
mod following;
mod line;
mod meter;

use std::io::{self, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use confiture::event::{Event, Observer};

use self::bars::Bars;
use self::following::Batches;
use self::meter::Meter;
use crate::output::numbers::{self, count, duration};
use crate::output::style::Style;
use crate::terminal::Terminal;

/// The step in which both sides are compared: tables are then not migrated but compared.
pub(crate) const COMPARING: &str = "Comparing both sides";

/// With more tables than these a pipe gets no line for each of them.
const MANY: usize = 20;

/// How often a pipe gets a line.
const EVERY: Duration = Duration::from_secs(3);

/// How often bars are drawn.
const FRAME: Duration = Duration::from_millis(100);

/// Watches an execution.
#[derive(Debug)]
pub(crate) struct Progress {
    screen: Arc<Mutex<Screen>>,
    ticker: Mutex<Option<Ticker>>,
}

/// Redraws while no event comes, so that a stall is seen as one.
#[derive(Debug)]
struct Ticker {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Screen {
    meter: Meter,
    bars: Option<Bars>,
    look: Style,
    quiet: bool,
    verbose: bool,
    comparing: bool,
    /// What a table that is done is called.
    done: &'static str,
    batches: Batches,
    /// The step that began last, until it ends.
    step: Option<(String, Instant)>,
    /// When a line was last written, so that the next is due a while later.
    told: Instant,
}

impl Progress {
    /// Shows as much as the terminal can and the user wants of what `command` does.
    pub(crate) fn new(terminal: &Terminal, command: &str) -> Self {
        let draws = terminal.draws && !terminal.quiet;
        let screen = Screen {
            meter: Meter::default(),
            bars: draws.then(|| Bars::new(terminal.stderr)),
            look: terminal.stderr,
            quiet: terminal.quiet,
            verbose: terminal.verbose,
            comparing: false,
            // A sync moves nothing to a new schema: the rows stay where they are, too.
            done: if command == "sync" { "copied" } else { "migrated" },
            batches: Batches::default(),
            step: None,
            told: Instant::now(),
        };
        let screen = Arc::new(Mutex::new(screen));
        let ticker =
            (!terminal.quiet).then(|| Ticker::start(Arc::clone(&screen), if draws { FRAME } else { EVERY }));
        Self { screen, ticker: Mutex::new(ticker) }
    }

    /// A line that is said even under `--quiet`.
    pub(crate) fn say(&self, text: &str) {
        self.screen().write(text);
    }

    /// Takes the bars away; nothing is shown from here on.
    pub(crate) fn close(&self) {
        let ticker = self.ticker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Ticker { stop, thread }) = ticker {
            drop(stop);
            let _ = thread.join();
        }
        if let Some(mut bars) = self.screen().bars.take() {
            bars.clear();
        }
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Progress {
    fn observe(&self, event: &Event) {
        self.screen().show(event, Instant::now());
    }
}

impl Ticker {
    fn start(screen: Arc<Mutex<Screen>>, every: Duration) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                screen.lock().unwrap_or_else(PoisonError::into_inner).tick(Instant::now());
            }
        });
        Self { stop, thread }
    }
}

impl Screen {
    fn show(&mut self, event: &Event, now: Instant) {
        match event {
            Event::TablesPlanned { tables } => self.meter.plan(tables),
            Event::TableStarted { table } => self.meter.start(&table.short(), now),
            Event::TableProgress { table, rows, bytes } => self.meter.add(&table.short(), *rows, *bytes, now),
            Event::BatchApplied { number, rows_written, rows_deleted, lag, .. } => {
                self.batches.add(*number, rows_written + rows_deleted, *lag);
            }
            Event::TableFinished { table, rows, bytes, .. } => {
                self.meter.finish(&table.short(), *rows, *bytes, now);
                if let Some(bars) = &mut self.bars {
                    bars.end_table(&table.short());
                }
            }
            Event::StepStarted { step } => {
                if step == COMPARING {
                    (self.comparing, self.meter) = (true, Meter::default());
                }
                self.step = Some((step.clone(), now));
                if let Some(bars) = &mut self.bars {
                    bars.step(step);
                }
            }
            Event::StepFinished { step, .. } | Event::StepFailed { step } => {
                self.step.take_if(|(running, _)| running == step);
                self.comparing &= step != COMPARING;
                if let Some(bars) = &mut self.bars {
                    bars.end_step();
                }
            }
            _ => {}
        }
        let is_told = !self.quiet || matches!(event, Event::Warning { .. });
        if let Some(text) = self.words(event).filter(|_| is_told) {
            self.write(&text);
        }
    }

    /// What is said of an event. Bars show steps and tables themselves, and the result lists what was done.
    fn words(&self, event: &Event) -> Option<String> {
        let look = self.look;
        match event {
            Event::Warning { message } => Some(format!("{}: {message}", look.yellow("warning"))),
            Event::Note { message } => Some(message.clone()),
            Event::StepStarted { step } => {
                let told = self.verbose || self.lists() || (self.bars.is_none() && step == COMPARING);
                told.then(|| format!("{step}..."))
            }
            Event::StepFinished { step, elapsed } => {
                self.verbose.then(|| format!("{} {step} ({})", look.done(), duration(*elapsed)))
            }
            Event::TablesPlanned { tables } => (self.verbose && !self.comparing).then(|| {
                let rows = tables.iter().map(|table| table.rows).sum();
                format!("{}, about {}", count(tables.len(), "table"), numbers::rows(rows))
            }),
            Event::TableStarted { table } => self.verbose.then(|| format!("{} started", table.short())),
            // Compared is not yet equal: the report has the marks.
            Event::TableFinished { table, elapsed, .. } if self.comparing => {
                self.verbose.then(|| format!("{} compared ({})", table.short(), duration(*elapsed)))
            }
            Event::TableFinished { table, rows, elapsed, .. } => (self.verbose || self.lists()).then(|| {
                let (rows, elapsed) = (numbers::rows(*rows), duration(*elapsed));
                format!("{} {} {} ({rows}, {elapsed} actual)", look.done(), table.short(), self.done)
            }),
            _ => None,
        }
    }

    /// True where each table and step gets a line: on a pipe, and only for so many that somebody can read them.
    fn lists(&self) -> bool {
        self.bars.is_none() && self.meter.tables().1 <= MANY
    }

    /// The figures anew: as bars, or as a line.
    fn tick(&mut self, now: Instant) {
        let total = self.meter.total(now);
        let tables = self.meter.tables();
        let measured = total.expected_rows > 0 && tables.0 < tables.1;
        let compared = self.comparing.then(|| self.compared());
        if let (Some(bars), Some(words)) = (&self.bars, compared) {
            bars.reword(words);
        }
        if let Some(bars) = self.bars.as_mut().filter(|_| measured) {
            for (name, _) in self.meter.running() {
                if let Some(figures) = self.meter.of(name, now) {
                    bars.table(name, &figures);
                }
            }
            bars.total(&total, tables);
        }
        if !measured && self.step.is_none() {
            let words = self.bars.is_some().then(|| self.batches.words(now)).flatten();
            if let (Some(bars), Some(words)) = (&mut self.bars, words) {
                bars.follow(words);
            }
        }
        if self.bars.is_none() && now.duration_since(self.told) >= EVERY / 2 {
            self.figures(now).into_iter().for_each(|words| self.write(&words));
        }
    }

    /// The figures as a line.
    fn figures(&mut self, now: Instant) -> Option<String> {
        let (total, tables) = (self.meter.total(now), self.meter.tables());
        if total.expected_rows == 0 || tables.0 == tables.1 {
            return self.so_far(now).or_else(|| self.batches.words(now));
        }
        let comparing = if self.comparing { format!("{COMPARING}: ") } else { String::new() };
        Some(format!("{comparing}{}", line::total(&total, tables)))
    }

    /// What is being done that cannot be measured.
    fn so_far(&self, now: Instant) -> Option<String> {
        let step = self.step.as_ref().map(|(step, since)| (step.clone(), *since));
        let running = if self.comparing {
            step.map(|(_, since)| (self.compared(), since))
        } else {
            let table = self.meter.running().next();
            table.map(|(table, since)| (table.to_owned(), since)).or(step)
        };
        running.map(|(what, since)| line::so_far(&what, now.duration_since(since)))
    }

    /// How far comparing is.
    fn compared(&self) -> String {
        format!("{COMPARING}, {} done", count(self.meter.tables().0, "table"))
    }

    fn write(&mut self, text: &str) {
        let text = if self.verbose { format!("[{}] {text}", clock()) } else { text.to_owned() };
        match &self.bars {
            Some(bars) => bars.say(&text),
            // A reader that has gone is no failure of the run.
            None => drop(writeln!(io::stderr().lock(), "{text}")),
        }
        self.told = Instant::now();
    }
}

/// The local time of day, as `14:30:05`.
fn clock() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use confiture::event::TableEstimate;
    use confiture::sql::QualifiedName;

    use super::*;

    fn screen(tables: usize) -> Screen {
        let mut screen = Screen {
            meter: Meter::default(),
            bars: None,
            look: Style::default(),
            quiet: true,
            verbose: false,
            comparing: false,
            done: "migrated",
            batches: Batches::default(),
            step: None,
            told: Instant::now(),
        };
        let estimate = |number| TableEstimate {
            table: QualifiedName::new("public", format!("t{number}").as_str()),
            rows: 10,
            bytes: 100,
        };
        screen.show(&Event::TablesPlanned { tables: (0..tables).map(estimate).collect() }, Instant::now());
        screen
    }

    fn finished() -> Event {
        let table = QualifiedName::new("public", "t0");
        Event::TableFinished { table, rows: 10, bytes: 100, elapsed: Duration::ZERO }
    }

    #[test]
    fn a_pipe_gets_a_line_for_each_table_only_where_they_are_few() {
        assert_eq!(screen(20).words(&finished()).as_deref(), Some("✅ t0 migrated (10 rows, 0 sec actual)"));
        assert_eq!(screen(500).words(&finished()), None);
        let building = Event::StepStarted { step: "Building t0_pkey on t0".into() };
        assert!(screen(20).words(&building).is_some());
        assert_eq!(screen(500).words(&building), None);
    }

    /// A build that watches goes on behind it, and so does `validate`.
    #[test]
    fn a_step_that_has_failed_goes_on_no_longer() {
        let (mut screen, step) = (screen(0), String::from("Running 1 statement of 1 file"));
        screen.show(&Event::StepStarted { step: step.clone() }, Instant::now());
        assert!(screen.so_far(Instant::now()).is_some());
        screen.show(&Event::StepFailed { step }, Instant::now());
        assert_eq!(screen.so_far(Instant::now()), None);
    }

    /// `migrate diff` of large schemas takes its time, and follows nothing.
    #[test]
    fn where_nothing_is_followed_no_lag_is_told() {
        let (mut screen, start) = (screen(0), Instant::now());
        let told = [0, 61, 122].map(|seconds| screen.figures(start + Duration::from_secs(seconds)));
        assert_eq!(told, [None, None, None]);
    }

    #[test]
    fn comparing_shows_rows_as_copying_does() {
        let mut screen = screen(0);
        let start = Instant::now();
        screen.show(&Event::StepStarted { step: COMPARING.into() }, start);
        let table = QualifiedName::new("public", "t0");
        let estimate = TableEstimate { table: table.clone(), rows: 1_000, bytes: 5 };
        screen.show(&Event::TablesPlanned { tables: vec![estimate] }, start);
        screen.show(&Event::TableStarted { table: table.clone() }, start);
        let second = start + Duration::from_secs(1);
        screen.show(&Event::TableProgress { table, rows: 250, bytes: 0 }, second);
        assert_eq!(
            screen.figures(second).as_deref(),
            Some("Comparing both sides: 0 of 1 table, 250 of 1K rows (25%), 250 rows/s, 3 sec left")
        );
    }

    #[test]
    fn a_compared_table_gets_no_mark_for_nobody_knows_yet_that_it_is_equal() {
        let mut screen = screen(2);
        let comparing = Event::StepStarted { step: COMPARING.into() };
        screen.show(&comparing, Instant::now());
        assert!(screen.words(&comparing).is_some());
        assert_eq!(screen.words(&finished()), None);
        screen.show(&finished(), Instant::now());
        let said = screen.so_far(Instant::now()).expect("a line");
        assert!(said.starts_with("Comparing both sides, 1 table done: "), "{said}");
        screen.verbose = true;
        assert_eq!(screen.words(&finished()).as_deref(), Some("t0 compared (0 sec)"));
    }
}
