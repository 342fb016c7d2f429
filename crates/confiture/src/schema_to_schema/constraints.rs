//! Foreign keys and triggers put back once all tables are full, and foreign keys validated by all workers.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use futures_util::future::try_join_all;

use crate::error::Result;
use crate::event::Execution;
use crate::postgres::Session;
use crate::schema_to_schema::failpoint;
use crate::schema_to_schema::journal::{self, Entry, EntryKind};
use crate::schema_to_schema::ledger::{self, TableState};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::report::ViolatedForeignKey;
use crate::sql::QualifiedName;

/// Puts back what the journal still holds. Returns the foreign keys that rows violate; those stay in the journal, to be
/// validated by the next run.
pub(crate) async fn put_back(
    migration: &Migration,
    target: &Session,
    builders: &[Session],
    execution: &Execution,
) -> Result<Vec<ViolatedForeignKey>> {
    let waiting = left_out(migration, target).await?;
    let entries = journal::entries(target).await?;
    let entries: Vec<&Entry> = entries.iter().filter(|entry| !waiting.contains(&entry.table)).collect();
    // Of tables that an earlier run took them off and that it never began.
    for entry in entries.iter().filter(|entry| entry.kind <= EntryKind::Constraint) {
        journal::restore(target, entry).await?;
    }
    let keys = entries.iter().filter(|entry| entry.kind == EntryKind::ForeignKey).copied();
    let violated = put_keys_back(keys, !waiting.is_empty(), target, builders, execution).await?;
    for entry in entries.iter().filter(|entry| entry.kind == EntryKind::Trigger) {
        journal::restore(target, entry).await?;
        failpoint::reached("trigger put back");
    }
    Ok(violated)
}

/// Puts the foreign keys back that the journal still holds, and validates them.
pub(crate) async fn put_foreign_keys_back(
    target: &Session,
    builders: &[Session],
    execution: &Execution,
) -> Result<Vec<ViolatedForeignKey>> {
    let entries = journal::entries(target).await?;
    let keys = entries.iter().filter(|entry| entry.kind == EntryKind::ForeignKey);
    put_keys_back(keys, false, target, builders, execution).await
}

async fn put_keys_back<'a>(
    keys: impl Iterator<Item = &'a Entry>,
    some_wait: bool,
    target: &Session,
    builders: &[Session],
    execution: &Execution,
) -> Result<Vec<ViolatedForeignKey>> {
    let mut unvalidated = Vec::new();
    for entry in keys {
        match journal::restore_unvalidated(target, entry).await {
            Ok(left) => unvalidated.extend(left),
            // The table that it refers to is not full yet, so its key is off, and this run leaves that table out.
            Err(error) if error.sqlstate_code() == Some("42830") && some_wait => {
                execution.note(format!(
                    "the foreign key {} of {} comes back when the table that it refers to is migrated",
                    entry.name,
                    entry.table.short()
                ));
            }
            Err(error) => return Err(error),
        }
        failpoint::reached("foreign key put back");
    }
    if unvalidated.is_empty() {
        return Ok(Vec::new());
    }
    let work = validate(unvalidated, builders, execution);
    execution.step("Validating foreign keys", work).await
}

/// Tables that an earlier run left unfinished and that this run leaves out: what was taken off them waits for their own.
async fn left_out(migration: &Migration, target: &Session) -> Result<BTreeSet<QualifiedName>> {
    let records = ledger::read(target).await?;
    let is_waiting = |(name, state): &(QualifiedName, TableState)| {
        *state != TableState::Finished && migration.plan.table(name).is_none()
    };
    let records = records.into_iter().map(|(name, record)| (name, record.state));
    Ok(records.filter(is_waiting).map(|(name, _)| name).collect())
}

async fn validate(
    entries: Vec<Entry>,
    builders: &[Session],
    execution: &Execution,
) -> Result<Vec<ViolatedForeignKey>> {
    let (queue, violated) = (Mutex::new(VecDeque::from(entries)), Mutex::new(Vec::new()));
    try_join_all(builders.iter().map(async |session| {
        loop {
            let Some(entry) = queue.lock().expect("not poisoned").pop_front() else { return Ok(()) };
            match journal::restore(session, &entry).await {
                Ok(()) => failpoint::reached("foreign key validated"),
                Err(error) if error.sqlstate_code() == Some("23503") => {
                    let (table, name) = (entry.table.clone(), entry.name.clone());
                    execution.warn(format!(
                        "rows of {} violate its foreign key {name}: it is there, but NOT VALID",
                        table.short()
                    ));
                    violated.lock().expect("not poisoned").push(ViolatedForeignKey { table, name });
                }
                // Dropped by hand, because rows violated it: that settles it.
                Err(error) if matches!(error.sqlstate_code(), Some("42704" | "42P01")) => {
                    execution
                        .note(format!("the foreign key {} is no longer there to be validated", entry.name));
                    journal::forget(session, &entry).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }))
    .await?;
    Ok(violated.into_inner().expect("not poisoned"))
}
