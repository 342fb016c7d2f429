//! What the target remembers of earlier runs, for whoever comes after them: verification, and the same command again.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::event::Execution;
use crate::postgres::Session;
use crate::schema_to_schema::ledger::{self, TableRecord, TableState};
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::plan::TablePlan;
use crate::schema_to_schema::planner::Migration;
use crate::sql::QualifiedName;

/// What was copied before, where that is to be compared; and where no condition is given, that of those runs.
pub(crate) async fn copied(
    options: &mut Options,
    target: &Session,
    execution: &Execution,
) -> Result<BTreeMap<QualifiedName, TableRecord>> {
    if !options.as_copied {
        return Ok(BTreeMap::new());
    }
    let copied = ledger::read(target).await?;
    let wanted = |name: &QualifiedName| {
        options.tables.is_empty() || options.tables.iter().any(|table| table.names(name))
    };
    let filters: BTreeSet<Option<String>> =
        copied.iter().filter(|(name, _)| wanted(name)).map(|(_, record)| record.filter.clone()).collect();
    // Several runs with several conditions: which is meant only the user can say, table by table.
    let mut only = filters.into_iter();
    if let (None, Some(Some(filter)), None) = (&options.filter, only.next(), only.next()) {
        execution.note(format!("Comparing with the rows of the run's --where \"{filter}\""));
        options.filter = Some(filter);
    }
    Ok(copied)
}

/// Says of the tables that were copied by another mapping or condition that they will differ.
pub(crate) fn warn_of_others(
    tables: &[TablePlan],
    copied: &BTreeMap<QualifiedName, TableRecord>,
    execution: &Execution,
) {
    let is_other = |table: &&TablePlan| {
        copied.get(&table.target).is_some_and(|record| record.fingerprint != table.fingerprint())
    };
    let mut others = tables.iter().filter(is_other).peekable();
    let Some(first) = others.peek() else { return };
    let how = match copied.get(&first.target).and_then(|record| record.filter.as_deref()) {
        Some(filter) => format!(" (with --where \"{filter}\")"),
        None => String::new(),
    };
    let names: Vec<String> = others.map(|table| table.target.short()).collect();
    execution.warn(format!(
        "{} {} copied with another mapping or --where{how} than this comparison: differences are to be expected",
        names.join(", "),
        if names.len() == 1 { "was" } else { "were" }
    ));
}

impl Migration {
    /// True where an earlier run has done all of this plan: [`Migration::migrate`] would change nothing.
    ///
    /// # Errors
    ///
    /// Where the target cannot be read.
    pub async fn is_done(&self) -> Result<bool> {
        if self.options.restart || self.options.truncate || !ledger::exists(&self.target).await? {
            return Ok(false);
        }
        let records = ledger::read(&self.target).await?;
        let is_done = |table: &TablePlan| {
            records.get(&table.target).is_some_and(|record| {
                record.state == TableState::Finished
                    && record.fingerprint == table.fingerprint()
                    && record.source == self.plan.source
            })
        };
        Ok(self.plan.tables.iter().all(is_done)
            && crate::schema_to_schema::journal::entries(&self.target).await?.is_empty())
    }
}
