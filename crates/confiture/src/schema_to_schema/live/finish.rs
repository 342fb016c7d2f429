//! What happens to a table once all its chunks are there, beside the batches: rows that moved from chunk to chunk while they
//! were copied are taken out, its key is built, and later, once its rows are a picture of the source, its other indexes.

use std::sync::Arc;

use crate::error::Result;
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::journal::{self, Entry, EntryKind};
use crate::schema_to_schema::live::applier::Applier;
use crate::schema_to_schema::live::capture::Captured;
use crate::schema_to_schema::live::ledger;
use crate::schema_to_schema::mutation::Mutation;
use crate::schema_to_schema::plan::Topology;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::sessions::Sessions;
use crate::schema_to_schema::{failpoint, mutation};
use crate::sql::{Sql, sql};

/// Keys that are read from the ledger at a time.
const PAGE: i64 = 50_000;

/// What a table is made ready with.
#[derive(Clone)]
pub(crate) struct Finisher {
    pub(crate) migration: Arc<Migration>,
    pub(crate) captured: Arc<Captured>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) execution: Execution,
}

impl Finisher {
    /// Takes out what moved while the table was copied, and builds its key. All keys that changed up to a snapshot later
    /// than that of the last chunk wait in the ledger, so every row that is there twice, or stale, is among them; those are
    /// read again when the table catches up.
    pub(crate) async fn build_key(self, index: usize) -> Result<usize> {
        let session = self.session().await?;
        let table = &self.migration.plan.tables[index];
        let key = self.key_entries(&session, index).await?;
        // Where the key stayed on, nothing is there twice.
        if key.is_empty() {
            return Ok(index);
        }
        self.delete_waiting(&session, index).await?;
        failpoint::reached("moved rows deleted");
        for entry in key {
            self.build(&session, &entry).await?;
        }
        session.batch(&sql!("ANALYZE {}", table.target)).await?;
        Ok(index)
    }

    /// Deletes the rows of all keys that wait for the table: read again in pieces, they may exchange values of a unique
    /// constraint with rows of other pieces.
    pub(crate) async fn clear_waiting(self, index: usize) -> Result<()> {
        let session = self.session().await?;
        self.delete_waiting(&session, index).await
    }

    async fn delete_waiting(&self, session: &Session, index: usize) -> Result<()> {
        let table = &self.migration.plan.tables[index].target;
        let source = match self.migration.plan.topology {
            Topology::OneDatabase => session.clone(),
            Topology::TwoDatabases => self.sessions.open_source(&self.migration.options).await?,
        };
        let (migration, captured) = (Arc::clone(&self.migration), Arc::clone(&self.captured));
        let mut applier = Applier::new(migration, captured, source, session.clone())?;
        session.batch(&Sql::literal("BEGIN")).await?;
        let (mut after, mut known, mut staged) = ("(0,0)".to_owned(), true, false);
        loop {
            let page = ledger::deferred_page(session, table, &after, PAGE).await?;
            known &= !page.whole;
            if !page.keys.is_empty() {
                applier.stage_keys(index, &page.keys).await?;
                staged = true;
            }
            match page.last {
                Some(last) => after = last,
                None => break,
            }
        }
        if (staged || !known) && !mutation::is(Mutation::KeepMoved) {
            applier.delete_moved(index, known).await?;
        }
        failpoint::reached("moved rows deleted, not committed");
        session.batch(&Sql::literal("COMMIT")).await
    }

    /// Builds everything else that was taken off the table, whose rows nobody changes meanwhile.
    pub(crate) async fn build_rest(self, index: usize) -> Result<usize> {
        let session = self.session().await?;
        let table = &self.migration.plan.tables[index].target;
        for entry in journal::entries(&session).await? {
            if &entry.table == table && entry.kind <= EntryKind::Constraint {
                self.build(&session, &entry).await?;
            }
        }
        session.batch(&sql!("ANALYZE {}", table)).await?;
        Ok(index)
    }

    async fn build(&self, session: &Session, entry: &Entry) -> Result<()> {
        let step = format!("Building {} on {}", entry.name, entry.table.short());
        self.execution.step(&step, journal::restore(session, entry)).await?;
        failpoint::reached("index put back");
        Ok(())
    }

    async fn session(&self) -> Result<Session> {
        let session = self.sessions.open_target(&self.migration.options).await?;
        AdvisoryLock::join(&session).await?;
        session.batch(&Sql::literal("SET maintenance_work_mem = '256MB'")).await?;
        Ok(session)
    }

    /// What the journal holds of the index that finds a row by its key.
    async fn key_entries(&self, session: &Session, index: usize) -> Result<Vec<Entry>> {
        let table = &self.migration.plan.tables[index];
        let Some(relation) = self.migration.target_catalog.relations.get(&table.target) else {
            return Ok(Vec::new());
        };
        let is_key = |found: &&crate::catalog::Index| {
            found.unique && found.valid && !found.partial && found.key_columns.as_ref() == Some(&table.key)
        };
        let names: Vec<&str> = relation
            .indexes
            .iter()
            .filter(|found| is_key(found))
            .map(|found| found.constraint.as_ref().unwrap_or(&found.name).as_str())
            .collect();
        let all = journal::entries(session).await?;
        let is_it = |entry: &Entry| {
            entry.table == table.target
                && entry.kind <= EntryKind::Constraint
                && names.contains(&entry.name.as_str())
        };
        Ok(all.into_iter().filter(is_it).collect())
    }
}
