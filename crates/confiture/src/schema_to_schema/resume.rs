//! What is left to copy. Rows that an earlier run copied count only where they are proven equal to this run's snapshot.

use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::schema_to_schema::chunk;
use crate::schema_to_schema::execute::all_ranges;
use crate::schema_to_schema::fingerprint::{self, Side};
use crate::schema_to_schema::ledger::{self, TableRecord};
use crate::schema_to_schema::plan::{PageRange, Route, TablePlan};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::report::Outcome;
use crate::schema_to_schema::snapshot::Snapshot;
use crate::schema_to_schema::triage::Need;
use crate::schema_to_schema::verify::target_query;
use crate::sql::sql;

/// The ranges of one table that are to be copied.
pub(crate) struct Work {
    pub(crate) ranges: Vec<PageRange>,
    pub(crate) outcome: Outcome,
    pub(crate) rows_before: u64,
}

/// Decides what of every table is copied, and writes its beginning to the ledger.
pub(crate) async fn plan_work(
    migration: &Migration,
    needs: &[Need],
    snapshot: &Snapshot,
    execution: &Execution,
) -> Result<Vec<Work>> {
    let mut work = Vec::new();
    for (table, need) in migration.plan.tables.iter().zip(needs) {
        work.push(match need {
            Need::Nothing(record) => finished(record),
            Need::All { .. } => from_the_start(migration, table, snapshot, Outcome::Copied).await?,
            Need::Rest(record) => rest(migration, table, record, snapshot, execution).await?,
        });
    }
    Ok(work)
}

fn finished(record: &TableRecord) -> Work {
    Work { ranges: Vec::new(), outcome: Outcome::AlreadyDone, rows_before: record.rows }
}

async fn from_the_start(
    migration: &Migration,
    table: &TablePlan,
    snapshot: &Snapshot,
    outcome: Outcome,
) -> Result<Work> {
    let (fingerprint, source) = (table.fingerprint(), &migration.plan.source);
    ledger::begin_table(&migration.target, table, &fingerprint, source, &snapshot.shown).await?;
    Ok(Work { ranges: all_ranges(table, migration.plan.workers), outcome, rows_before: 0 })
}

async fn rest(
    migration: &Migration,
    table: &TablePlan,
    record: &TableRecord,
    snapshot: &Snapshot,
    execution: &Execution,
) -> Result<Work> {
    let name = table.target.short();
    let session = &migration.target;
    if record.chunks.is_empty() {
        return from_the_start(migration, table, snapshot, Outcome::Copied).await;
    }
    let done = record.ranges(table);
    if let Some(done) = &done
        && table.route != Route::Fdw
        && table.query.statement.is_none()
        && is_proven(migration, table, done, snapshot.session()).await?
    {
        ledger::adopt_snapshot(session, &table.target, &snapshot.shown).await?;
        let ranges = chunk::remaining(&table.query.storage, done, migration.plan.workers);
        execution.note(format!(
            "{name}: the {} rows copied before are proven equal to the source now",
            record.rows
        ));
        return Ok(Work { ranges, outcome: Outcome::Continued, rows_before: record.rows });
    }
    let held: i64 =
        session.query_one(&sql!("SELECT pg_catalog.count(*) FROM {}", table.target), &[]).await?.get(0);
    if held.cast_unsigned() != record.rows {
        return Err(Error::refused(format!(
            "{name} holds {held} rows, and {} were copied: someone else wrote to it",
            record.rows
        ))
        .hint("to remove its rows and copy it again, say --restart"));
    }
    execution.note(format!("{name}: the source has changed since the earlier run, so it is copied again"));
    session.batch(&sql!("TRUNCATE {}", table.target)).await?;
    from_the_start(migration, table, snapshot, Outcome::CopiedAgain).await
}

/// True where the target's rows are exactly what the mapping gives for the `done` ranges in this run's snapshot.
async fn is_proven(
    migration: &Migration,
    table: &TablePlan,
    done: &[PageRange],
    source: &Session,
) -> Result<bool> {
    let Some(relation) = migration.target_catalog.relations.get(&table.target) else { return Ok(false) };
    let target = Side::of_target(table, target_query(&migration.target_catalog, relation));
    let whole = target.query.whole();
    let given = Side::of_source(table);
    let (given, held) = tokio::try_join!(
        fingerprint::take(&given, done, std::slice::from_ref(source)),
        fingerprint::take(&target, &whole, std::slice::from_ref(&migration.target)),
    )?;
    Ok(given == held)
}
