//! The migration a table at a time, as a program drives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::config::mapping::{Strategy, TableMapping, TableName};
use crate::config::{Connection, Mapping};
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session, read_catalog};
use crate::schema_to_schema::cleanup::{Cleaning, clean_up};
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::plan::Route;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::{foreign, ledger};
use crate::sql::Identifier;

/// Moves tables from one database to another, one call a table, with the mapping in code.
///
/// ```no_run
/// use confiture::config::{Connection, Endpoint};
/// use confiture::schema_to_schema::SchemaToSchemaMigrator;
///
/// # async fn example() -> confiture::Result<()> {
/// let at = |database| Connection::new(Endpoint::new("localhost", 5432), "postgres", database);
/// let mut migrator = SchemaToSchemaMigrator::new(at("old_db"), at("new_db"), "old_schema");
/// migrator.setup_fdw().await?;
/// let columns = [("id", "id"), ("full_name", "display_name"), ("email", "email")];
/// let rows = migrator.migrate_table("users", "users", &columns).await?;
/// println!("{rows} rows");
/// for (table, found) in migrator.verify_migration(&["users"]).await? {
///     println!("{table}: {} rows, match: {}", found.source_count, found.matches);
/// }
/// migrator.cleanup_fdw().await?;
/// # Ok(())
/// # }
/// ```
pub struct SchemaToSchemaMigrator {
    source: Connection,
    target: Connection,
    foreign_schema: Identifier,
    /// What the calls so far mapped, so that verification knows it.
    mapped: Vec<TableMapping>,
    execution: Execution,
}

/// What [`SchemaToSchemaMigrator::analyze_tables`] says of one table.
#[derive(Debug, Clone, Serialize)]
pub struct TableAnalysis {
    /// `fdw`, `copy` or, within one database, `local`.
    pub strategy: Route,
    /// Rows, by the planner's estimate.
    pub row_count: u64,
    /// Seconds for its rows; `None` where nothing could be measured.
    pub estimated_seconds: Option<f64>,
}

/// What [`SchemaToSchemaMigrator::verify_migration`] says of one table.
#[derive(Debug, Clone, Serialize)]
pub struct TableMatch {
    /// True where both sides hold the same rows, in number and in content.
    #[serde(rename = "match")]
    pub matches: bool,
    /// Rows that the mapping gives.
    pub source_count: i64,
    /// Rows that the target holds.
    pub target_count: i64,
    /// `target_count - source_count`: negative where rows are missing.
    pub difference: i64,
}

impl SchemaToSchemaMigrator {
    /// A migrator between two databases; foreign tables go to the target's schema `foreign_schema_name`.
    #[must_use]
    pub fn new(source: Connection, target: Connection, foreign_schema_name: &str) -> Self {
        let foreign_schema = Identifier::new(foreign_schema_name);
        Self { source, target, foreign_schema, mapped: Vec::new(), execution: Execution::unattended() }
    }

    /// Lets `execution` watch and interrupt the calls that follow.
    #[must_use]
    pub fn watched_by(mut self, execution: Execution) -> Self {
        self.execution = execution;
        self
    }

    /// Makes foreign tables on the target for every table of the source that is found without naming a schema. Called
    /// again, it makes them anew.
    ///
    /// # Errors
    ///
    /// Where `postgres_fdw` is not to be had, or the target's server cannot reach the source.
    pub async fn setup_fdw(&self) -> Result<()> {
        let (source, target) =
            tokio::try_join!(Session::connect(&self.source), Session::connect(&self.target))?;
        let lock = AdvisoryLock::take(&self.target).await?;
        let catalog = read_catalog(&source).await?;
        let visible = |name: &&crate::sql::QualifiedName| catalog.search_path.contains(&name.schema);
        let whole = catalog
            .relations
            .values()
            .filter(|relation| !relation.is_partition)
            .map(|relation| &relation.name);
        let tables = whole.filter(visible).cloned().collect();
        ledger::create(&target).await?;
        let options = self.options(Vec::new());
        ledger::remember_source(&target, &options).await?;
        let done = foreign::set_up(&target, &options, &tables).await;
        let released = lock.release().await;
        done.and(released)
    }

    /// Moves one table through a foreign table. `column_mapping` lists source and target columns; columns that it does
    /// not list are not migrated. Returns the rows in the target.
    ///
    /// # Errors
    ///
    /// Those of [`Migration::plan`] and [`Migration::migrate`].
    pub async fn migrate_table(
        &mut self,
        source_table: &str,
        target_table: &str,
        column_mapping: &[(&str, &str)],
    ) -> Result<u64> {
        self.move_table(source_table, target_table, column_mapping, Strategy::Fdw).await
    }

    /// Moves one table with COPY through this process; otherwise as [`Self::migrate_table`].
    ///
    /// # Errors
    ///
    /// Those of [`Migration::plan`] and [`Migration::migrate`].
    pub async fn migrate_table_copy(
        &mut self,
        source_table: &str,
        target_table: &str,
        column_mapping: &[(&str, &str)],
    ) -> Result<u64> {
        self.move_table(source_table, target_table, column_mapping, Strategy::Copy).await
    }

    async fn move_table(
        &mut self,
        source: &str,
        target: &str,
        columns: &[(&str, &str)],
        strategy: Strategy,
    ) -> Result<u64> {
        let pairs =
            columns.iter().map(|(old, new)| format!("{}:{}", Identifier::new(*old), Identifier::new(*new)));
        let pairs: Vec<String> = pairs.collect();
        let mapping = Mapping::parse_inline(source, target, &pairs.join(","))?;
        let options = Options { strategy: Some(strategy), ..self.options(mapping.tables.clone()) };
        let migration = Arc::new(Migration::plan(options, &self.execution).await?);
        let report = migration.migrate(&self.execution).await?;
        if let Some(violated) = report.violated.first() {
            let message = format!(
                "rows of {} refer to rows that are not there: {} is not valid",
                violated.table.short(),
                violated.name
            );
            return Err(Error::new(crate::ErrorKind::Found, message));
        }
        self.mapped.retain(|table| table.target.value != mapping.tables[0].target.value);
        self.mapped.extend(mapping.tables);
        Ok(report.tables.iter().map(|table| table.rows).sum())
    }

    /// What a migration of all tables of the same name would do, with its measured pace.
    ///
    /// # Errors
    ///
    /// Those of [`Migration::plan`].
    pub async fn analyze_tables(&self) -> Result<BTreeMap<String, TableAnalysis>> {
        let mut migration = Migration::plan(self.options(self.mapped.clone()), &self.execution).await?;
        migration.estimate(&self.execution).await?;
        let analysis = |table: &crate::schema_to_schema::plan::TablePlan| {
            let analysis = TableAnalysis {
                strategy: table.route,
                row_count: table.rows,
                estimated_seconds: table.estimated_seconds,
            };
            (table.target.short(), analysis)
        };
        Ok(migration.as_plan().tables.iter().map(analysis).collect())
    }

    /// Compares target tables, row by row, with what the calls so far mapped to them; a table that no call mapped is
    /// compared with the source table of its name.
    ///
    /// # Errors
    ///
    /// Those of [`Migration::plan`] and [`Migration::verify`]. A difference is no error.
    pub async fn verify_migration(&self, tables: &[&str]) -> Result<BTreeMap<String, TableMatch>> {
        let mut wanted = Vec::new();
        for table in tables {
            let name: TableName = table.parse()?;
            let mapped = self.mapped.iter().find(|mapped| mapped.target.value == name);
            let by_name = || TableMapping::same_name(crate::config::Spanned::nowhere(name.clone()));
            wanted.push(mapped.cloned().unwrap_or_else(by_name));
        }
        let migration = Migration::plan(self.options(wanted), &self.execution).await?;
        let report = migration.verify(&self.execution).await?;
        let found = report.tables.iter().map(|table| {
            let found = TableMatch {
                matches: table.ok,
                source_count: table.source_rows,
                target_count: table.target_rows,
                difference: table.difference,
            };
            (table.table.short(), found)
        });
        Ok(found.collect())
    }

    /// Removes the foreign tables, their server and the ledger. Called again, it finds nothing to do.
    ///
    /// # Errors
    ///
    /// Where a migration is unfinished.
    pub async fn cleanup_fdw(&self) -> Result<()> {
        clean_up(Some(&self.source), &self.target, &self.foreign_schema, Cleaning::default(), &self.execution)
            .await
            .map(|_| ())
    }

    fn options(&self, tables: Vec<TableMapping>) -> Options {
        let mapping = Mapping { tables, ..Mapping::default() };
        let options = Options::new(self.source.clone(), self.target.clone(), mapping);
        Options { foreign_schema: self.foreign_schema.clone(), ..options }
    }
}
