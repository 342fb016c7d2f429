//! What each table needs: nothing, all of it, or the rest of what an earlier run began.

use std::collections::BTreeMap;

use crate::catalog::ConstraintKind;
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::schema_to_schema::ledger::{self, TableRecord, TableState};
use crate::schema_to_schema::plan::TablePlan;
use crate::schema_to_schema::planner::Migration;
use crate::sql::{QualifiedName, sql};

/// What one table needs.
#[derive(Debug, Clone)]
pub(crate) enum Need {
    /// Nothing: an earlier run finished it.
    Nothing(TableRecord),
    /// All rows, into a table that is empty or will be emptied.
    All {
        /// Whether rows are to be removed first.
        truncate: bool,
    },
    /// The rest of what an earlier run began, if that can be proven.
    Rest(TableRecord),
}

/// Decides for every table, and refuses before anything is written.
pub(crate) async fn triage(migration: &Migration, session: &Session) -> Result<Vec<Need>> {
    let records = ledger::read(session).await?;
    let mut needs = Vec::new();
    for table in &migration.plan.tables {
        needs.push(need(migration, table, &records, session).await?);
    }
    let emptied: Vec<&TablePlan> = migration
        .plan
        .tables
        .iter()
        .zip(&needs)
        .filter(|(_, need)| matches!(need, Need::All { truncate: true }))
        .map(|(table, _)| table)
        .collect();
    refuse_orphaning(migration, &emptied, session).await?;
    Ok(needs)
}

async fn need(
    migration: &Migration,
    table: &TablePlan,
    records: &BTreeMap<QualifiedName, TableRecord>,
    session: &Session,
) -> Result<Need> {
    let options = &migration.options;
    let name = table.target.short();
    let has_rows = has_rows(session, &table.target).await?;
    let Some(record) = records.get(&table.target) else {
        if has_rows && !options.truncate {
            return Err(Error::refused(format!(
                "the target table {name} already holds rows, which no migration of ours put there"
            ))
            .hint("to remove them first, say --truncate (it asks before it does)")
            .hint("to leave the table out, name the others with --tables"));
        }
        return Ok(Need::All { truncate: has_rows });
    };
    if options.restart || options.truncate {
        return Ok(Need::All { truncate: has_rows });
    }
    let same = record.fingerprint == table.fingerprint() && record.source == migration.plan.source;
    match (same, record.state) {
        (true, TableState::Finished) => Ok(Need::Nothing(record.clone())),
        (true, _) => Ok(Need::Rest(record.clone())),
        (false, _) => {
            let what = if record.source == migration.plan.source { "mapping" } else { "source" };
            Err(Error::refused(format!("{name} was migrated, in part or in whole, with another {what}"))
                .hint(
                    "to copy it again from its first row, say --restart (its rows in the target are removed)",
                ))
        }
    }
}

pub(crate) async fn has_rows(session: &Session, table: &QualifiedName) -> Result<bool> {
    let query = sql!("SELECT EXISTS (SELECT FROM {})", table);
    Ok(session.query_one(&query, &[]).await?.get(0))
}

/// Emptying a table must not leave rows of others, which this run does not fill, that refer to nothing.
async fn refuse_orphaning(migration: &Migration, emptied: &[&TablePlan], session: &Session) -> Result<()> {
    let is_emptied = |name: &QualifiedName| emptied.iter().any(|table| &table.target == name);
    for relation in migration.target_catalog.relations.values().filter(|relation| !is_emptied(&relation.name))
    {
        let refers = relation.constraints.iter().find(|constraint| {
            constraint.kind == ConstraintKind::ForeignKey
                && constraint.references.as_ref().is_some_and(|(table, _)| is_emptied(table))
        });
        let Some((referred, _)) = refers.and_then(|constraint| constraint.references.as_ref()) else {
            continue;
        };
        if has_rows(session, &relation.name).await? {
            let message = format!(
                "{} refers to {}, which would be emptied, and holds rows",
                relation.name.short(),
                referred.short()
            );
            return Err(Error::refused(message).hint("migrate both in one run, or empty it yourself"));
        }
    }
    Ok(())
}
