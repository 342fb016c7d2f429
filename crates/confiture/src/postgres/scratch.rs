//! Scratch databases: made for a question, and dropped with the answer.
//!
//! Each holds an advisory lock under its name as long as it is in use. So one that a killed process has left is recognised,
//! and dropped when the next one is made. Its comment names the roles that its files make: they
//! are dropped along with it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::Connection;
use crate::error::{Error, Result};
use crate::postgres::outlasting::{is_about_databases, is_about_subscription, stay_within};
use crate::postgres::{Piece, Session, run_pieces};
use crate::postgres::{connect, database, named_lock, roles};
use crate::sql::{Identifier, Literal, SplitScript, Sql, sql};

const PREFIX: &str = "confiture_scratch_";

/// What scratch databases are copies of: nobody is connected to it, and nobody has put anything into it.
const TEMPLATE: &str = "template0";

/// The advisory lock under which roles are made, in the database for maintenance.
const ROLES: &str = "confiture_scratch_roles";

/// How many missing roles are made for one set of files.
const MOST_ROLES: usize = 50;

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
        Self::create_from(connection, &Identifier::new(TEMPLATE)).await
    }

    /// A new database, a copy of `template`, to which nobody may be connected.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub async fn create_from(connection: &Connection, template: &Identifier) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let maintenance = database::connect_beside(connection, template.as_str()).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let pid = maintenance.backend_pid();
        let name = Identifier::new(format!("{PREFIX}{:x}_{pid}_{number}", now.as_micros()));
        maintenance.batch(&named_lock("pg_advisory_lock", name.as_str())).await?;
        database::create_scratch(&maintenance, &name, template).await?;
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
    /// Roles belong to the server and not to the database. Those that the scripts name are made when they are missing, on a server
    /// of our own; and a `CREATE ROLE` of one that is there is passed over, on a server of somebody else's all that changes one of
    /// them, too. Who makes roles does so alone: of two that look at the same time whether one is there, neither sees it.
    ///
    /// # Errors
    ///
    /// What the server refused, at its place in the user's file.
    pub async fn run(&self, scripts: &[SplitScript]) -> Result<()> {
        if !scripts.iter().any(|script| roles::are_touched_by(script.script.text())) {
            return self.run_pieces_of(scripts).await;
        }
        self.maintenance.batch(&named_lock("pg_advisory_lock", ROLES)).await?;
        let outcome = self.run_pieces_of(scripts).await;
        self.maintenance.batch(&named_lock("pg_advisory_unlock", ROLES)).await.and(outcome)
    }

    async fn run_pieces_of(&self, scripts: &[SplitScript]) -> Result<()> {
        self.forget_settings().await?;
        let others = match self.session.connection().own_server {
            true => None,
            false => Some(read_noted_roles(&self.maintenance, &self.name).await?),
        };
        let pieces = scripts
            .iter()
            .flat_map(|script| script.statements.iter().map(move |statement| Piece { script, statement }));
        let mut rest: Vec<Piece<'_>> =
            pieces.filter(|piece| !is_passed_over(piece.text(), others.as_deref())).collect();
        rest.iter().try_for_each(stay_within)?;
        let mut part = usize::MAX;
        let mut made = 0;
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
            let there_already = rest[..now].iter().position(|piece| {
                let place = piece.script.script.place(piece.statement.span.start);
                roles::is_there_already(&error)
                    && error.place() == Some(&place)
                    && is_create_role(piece.text())
            });
            match (smaller, there_already) {
                (Some(smaller), _) => part = smaller,
                (None, Some(at)) => drop(rest.remove(at)),
                (None, None) if made < MOST_ROLES && roles::make_missing(&self.session, &error).await? => {
                    // Who lacks one mostly lacks others: all is not run again for each of them.
                    let rest: Vec<&str> = rest.iter().map(|piece| piece.text()).collect();
                    roles::make_roles(&self.session, &roles::named_in(&rest.join(";\n"))).await?;
                    made += 1;
                }
                (None, None) => return Err(roles::advise(&self.session, self.advise(error))),
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

    /// Remembers the roles that `texts` will make, where they are not there yet: they go with the database.
    ///
    /// # Errors
    ///
    /// What the server refuses.
    pub async fn note_roles<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Result<()> {
        let made = roles::absent(&self.maintenance, texts.flat_map(roles::made_in).collect()).await?;
        if made.is_empty() {
            return Ok(());
        }
        let note = serde_json::to_string(&made)
            .map_err(|error| Error::unexpected("names of roles cannot be written down").because(error))?;
        self.maintenance.batch(&sql!("COMMENT ON DATABASE {} IS {}", self.name, Literal(&note))).await
    }

    /// Drops it.
    ///
    /// # Errors
    ///
    /// A connection that is lost; the next scratch database then finds what stays behind.
    pub async fn close(self) -> Result<()> {
        let Self { maintenance, name, session } = self;
        std::mem::drop(session);
        database::wait_until_unused(&maintenance, &name).await?;
        drop_with_roles(&maintenance, &name).await
    }
}

/// Makes a database on the server of `connection`, works in it, and drops it, whatever happens; and the roles that `texts` make.
///
/// # Errors
///
/// A server that makes no databases; whatever `work` says.
pub async fn in_scratch<T>(
    connection: &Connection,
    texts: impl IntoIterator<Item = &str>,
    work: impl AsyncFnOnce(&Scratch) -> Result<T>,
) -> Result<T> {
    sweep(connection).await?;
    let scratch = Scratch::create(connection).await.map_err(|error| {
        error.context("making a scratch database").hint("scratch_url names a server where this role may")
    })?;
    let outcome = match scratch.note_roles(texts.into_iter()).await {
        Ok(()) => work(&scratch).await,
        Err(error) => Err(error),
    };
    let dropped = scratch.close().await;
    let outcome = outcome?;
    dropped.map(|()| outcome)
}

/// Drops the scratch databases that processes have left that are no more.
///
/// # Errors
///
/// What the server refuses.
pub async fn sweep(connection: &Connection) -> Result<()> {
    let maintenance = database::connect_beside(connection, TEMPLATE).await?;
    let query = Sql::literal(include_str!("queries/abandoned_scratch.sql"));
    for row in maintenance.query(&query, &[]).await? {
        drop_with_roles(&maintenance, &Identifier::new(row.get::<_, String>(0))).await?;
    }
    Ok(())
}

/// Drops a scratch database, and the roles that its comment names.
async fn drop_with_roles(maintenance: &Session, name: &Identifier) -> Result<()> {
    let roles = read_noted_roles(maintenance, name).await?;
    forget_subscriptions(maintenance, name).await?;
    database::drop_ours(maintenance, name).await?;
    for role in roles {
        // Where it is used in another database, it goes with that one.
        match maintenance.batch(&sql!("DROP ROLE IF EXISTS {}", Identifier::new(role))).await {
            Err(error) if error.sqlstate_code().is_none() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The roles that the comment of a scratch database names.
async fn read_noted_roles(maintenance: &Session, name: &Identifier) -> Result<Vec<String>> {
    let noted = Sql::literal(
        "SELECT pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database WHERE datname = $1::text",
    );
    let noted: Option<String> =
        maintenance.query_opt(&noted, &[&name.as_str()]).await?.and_then(|row| row.get(0));
    Ok(noted.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Drops the subscriptions of a scratch database, which could not be dropped with them. Nothing is said to a publisher.
async fn forget_subscriptions(maintenance: &Session, name: &Identifier) -> Result<()> {
    let subscriptions = database::read_subscriptions_of(maintenance, name).await?;
    if subscriptions.is_empty() {
        return Ok(());
    }
    let session = Session::connect(&maintenance.connection().with_database(name.as_str())).await?;
    for subscription in subscriptions.iter().map(Identifier::new) {
        session
            .batch(&sql!(
                "ALTER SUBSCRIPTION {} DISABLE; ALTER SUBSCRIPTION {} SET (slot_name = NONE); DROP SUBSCRIPTION {}",
                subscription,
                subscription,
                subscription
            ))
            .await?;
    }
    Ok(())
}

/// True for what is no part of a schema: subscriptions, of which one would take a slot on its publisher and keep its database from
/// being dropped, databases, and roles other than `made`, where that is given.
fn is_passed_over(statement: &str, made: Option<&[String]>) -> bool {
    is_about_subscription(statement)
        || is_about_databases(statement)
        || made.is_some_and(|made| roles::is_about_others(statement, made))
}

/// True where a statement ends a transaction, so that what stands before it cannot be tried otherwise with what comes behind.
fn ends_transaction(statement: &str) -> bool {
    let words: Vec<String> = statement.split_whitespace().take(3).map(str::to_ascii_uppercase).collect();
    let is_end = matches!(words.first().map(String::as_str), Some("COMMIT" | "END" | "ROLLBACK" | "ABORT"));
    is_end && !words.iter().any(|word| word == "TO" || word == "PREPARED")
}

/// How many statements make a transaction where a larger one was too large, or used an enumeration's label that it had added.
fn smaller(error: &Error, now: usize) -> Option<usize> {
    match error.sqlstate_code()? {
        "53200" => Some((now / 4).clamp(1, 1000)),
        "55P04" => Some(1),
        _ => None,
    }
}

fn is_create_role(statement: &str) -> bool {
    let mut words = statement.split_whitespace().map(str::to_ascii_uppercase);
    words.next().as_deref() == Some("CREATE")
        && matches!(words.next().as_deref(), Some("ROLE" | "USER" | "GROUP"))
}
