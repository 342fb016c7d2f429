//! A migration watched from outside, again and again: what the ledger says, how both servers are, and what would keep a
//! cutover waiting. Nothing is written, no lock is held, and no row of the user's tables is read.

mod check;
mod record;
mod server;
mod sight;

use std::time::Duration;

use serde::Serialize;

use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::sql::Sql;

pub use check::{Check, CheckState, checks};
pub use record::{Batches, Record, TableCopy, record};
pub use server::{DatabaseConnections, LockWait, Obstacles, Retained, ServerSight, SlowStatement};
pub use sight::{Comparison, Cutover, Pace, Second, Sight, TakenOff};

/// How long a server may take to answer a look; after that it counts as away.
const PATIENCE: Duration = Duration::from_secs(8);

/// A side that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The old database.
    Source,
    /// The new database, which holds the ledger.
    Target,
}

/// One look at everything.
#[derive(Debug, Clone, Serialize)]
pub struct Look {
    /// What the ledger says; `None` where the target does not answer, or remembers no migration.
    pub sight: Option<Sight>,
    /// The source, where it is known, and the target.
    pub servers: Vec<ServerSight>,
}

/// Looks again and again, on sessions that stay open and are opened again where they were lost.
pub struct Watch {
    source: Option<Window>,
    target: Window,
}

struct Window {
    connection: Connection,
    session: Option<Session>,
}

impl Watch {
    /// Nothing is connected to before the first look.
    #[must_use]
    pub fn new(target: Connection) -> Self {
        Self { source: None, target: Window::new(target) }
    }

    /// Says where the source is, once that is known.
    pub fn set_source(&mut self, source: Connection) {
        self.source = Some(Window::new(source));
    }

    /// True once it is known where the source is.
    #[must_use]
    pub fn has_source(&self) -> bool {
        self.source.is_some()
    }

    /// Looks. A server that does not answer is part of what is seen. `since` (seconds since 1970) is from when on seconds
    /// are wanted.
    pub async fn look(&mut self, since: f64) -> Look {
        let source = async {
            match &mut self.source {
                Some(window) => Some(window.server(Side::Source).await),
                None => None,
            }
        };
        let (source_seen, mut target_seen) = tokio::join!(source, self.target.server(Side::Target));
        let source = self.source.as_ref().and_then(|window| window.session.clone());
        let mut sight = None;
        if let Some(session) = self.target.session.clone() {
            match in_time(sight::read(source.as_ref(), &session, since)).await {
                Ok(found) => sight = found,
                Err(error) => {
                    self.target.session = None;
                    target_seen.error = Some(error.message().to_owned());
                }
            }
        }
        Look { sight, servers: source_seen.into_iter().chain([target_seen]).collect() }
    }
}

impl Window {
    fn new(connection: Connection) -> Self {
        Self { connection, session: None }
    }

    async fn server(&mut self, side: Side) -> ServerSight {
        let seen = in_time(async {
            let session = self.open().await?;
            server::read(side, &session).await
        });
        seen.await.unwrap_or_else(|error| {
            self.session = None;
            ServerSight::away(side, &self.connection, error.message())
        })
    }

    async fn open(&mut self) -> Result<Session> {
        if let Some(session) = self.session.as_ref().filter(|session| !session.is_closed()) {
            return Ok(session.clone());
        }
        let session = Session::connect(&self.connection).await?;
        session
            .batch(&Sql::literal("SET application_name = 'confiture monitor'; SET statement_timeout = '5s'; SET lock_timeout = '1s'; SET default_transaction_read_only = on"))
            .await?;
        self.session = Some(session.clone());
        Ok(session)
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        let seconds = PATIENCE.as_secs();
        Err(Error::new(ErrorKind::Connect, format!("the server has not answered for {seconds} seconds")))
    })
}
