//! The rows of changed keys, read again in one snapshot of the source and written to the target.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};

use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::postgres::feed::{KeySet, SnapshotImage};
use crate::schema_to_schema::copy::format_option;
use crate::schema_to_schema::live::capture::Captured;
use crate::schema_to_schema::live::stage::{Reading, Share, Stage};
use crate::schema_to_schema::mutation::Mutation;
use crate::schema_to_schema::plan::Topology;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::{failpoint, mutation};
use crate::sql::{Sql, sql};

/// Rows in a stage from which on the planner is told of them.
const MANY: u64 = 10_000;

/// What one table's share of a batch did.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Applied {
    /// Keys that were read again.
    pub keys: u64,
    /// Rows that are new or that differed.
    pub rows_written: u64,
    /// Rows that are no more.
    pub rows_deleted: u64,
    /// Bytes that crossed.
    pub bytes: u64,
}

impl std::ops::AddAssign for Applied {
    fn add_assign(&mut self, other: Self) {
        self.keys += other.keys;
        self.rows_written += other.rows_written;
        self.rows_deleted += other.rows_deleted;
        self.bytes += other.bytes;
    }
}

/// What was staged of one table.
#[derive(Default)]
struct Staged {
    keys: u64,
    rows: u64,
    bytes: u64,
}

/// Applies batches.
pub(crate) struct Applier {
    pub(crate) migration: Arc<Migration>,
    captured: Arc<Captured>,
    /// Its open transaction is the snapshot. The target's session, where both sides are one database.
    pub(crate) source: Session,
    pub(crate) target: Session,
    stages: Arc<Vec<Stage>>,
    staged: BTreeSet<usize>,
}

impl Applier {
    pub(crate) fn new(
        migration: Arc<Migration>,
        captured: Arc<Captured>,
        source: Session,
        target: Session,
    ) -> Result<Self> {
        let stage = |(index, table): (usize, &crate::schema_to_schema::plan::TablePlan)| {
            let relation = migration.target_catalog.relations.get(&table.target);
            relation
                .map(|relation| Stage::new(index, table, relation))
                .ok_or_else(|| Error::config(format!("the target has no table {}", table.target.short())))
        };
        let stages: Result<Vec<_>> = migration.plan.tables.iter().enumerate().map(stage).collect();
        Ok(Self { stages: Arc::new(stages?), migration, captured, source, target, staged: BTreeSet::new() })
    }

    /// One of the same tables, by other sessions.
    pub(crate) fn beside(&self, source: Session, target: Session) -> Self {
        Self {
            migration: Arc::clone(&self.migration),
            captured: Arc::clone(&self.captured),
            stages: Arc::clone(&self.stages),
            source,
            target,
            staged: BTreeSet::new(),
        }
    }

    fn is_local(&self) -> bool {
        self.migration.plan.topology == Topology::OneDatabase
    }

    /// Freezes the source; in one database that begins the target's transaction too.
    pub(crate) async fn freeze(&self) -> Result<SnapshotImage> {
        let begin = match self.is_local() {
            true => "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE",
            false => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        let (begin, query) =
            (Sql::literal(begin), Sql::literal("SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text"));
        // One after the other, in one round trip.
        let ((), row) =
            tokio::try_join!(biased; self.source.batch(&begin), self.source.query_one(&query, &[]))?;
        row.get::<_, &str>(0).parse()
    }

    /// Freezes one database once `lock` was had, so that nothing can come after the snapshot that it does not see.
    pub(crate) async fn freeze_after(&self, lock: &Sql) -> Result<SnapshotImage> {
        let begin = sql!("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; {}", lock);
        self.target.batch(&begin).await?;
        let query = Sql::literal("SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text");
        self.target.query_one(&query, &[]).await?.get::<_, &str>(0).parse()
    }

    /// Begins the target's transaction.
    pub(crate) async fn begin(&self) -> Result<()> {
        match self.is_local() {
            true => Ok(()),
            false => self.target.batch(&Sql::literal("BEGIN")).await,
        }
    }

    /// Commits the target's transaction.
    pub(crate) async fn commit(&self) -> Result<()> {
        self.target.batch(&Sql::literal("COMMIT")).await
    }

    /// Lets the source go.
    pub(crate) async fn thaw(&self) -> Result<()> {
        match self.is_local() {
            true => Ok(()),
            false => self.source.batch(&Sql::literal("COMMIT")).await,
        }
    }

    /// Ends what is open on both sides, after an error.
    pub(crate) async fn roll_back(&mut self) {
        // A stage that the transaction made goes with it.
        self.staged.clear();
        for session in [&self.target, &self.source] {
            session.batch(&Sql::literal("ROLLBACK")).await.ok();
        }
    }

    /// The keys of the table at `index` that follow from the keys of all captured tables.
    pub(crate) async fn keys_of<'a>(&self, index: usize, changed: &'a [KeySet]) -> Result<Cow<'a, KeySet>> {
        let followed = &self.captured.followed[index];
        let driving = &self.captured.tables[followed.driving];
        let mut keys = match changed[followed.driving].is_empty() {
            true => Cow::Owned(KeySet::default()),
            false => changed[followed.driving].project(&followed.key, driving.key.len()),
        };
        for dependent in &followed.depends {
            let set = &changed[dependent.table];
            if set.is_whole() {
                keys.to_mut().insert_whole();
            }
            if set.is_empty() || keys.is_whole() {
                continue;
            }
            let texts: BTreeSet<String> =
                set.iter().map(|mut key| key.swap_remove(dependent.position)).collect();
            let texts: Vec<String> = texts.into_iter().collect();
            let columns: Vec<_> = (0..followed.key.len())
                .map(|column| crate::sql::Identifier::new(format!("c{column}")))
                .collect();
            let cast = Sql::join(", ", columns.iter().map(|name| sql!("CAST({} AS pg_catalog.text)", name)));
            let names = Sql::join(", ", &columns);
            let query = sql!("SELECT {} FROM ({}\n) AS driving ({})", cast, dependent.query, names);
            let rows = self.source.query(&query, &[&texts]).await;
            for row in rows.map_err(|error| dependent.written.driving.locate(error))? {
                let key: Vec<Option<&str>> = (0..columns.len()).map(|column| row.get(column)).collect();
                // A row without a key drives nothing.
                if let Some(key) = key.into_iter().collect::<Option<Vec<&str>>>() {
                    keys.to_mut().insert(&key);
                }
            }
        }
        Ok(keys)
    }

    /// Makes the table at `index` equal to the source for these keys, in the open transactions; once in each.
    pub(crate) async fn apply(&mut self, index: usize, keys: &KeySet) -> Result<Applied> {
        let name = self.migration.plan.tables[index].target.short();
        self.apply_keys(index, keys).await.map_err(|error| explain(error, &name))
    }

    async fn apply_keys(&mut self, index: usize, keys: &KeySet) -> Result<Applied> {
        failpoint::reached("batch: rows about to be read");
        let differing = match keys.is_whole() {
            true => self.differing(index).await?,
            false => None,
        };
        let (Staged { rows, bytes, .. }, share) = match differing {
            Some(None) => return Ok(Applied::default()),
            Some(Some(differing)) => (self.read_where(index, differing.source).await?, differing.target),
            None if keys.is_whole() => (self.read(index, keys, true).await?, Share::All),
            None => {
                let staged = self.read(index, keys, true).await?;
                let share = Share::Keys(staged.keys);
                (staged, share)
            }
        };
        failpoint::reached("batch: rows staged");
        let stage = &self.stages[index];
        let is_large = rows.max(keys.len() as u64) > MANY;
        let mut applied = Applied { keys: keys.len() as u64, bytes, ..Applied::default() };
        if let Some(meets_others) = stage.meets_others()
            && self.target.query_one(&meets_others, &[]).await?.get(0)
        {
            return Err(meets_a_row_of_others());
        }
        (applied.rows_deleted, applied.rows_written) = self.write(stage, &share, is_large).await?;
        if let Some(remember) = stage.remember_outside(&share) {
            self.target.batch(&remember).await?;
        }
        failpoint::reached("batch: rows written");
        Ok(applied)
    }

    /// Deletes what is no more and writes what is staged, in one round trip; says how many rows. Two rows that exchange a
    /// value of another unique constraint collide, whichever is written first; so what collides is deleted first, all of it.
    async fn write(&self, stage: &Stage, share: &Share, is_large: bool) -> Result<(u64, u64)> {
        let target = &self.target;
        let mut all = Sql::default();
        if is_large {
            all.push(&sql!("{}; ", stage.analyze()));
        }
        let delete = match mutation::is(Mutation::KeepMissing) {
            true => Sql::literal("SELECT 0 LIMIT 0"),
            false => stage.delete_missing(share),
        };
        if let Some(upsert) = stage.upsert() {
            all.push(&sql!(
                "SAVEPOINT confiture_upsert; {}; {}; RELEASE SAVEPOINT confiture_upsert",
                delete,
                upsert
            ));
            match target.counts(&all).await {
                Ok(counts) => return Ok(last_two(&counts, 1)),
                Err(error) if matches!(error.sqlstate_code(), Some("23505" | "23P01")) => {}
                Err(error) => return Err(error),
            }
            // Released at once: in a savepoint that is open no snapshot can be exported.
            all =
                Sql::literal("ROLLBACK TO SAVEPOINT confiture_upsert; RELEASE SAVEPOINT confiture_upsert; ");
        }
        all.push(&stage.replace(&delete));
        target.counts(&all).await.map(|counts| last_two(&counts, 0))
    }

    /// Stages keys, to be deleted.
    pub(crate) async fn stage_keys(&mut self, index: usize, keys: &KeySet) -> Result<()> {
        self.read(index, keys, false).await.map(|_| ())
    }

    /// Removes a stage that is not needed again: at each commit a session empties all that it has.
    pub(crate) async fn drop_stage(&mut self, index: usize) -> Result<()> {
        match self.staged.remove(&index) {
            true => self.target.batch(&self.stages[index].drop()).await,
            false => Ok(()),
        }
    }

    /// Deletes the rows of the staged keys, however often each is there; or, where nobody knows which those are, of every
    /// key that is there twice. The table has no key yet.
    pub(crate) async fn delete_moved(&self, index: usize, known: bool) -> Result<u64> {
        let stage = &self.stages[index];
        match known {
            true => {
                self.target.batch(&stage.analyze()).await?;
                self.target.execute(&stage.delete_keys(), &[]).await
            }
            false => self.target.execute(&stage.delete_twice(), &[]).await,
        }
    }

    /// Stages the target's keys and, where asked, the rows.
    async fn read(&mut self, index: usize, keys: &KeySet, with_rows: bool) -> Result<Staged> {
        let table = &self.migration.plan.tables[index];
        let stage = &self.stages[index];
        if self.staged.insert(index) {
            self.target.batch(&stage.create()).await?;
        }
        let columns = self.captured.key_columns(&self.captured.followed[index]);
        let mut staged = Staged::default();
        for Reading { keys, rows: query } in stage.readings(table, keys, &columns, self.is_local()) {
            if let Some(keys) = keys {
                let (more, size) = self.fill(&stage.key_columns(), &keys, index).await?;
                staged.keys += more;
                staged.bytes += size;
            }
            if with_rows {
                let (more, size) = self.fill(&stage.row_columns(), &query, index).await?;
                staged.rows += more;
                staged.bytes += size;
            }
        }
        Ok(staged)
    }

    /// Stages the rows of the source of which `condition` is true. Returns rows and bytes.
    async fn read_where(&mut self, index: usize, condition: Sql) -> Result<Staged> {
        let table = &self.migration.plan.tables[index];
        let stage = &self.stages[index];
        if self.staged.insert(index) {
            self.target.batch(&stage.create()).await?;
        }
        let Some(source) = table.source.as_ref().map(|source| sql!("{}", source)) else {
            return Ok(Staged::default());
        };
        let rows = stage.selected_rows(table, self.is_local());
        let query = sql!("SELECT {} {}", rows, table.query.from_relation(&source, &[condition]));
        let (rows, bytes) = self.fill(&stage.row_columns(), &query, index).await?;
        Ok(Staged { keys: 0, rows, bytes })
    }

    /// Fills a stage with what a query of the source gives. Returns rows and bytes.
    async fn fill(&self, stage: &Sql, query: &Sql, index: usize) -> Result<(u64, u64)> {
        if self.is_local() {
            let rows = self.target.execute(&sql!("INSERT INTO {} {}", stage, query), &[]).await?;
            return Ok((rows, 0));
        }
        let format = format_option(self.migration.plan.tables[index].format);
        let (source, target) = match mutation::is(Mutation::ReadOutsideSnapshot) {
            true => (&self.migration.source, &self.target),
            false => (&self.source, &self.target),
        };
        let (out, into) =
            (sql!("COPY ({}) TO STDOUT {}", query, format), sql!("COPY {} FROM STDIN {}", stage, format));
        let (stream, sink) = tokio::try_join!(source.copy_out(&out), target.copy_in(&into))?;
        tokio::pin!(stream, sink);
        let mut gathered = bytes::BytesMut::new();
        let mut bytes = 0;
        while let Some(message) = stream.next().await {
            gathered.extend_from_slice(&message.map_err(|error| source.refused(error))?);
            if gathered.len() > 64 * 1024 {
                bytes += gathered.len() as u64;
                sink.feed(gathered.split().freeze()).await.map_err(|error| target.refused(error))?;
            }
        }
        bytes += gathered.len() as u64;
        sink.feed(gathered.freeze()).await.map_err(|error| target.refused(error))?;
        let rows = sink.finish().await.map_err(|error| target.refused(error))?;
        Ok((rows, bytes))
    }
}

/// The last two of a batch's counts but for `after` of its statements.
fn last_two(counts: &[u64], after: usize) -> (u64, u64) {
    let end = counts.len().saturating_sub(after);
    match counts[..end] {
        [.., deleted, written] => (deleted, written),
        _ => (0, 0),
    }
}

/// A row of the other side has the key of one that is left alone here.
fn meets_a_row_of_others() -> Error {
    Error::new(
        ErrorKind::Unsafe,
        "a row that was made on the other side has the key of a row that the mapping leaves out, and that is left alone",
    )
    .sqlstate("23505")
    .hint("give one of the two another key, or have the mapping take the other row in too")
}

fn explain(error: Error, table: &str) -> Error {
    match error.sqlstate_code() {
        Some("23505" | "21000") if error.kind() == ErrorKind::Server => error.context(format!("applying changes to {table}")).hint(
            "the mapping gives two rows of one key, or the target's unique constraint refuses what the source allows",
        ),
        _ => error.context(format!("applying changes to {table}")),
    }
}
