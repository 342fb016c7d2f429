//! One run at a time: an advisory lock, on a connection of its own, that names its holder.
//!
//! A process that is killed leaves backends behind that go on until they notice. So every session that writes for a run
//! holds a second lock, shared; whoever takes the first one waits for those of the run before, or ends them.

use std::time::{Duration, Instant};

use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::sql::{Literal, Sql, sql};

/// The lock, held for as long as this value lives: closing its connection frees it, also after a crash.
pub struct AdvisoryLock {
    session: Session,
}

/// `confitur` in ASCII: the key of the lock, the same in every database (advisory locks are per database).
const KEY: i64 = 0x636f_6e66_6974_7572;

/// The key of the lock that all sessions of a run share.
const MEMBERS: i64 = KEY + 1;

/// How long to ask for a lock that nobody holds, and that others may take each time.
const FREED: Duration = Duration::from_secs(1);

impl AdvisoryLock {
    /// Takes the lock of one database, or says who holds it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`] with the holder's pid, address and since when.
    pub async fn take(connection: &Connection) -> Result<Self> {
        Self::take_on(Session::connect(connection).await?).await
    }

    /// Takes the lock on a session that is given up to it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`] with the holder's pid, address and since when.
    pub async fn take_on(session: Session) -> Result<Self> {
        Self::take_within(session, Duration::ZERO, |_| ()).await
    }

    /// As [`take_on`](Self::take_on), but tries again for as long as `patience`; `waiting` hears once who is waited for.
    ///
    /// Never by a statement that waits for the lock: its snapshot would be one that a `CREATE INDEX CONCURRENTLY` of the holder
    /// waits for, and both would wait for ever.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`] with the holder's pid, address and since when.
    pub async fn take_within(
        session: Session,
        patience: Duration,
        waiting: impl FnOnce(&Error) + Send,
    ) -> Result<Self> {
        let start = Instant::now();
        let mut waiting = Some(waiting);
        while !try_lock(&session, KEY).await? {
            let holder = Self::holder(&session).await?;
            // It was freed since it was asked for: ask again, before anybody is told of a holder that is no more.
            let patience = if holder.is_some() { patience } else { patience.max(FREED) };
            let holder = holder.unwrap_or_else(|| locked(&session, "its holder has just gone"));
            if start.elapsed() >= patience {
                return Err(holder);
            }
            if let Some(waiting) = waiting.take() {
                waiting(&holder);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        wait_for_members(&session).await?;
        // Should the network to here be cut, the server lets go of it within a quarter of a minute.
        session
            .batch(&Sql::literal(
                "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 5;
                 SET tcp_user_timeout = '15s'",
            ))
            .await?;
        Ok(Self { session })
    }

    /// The session that holds the lock: for short queries beside the work.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The error that says who holds the lock; `None` where nobody does.
    ///
    /// # Errors
    ///
    /// Where the connection is lost.
    pub async fn holder(session: &Session) -> Result<Option<Error>> {
        let query = Sql::literal(include_str!("queries/lock_holder.sql"));
        let holder = session.query_opt(&query, &[&KEY]).await?;
        Ok(holder.map(|row| locked(session, row.get(0))))
    }

    /// Makes a session one of this run's: the next run begins only when it has ended.
    ///
    /// # Errors
    ///
    /// Where the connection is lost.
    pub async fn join(session: &Session) -> Result<()> {
        session
            .query(&Sql::literal("SELECT pg_catalog.pg_advisory_lock_shared($1)"), &[&MEMBERS])
            .await
            .map(|_| ())
    }

    /// False once the connection was lost, and the lock with it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.session.is_closed()
    }

    /// Frees the lock, and returns when it is free: a run that begins right now can take it.
    ///
    /// # Errors
    ///
    /// Where the connection is lost, and the lock with it.
    pub async fn release(self) -> Result<()> {
        self.session.query(&Sql::literal("SELECT pg_catalog.pg_advisory_unlock($1)"), &[&KEY]).await?;
        Ok(())
    }
}

/// Calls one of the server's functions for an advisory lock (`pg_advisory_lock`, `pg_advisory_unlock`) for the lock of that name.
#[must_use]
pub fn named_lock(function: &'static str, name: &str) -> Sql {
    let function = Sql::literal(function);
    sql!("SELECT pg_catalog.{}(pg_catalog.hashtextextended({}, 0))", function, Literal(name))
}

/// What ends a session that has [joined](AdvisoryLock::join) a run, and goes on: settings, cursors, temporary tables and locks.
#[must_use]
pub fn session_end() -> Vec<Sql> {
    let parts = [
        "RESET SESSION AUTHORIZATION",
        "RESET ROLE",
        "RESET ALL",
        "CLOSE ALL",
        "UNLISTEN *",
        "DISCARD SEQUENCES",
        "DISCARD TEMP",
    ];
    let locks =
        sql!("SELECT pg_catalog.pg_advisory_unlock_all(), pg_catalog.pg_advisory_lock_shared({})", MEMBERS);
    parts.into_iter().map(Sql::literal).chain([locks]).collect()
}

fn locked(session: &Session, who: &str) -> Error {
    let connection = session.connection();
    Error::new(ErrorKind::Locked, format!("another run is at work on {connection}: {who}"))
        .hint("wait until it ends, or stop that process; then run this command again")
}

/// Waits until no session of an earlier run is left, and ends those that take too long.
async fn wait_for_members(session: &Session) -> Result<()> {
    for patience in [1, 5, 10] {
        if nobody_left(session, Duration::from_secs(patience)).await? {
            return Ok(());
        }
        let end = Sql::literal(include_str!("queries/end_lock_holders.sql"));
        session.query(&end, &[&MEMBERS]).await.map_err(|error| {
            error.context("ending what a run that was killed had left running").hint(
                "connect as the role of that run, or end its sessions (application_name confiture) yourself",
            )
        })?;
    }
    Err(Error::new(ErrorKind::Locked, "sessions of a run that was killed do not end")
        .hint("look for application_name confiture in pg_stat_activity, and end them; then run this again"))
}

/// True once no session shares the lock of a run's members.
async fn nobody_left(session: &Session, patience: Duration) -> Result<bool> {
    let start = Instant::now();
    while !try_lock(session, MEMBERS).await? {
        if start.elapsed() >= patience {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    session.query(&Sql::literal("SELECT pg_catalog.pg_advisory_unlock($1)"), &[&MEMBERS]).await?;
    Ok(true)
}

async fn try_lock(session: &Session, key: i64) -> Result<bool> {
    let query = Sql::literal("SELECT pg_catalog.pg_try_advisory_lock($1)");
    Ok(session.query_one(&query, &[&key]).await?.get(0))
}
