//! Tries for locks on tables of the application: short ones, so that nobody waits behind us for long.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::catalog::Oid;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::schema_to_schema::cutover::locks;

/// Tries so far.
pub(super) struct Tries<'a> {
    pub(super) count: u32,
    until: Instant,
    patience: Duration,
    pause: Duration,
    /// The tables that are locked.
    relations: &'a [Oid],
    /// What was not done, in words.
    nothing: &'static str,
}

impl<'a> Tries<'a> {
    pub(super) fn new(patience: Duration, relations: &'a [Oid], nothing: &'static str) -> Self {
        Self {
            count: 0,
            until: Instant::now() + patience,
            patience,
            pause: Duration::from_millis(100),
            relations,
            nothing,
        }
    }

    /// Waits before the next try, after `error`; returns an error where there is none.
    pub(super) async fn again(
        &mut self,
        error: Error,
        session: &Session,
        execution: &Execution,
    ) -> Result<()> {
        if !locks::is_in_the_way(&error) {
            return Err(error);
        }
        let holder = locks::holder(session, self.relations, false).await;
        if Instant::now() + self.pause >= self.until {
            let who = holder.unwrap_or_else(|| "somebody holds a lock".to_owned());
            let what = format!("{who}, for {} s and longer; {}", self.patience.as_secs(), self.nothing);
            return Err(Error::new(ErrorKind::Server, what)
                .sqlstate("55P03")
                .hint("wait until that session is done, or end it: SELECT pg_terminate_backend(pid)"));
        }
        self.count += 1;
        execution.note(format!("{}: trying again", holder.unwrap_or_else(|| error.message().to_owned())));
        tokio::select! {
            () = sleep(self.pause) => {}
            () = execution.interrupted() => {
                return Err(Error::interrupted(format!("stopped; {}", self.nothing)));
            }
        }
        self.pause = (self.pause * 2).min(Duration::from_secs(2));
        Ok(())
    }
}
