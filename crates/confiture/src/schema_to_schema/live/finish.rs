//! What happens to a table once all its chunks are there, beside the batches: rows that moved from chunk to chunk while they
//! were copied are taken out, its key is built, and later, once its rows are a picture of the source, its other indexes.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::journal::{self, Entry, EntryKind};
use crate::schema_to_schema::live::applier::Applier;
use crate::schema_to_schema::live::ledger;
use crate::schema_to_schema::mutation::Mutation;
use crate::schema_to_schema::plan::Topology;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::sessions::Sessions;
use crate::schema_to_schema::{failpoint, mutation};
use crate::sql::{Sql, sql};

/// Keys that are read from the ledger at a time.
const PAGE: i64 = 50_000;

/// Sessions that build, each of them one table after the other.
pub(crate) struct Builders {
    /// As many tables as are built at a time.
    places: Semaphore,
    free: Mutex<Vec<Builder>>,
}

/// The sessions that one table is built by.
struct Builder {
    target: Session,
    /// The target's, where both sides are one database.
    source: Session,
}

impl Builders {
    pub(crate) fn new(workers: usize) -> Self {
        Self { places: Semaphore::new(workers.max(1)), free: Mutex::default() }
    }
}

/// What a table is made ready with.
#[derive(Clone)]
pub(crate) struct Finisher {
    pub(crate) migration: Arc<Migration>,
    pub(crate) applier: Arc<Applier>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) builders: Arc<Builders>,
    pub(crate) execution: Execution,
}

impl Finisher {
    /// Takes out what moved while the table was copied, and builds its key. All keys that changed up to a snapshot later
    /// than that of the last chunk wait in the ledger, so every row that is there twice, or stale, is among them; those are
    /// read again when the table catches up.
    pub(crate) async fn build_key(self, index: usize) -> Result<usize> {
        let _place = self.builders.places.acquire().await.map_err(closed)?;
        let builder = self.builder().await?;
        let session = &builder.target;
        let key = self.key_entries(session, index).await?;
        // Where the key stayed on, nothing is there twice.
        if !key.is_empty() {
            self.delete_waiting(&builder, index).await?;
            failpoint::reached("moved rows deleted");
            for entry in key {
                self.build(session, &entry).await?;
            }
            session.batch(&sql!("ANALYZE {}", self.migration.plan.tables[index].target)).await?;
        }
        self.give_back(builder);
        Ok(index)
    }

    /// Deletes the rows of all keys that wait for the table: read again in pieces, they may exchange values of a unique
    /// constraint with rows of other pieces.
    pub(crate) async fn clear_waiting(self, index: usize) -> Result<()> {
        // Without a place: a batch waits for it.
        let builder = self.builder().await?;
        self.delete_waiting(&builder, index).await?;
        self.give_back(builder);
        Ok(())
    }

    async fn delete_waiting(&self, builder: &Builder, index: usize) -> Result<()> {
        let table = &self.migration.plan.tables[index].target;
        let (session, source) = (&builder.target, builder.source.clone());
        let mut applier = self.applier.beside(source, session.clone());
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
        applier.drop_stage(index).await?;
        failpoint::reached("moved rows deleted, not committed");
        session.batch(&Sql::literal("COMMIT")).await
    }

    /// Builds everything else that was taken off the table, whose rows nobody changes meanwhile.
    pub(crate) async fn build_rest(self, index: usize) -> Result<usize> {
        let _place = self.builders.places.acquire().await.map_err(closed)?;
        let builder = self.builder().await?;
        let session = &builder.target;
        let table = &self.migration.plan.tables[index].target;
        for entry in journal::entries_of(session, table).await? {
            if entry.kind <= EntryKind::Constraint {
                self.build(session, &entry).await?;
            }
        }
        session.batch(&sql!("ANALYZE {}", table)).await?;
        self.give_back(builder);
        Ok(index)
    }

    async fn build(&self, session: &Session, entry: &Entry) -> Result<()> {
        let step = format!("Building {} on {}", entry.name, entry.table.short());
        self.execution.step(&step, journal::restore(session, entry)).await?;
        failpoint::reached("index put back");
        Ok(())
    }

    /// Sessions that nobody uses. After an error they are not given back: the run ends.
    async fn builder(&self) -> Result<Builder> {
        if let Some(builder) = self.free().pop() {
            return Ok(builder);
        }
        let options = &self.migration.options;
        let target = self.sessions.open_target(options).await?;
        AdvisoryLock::join(&target).await?;
        target.batch(&Sql::literal("SET maintenance_work_mem = '256MB'")).await?;
        let source = match self.migration.plan.topology {
            Topology::OneDatabase => target.clone(),
            Topology::TwoDatabases => self.sessions.open_source(options).await?,
        };
        Ok(Builder { target, source })
    }

    fn give_back(&self, builder: Builder) {
        self.free().push(builder);
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Builder>> {
        self.builders.free.lock().unwrap_or_else(PoisonError::into_inner)
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
        let all = journal::entries_of(session, &table.target).await?;
        let is_it =
            |entry: &Entry| entry.kind <= EntryKind::Constraint && names.contains(&entry.name.as_str());
        Ok(all.into_iter().filter(is_it).collect())
    }
}

fn closed(closed: tokio::sync::AcquireError) -> Error {
    Error::unexpected("nobody builds any more").because(closed)
}
