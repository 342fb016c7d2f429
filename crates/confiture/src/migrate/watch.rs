//! Work on a server, watched from a second session: who is in the way is said, nobody is queued for longer than agreed, and
//! Ctrl-C ends it.

use std::pin::pin;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::sql::Sql;

/// Who works, and who watches.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a> {
    pub(super) worker: &'a Session,
    pub(super) lock: &'a AdvisoryLock,
    pub(super) execution: &'a Execution,
}

/// How long others queue behind work that waits: whoever is in the way may take minutes, and they were in nobody's way.
const QUEUE: Duration = Duration::from_millis(300);

/// Why work ended without a result.
#[derive(Debug)]
pub(super) enum Failure {
    /// A lock was not to be had in time; what has it, where that is known, and whether others queued behind us.
    Lock { error: Error, by: Vec<String>, queued: bool },
    /// Another transaction was in the way, and one of both had to go.
    Conflict(Error),
    /// Ctrl-C.
    Interrupted,
    /// Anything else.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.sqlstate_code() {
            Some("55P03") => Self::Lock { error, by: Vec::new(), queued: false },
            Some("40P01" | "40001") => Self::Conflict(error),
            _ => Self::Other(error),
        }
    }
}

/// What keeps the worker waiting.
struct Blocked {
    relation: Option<String>,
    by: Vec<String>,
    /// Whether others wait for the worker meanwhile.
    queued: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    Interrupted,
    WaitedTooLong,
    Queued,
    LockLost,
}

impl Watch<'_> {
    /// Does `work`, called `name` in what is said. All its waits for locks together may take `patience`, and those in which others
    /// queue behind it a part of a second; zero: for ever.
    ///
    /// The server's `lock_timeout` bounds each single wait; a migration that holds one lock while it waits for the next keeps the
    /// application waiting for as long as all of them take.
    pub(super) async fn over<T>(
        &self,
        name: &str,
        patience: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T, Failure> {
        let often = Duration::from_millis(50);
        let bound = |time: Duration| if patience.is_zero() { time } else { time.min(patience / 4) };
        let (often, seldom) = (bound(often), bound(Duration::from_millis(250)));
        let mut tick = often;
        let mut work = pin!(work);
        let (mut stop, mut told, mut last) = (Stop::No, Vec::new(), Vec::new());
        let (mut waited, mut queued) = (Duration::ZERO, Duration::ZERO);
        loop {
            tokio::select! {
                biased;
                outcome = &mut work => return finish(outcome, stop, last),
                () = self.execution.interrupted(), if stop == Stop::No => stop = self.stop(Stop::Interrupted).await,
                () = tokio::time::sleep(tick), if stop == Stop::No => {}
            }
            if stop != Stop::No {
                continue;
            }
            if !self.lock.is_held() {
                stop = self.stop(Stop::LockLost).await;
                continue;
            }
            let Some(blocked) = self.read_blocked().await else {
                // What has worked for long undisturbed is looked at less often.
                tick = (tick + often / 10).min(seldom);
                continue;
            };
            waited += tick;
            queued += if blocked.queued { tick } else { Duration::ZERO };
            tick = often;
            if waited >= often * 2 && told != blocked.by {
                self.tell(name, &blocked);
                told.clone_from(&blocked.by);
            }
            last = blocked.by;
            if !patience.is_zero() && waited > patience {
                stop = self.stop(Stop::WaitedTooLong).await;
            } else if !patience.is_zero() && queued > QUEUE {
                stop = self.stop(Stop::Queued).await;
            }
        }
    }

    async fn stop(&self, why: Stop) -> Stop {
        // Should the request not arrive, the statement ends by itself, and so does the wait for it.
        drop(self.worker.cancel().await);
        why
    }

    /// Who is in the way; nothing where nobody is, or nobody can be asked.
    async fn read_blocked(&self) -> Option<Blocked> {
        let query = Sql::literal(include_str!("../postgres/queries/blockers.sql"));
        let rows = self.lock.session().query(&query, &[&vec![self.worker.backend_pid()]]).await.ok()?;
        let relation = rows.first().and_then(|row| row.get::<_, Option<String>>("relation"));
        let by: Vec<String> = rows.iter().filter_map(|row| row.get::<_, Option<String>>("shown")).collect();
        let queued = rows.first().is_some_and(|row| row.get("queued"));
        (!by.is_empty()).then_some(Blocked { relation, by, queued })
    }

    fn tell(&self, name: &str, blocked: &Blocked) {
        let of = blocked.relation.as_ref().map_or(String::new(), |relation| format!(" on {relation}"));
        self.execution.note(format!("{name} waits for a lock{of}, behind {}", blocked.by.join("; ")));
    }
}

fn finish<T>(outcome: Result<T>, stop: Stop, by: Vec<String>) -> Result<T, Failure> {
    let error = match outcome {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    match (stop, error.sqlstate_code()) {
        (Stop::Interrupted, Some("57014")) => Err(Failure::Interrupted),
        (Stop::WaitedTooLong | Stop::Queued, Some("57014")) | (_, Some("55P03")) => {
            Err(Failure::Lock { error, by, queued: stop == Stop::Queued })
        }
        (Stop::LockLost, _) => Err(Failure::Other(
            Error::new(crate::ErrorKind::Connect, "the connection that holds the lock of this run was lost")
                .hint("another run could begin now, so this one has stopped: run it again"),
        )),
        _ => Err(Failure::from(error)),
    }
}
