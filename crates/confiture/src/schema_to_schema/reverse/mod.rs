//! The way back: from a plan, the mapping that makes the old tables from the new ones.
//!
//! ```text
//! plan (old -> new) + `reverse:` of its mapping --derive--> mapping (new -> old), portions, findings
//! ```
//!
//! What is a plain rename, or a cast that loses nothing, comes back by itself. Everything else is either written by the user
//! under `reverse:`, or named as a [`Finding`] with what to write. Pure: the servers say the rest when the way back is planned
//! like any other migration.

mod column;
mod fidelity;
mod finding;
mod readiness;
mod restore;
mod sample;
mod split;
mod stored;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalog::Catalog;
use crate::config::Mapping;
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::plan::{Plan, TablePlan};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::portion::Portion;
use crate::sql::QualifiedName;

pub use finding::{Finding, Severity};

/// The way back of a migration.
#[derive(Debug, Clone, Serialize)]
pub struct ReverseMapping {
    /// Makes the old tables from the new ones: the same data as a mapping file's.
    #[serde(skip)]
    pub mapping: Mapping,
    /// Which rows of each old table the migration had moved: all others, and columns that the mapping does not write, are
    /// left alone.
    #[serde(skip)]
    pub portions: BTreeMap<QualifiedName, Portion>,
    /// What does not come back, or not by itself, in the order of the old tables.
    pub findings: Vec<Finding>,
}

/// Derives the way back of `plan`, made for these catalogs.
#[must_use]
pub fn derive(plan: &Plan, source: &Catalog, target: &Catalog) -> ReverseMapping {
    let mut reverse =
        ReverseMapping { mapping: Mapping::default(), portions: BTreeMap::new(), findings: Vec::new() };
    let mut old: Vec<&QualifiedName> = Vec::new();
    for table in &plan.tables {
        match &table.source {
            Some(name) if !old.contains(&name) => old.push(name),
            Some(_) => {}
            None => reverse.findings.push(finding::unknown_source(table)),
        }
    }
    for name in &old {
        let parts: Vec<&TablePlan> =
            plan.tables.iter().filter(|table| table.source.as_ref() == Some(*name)).collect();
        restore::restore(name, &parts, source, target, &mut reverse);
    }
    reverse.findings.extend(split::joined_only(plan, &old, source));
    reverse
}

impl ReverseMapping {
    /// True where nothing is lost on the way back.
    #[must_use]
    pub fn is_lossless(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Loses)
    }

    /// True where there is a way back, though something may be lost on it.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        !self.mapping.tables.is_empty()
            && self.findings.iter().all(|finding| finding.severity < Severity::Blocks)
    }

    /// The same with other names of tables: after a cutover in one database, where the tables have changed their schemas. What
    /// users wrote as SQL is left as it is; what is looked up in another part of a split table is our own.
    #[must_use]
    pub fn renamed(mut self, rename: impl Fn(&QualifiedName) -> QualifiedName) -> Self {
        let renamed = |name: &mut crate::config::mapping::TableName| {
            let Some(schema) = &name.schema else { return };
            let new = rename(&QualifiedName::new(schema.clone(), name.name.clone()));
            (name.schema, name.name) = (Some(new.schema), new.name);
        };
        for table in &mut self.mapping.tables {
            split::rename_lookups(table, &rename);
            renamed(&mut table.target.value);
            // Expressions go by the alias, which stays.
            table.from.value.aliased = true;
            renamed(&mut table.from.value.driving);
            table.depends.iter_mut().for_each(|depends| renamed(&mut depends.table.value));
        }
        self.portions = self.portions.into_iter().map(|(name, portion)| (rename(&name), portion)).collect();
        for finding in &mut self.findings {
            finding.table = rename(&finding.table);
        }
        self
    }

    /// The options of the run that moves changes back: those of the way there, with the sides exchanged.
    #[must_use]
    pub fn options(&self, there: &Options) -> Options {
        Options {
            source_name: None,
            lock_timeout: there.lock_timeout,
            parallel: there.parallel,
            portions: self.portions.clone(),
            ..Options::new(there.target.clone(), there.source.clone(), self.mapping.clone())
        }
    }
}

impl Migration {
    /// The way back of this migration, derived from its plan.
    #[must_use]
    pub fn reversed(&self) -> ReverseMapping {
        let mut reverse = derive(&self.plan, &self.source_catalog, &self.target_catalog);
        // So that a mistake under `reverse:` is shown where it was written.
        reverse.mapping.passages = self.options.mapping.passages.clone();
        reverse
    }
}
