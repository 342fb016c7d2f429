//! Tries for locks on tables of the application: short ones, so that nobody waits behind us for long.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::catalog::Oid;
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::schema_to_schema::cutover::locks;

/// Tries so far.
pub(crate) struct Tries {
    pub(crate) count: u32,
    until: Instant,
    patience: Duration,
    pause: Duration,
    /// What is locked, and a session that sees it.
    locked: Vec<(Session, Vec<Oid>)>,
    /// What was not done, in words.
    nothing: &'static str,
}

impl Tries {
    pub(crate) fn new(patience: Duration, locked: Vec<(Session, Vec<Oid>)>, nothing: &'static str) -> Self {
        Self {
            count: 0,
            until: Instant::now() + patience,
            patience,
            pause: Duration::from_millis(100),
            locked,
            nothing,
        }
    }

    /// Waits before the next try, after `error`; returns an error where there is none.
    pub(crate) async fn again(&mut self, error: Error, execution: &Execution) -> Result<()> {
        if !locks::is_in_the_way(&error) {
            return Err(error);
        }
        let mut holder = None;
        for (session, relations) in &self.locked {
            holder = holder.or(locks::holder(session, relations, false).await);
        }
        if Instant::now() + self.pause >= self.until {
            let who = holder.unwrap_or_else(|| "somebody holds a lock".to_owned());
            return Err(locks::held_up(&who, self.patience, self.nothing));
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
