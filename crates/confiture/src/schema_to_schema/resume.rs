//! What is left to copy. Rows that an earlier run copied count only where they are proven equal to this run's snapshot, so
//! that all tables of one run, however often it was cut short, are of one snapshot.

use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::schema_to_schema::chunk::{self, all_ranges};
use crate::schema_to_schema::fingerprint::{self, Side};
use crate::schema_to_schema::ledger::{self, TableRecord};
use crate::schema_to_schema::plan::{PageRange, Route, TablePlan};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::report::Outcome;
use crate::schema_to_schema::triage::Need;
use crate::schema_to_schema::verify::target_query;

/// What is done with one table.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) ranges: Vec<PageRange>,
    pub(crate) outcome: Outcome,
    /// Rows that are there before this run.
    pub(crate) rows_before: u64,
    /// Whether rows are to be removed first.
    pub(crate) truncate: bool,
    /// The snapshot of its rows, where it is not this run's.
    pub(crate) snapshot: Option<String>,
}

impl Work {
    /// True where the ledger is to begin the table anew.
    pub(crate) fn is_from_the_start(&self) -> bool {
        matches!(self.outcome, Outcome::Copied | Outcome::CopiedAgain)
    }
}

/// Decides what of every table is copied. Reads both sides and writes nothing. `readers` share this run's snapshot.
pub(crate) async fn plan_work(
    migration: &Migration,
    needs: &[Need],
    readers: &[Session],
    writers: &[Session],
    execution: &Execution,
) -> Result<Vec<Work>> {
    let mut work = Vec::new();
    for (table, need) in migration.plan.tables.iter().zip(needs) {
        work.push(match need {
            Need::Nothing(record) => Work {
                ranges: Vec::new(),
                outcome: Outcome::AlreadyDone,
                rows_before: record.rows,
                truncate: false,
                snapshot: Some(record.snapshot.clone()),
            },
            Need::All { truncate } => from_the_start(migration, table, Outcome::Copied, *truncate),
            Need::Rest(record) => rest(migration, table, record, readers, writers, execution).await?,
        });
    }
    Ok(work)
}

fn from_the_start(migration: &Migration, table: &TablePlan, outcome: Outcome, truncate: bool) -> Work {
    let ranges = all_ranges(table, migration.plan.workers);
    Work { ranges, outcome, rows_before: 0, truncate, snapshot: None }
}

async fn rest(
    migration: &Migration,
    table: &TablePlan,
    record: &TableRecord,
    readers: &[Session],
    writers: &[Session],
    execution: &Execution,
) -> Result<Work> {
    let name = table.target.short();
    let done = record.ranges(table).filter(|done| !done.is_empty());
    let can_be_proven = table.route != Route::Fdw && table.query.statement.is_none();
    if let Some(done) = done.filter(|_| can_be_proven)
        && is_proven(migration, table, &done, readers, writers).await?
    {
        let ranges = chunk::remaining(&table.query.storage, &done, migration.plan.workers);
        execution.note(format!(
            "{name}: continued, for the {} rows copied before are proven equal to the source now",
            record.rows
        ));
        let rows_before = record.rows;
        return Ok(Work {
            ranges,
            outcome: Outcome::Continued,
            rows_before,
            truncate: false,
            snapshot: None,
        });
    }
    let session = &writers[0];
    if !super::triage::has_rows(session, &table.target).await? {
        return Ok(from_the_start(migration, table, Outcome::Copied, false));
    }
    if !ledger::is_untouched(session, &table.target).await? {
        return Err(Error::refused(format!(
            "{name} does not hold the rows that were copied into it: someone else wrote to it"
        ))
        .hint("to remove its rows and copy it again, say --restart"));
    }
    let why = match can_be_proven {
        true => "the source has changed since the earlier run",
        false => "rows that went through foreign tables cannot be proven to be those of the source now",
    };
    execution.note(format!("{name}: {why}, so it is copied again"));
    Ok(from_the_start(migration, table, Outcome::CopiedAgain, true))
}

/// True where the target's rows are exactly what the mapping gives for the `done` ranges in this run's snapshot.
async fn is_proven(
    migration: &Migration,
    table: &TablePlan,
    done: &[PageRange],
    readers: &[Session],
    writers: &[Session],
) -> Result<bool> {
    let Some(relation) = migration.target_catalog.relations.get(&table.target) else { return Ok(false) };
    let target = Side::of_target(table, target_query(&migration.target_catalog, relation));
    let held = chunk::cut(&target.query.storage, writers.len());
    let given = Side::of_source(table);
    let (given, held) = tokio::try_join!(
        fingerprint::take(&given, done, readers, false, &|_| {}),
        fingerprint::take(&target, &held, writers, false, &|_| {}),
    )
    .map_err(|error| error.context(format!("proving the rows of {}", table.target.short())))?;
    Ok(given == held)
}
