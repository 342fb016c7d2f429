//! PgBouncer's admin console: holding its clients back, and leading them to another server, without an error for them.
//!
//! ```no_run
//! # async fn example(admin: &confiture::config::Connection) -> confiture::Result<()> {
//! use std::time::Duration;
//! use confiture::config::Destination;
//! use confiture::postgres::pgbouncer::{Entry, PgBouncer};
//!
//! let bouncer = PgBouncer::connect(admin).await?;
//! let entry = Entry::read("/etc/pgbouncer/pgbouncer.ini".as_ref(), "shop")?;
//! let paused = bouncer.pause("shop", Duration::from_secs(2)).await?; // clients wait from here on
//! bouncer.lead(&entry, &Destination::new("db2", 5432, "shop_new")).await?; // the entry, RELOAD, and a look
//! paused.resume().await?; // clients go on, at the other server
//! # Ok(())
//! # }
//! ```
//!
//! PgBouncer itself never ends a pause. So whoever pauses gets a [`Paused`] that resumes when it goes out of scope; a
//! process that is killed leaves that to the next command, which finds
//! [`Database::paused`] and calls [`PgBouncer::resume`].

mod entry;
mod paused;
mod show;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;

pub use self::entry::Entry;
pub use self::paused::Paused;
pub use self::show::{Database, InUse};
use super::connect::{self, Connected, Peer};
use super::server_error;
use crate::config::{Connection, Destination};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::{Identifier, Literal, Sql, sql};

/// How long the console may take for what it does at once.
const ANSWER: Duration = Duration::from_secs(5);

/// The admin console of a PgBouncer. Its clones are the same connection.
#[derive(Clone)]
pub struct PgBouncer {
    connection: Connection,
    connected: Arc<Connected>,
}

impl PgBouncer {
    /// Logs in at the console, whose database is `pgbouncer`, and sees that this user may command it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`], with what to look at for each cause; [`ErrorKind::Server`] for one who may only look.
    pub async fn connect(connection: &Connection) -> Result<Self> {
        if connection.database != "pgbouncer" {
            return Err(Error::config(format!("{connection} is not the admin console of a PgBouncer")).hint(
                "the console is PgBouncer's database \"pgbouncer\": postgresql://USER@HOST:6432/pgbouncer",
            ));
        }
        let connected = Arc::new(connect::connect(connection, Peer::Console).await?);
        let bouncer = Self { connection: connection.clone(), connected };
        // Those who may only look are told so before the name is, and there is no such setting.
        match bouncer.ask(&Sql::literal("SET confiture = 'may I'")).await {
            Err(error) if error.kind() != ErrorKind::Server || error.message().contains("admin access") => {
                Err(error)
            }
            _ => Ok(bouncer),
        }
    }

    /// Where the console is.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// PgBouncer's version: 11800 is 1.18.0.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.connected.server_version
    }

    /// Holds back what clients ask of a database, and waits until every server connection has done what was asked before.
    ///
    /// Clients wait from the call on, until the [`Paused`] is resumed or dropped. With `pool_mode = session` a server
    /// connection is done when its client leaves.
    ///
    /// # Errors
    ///
    /// A database that is paused already; server connections still in use after `deadline`, by name: then the clients go on
    /// as before.
    pub async fn pause(&self, database: &str, deadline: Duration) -> Result<Paused> {
        if self.database(database).await?.paused {
            return Err(Error::refused(format!("PgBouncer has paused \"{database}\" already"))
                .hint(format!("somebody else did, or a run of this that was killed: RESUME {} at the console of {} ends it", Identifier::new(database), self.connection)));
        }
        // Of its own: this connection is deaf until PAUSE is done.
        let waiting = Self::connect(&self.connection).await?;
        let paused = Paused::new(self.clone(), database);
        let command = sql!("PAUSE {}", Identifier::new(database));
        let failed = match timeout(deadline, waiting.ask_for(&command)).await {
            Ok(Ok(_)) => return Ok(paused),
            Ok(Err(error)) => error,
            Err(_) => {
                let in_use = self.in_use(database).await.unwrap_or_default();
                still_in_use(database, deadline, &in_use)
            }
        };
        match paused.resume().await {
            Ok(()) => Err(failed),
            // That clients wait is worse than why.
            Err(error) => Err(error.detail(failed.message())),
        }
    }

    /// Lets the clients of a database go on. False where it was not paused.
    ///
    /// # Errors
    ///
    /// Where the console does not answer, or there is no such database.
    pub async fn resume(&self, database: &str) -> Result<bool> {
        if !self.database(database).await?.paused {
            return Ok(false);
        }
        let resumed = async { self.ask(&sql!("RESUME {}", Identifier::new(database))).await };
        match self.without_waiting(resumed).await {
            Ok(_) => Ok(true),
            // Somebody else was faster.
            Err(error) => {
                if self.is_paused(database).await? {
                    Err(error)
                } else {
                    Ok(false)
                }
            }
        }
    }

    /// Does `work` while a login that failed is tried again at once.
    ///
    /// PAUSE closes a server connection that is about to log in, and PgBouncer counts that as a login that failed: the clients
    /// that are let go would wait for `server_login_retry`, 15 s where nobody has set it, before it logs in again.
    async fn without_waiting<T>(&self, work: impl Future<Output = T>) -> T {
        const SETTING: &str = "server_login_retry";
        // Where that cannot be asked or set, clients wait as PgBouncer has it: that is no reason to hold them back for longer.
        let before = self.setting(SETTING).await.ok().flatten();
        if before.is_some() {
            self.ask(&Sql::literal("SET server_login_retry = 0")).await.ok();
        }
        let done = work.await;
        if let Some(before) = before {
            self.ask(&sql!("SET server_login_retry = {}", Literal(&before))).await.ok();
        }
        done
    }

    /// True where clients of the database are held back.
    ///
    /// # Errors
    ///
    /// Where the console does not answer, or there is no such database.
    pub async fn is_paused(&self, database: &str) -> Result<bool> {
        Ok(self.database(database).await?.paused)
    }

    /// Has PgBouncer read its files again. It does not say whether it could: see [`lead`](Self::lead).
    ///
    /// # Errors
    ///
    /// Where the console does not answer.
    pub async fn reload(&self) -> Result<()> {
        self.ask(&Sql::literal("RELOAD")).await.map(drop)
    }

    /// Has every server connection of a database made anew, once it is free.
    ///
    /// # Errors
    ///
    /// Where the console does not answer, or there is no such database.
    pub async fn reconnect(&self, database: &str) -> Result<()> {
        self.ask(&sql!("RECONNECT {}", Identifier::new(database))).await.map(drop)
    }

    /// Leads an entry elsewhere: writes it, has PgBouncer read it, and looks whether it did. Doing so twice is doing it once;
    /// the way back is `entry.destination()`.
    ///
    /// # Errors
    ///
    /// A file that cannot be written, and a PgBouncer that did not take it; the entry is as before then.
    pub async fn lead(&self, entry: &Entry, to: &Destination) -> Result<()> {
        let before = entry.rewrite(to)?;
        let reached = async {
            self.reload().await?;
            let now = self.database(entry.database()).await?;
            if now.leads_to(to) {
                return Ok(());
            }
            Err(Error::config(format!("PgBouncer still leads \"{}\" to {}", entry.database(), now.destination()))
                .at(entry.place().clone())
                .hint("it may read another file (SHOW CONFIG names its conffile), or could not load this one: see its log"))
        };
        let failed = match reached.await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        entry.rewrite(&before).map_err(|error| error.detail(failed.message()))?;
        // Where this does not reach it either, its own file is right when it does.
        drop(self.reload().await);
        Err(failed)
    }

    /// Asks for what the console answers at once: its rows.
    async fn ask(&self, command: &Sql) -> Result<Vec<SimpleQueryMessage>> {
        match timeout(ANSWER, self.ask_for(command)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(
                ErrorKind::Connect,
                format!("the console {} does not answer within {} s", self.connection, ANSWER.as_secs()),
            )
            .hint("PgBouncer is stopped or hangs: see its process and its log")),
        }
    }

    /// As long as it takes.
    async fn ask_for(&self, command: &Sql) -> Result<Vec<SimpleQueryMessage>> {
        self.connected.client.simple_query(command.as_str()).await.map_err(|error| {
            let Some(server) = error.as_db_error() else {
                return connect::lost(&self.connection, &self.connected.last_words);
            };
            let refused = server_error::refused(server);
            if refused.message().contains("admin access needed") {
                return refused.context(&self.connection).hint(format!(
                    "add {} to admin_users of pgbouncer.ini, and RELOAD: stats_users may only look",
                    self.connection.user
                ));
            }
            refused.context(&self.connection)
        })
    }
}

/// What a pause waited for in vain.
fn still_in_use(database: &str, deadline: Duration, in_use: &[InUse]) -> Error {
    let count = match in_use.len() {
        0 => "server connections are".to_owned(),
        1 => "a server connection is".to_owned(),
        more => format!("{more} server connections are"),
    };
    let named = in_use.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let message =
        format!("PgBouncer could not pause \"{database}\" within {deadline:?}: {count} still in use");
    let error = Error::refused(if named.is_empty() { message } else { format!("{message}: {named}") }).hint(
        "a transaction is open there: end it, or ask again when it is done (pg_stat_activity knows the pid)",
    );
    if in_use.iter().any(|one| one.pool_mode == "session") {
        return error.hint(
            "with pool_mode = session PgBouncer waits for its clients to leave: use pool_mode = transaction",
        );
    }
    error
}
