//! Captures made and removed, one table at a time, each in a transaction that waits for nobody for long.
//!
//! Making a trigger takes a lock that waits for everybody who writes to the table, and while it waits, everybody who wants to
//! write waits behind it. So each try is short, and between tries the application goes on.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::capture::{Capture, SCHEMA, drop_statements, function_names, qualified, segments};
use super::gap::Standing;
use super::relation::read_captures;
use crate::catalog::Oid;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::postgres::database::drop_empty_schema;
use crate::postgres::feed::CapturedTable;
use crate::sql::{Identifier, Literal, QualifiedName, Sql, sql};

/// How long to try for a lock on a table of the application.
#[derive(Debug, Clone, Copy)]
pub struct LockPatience {
    /// How long one try may wait, and with it the application behind it.
    pub timeout: Duration,
    /// How long to go on trying, for all tables together.
    pub total: Duration,
}

impl Default for LockPatience {
    fn default() -> Self {
        Self { timeout: Duration::from_millis(300), total: Duration::from_secs(30) }
    }
}

/// The statements that [`set_up`] runs, each table's in a transaction of their own; none for a table that is captured.
///
/// # Errors
///
/// Where the connection is lost.
pub async fn set_up_statements(session: &Session, tables: &[CapturedTable]) -> Result<Vec<Sql>> {
    let captures = read_captures(session, tables).await?;
    let standing = Standing::read(session, &captures).await?;
    let mut statements: Vec<Sql> = schema_statement(session).await?.into_iter().collect();
    for capture in captures.iter().filter(|capture| !standing.gaps(capture).is_empty()) {
        statements.extend(set_up_one(capture, &standing));
    }
    Ok(statements)
}

/// Captures the changes of `tables` from now on, and returns the tables of which that was not so before.
///
/// Where a part of a table's capture was there, changes may have been missed: then its queue says that the whole table has
/// changed. Nothing is done for a table whose capture is whole.
///
/// # Errors
///
/// Where a lock on a table is not to be had, with who holds it; where the role lacks a privilege, see
/// [`obstacles`](super::obstacles).
pub async fn set_up(
    session: &Session,
    tables: &[CapturedTable],
    patience: LockPatience,
    execution: &Execution,
) -> Result<Vec<QualifiedName>> {
    let captures = read_captures(session, tables).await?;
    let standing = Standing::read(session, &captures).await?;
    if let Some(schema) = schema_statement(session).await? {
        session.batch(&schema).await.map_err(|error| {
            error
                .context("making the schema confiture on the source")
                .hint("the source's role needs CREATE on the database: GRANT CREATE ON DATABASE … TO …")
        })?;
    }
    let mut made = Vec::new();
    let deadline = Instant::now() + patience.total;
    for capture in captures.iter().filter(|capture| !standing.gaps(capture).is_empty()) {
        let name = &capture.table.name;
        if capture.relations.is_empty() {
            return Err(Error::new(ErrorKind::Found, format!("table {name} is no longer on the source")));
        }
        let statements = set_up_one(capture, &standing);
        let oids: Vec<Oid> = capture.relations.iter().map(|relation| relation.oid).collect();
        let doing = format!("capturing changes of {name}");
        let wait = Wait { doing: &doing, relations: &oids, any_lock: false, deadline, patience };
        wait.run(session, &statements, execution).await?;
        made.push(name.clone());
    }
    Ok(made)
}

/// Removes captures, and nothing that somebody else has made: those of `tables` (OIDs), or all in the database. Run again,
/// it does nothing.
///
/// # Errors
///
/// Where a lock on a table is not to be had, with who holds it.
pub async fn tear_down(
    session: &Session,
    tables: Option<&[Oid]>,
    patience: LockPatience,
    execution: &Execution,
) -> Result<()> {
    let made = Sql::literal(include_str!("../../queries/queue/made.sql"));
    let made: Vec<Oid> = session.query(&made, &[]).await?.iter().map(|row| row.get(0)).collect();
    let deadline = Instant::now() + patience.total;
    for table in made.into_iter().filter(|table| tables.is_none_or(|tables| tables.contains(table))) {
        let query = Sql::literal(include_str!("../../queries/queue/made_triggers.sql"));
        let rows = session.query(&query, &[&function_names(table)]).await?;
        let mut relations: Vec<Oid> = Vec::new();
        let mut statements = Vec::new();
        for row in &rows {
            let relation = QualifiedName::new(row.get::<_, String>(1), row.get::<_, String>(2));
            statements.push(drop_trigger(&relation, row.get(0)));
            relations.push(row.get(3));
        }
        statements.extend(drop_statements(table));
        let doing = match rows.first() {
            Some(row) => format!("ending the capture of {}.{}", row.get::<_, &str>(1), row.get::<_, &str>(2)),
            None => format!("removing confiture.{}", segments(table)[0]),
        };
        let wait = Wait { doing: &doing, relations: &relations, any_lock: true, deadline, patience };
        wait.run(session, &statements, execution).await?;
    }
    drop_empty_schema(session, &Identifier::new(SCHEMA)).await
}

/// Asking for a schema that is there takes the privilege to make one; whoever lacks it was given the schema.
async fn schema_statement(session: &Session) -> Result<Option<Sql>> {
    let there = Sql::literal("SELECT pg_catalog.to_regnamespace('confiture') IS NOT NULL");
    let there: bool = session.query_one(&there, &[]).await?.get(0);
    Ok((!there).then(|| sql!("CREATE SCHEMA {}", Identifier::new(SCHEMA))))
}

/// The statements for one table, without the transaction around them.
fn set_up_one(capture: &Capture<'_>, standing: &Standing) -> Vec<Sql> {
    let lock = sql!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", capture.table.name);
    if !standing.has_any(capture) {
        // The queue first: nobody waits for that.
        let mut statements = capture.queue_statements();
        statements.push(lock);
        statements.extend(capture.trigger_statements());
        return statements;
    }
    // The table's lock first: writers that are at work hold the queue's.
    let mut statements = vec![lock];
    let strays = standing.strays(capture);
    statements.extend(strays.iter().map(|(relation, name)| drop_trigger(relation, name)));
    let [first, second] = segments(capture.table.oid).map(qualified);
    statements.push(sql!("DROP TABLE IF EXISTS {}, {}", first, second));
    statements.push(sql!("DROP SEQUENCE IF EXISTS {}", qualified(capture.sequence())));
    statements.extend(capture.queue_statements());
    statements.extend(capture.trigger_statements());
    statements.push(sql!("INSERT INTO {} (whole) VALUES (true)", first));
    statements
}

fn drop_trigger(relation: &QualifiedName, name: &str) -> Sql {
    sql!("DROP TRIGGER IF EXISTS {} ON {}", Identifier::new(name), relation)
}

/// A transaction that takes locks on tables of the application.
struct Wait<'a> {
    /// What it does, for errors.
    doing: &'a str,
    relations: &'a [Oid],
    /// True where it waits also for readers.
    any_lock: bool,
    deadline: Instant,
    patience: LockPatience,
}

impl Wait<'_> {
    /// Runs the statements as one transaction, in one round trip, so that no lock is held while the network is slow. Where a
    /// lock is not to be had, tries again, less and less often.
    async fn run(&self, session: &Session, statements: &[Sql], execution: &Execution) -> Result<()> {
        let timeout = format!("{}ms", self.patience.timeout.as_millis().max(1));
        let script = sql!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = {}; {}; COMMIT",
            Literal(&timeout),
            Sql::join(";\n", statements)
        );
        let mut pause = Duration::from_millis(100);
        loop {
            let Err(error) = session.batch(&script).await else { return Ok(()) };
            if session.is_closed() {
                return Err(error.context(self.doing));
            }
            session.batch(&Sql::literal("ROLLBACK")).await?;
            if !matches!(error.sqlstate_code(), Some("55P03" | "40P01")) {
                return Err(error.context(self.doing));
            }
            if Instant::now() + pause >= self.deadline {
                return Err(self.explain(session, error).await);
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = execution.interrupted() => {
                    return Err(Error::interrupted(format!("stopped while {}", self.doing)));
                }
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Says who holds the lock.
    async fn explain(&self, session: &Session, error: Error) -> Error {
        let query = Sql::literal(include_str!("../../queries/queue/lock_holders.sql"));
        let held = session.query(&query, &[&self.relations, &self.any_lock]).await;
        let holder = held.ok().and_then(|rows| {
            let row = rows.first()?;
            Some(format!("{} holds a lock on {}", row.get::<_, &str>(0), row.get::<_, &str>(1)))
        });
        let Some(holder) = holder else { return error.context(self.doing) };
        let waited = self.patience.total.as_secs();
        let error = Error::new(ErrorKind::Server, format!("{}: {holder}; tried for {waited} s", self.doing))
            .sqlstate("55P03");
        let error = if holder.contains("(autovacuum worker") {
            // It gives way to whoever has waited for longer than deadlock_timeout, and so does not see short tries.
            error.hint("wait until vacuuming is done, or let one try take longer than deadlock_timeout (1 s)")
        } else {
            error.hint("wait until that session is done, or end it: SELECT pg_terminate_backend(pid)")
        };
        error.hint("then run the same command again: what is captured already stays so")
    }
}
