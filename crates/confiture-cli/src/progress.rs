//! What stderr shows while a plan is executed: bars on a terminal, a line every few seconds on a pipe, a timestamped
//! line for everything with `--verbose`, nothing with `--quiet`.

mod bars;
mod line;
mod meter;

use std::io::{self, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use confiture::event::{Event, Observer};

use self::bars::Bars;
use self::meter::Meter;
use crate::output::numbers::{count, duration, magnitude};
use crate::output::style::Style;
use crate::terminal::Terminal;

/// The step in which both sides are compared: tables are then not migrated but compared.
pub(crate) const COMPARING: &str = "Comparing both sides";

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
    /// When a line was last written, so that the next is due a while later.
    told: Instant,
}

impl Progress {
    /// Shows as much as the terminal can and the user wants.
    pub(crate) fn new(terminal: &Terminal) -> Self {
        let draws = terminal.draws && !terminal.quiet;
        let screen = Screen {
            meter: Meter::default(),
            bars: draws.then(|| Bars::new(terminal.stderr)),
            look: terminal.stderr,
            quiet: terminal.quiet,
            verbose: terminal.verbose,
            comparing: false,
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
                if let Some(bars) = &mut self.bars {
                    bars.step(step);
                }
            }
            Event::StepFinished { .. } => {
                if let Some(bars) = &mut self.bars {
                    bars.end_step();
                }
            }
            _ => {}
        }
        if let Some(text) = self.words(event).filter(|_| !self.quiet) {
            self.write(&text);
        }
    }

    /// What is said of an event. Bars show steps and tables themselves, and the result lists what was done.
    fn words(&self, event: &Event) -> Option<String> {
        let look = self.look;
        let chatty = self.verbose || self.bars.is_none();
        match event {
            Event::Warning { message } => Some(format!("{}: {message}", look.yellow("warning"))),
            Event::Note { message } => Some(message.clone()),
            Event::StepStarted { step } => chatty.then(|| format!("{step}...")),
            Event::StepFinished { step, elapsed } => {
                self.verbose.then(|| format!("{} {step} ({})", look.done(), duration(*elapsed)))
            }
            Event::TablesPlanned { tables } => self.verbose.then(|| {
                let rows = tables.iter().map(|table| table.rows).sum();
                format!("{}, about {} rows", count(tables.len(), "table"), magnitude(rows))
            }),
            Event::TableStarted { table } => self.verbose.then(|| format!("{} started", table.short())),
            Event::TableFinished { table, rows, elapsed, .. } => chatty.then(|| {
                let done = if self.comparing { "compared" } else { "migrated" };
                let (rows, elapsed) = (magnitude(*rows), duration(*elapsed));
                format!("{} {} {done} ({rows} rows, {elapsed} actual)", look.done(), table.short())
            }),
            _ => None,
        }
    }

    /// The figures anew: as bars, or as a line.
    fn tick(&mut self, now: Instant) {
        let (done, all) = self.meter.tables();
        if all == done {
            return;
        }
        let total = self.meter.total(now);
        if let Some(bars) = &mut self.bars {
            let running: Vec<String> = self.meter.running().map(str::to_owned).collect();
            for name in running {
                if let Some(figures) = self.meter.of(&name, now) {
                    bars.table(&name, &figures);
                }
            }
            bars.total(&total, (done, all));
        } else if now.duration_since(self.told) >= EVERY / 2 {
            self.write(&line::total(&total, (done, all)));
        }
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
