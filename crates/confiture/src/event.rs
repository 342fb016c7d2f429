//! Progress: the only link between doing and showing.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::sql::QualifiedName;

/// Something that happened while a plan was executed.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A step began, in words for the user: `Building indexes`.
    StepStarted {
        /// What is being done.
        step: String,
    },
    /// A step ended.
    StepFinished {
        /// What was done.
        step: String,
        /// How long it took.
        #[serde(rename = "elapsed_ms", serialize_with = "as_milliseconds")]
        elapsed: Duration,
    },
    /// A step ended without what it was for; the error says why.
    StepFailed {
        /// What was tried.
        step: String,
    },
    /// Something worth saying that is not progress.
    Note {
        /// One sentence.
        message: String,
    },
    /// Something that the user should look at.
    Warning {
        /// One sentence.
        message: String,
    },
    /// The tables that are about to be worked on, in order, with what is expected of each.
    TablesPlanned {
        /// Name, expected rows, expected bytes.
        tables: Vec<TableEstimate>,
    },
    /// A table is being worked on.
    TableStarted {
        /// The target table.
        table: QualifiedName,
    },
    /// More of a table is done; the figures are what was added since the last event, not totals.
    TableProgress {
        /// The target table.
        table: QualifiedName,
        /// Rows added.
        rows: u64,
        /// Bytes added.
        bytes: u64,
    },
    /// A batch of changes is in the target.
    BatchApplied {
        /// Its number, from 1.
        number: i64,
        /// Keys that were read again.
        keys: u64,
        /// Rows that are new or that differed.
        rows_written: u64,
        /// Rows that are no more.
        rows_deleted: u64,
        /// From its snapshot of the source until everything that this sees had been told.
        #[serde(rename = "lag_ms", serialize_with = "as_milliseconds")]
        lag: Duration,
        /// From its snapshot until the target had committed.
        #[serde(rename = "elapsed_ms", serialize_with = "as_milliseconds")]
        elapsed: Duration,
    },
    /// A table is done.
    TableFinished {
        /// The target table.
        table: QualifiedName,
        /// Rows in total.
        rows: u64,
        /// Bytes in total.
        bytes: u64,
        /// From its start to its end.
        #[serde(rename = "elapsed_ms", serialize_with = "as_milliseconds")]
        elapsed: Duration,
    },
}

/// A duration as milliseconds, to the microsecond: `1234.567`.
pub(crate) fn as_milliseconds<S: serde::Serializer>(
    elapsed: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((elapsed.as_secs_f64() * 1e6).round() / 1e3)
}

/// The same, read back.
pub(crate) fn from_milliseconds<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let milliseconds: f64 = serde::Deserialize::deserialize(deserializer)?;
    Duration::try_from_secs_f64(milliseconds / 1e3).map_err(serde::de::Error::custom)
}

/// What is expected of a table before work on it begins.
#[derive(Debug, Clone, Serialize)]
pub struct TableEstimate {
    /// The target table.
    pub table: QualifiedName,
    /// Rows expected; an estimate.
    pub rows: u64,
    /// Bytes expected in the source's heap; an estimate.
    pub bytes: u64,
}

/// Receives events. Called from several tasks at once, and never blocks for long.
pub trait Observer: Send + Sync {
    /// Takes one event.
    fn observe(&self, event: &Event);
}

/// Nobody is watching.
impl Observer for () {
    fn observe(&self, _event: &Event) {}
}

/// Two are watching.
struct Both(Arc<dyn Observer>, Arc<dyn Observer>);

impl Observer for Both {
    fn observe(&self, event: &Event) {
        self.0.observe(event);
        self.1.observe(event);
    }
}

/// What every execution takes along: who watches, and whether to stop.
#[derive(Clone)]
pub struct Execution {
    observer: Arc<dyn Observer>,
    interrupt: tokio_util::sync::CancellationToken,
}

impl Execution {
    /// An execution that `observer` watches and that ends early, cleanly, once `interrupt` is cancelled.
    pub fn new(observer: Arc<dyn Observer>, interrupt: tokio_util::sync::CancellationToken) -> Self {
        Self { observer, interrupt }
    }

    /// Nobody watches and nothing interrupts.
    #[must_use]
    pub fn unattended() -> Self {
        Self::new(Arc::new(()), tokio_util::sync::CancellationToken::new())
    }

    /// The same, unwatched: for work of which only the whole is worth telling. It still ends where the user asks to stop.
    #[must_use]
    pub fn unwatched(&self) -> Self {
        Self { observer: Arc::new(()), interrupt: self.interrupt.clone() }
    }

    /// The same, and `another` observer hears everything too.
    #[must_use]
    pub fn heard_by(&self, another: Arc<dyn Observer>) -> Self {
        let both = Both(Arc::clone(&self.observer), another);
        Self { observer: Arc::new(both), interrupt: self.interrupt.clone() }
    }

    /// The same, to its end: for work that would leave something half done.
    #[must_use]
    pub fn uninterrupted(&self) -> Self {
        Self { observer: Arc::clone(&self.observer), interrupt: tokio_util::sync::CancellationToken::new() }
    }

    /// Tells the observer.
    pub fn emit(&self, event: &Event) {
        self.observer.observe(event);
    }

    /// Tells the observer a sentence.
    pub fn note(&self, message: impl Into<String>) {
        self.emit(&Event::Note { message: message.into() });
    }

    /// Tells the observer a sentence that needs attention.
    pub fn warn(&self, message: impl Into<String>) {
        self.emit(&Event::Warning { message: message.into() });
    }

    /// Tells the observer of the beginning and the end of a step.
    pub async fn step<T>(
        &self,
        name: &str,
        work: impl Future<Output = crate::Result<T>>,
    ) -> crate::Result<T> {
        self.emit(&Event::StepStarted { step: name.to_owned() });
        let started = std::time::Instant::now();
        let done = work.await;
        let step = name.to_owned();
        self.emit(&match done {
            Ok(_) => Event::StepFinished { step, elapsed: started.elapsed() },
            Err(_) => Event::StepFailed { step },
        });
        done
    }

    /// True once the user has asked to stop.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.is_cancelled()
    }

    /// Resolves once the user has asked to stop.
    pub async fn interrupted(&self) {
        self.interrupt.cancelled().await;
    }
}
