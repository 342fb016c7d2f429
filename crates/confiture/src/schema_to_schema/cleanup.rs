//! What a migration leaves behind, removed: foreign tables and the ledger. Nothing that Confiture did not make.

use std::time::Duration;

use serde::Serialize;

use crate::config::Connection;
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::database::drop_empty_schema;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::cutover;
use crate::schema_to_schema::journal::EntryKind;
use crate::schema_to_schema::ledger::TableState;
use crate::schema_to_schema::live::TrailEntry;
use crate::schema_to_schema::sessions::unless_interrupted;
use crate::schema_to_schema::{constraints, foreign, immediate, journal, ledger, live};
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// What was removed.
#[derive(Debug, Clone, Serialize)]
pub struct CleanupReport {
    /// The foreign server, its user mapping, and the foreign tables.
    pub foreign_tables: bool,
    /// The ledger: the schema `confiture`.
    pub ledger: bool,
    /// What captured changes on the source: slot and publication, or triggers and queue.
    pub capture: bool,
    /// After a cutover: the way back, with its capture, its records and the fence around the old tables.
    pub way_back: bool,
    /// Old tables that were dropped.
    pub dropped: Vec<QualifiedName>,
    /// The audit trail that went with the ledger, the oldest entry first: this is the last that is seen of it.
    pub trail: Vec<TrailEntry>,
}

/// How far to clean up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaning {
    /// Give the migration up: what it copied is removed.
    pub abandon: bool,
    /// After a cutover: drop the old tables too, and nothing but them.
    pub drop_old: bool,
    /// Not earlier than so long after the cutover.
    pub keep_old: Option<Duration>,
}

/// Removes foreign tables and the ledger from `target`, and from `source` what captured its changes. Run again, it finds
/// nothing to do.
///
/// # Errors
///
/// [`crate::ErrorKind::Usage`] where changes of a source are captured that is not named.
/// [`crate::ErrorKind::Unsafe`] where a migration is unfinished: the journal would be lost, and with it the indexes that
/// are still to be built.
pub async fn clean_up(
    source: Option<&Connection>,
    target: &Connection,
    foreign_schema: &Identifier,
    cleaning: Cleaning,
    execution: &Execution,
) -> Result<CleanupReport> {
    let session = Session::connect(target).await?;
    let lock = AdvisoryLock::take(target).await?;
    const STOPPED: &str = "stopped while cleaning up; run it again";
    let work = clean_up_locked(source, &session, foreign_schema, cleaning, execution);
    let done = unless_interrupted(execution, &[&session], STOPPED, Box::pin(work)).await;
    let released = lock.release().await;
    done.and_then(|report| released.map(|()| report))
}

/// What [`clean_up`] with `abandon` would remove, a line each; empty where nothing follows.
///
/// # Errors
///
/// [`crate::ErrorKind::Connect`].
pub async fn remains(source: &Connection, target: &Connection) -> Result<Vec<String>> {
    let session = Session::connect(target).await?;
    let Some(record) = live::ledger::read(&session).await? else { return Ok(Vec::new()) };
    let mut lines = vec![match record.feed {
        live::FeedKind::Wal => {
            format!("the replication slot and the publication {} on {source}", live::feed::name(&record.id))
        }
        live::FeedKind::Queue => {
            format!("the triggers and queues of the migration {} on {source}", record.id)
        }
    }];
    for (name, table) in ledger::read(&session).await? {
        lines.push(format!("all rows of {} on {target} ({} were copied)", name.short(), table.rows));
    }
    lines.push(format!("the migration's records, in the schema confiture of {target}"));
    Ok(lines)
}

async fn clean_up_locked(
    source: Option<&Connection>,
    session: &Session,
    foreign_schema: &Identifier,
    cleaning: Cleaning,
    execution: &Execution,
) -> Result<CleanupReport> {
    let mut schema = foreign_schema.clone();
    let has_ledger = ledger::exists(session).await?;
    let record = live::ledger::read(session).await?;
    let follows = record.is_some();
    let mut ended = cutover::Ended::default();
    if let Some(record) = &record {
        if record.phase == live::Phase::Bidirectional {
            return Err(Error::refused("both sides take writes, and both have what the other one lacks yet")
                .hint("end that first, for one of the sides: confiture migrate schema-to-schema cutover, or rollback"));
        }
        // Before anything else: from here on rows are removed.
        if cleaning.abandon && cutover::is_over(record) {
            return Err(Error::refused("the application has been cut over: its rows are not given up")
                .hint("`rollback` leads it back first; `cleanup` without --abandon ends the way back"));
        }
        // Whatever else is removed must not be carried to the old side.
        immediate::end(session, execution).await?;
        if let Some(source) = source {
            ended = cutover::end_way_back(source, session.connection(), cleaning, execution).await?;
        }
        refuse_unfinished(session, cleaning.abandon).await?;
    }
    if has_ledger {
        let left = journal::entries(session).await?;
        if !left.is_empty() && !follows {
            return Err(Error::refused(format!(
                "{} keys, indexes or triggers of the target are still taken off",
                left.len()
            ))
            .hint("let the migration finish first: run `confiture migrate schema-to-schema migrate` again"));
        }
        let query =
            Sql::literal("SELECT foreign_schema FROM confiture.migration WHERE foreign_schema IS NOT NULL");
        if let Some(row) = session.query_opt(&query, &[]).await? {
            schema = Identifier::new(row.get::<_, String>(0));
        }
    }
    if has_ledger {
        live::ledger::note(
            session,
            if cleaning.abandon { "cleanup began, giving up" } else { "cleanup began" },
        )
        .await?;
    }
    let foreign_tables = foreign::remove(session, &schema).await?;
    // What captures comes off before the record of it.
    let capture = live::feed::remove(source, session, execution).await?;
    if follows {
        put_all_back(session, execution).await?;
    }
    let mut trail = Vec::new();
    if has_ledger {
        trail = live::trail_of(session, i64::MAX).await?;
        trail.reverse();
        drop_ledger(session).await?;
    }
    let cutover::Ended { way_back, dropped } = ended;
    Ok(CleanupReport { foreign_tables, ledger: has_ledger, capture, way_back, dropped, trail })
}

/// Drops the ledger, and its schema where that is empty then.
pub(crate) async fn drop_ledger(session: &Session) -> Result<()> {
    session.batch(&Sql::literal(include_str!("../postgres/queries/drop_ledger.sql"))).await?;
    drop_empty_schema(session, &Identifier::new("confiture")).await
}

/// A target that is no picture of its source yet is left only when the user says so; what was copied of it goes.
async fn refuse_unfinished(session: &Session, abandon: bool) -> Result<()> {
    let records = ledger::read(session).await?;
    let is_unfinished = |state: TableState| !matches!(state, TableState::Following | TableState::Finished);
    let unfinished: Vec<_> = records
        .iter()
        .filter(|(_, record)| abandon || is_unfinished(record.state))
        .map(|(name, _)| name)
        .collect();
    match (unfinished.first(), abandon) {
        (None, _) => Ok(()),
        (Some(_), true) => session.batch(&sql!("TRUNCATE {}", Sql::join(", ", &unfinished))).await,
        (Some(first), false) => Err(Error::refused(format!(
            "{} of {} tables are not a picture of the source yet: {} is {}",
            unfinished.len(),
            records.len(),
            first.short(),
            records[*first].state.word()
        ))
        .hint("let it catch up: confiture migrate schema-to-schema sync")
        .hint("to give the migration up and remove what was copied, say --abandon")),
    }
}

/// Puts back what was taken off for the load and had to wait.
async fn put_all_back(session: &Session, execution: &Execution) -> Result<()> {
    for entry in journal::entries(session).await? {
        if entry.kind <= EntryKind::Constraint {
            journal::restore(session, &entry).await?;
        }
    }
    constraints::put_foreign_keys_back(session, std::slice::from_ref(session), execution).await?;
    for entry in journal::entries(session).await? {
        if entry.kind == EntryKind::Trigger {
            journal::restore(session, &entry).await?;
        }
    }
    Ok(())
}
