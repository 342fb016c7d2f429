//! Both sides, compared while writes go on: as one batch has left them, frozen, table by table.
//!
//! A snapshot knows rows as they were, but not tables: TRUNCATE, and an ALTER TABLE that rewrites, empty a table for every
//! snapshot. Such a table is looked at again in another snapshot, and so is what a comparison had no time for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::catalog::{Catalog, Oid};
use crate::error::{Error, Result};
use crate::event::{Event, Execution, TableEstimate};
use crate::postgres::feed::CapturedTable;
use crate::postgres::{Session, read_catalog};
use crate::schema_to_schema::fingerprint::{LOOK, let_go};
use crate::schema_to_schema::live::batch::Aligned;
use crate::schema_to_schema::live::capture::Captured;
use crate::schema_to_schema::live::coverage::Touched;
use crate::schema_to_schema::live::keyed::Keyed;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::sessions::Sessions;
use crate::schema_to_schema::verify::{
    ForeignKeyVerification, Sides, TableVerification, ValidationResult, validate,
};
use crate::sql::Sql;

/// What is compared in one pair of snapshots.
pub(crate) struct Comparison {
    pub(crate) migration: Arc<Migration>,
    pub(crate) captured: Arc<Captured>,
    pub(crate) aligned: Aligned,
    /// Tables by their place in the plan.
    pub(crate) tables: Vec<usize>,
    /// Whether all rows are compared, not only those of keys that changed.
    pub(crate) complete: bool,
    /// Changes are carried back: see [`Coverage`](crate::schema_to_schema::live::coverage::Coverage).
    pub(crate) is_way_back: bool,
    pub(crate) show_values: bool,
    /// How long the snapshots may be held: no table is begun after that.
    pub(crate) patience: Duration,
    pub(crate) execution: Execution,
}

/// What was found.
pub(crate) struct Compared {
    /// The batch that left both sides so.
    pub(crate) batch: i64,
    /// Tables that were compared.
    pub(crate) tables: Vec<(usize, TableVerification)>,
    /// Tables that were emptied or rewritten meanwhile, so that the snapshot no longer shows them.
    pub(crate) gone: Vec<usize>,
    /// Why the last of those could not be read, where it could not.
    pub(crate) because: Option<Error>,
    /// Tables for which there was no time.
    pub(crate) left: Vec<usize>,
    /// Foreign keys and validations; `None` where tables are left.
    pub(crate) checks: Option<(Vec<ForeignKeyVerification>, Vec<ValidationResult>)>,
}

impl Comparison {
    /// Compares.
    pub(crate) async fn run(self) -> Result<Compared> {
        let sessions = Sessions::default();
        let result = self.compare(&sessions).await;
        let migration = Arc::clone(&self.migration);
        // The snapshots end before anything else.
        drop(self);
        sessions.end(&migration.source, &migration.target, result.is_err()).await;
        result
    }

    async fn compare(&self, sessions: &Sessions) -> Result<Compared> {
        let started = Instant::now();
        let (migration, aligned) = (&self.migration, &self.aligned);
        let (mut readers, mut writers) = (Vec::new(), Vec::new());
        for _ in 0..migration.plan.workers {
            readers.push(sessions.open_source(&migration.options).await?);
            writers.push(sessions.open_target(&migration.options).await?);
        }
        try_join_all(readers.iter().map(|reader| aligned.source.share(reader))).await?;
        try_join_all(writers.iter().map(|writer| aligned.target.share(writer))).await?;
        let all = || readers.iter().chain(&writers);
        let look = Sql::literal(LOOK);
        try_join_all(all().map(|session| session.batch(&look))).await?;
        let catalog = read_catalog(&migration.target).await?;
        let files = self.files(aligned.source.session()).await?;
        self.announce();
        let sides = Sides { source: &readers, target: &writers, lets_go: true };
        let mut found = Compared {
            batch: aligned.batch,
            tables: Vec::new(),
            gone: Vec::new(),
            because: None,
            left: Vec::new(),
            checks: None,
        };
        for (place, index) in self.tables.iter().copied().enumerate() {
            if place > 0 && started.elapsed() >= self.patience {
                found.left = self.tables[place..].to_vec();
                break;
            }
            let compared = self.compare_table(index, &catalog, &sides).await;
            let is_gone = match &compared {
                Ok(_) => false,
                // No snapshot brings a table or a column back.
                Err(error) if matches!(error.sqlstate_code(), Some("42P01" | "42703" | "XX000")) => true,
                Err(_) => return Err(compared.err().unwrap_or_else(|| Error::unexpected("no error"))),
            };
            if !is_gone {
                try_join_all(all().map(let_go)).await?;
            }
            let now = self.files(&migration.source).await?;
            let is_same = self.oids_of(index).iter().all(|oid| files.get(oid) == now.get(oid));
            match compared {
                Ok(mut compared) if is_same => {
                    compared.batch = Some(aligned.batch);
                    found.tables.push((index, compared));
                }
                Ok(_) => found.gone.push(index),
                Err(error) => {
                    // The session's transaction is broken; whatever is left is looked at in other snapshots.
                    found.because = Some(error);
                    found.gone.push(index);
                    found.left = self.tables[place + 1..].to_vec();
                    break;
                }
            }
        }
        if found.left.is_empty() && found.gone.is_empty() {
            found.checks = self.check(&catalog, &files).await?;
        }
        Ok(found)
    }

    /// Compares what changed since the table was found equal; all rows where that is not known, or where something differs.
    async fn compare_table(
        &self,
        index: usize,
        catalog: &Catalog,
        sides: &Sides<'_>,
    ) -> Result<TableVerification> {
        let table = &self.migration.plan.tables[index];
        let keyed = match self.complete {
            true => None,
            false => Keyed::new(&self.migration, &self.captured, catalog, index)?,
        };
        if let Some(keyed) = keyed {
            let columns = self.captured.followed[index].key.len();
            let touched = Touched::open(self.aligned.target.session(), &table.target, columns).await?;
            if let Some(touched) = touched
                && let Some(found) = keyed.compare(touched, self.is_way_back, sides).await?
            {
                return Ok(found);
            }
        }
        let (found, _) =
            self.migration.verify_table(table, catalog, sides, self.show_values, &self.execution).await?;
        Ok(found)
    }

    async fn check(
        &self,
        catalog: &Catalog,
        files: &BTreeMap<Oid, Oid>,
    ) -> Result<Option<(Vec<ForeignKeyVerification>, Vec<ValidationResult>)>> {
        let (source, target) = (self.aligned.source.session(), self.aligned.target.session());
        let foreign_keys = self.migration.verify_foreign_keys(catalog, target).await?;
        let mut validations = Vec::new();
        for validation in &self.migration.plan.validations {
            validations.push(validate(validation, source, target).await?);
        }
        // A validation may read any table of the source.
        let is_same = validations.is_empty() || &self.files(&self.migration.source).await? == files;
        Ok(is_same.then_some((foreign_keys, validations)))
    }

    fn announce(&self) {
        let tables = self.tables.iter().map(|index| &self.migration.plan.tables[*index]);
        let expected = |table: &crate::schema_to_schema::plan::TablePlan| TableEstimate {
            table: table.target.clone(),
            rows: table.rows,
            bytes: table.bytes,
        };
        self.execution.emit(&Event::TablesPlanned { tables: tables.map(expected).collect() });
    }

    /// The tables of the source that a target table is made of, with their partitions.
    fn oids_of(&self, index: usize) -> Vec<Oid> {
        let followed = &self.captured.followed[index];
        let tables = std::iter::once(followed.driving).chain(followed.depends.iter().map(|one| one.table));
        tables.flat_map(|table| self.captured.tables[table].oids()).collect()
    }

    /// The files of all captured tables, as the session's snapshot has them.
    async fn files(&self, session: &Session) -> Result<BTreeMap<Oid, Oid>> {
        let all: Vec<Oid> = self.captured.tables.iter().flat_map(CapturedTable::oids).collect();
        let query = Sql::literal("SELECT oid, relfilenode FROM pg_catalog.pg_class WHERE oid = ANY ($1)");
        let rows = session.query(&query, &[&all]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}
