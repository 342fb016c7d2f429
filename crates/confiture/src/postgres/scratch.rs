//! Scratch databases: made for a question, and dropped with the answer.
//!
//! Each holds an advisory lock under its name as long as it is in use. So one that a killed process has left is recognised,
//! and dropped when the next one is made.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::Connection;
use crate::error::{Error, Result};
use crate::postgres::{Piece, Session, run_pieces};
use crate::postgres::{connect, database};
use crate::sql::{Identifier, Literal, SplitScript, Sql, reaches_beyond_the_database, sql};

const PREFIX: &str = "confiture_scratch_";

/// How often a build that stumbles over a role that is not there may make one.
const ROLES: usize = 50;

/// How many statements fit into one transaction of a server with the locks of a plain configuration.
pub const PART: usize = 100;

/// A database that nobody else knows.
pub struct Scratch {
    maintenance: Session,
    name: Identifier,
    session: Session,
}

impl Scratch {
    /// A new, empty database on the server of `connection`.
    ///
    /// # Errors
    ///
    /// A server that cannot be reached, or a role that may not create databases.
    pub async fn create(connection: &Connection) -> Result<Self> {
        Self::create_from(connection, &Identifier::new("template0")).await
    }

    /// A new database, a copy of `template`, to which nobody may be connected.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub async fn create_from(connection: &Connection, template: &Identifier) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let maintenance = database::connect_to_maintenance(connection).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let pid = maintenance.backend_pid();
        let name = Identifier::new(format!("{PREFIX}{:x}_{pid}_{number}", now.as_micros()));
        maintenance
            .batch(&sql!("SELECT pg_advisory_lock(hashtextextended({}, 0))", Literal(name.as_str())))
            .await?;
        database::create(&maintenance, &name, Some(template)).await?;
        let session = match Session::connect(&connection.with_database(name.as_str())).await {
            Ok(session) => session,
            Err(error) => {
                database::drop_ours(&maintenance, &name).await?;
                return Err(error);
            }
        };
        Ok(Self { maintenance, name, session })
    }

    /// The connection to it.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Runs scripts as a build does: with the server's own settings, all in one transaction where that can be.
    ///
    /// Roles belong to the server and not to the database. With `make_roles`, on a server of our own, those that the scripts
    /// name are made when they are missing, and a `CREATE ROLE` of one that is there is passed over.
    ///
    /// # Errors
    ///
    /// What the server refused, at its place in the user's file.
    pub async fn run(&self, scripts: &[SplitScript], make_roles: bool) -> Result<()> {
        self.forget_settings().await?;
        let pieces = scripts
            .iter()
            .flat_map(|script| script.statements.iter().map(move |statement| Piece { script, statement }));
        let mut rest: Vec<Piece<'_>> = pieces.collect();
        rest.iter().try_for_each(stay_within)?;
        let mut part = usize::MAX;
        let mut roles = 0;
        while !rest.is_empty() {
            let alone = |piece: &Piece<'_>| crate::sql::cannot_run_in_transaction(piece.text()).is_some();
            let ends = |piece: &Piece<'_>| ends_transaction(piece.text());
            let end = rest.iter().position(ends).map_or(rest.len(), |end| end + 1);
            let together = rest.iter().position(alone).unwrap_or(rest.len()).min(part).min(end);
            let (now, outcome) = if together == 0 {
                (1, run_pieces(&self.session, &rest[..1]).await)
            } else {
                (together, self.session.transaction(run_pieces(&self.session, &rest[..together])).await)
            };
            let Err(error) = outcome else {
                rest.drain(..now);
                continue;
            };
            // Nothing of this transaction is left, so that it can be tried otherwise.
            let smaller = smaller(&error, now).filter(|smaller| *smaller < now);
            let missing = missing_role(&error).filter(|_| make_roles && roles < ROLES);
            let there_already = rest[..now].iter().position(|piece| {
                let place = piece.script.script.place(piece.statement.span.start);
                make_roles
                    && is_there_already(&error)
                    && error.place() == Some(&place)
                    && is_create_role(piece.text())
            });
            match (smaller, missing, there_already) {
                (Some(smaller), ..) => part = smaller,
                (None, Some(role), _) => {
                    self.create_role(&role).await?;
                    roles += 1;
                }
                (None, None, Some(at)) => drop(rest.remove(at)),
                (None, None, None) => return Err(self.advise(error)),
            }
        }
        // What comes now is not the files' any more: neither how a schema is read, nor who carries a plan out.
        self.forget_settings().await?;
        self.session.batch(&Sql::literal(connect::PIN)).await
    }

    /// Settings and the role are what they were at the beginning.
    async fn forget_settings(&self) -> Result<()> {
        let text = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL;
            SET client_min_messages = 'warning'; SET synchronous_commit = off";
        self.session.batch(&Sql::literal(text)).await
    }

    /// What this server cannot read, a newer one may.
    fn advise(&self, error: Error) -> Error {
        let is_unknown = match error.sqlstate_code() {
            Some("42601") => true,
            Some("22023") => error.message().starts_with("unrecognized parameter "),
            _ => false,
        };
        if !is_unknown {
            return error;
        }
        let version = self.session.server_version() / 10_000;
        error.hint(format!(
            "the scratch database is on PostgreSQL {version}; for what only a newer one understands, name such a server \
             with --scratch-url, CONFITURE_SCRATCH_URL, or `scratch_url` in the environment's file"
        ))
    }

    /// Makes those of the roles that are not there. Only for a server of our own.
    ///
    /// # Errors
    ///
    /// What the server refuses.
    pub async fn make_roles(&self, roles: &[String]) -> Result<()> {
        for role in roles {
            let query =
                Sql::literal("SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1::text)");
            if !self.session.query_one(&query, &[role]).await?.get::<_, bool>(0) {
                self.create_role(role).await?;
            }
        }
        Ok(())
    }

    /// Makes a role; another scratch database may just have done so.
    async fn create_role(&self, role: &str) -> Result<()> {
        match self.session.batch(&sql!("CREATE ROLE {}", Identifier::new(role))).await {
            Err(error) if !is_there_already(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// A database that has a subscription cannot be dropped. One that never connects leaves no slot with its publisher.
    async fn drop_subscriptions(&self) -> Result<()> {
        let query = Sql::literal(
            "SELECT s.subname::text FROM pg_catalog.pg_subscription AS s
               JOIN pg_catalog.pg_database AS d ON d.oid = s.subdbid
              WHERE d.datname = pg_catalog.current_database() AND NOT s.subenabled",
        );
        for row in self.session.query(&query, &[]).await? {
            let name = Identifier::new(row.get::<_, String>(0));
            self.session.batch(&sql!("ALTER SUBSCRIPTION {} SET (slot_name = NONE)", name)).await?;
            self.session.batch(&sql!("DROP SUBSCRIPTION {}", name)).await?;
        }
        Ok(())
    }

    /// Drops it.
    ///
    /// # Errors
    ///
    /// A connection that is lost; the next scratch database then finds what stays behind.
    pub async fn close(self) -> Result<()> {
        self.drop_subscriptions().await?;
        let Self { maintenance, name, session } = self;
        std::mem::drop(session);
        database::wait_until_unused(&maintenance, &name).await?;
        database::drop_ours(&maintenance, &name).await
    }
}

/// Drops the scratch databases that processes have left that are no more.
///
/// # Errors
///
/// What the server refuses.
pub async fn sweep(connection: &Connection) -> Result<()> {
    let maintenance = database::connect_to_maintenance(connection).await?;
    let query = Sql::literal(
        "SELECT datname::text FROM pg_catalog.pg_database WHERE datname LIKE 'confiture\\_scratch\\_%' \
         AND pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended(datname, 0))",
    );
    for row in maintenance.query(&query, &[]).await? {
        database::drop_ours(&maintenance, &Identifier::new(row.get::<_, String>(0))).await?;
    }
    Ok(())
}

/// True where a statement ends a transaction, so that what stands before it cannot be tried otherwise with what comes behind.
fn ends_transaction(statement: &str) -> bool {
    let words: Vec<String> = statement.split_whitespace().take(3).map(str::to_ascii_uppercase).collect();
    let is_end = matches!(words.first().map(String::as_str), Some("COMMIT" | "END" | "ROLLBACK" | "ABORT"));
    is_end && !words.iter().any(|word| word == "TO" || word == "PREPARED")
}

/// What a script does to other databases, or to the whole server, would outlast the scratch database.
fn stay_within(piece: &Piece<'_>) -> Result<()> {
    let Some(name) = reaches_beyond_the_database(piece.text()) else { return Ok(()) };
    let (script, span) = (&piece.script.script, &piece.statement.span);
    Err(Error::config(format!("{name} reaches beyond the schema, and is not run in a scratch database"))
        .at(script.place(span.start))
        .excerpt(script.excerpt(span.clone()))
        .hint("Remove the statement: a schema is what one database holds"))
}

/// What is to be made is there, or somebody is making it at this moment.
fn is_there_already(error: &Error) -> bool {
    matches!(error.sqlstate_code(), Some("42710" | "23505"))
}

/// How many statements make a transaction where a larger one was too large, or used an enumeration's label that it had added.
fn smaller(error: &Error, now: usize) -> Option<usize> {
    match error.sqlstate_code()? {
        "53200" => Some((now / 4).clamp(1, 1000)),
        "55P04" => Some(1),
        _ => None,
    }
}

/// The role in `role "app" does not exist`.
fn missing_role(error: &Error) -> Option<String> {
    let (_, rest) =
        error.message().split_once("role \"").filter(|_| error.sqlstate_code() == Some("42704"))?;
    Some(rest.strip_suffix("\" does not exist").unwrap_or(rest.split('"').next()?).to_owned())
}

fn is_create_role(statement: &str) -> bool {
    let mut words = statement.split_whitespace().map(str::to_ascii_uppercase);
    words.next().as_deref() == Some("CREATE")
        && matches!(words.next().as_deref(), Some("ROLE" | "USER" | "GROUP"))
}
