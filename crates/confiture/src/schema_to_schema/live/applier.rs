//! The rows of changed keys, read again in one snapshot of the source and written to the target.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::postgres::feed::{KeySet, SnapshotImage};
use crate::schema_to_schema::copy::{Moved, stream};
use crate::schema_to_schema::live::capture::Captured;
use crate::schema_to_schema::live::stage::{KEYS_AT_ONCE, Reading, Share, Stage};
use crate::schema_to_schema::mutation::Mutation;
use crate::schema_to_schema::plan::Topology;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::{failpoint, mutation};
use crate::sql::{Sql, sql};

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

/// Applies batches.
pub(crate) struct Applier {
    pub(crate) migration: Arc<Migration>,
    captured: Arc<Captured>,
    /// Its open transaction is the snapshot. The target's session, where both sides are one database.
    pub(crate) source: Session,
    pub(crate) target: Session,
    stages: Arc<[Stage]>,
    /// The tables that have a stage in this session, and those whose stage the open transaction has used.
    made: BTreeSet<usize>,
    used: BTreeSet<usize>,
    /// What every transaction of the target begins with.
    pub(crate) opening: Sql,
    /// The tables that are written all at once: their rows exchange values of another unique constraint.
    together: BTreeSet<usize>,
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
        let stages = migration.plan.tables.iter().enumerate().map(stage).collect::<Result<_>>()?;
        let (made, used, together, opening) = Default::default();
        Ok(Self { stages, migration, captured, source, target, made, used, together, opening })
    }

    /// One of the same tables, by other sessions.
    pub(crate) fn beside(&self, source: Session, target: Session) -> Self {
        Self {
            migration: Arc::clone(&self.migration),
            captured: Arc::clone(&self.captured),
            stages: Arc::clone(&self.stages),
            source,
            target,
            opening: self.opening.clone(),
            made: BTreeSet::new(),
            used: BTreeSet::new(),
            together: BTreeSet::new(),
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
            false => self.target.batch(&sql!("BEGIN; {}", self.opening)).await,
        }
    }

    /// Commits the target's transaction.
    pub(crate) async fn commit(&mut self) -> Result<()> {
        self.used.clear();
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
        self.made.clear();
        self.used.clear();
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
            let cast = Sql::join(
                ", ",
                columns.iter().map(|name| {
                    // As the feed has it: a cast to text would give `true` and not `t`.
                    sql!("CASE WHEN {} IS NOT NULL THEN pg_catalog.concat({}) END", name, name)
                }),
            );
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

    /// How many tables are written all at once by now. A batch that failed and has added one does better at its next try.
    pub(crate) fn written_together(&self) -> usize {
        self.together.len()
    }

    /// Whether the rows of the table at `index` may be written piece by piece.
    pub(crate) fn takes_pieces(&self, index: usize) -> bool {
        !self.together.contains(&index)
    }

    /// Makes the table at `index` equal to the source for these keys, in the open transactions. `in_pieces` where another
    /// try does no harm if that does not work.
    pub(crate) async fn apply(&mut self, index: usize, keys: &KeySet, in_pieces: bool) -> Result<Applied> {
        failpoint::reached("batch: rows about to be read");
        let in_pieces = in_pieces && self.takes_pieces(index);
        let applied = match keys.is_whole() {
            true => self.apply_whole(index).await,
            false => self.apply_keys(index, keys, in_pieces).await,
        };
        failpoint::reached("batch: rows written");
        let name = self.migration.plan.tables[index].target.short();
        applied.map_err(|error| match in_pieces && is_collision(&error) {
            true => {
                self.together.insert(index);
                let what = format!("rows of {name} exchange unique values: they are written all at once");
                Error::new(ErrorKind::Server, what).sqlstate("40001")
            }
            false => explain(error, &name),
        })
    }

    async fn apply_keys(&mut self, index: usize, keys: &KeySet, in_pieces: bool) -> Result<Applied> {
        let (migration, captured) = (Arc::clone(&self.migration), Arc::clone(&self.captured));
        let (stages, followed) = (Arc::clone(&self.stages), &captured.followed[index]);
        let (table, stage) = (&migration.plan.tables[index], &stages[index]);
        let columns = captured.key_columns(followed);
        // Most likely none of them is on the target, and all are on the source.
        let is_new = keys.is_new() && followed.unique && table.query.filters.is_empty();
        let is_copied = is_new && in_pieces && stage.takes_copy && !stage.is_shared() && !self.is_local();
        let most = if in_pieces { KEYS_AT_ONCE } else { usize::MAX };
        let mut applied = Applied { keys: keys.len() as u64, ..Applied::default() };
        for reading in stage.readings(table, keys, &columns, most, self.is_local()) {
            if is_copied && let Some(moved) = self.insert(index, &reading).await? {
                applied += moved;
                continue;
            }
            self.open_stage(index).await?;
            let moved = self.fill(&stage.row_columns(), &reading.rows, index).await?;
            applied.bytes += moved.bytes;
            // Where each key gives a row, none is missing.
            let share = match followed.unique && moved.rows == reading.count && !stage.is_shared() {
                true => None,
                false => {
                    let keys = self.fill(&stage.key_columns(), &reading.keys, index).await?;
                    applied.bytes += keys.bytes;
                    Some(Share::Keys)
                }
            };
            failpoint::reached("batch: rows staged");
            applied += self.write(stage, share.as_ref()).await?;
        }
        Ok(applied)
    }

    /// Makes the whole table equal.
    async fn apply_whole(&mut self, index: usize) -> Result<Applied> {
        let (condition, share) = match self.differing(index).await? {
            Some(None) => return Ok(Applied::default()),
            Some(Some(differing)) => (vec![differing.source], differing.target),
            None => (Vec::new(), Share::All),
        };
        self.open_stage(index).await?;
        let (table, stage) = (&self.migration.plan.tables[index], &self.stages[index]);
        let Some(source) = &table.source else { return Ok(Applied::default()) };
        let from = table.query.from_relation(&sql!("{}", source), &condition);
        let query = sql!("SELECT {} {}", stage.selected_rows(table, self.is_local()), from);
        let moved = self.fill(&stage.row_columns(), &query, index).await?;
        failpoint::reached("batch: rows staged");
        let applied = self.write(stage, Some(&share)).await?;
        Ok(Applied { bytes: moved.bytes, ..applied })
    }

    /// Copies the rows of new keys right into the table. `None`, and nothing is done, where one of them is there already, or
    /// gives no row any more.
    async fn insert(&self, index: usize, reading: &Reading) -> Result<Option<Applied>> {
        let savepoint = Sql::literal("SAVEPOINT confiture_insert");
        let into = self.migration.plan.tables[index].target_columns();
        let ((), moved) = tokio::try_join!(biased; self.target.batch(&savepoint), async {
            Ok(self.fill(&into, &reading.rows, index).await)
        })?;
        let is_done = match moved {
            Ok(moved) if moved.rows == reading.count => Some(moved),
            Err(error) if !is_collision(&error) => return Err(error),
            _ => None,
        };
        // Released at once: in a savepoint that is open no snapshot can be exported.
        self.target
            .batch(&Sql::literal(match is_done {
                Some(_) => "RELEASE SAVEPOINT confiture_insert",
                None => "ROLLBACK TO SAVEPOINT confiture_insert; RELEASE SAVEPOINT confiture_insert",
            }))
            .await?;
        Ok(is_done.map(|Moved { rows, bytes }| Applied { rows_written: rows, bytes, ..Applied::default() }))
    }

    /// Makes `share` of the table what is staged.
    async fn write(&self, stage: &Stage, share: Option<&Share>) -> Result<Applied> {
        if let Some(meets_others) = stage.meets_others()
            && self.target.query_one(&meets_others, &[]).await?.get(0)
        {
            return Err(meets_a_row_of_others());
        }
        let applied = self.write_staged(stage, share).await?;
        if let Some(remember) = share.and_then(|share| stage.remember_outside(share)) {
            self.target.batch(&remember).await?;
        }
        Ok(applied)
    }

    /// Deletes what of `share` is no more and writes what is staged, in one round trip. Two rows that exchange a value of
    /// another unique constraint collide, whichever is written first; so what collides is deleted first, all of it.
    async fn write_staged(&self, stage: &Stage, share: Option<&Share>) -> Result<Applied> {
        let (mut before, mut delete) = (Sql::default(), Sql::literal("SELECT 0 LIMIT 0"));
        if let Some(share) = share.filter(|_| !mutation::is(Mutation::KeepMissing)) {
            before = sql!("{}; ", stage.before_deleting(share));
            delete = stage.delete_missing(share);
        }
        // Released at once: in a savepoint that is open no snapshot can be exported.
        let all = |write: Sql| {
            sql!(
                "SAVEPOINT confiture_write; {}{}; RELEASE SAVEPOINT confiture_write; \
                 SET LOCAL enable_hashjoin TO DEFAULT; SET LOCAL enable_mergejoin TO DEFAULT",
                before,
                write
            )
        };
        if let Some(upsert) = stage.upsert() {
            match self.target.counts(&all(sql!("{}; {}", delete, upsert))).await {
                Err(error) if is_collision(&error) => {}
                counts => return counts.map(|counts| written(&counts)),
            }
            let undo = "ROLLBACK TO SAVEPOINT confiture_write; RELEASE SAVEPOINT confiture_write";
            self.target.batch(&Sql::literal(undo)).await?;
        }
        self.target.counts(&all(stage.replace(&delete))).await.map(|counts| written(&counts))
    }

    /// Stages keys, to be deleted.
    pub(crate) async fn stage_keys(&mut self, index: usize, keys: &KeySet) -> Result<()> {
        self.make_stage(index).await?;
        let (table, stage) = (&self.migration.plan.tables[index], &self.stages[index]);
        let columns = self.captured.key_columns(&self.captured.followed[index]);
        for reading in stage.readings(table, keys, &columns, KEYS_AT_ONCE, self.is_local()) {
            self.fill(&stage.key_columns(), &reading.keys, index).await?;
        }
        Ok(())
    }

    /// Removes a stage that is not needed again: at each commit a session empties all that it has.
    pub(crate) async fn drop_stage(&mut self, index: usize) -> Result<()> {
        match self.made.remove(&index) {
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

    async fn make_stage(&mut self, index: usize) -> Result<()> {
        match self.made.insert(index) {
            true => self.target.batch(&self.stages[index].create()).await,
            false => Ok(()),
        }
    }

    /// Makes or finds the table's stage, with nothing in it.
    async fn open_stage(&mut self, index: usize) -> Result<()> {
        self.make_stage(index).await?;
        match self.used.insert(index) {
            true => Ok(()),
            false => self.target.batch(&self.stages[index].clear()).await,
        }
    }

    /// Fills a table of the target, with its columns, with what a query of the source gives for the table at `index`.
    async fn fill(&self, into: &Sql, query: &Sql, index: usize) -> Result<Moved> {
        if self.is_local() {
            let rows = self.target.execute(&sql!("INSERT INTO {} {}", into, query), &[]).await?;
            return Ok(Moved { rows, bytes: 0 });
        }
        let source = match mutation::is(Mutation::ReadOutsideSnapshot) {
            true => &self.migration.source,
            false => &self.source,
        };
        stream(&self.migration.plan.tables[index], query, into, [source, &self.target], |_, _| {}).await
    }
}

/// What the last two of a batch's statements did, before it released its savepoint and reset two settings.
fn written(counts: &[u64]) -> Applied {
    match counts {
        [.., rows_deleted, rows_written, _, _, _] => {
            Applied { rows_deleted: *rows_deleted, rows_written: *rows_written, ..Applied::default() }
        }
        _ => Applied::default(),
    }
}

/// True where a unique or exclusion constraint refuses a row.
fn is_collision(error: &Error) -> bool {
    error.kind() == ErrorKind::Server && matches!(error.sqlstate_code(), Some("23505" | "23P01"))
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
