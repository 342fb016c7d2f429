//! `--events FILE`: what happens, a line of JSON for each event, appended as it happens.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use confiture::event::{Event, Observer};
use confiture::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::exit_code;
use crate::output::Reply;

/// How often a batch that found nothing to do is written: so that the file shows that a run is alive.
const IDLE: Duration = Duration::from_secs(10);

/// The file.
pub(crate) struct EventLog {
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    /// `None` once it could not be written to.
    file: Option<File>,
    /// When a batch was last written.
    batch: Option<Instant>,
}

/// One line.
#[derive(Serialize)]
struct Line<'a, T> {
    at: String,
    /// Several runs may write to one file.
    pid: u32,
    #[serde(flatten)]
    event: &'a T,
}

impl EventLog {
    /// Opens the file, and writes that `command` began.
    pub(crate) fn open(path: &Path, command: &str) -> Result<Self> {
        let file = File::options().append(true).create(true).open(path).map_err(|error| {
            Error::new(ErrorKind::Usage, format!("cannot write events to {}: {error}", path.display()))
                .hint("--events names a file that this user may write to")
        })?;
        let log = Self { path: path.to_owned(), inner: Mutex::new(Inner { file: Some(file), batch: None }) };
        log.write(&json!({ "event": "began", "command": command, "version": env!("CARGO_PKG_VERSION") }));
        Ok(log)
    }

    /// Writes how the command ended.
    pub(crate) fn end(&self, outcome: &Result<Reply>) {
        let error = match outcome {
            Ok(reply) => reply.verdict(),
            Err(error) => Some(error),
        };
        let status = error.map_or(exit_code::DONE, |error| exit_code::of(error.kind()));
        let said = error.map(|error| json!({ "code": error.kind().code(), "message": error.message() }));
        self.write(&json!({ "event": "ended", "ok": error.is_none(), "exit_status": status, "error": said }));
    }

    fn write(&self, event: &impl Serialize) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_to(&mut inner, event);
    }

    fn write_to(&self, inner: &mut Inner, event: &impl Serialize) {
        let Some(file) = &mut inner.file else { return };
        let at = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let line = serde_json::to_string(&Line { at, pid: std::process::id(), event });
        let written =
            line.map_err(io::Error::from).and_then(|line| file.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = written {
            // A migration does not end because a disk of this machine is full.
            inner.file = None;
            let _ = writeln!(
                io::stderr().lock(),
                "warning: events are no longer written to {}: {error}",
                self.path.display()
            );
        }
    }
}

impl Observer for EventLog {
    fn observe(&self, event: &Event) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::BatchApplied { keys, rows_written, rows_deleted, .. } = event {
            let is_idle = keys + rows_written + rows_deleted == 0;
            if is_idle && inner.batch.is_some_and(|last| last.elapsed() < IDLE) {
                return;
            }
            inner.batch = Some(Instant::now());
        }
        self.write_to(&mut inner, event);
    }
}
