//! One batch: the source frozen, its changed keys told, their rows read again and written, all of it one transaction of the
//! target, which afterwards equals the source in that snapshot.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::postgres::feed::{Changes, KeySet, SnapshotImage};
use crate::schema_to_schema::ledger::{TableState, set_state};
use crate::schema_to_schema::live::applier::Applied;
use crate::schema_to_schema::live::coverage::Coverage;
use crate::schema_to_schema::live::follower::{Follower, check_altered};
use crate::schema_to_schema::live::ledger::{self, BatchRecord};
use crate::schema_to_schema::mutation::Mutation;
use crate::schema_to_schema::snapshot::Snapshot;
use crate::schema_to_schema::{failpoint, mutation};
use crate::sql::Sql;

/// Keys of one table that waited and that one batch applies at most. Few in tests, so that they wait for several.
const WAITING_AT_ONCE: i64 = if cfg!(feature = "failpoints") { 1000 } else { 50_000 };

/// Batches in a row that may be long before a switch is refused.
const PATIENCE: usize = 50;

/// What one batch did.
#[derive(Debug, Clone)]
pub struct BatchReport {
    /// Its number, from 1.
    pub number: i64,
    /// The snapshot of the source that the target equals.
    pub snapshot: SnapshotImage,
    /// What was written.
    pub applied: Applied,
    /// Row changes behind it, where the feed knows them.
    pub row_changes: u64,
    /// Transactions that were delivered and that the snapshot did not see.
    pub carried: usize,
    /// From the snapshot until the feed had delivered all that it sees.
    pub lag: Duration,
    /// From the snapshot until the target had committed.
    pub elapsed: Duration,
    /// True where keys still wait for a table that is there.
    pub more: bool,
}

impl BatchReport {
    pub(crate) fn new(number: i64, changes: &Changes, snapshot: SnapshotImage) -> Self {
        Self {
            number,
            applied: Applied::default(),
            row_changes: changes.row_changes,
            carried: changes.carried,
            lag: changes.lag,
            elapsed: Duration::ZERO,
            more: false,
            snapshot,
        }
    }
}

/// Both sides, frozen at the end of one batch: two pictures that must be equal.
pub(crate) struct Aligned {
    pub(crate) source: Snapshot,
    pub(crate) target: Snapshot,
    /// The batch.
    pub(crate) batch: i64,
}

/// What a batch has done before it is committed.
pub(crate) struct Begun {
    applied: Applied,
    /// The tables whose rows were read.
    read: BTreeSet<usize>,
    coverage: Coverage,
    /// Of every table of the plan, keys that are written once all are known.
    waiting: Vec<KeySet>,
}

impl Follower {
    /// Applies one batch. A failure leaves the target as it was, and the same changes to the next batch.
    pub(crate) async fn batch(&mut self) -> Result<BatchReport> {
        loop {
            let together = self.applier.written_together();
            let error = match self.try_batch().await {
                Ok(report) => return Ok(report),
                Err(error) => error,
            };
            self.applier.roll_back().await;
            // Rows that exchange unique values are written all at once from now on: once for each table, however many there are.
            if self.applier.written_together() == together {
                return Err(self.explain_altered(error).await);
            }
            self.execution.note(format!("{error}: the batch is tried again"));
        }
    }

    /// In one database: a batch whose transaction begins with `lock`, and is left open for whoever ends it.
    pub(crate) async fn open_batch(&mut self, lock: &Sql) -> Result<BatchReport> {
        let started = Instant::now();
        let snapshot = self.applier.freeze_after(lock).await?;
        self.look().await?;
        let changes = self.feed.changes(&self.applier.source, &snapshot).await?;
        let mut report = BatchReport::new(self.batches + 1, &changes, snapshot);
        self.write_all(None, &changes, &mut report, started).await?;
        Ok(report)
    }

    /// Batches until one takes less than `short` and leaves nothing behind: so much is left for the last one. Returns how long it
    /// took. Refused where all of many take longer.
    pub(crate) async fn settle_down(&mut self, short: Duration) -> Result<Duration> {
        for _ in 1..PATIENCE {
            let batch = Box::pin(self.batch()).await?;
            if batch.elapsed < short && !batch.more {
                return Ok(batch.elapsed);
            }
        }
        let last = Box::pin(self.batch()).await?;
        Err(Error::refused(format!(
            "the target does not keep up with the source: {PATIENCE} batches took longer than {short:?}; the last one {:?}, for {} keys{}",
            last.elapsed,
            last.applied.keys,
            if last.more { ", and more wait" } else { "" }
        ))
        .hint("try again when less is written, or see confiture.batch for what takes so long"))
    }

    async fn try_batch(&mut self) -> Result<BatchReport> {
        let started = Instant::now();
        let snapshot = self.applier.freeze().await?;
        failpoint::reached("batch: source frozen");
        self.look().await?;
        let frozen = self.freeze_for_others().await?;
        let mut begun = None;
        while let Some(keys) = self.feed.ahead(&snapshot).await? {
            Box::pin(self.write_ahead(&keys, &mut begun)).await?;
        }
        let changes = self.feed.changes(&self.applier.source, &snapshot).await?;
        failpoint::reached("batch: changes told");
        let is_quiet = begun.is_none() && changes.is_empty() && !self.is_catching_up();
        let mut report = BatchReport::new(self.batches + 1, &changes, snapshot);
        if is_quiet {
            self.end_quiet(&mut report, started).await?;
        } else {
            Box::pin(self.write(begun, &changes, &mut report, started)).await?;
        }
        if let Some(source) = frozen {
            // Nobody else writes to the target, so that is the picture of the source's snapshot.
            let session = Session::connect(&self.migration.options.target).await?;
            self.aligned =
                Some(Aligned { source, target: Snapshot::export(session).await?, batch: report.number });
        }
        self.seen(&report).await?;
        Ok(report)
    }

    /// Freezes the source and asks what has changed since the last batch.
    pub(crate) async fn changes(&mut self) -> Result<(SnapshotImage, Changes)> {
        let snapshot = self.applier.freeze().await?;
        self.look().await?;
        let changes = self.feed.changes(&self.applier.source, &snapshot).await?;
        Ok((snapshot, changes))
    }

    /// Asks for what has changed; an error where a source table was altered. Both at once, since neither needs the other.
    async fn look(&mut self) -> Result<()> {
        let Self { feed, shapes, applier, .. } = self;
        let look = shapes.source.changes(&applier.source, &shapes.source_scope);
        let (altered, begun) = tokio::join!(look, feed.begin());
        // Where both fail, the one explains the other.
        check_altered("source", &altered?)?;
        begun
    }

    /// Lets the witness, and a verification that is due, take part in the source's snapshot.
    async fn freeze_for_others(&mut self) -> Result<Option<Snapshot>> {
        if self.witness.is_none() && !self.align {
            return Ok(None);
        }
        let export = Sql::literal("SELECT pg_catalog.pg_export_snapshot()");
        let exported: String = self.applier.source.query_one(&export, &[]).await?.get(0);
        if let Some(witness) = &self.witness {
            witness.freeze(&exported).await?;
        }
        if !std::mem::take(&mut self.align) {
            return Ok(None);
        }
        let session = Session::connect(&self.migration.options.source).await?;
        Snapshot::joined(session, &exported).await.map(Some)
    }

    /// Ends a batch in which nothing had changed: there is nothing to commit.
    pub(crate) async fn end_quiet(&mut self, report: &mut BatchReport, started: Instant) -> Result<()> {
        self.feed.confirm().await?;
        failpoint::reached("batch: confirmed");
        match self.is_local() {
            true => self.applier.commit().await?,
            false => self.applier.thaw().await?,
        }
        report.number = self.batches;
        report.elapsed = started.elapsed();
        Ok(())
    }

    /// Begins to write: on the target, too.
    pub(crate) async fn begin(&mut self) -> Result<Begun> {
        self.begin_on_target().await?;
        Ok(Begun {
            applied: Applied::default(),
            read: BTreeSet::new(),
            coverage: self.coverage.clone(),
            waiting: vec![KeySet::default(); self.states.len()],
        })
    }

    /// Writes what is known to have changed while the feed still delivers. What the snapshot has of a key is the same whoever
    /// asks, and whenever: so it does not matter how many other changes of the key are still to come.
    async fn write_ahead(&mut self, changed: &[KeySet], begun: &mut Option<Begun>) -> Result<()> {
        let mut all = match begun.take() {
            Some(all) => all,
            None => self.begin().await?,
        };
        for index in 0..self.states.len() {
            let keys = self.applier.keys_of(index, changed).await?;
            let is_ahead = self.states[index] == TableState::Following && self.applier.takes_pieces(index);
            match is_ahead && !keys.is_whole() {
                true => self.write_keys(index, &keys, &mut all).await?,
                false => all.waiting[index].extend(&keys),
            }
        }
        *begun = Some(all);
        Ok(())
    }

    /// Writes the rest of a batch and its record into the open transaction. Returns how far the tables are then, and what is
    /// known to be equal.
    pub(crate) async fn write_all(
        &mut self,
        begun: Option<Begun>,
        changes: &Changes,
        report: &mut BatchReport,
        started: Instant,
    ) -> Result<(Vec<TableState>, Coverage)> {
        let mut begun = match begun {
            Some(begun) => begun,
            None => self.begin().await?,
        };
        let mut states = self.states.clone();
        for (index, state) in states.iter_mut().enumerate() {
            if *state == TableState::CatchingUp || self.captured.followed[index].is_touched(&changes.keys) {
                begun.read.insert(index);
            }
            report.more |= self.write_table(index, state, changes, &mut begun).await?;
        }
        let Begun { applied, read, mut coverage, .. } = begun;
        report.applied = applied;
        self.check_what_was_read(&read).await?;
        report.elapsed = started.elapsed();
        let record = BatchRecord {
            id: report.number,
            snapshot: &report.snapshot,
            applied: report.applied,
            row_changes: report.row_changes,
            carried: report.carried,
            lag: report.lag,
            elapsed: report.elapsed,
        };
        coverage.write(&self.applier.target, report.number).await?;
        ledger::record_batch(&self.applier.target, &record).await?;
        Ok((states, coverage))
    }

    /// Writes a batch and commits it.
    async fn write(
        &mut self,
        begun: Option<Begun>,
        changes: &Changes,
        report: &mut BatchReport,
        started: Instant,
    ) -> Result<()> {
        let written = self.write_all(begun, changes, report, started).await?;
        if mutation::is(Mutation::ConfirmEarly) {
            self.feed.confirm().await?;
        }
        failpoint::reached("batch: recorded, not committed");
        self.commit(written, report, started).await
    }

    /// Commits what is written, then tells the feed.
    pub(crate) async fn commit(
        &mut self,
        (states, coverage): (Vec<TableState>, Coverage),
        report: &mut BatchReport,
        started: Instant,
    ) -> Result<()> {
        self.applier.commit().await?;
        failpoint::reached("batch: committed, not confirmed");
        (self.states, self.coverage) = (states, coverage);
        self.batches = report.number;
        self.feed.confirm().await?;
        failpoint::reached("batch: confirmed");
        self.applier.thaw().await?;
        report.elapsed = started.elapsed();
        self.gate.spend(report.applied.rows_written, report.applied.bytes);
        Ok(())
    }

    /// What becomes of one table at the end of this batch; true where keys still wait for it.
    async fn write_table(
        &mut self,
        index: usize,
        state: &mut TableState,
        changes: &Changes,
        begun: &mut Begun,
    ) -> Result<bool> {
        let name = self.migration.plan.tables[index].target.clone();
        let mut more = false;
        let mut keys = self.applier.keys_of(index, &changes.keys).await?;
        if !begun.waiting[index].is_empty() {
            keys.to_mut().extend(&std::mem::take(&mut begun.waiting[index]));
        }
        let withheld = self.withheld.get(index).filter(|withheld| !withheld.is_empty());
        if let Some(withheld) = withheld {
            keys.to_mut().remove_all(withheld);
        }
        match state {
            TableState::Copying | TableState::Copied | TableState::Indexing => {
                if !keys.is_empty() && !mutation::is(Mutation::ForgetDeferred) {
                    ledger::defer(&self.applier.target, &name, &keys).await?;
                }
                return Ok(false);
            }
            TableState::CatchingUp => {
                let (waited, left) =
                    ledger::take_deferred(&self.applier.target, &name, WAITING_AT_ONCE).await?;
                keys.to_mut().extend(&waited);
                if let Some(withheld) = withheld {
                    keys.to_mut().remove_all(withheld);
                }
                more = left;
                if !left {
                    *state = match self.left_to_build(index) {
                        true => TableState::Indexing,
                        false => TableState::Following,
                    };
                    set_state(&self.applier.target, &name, *state).await?;
                }
            }
            TableState::Following => {}
            TableState::Finished => {
                return Err(Error::unexpected(format!("{name} is finished, and follows")));
            }
        }
        self.write_keys(index, &keys, begun).await?;
        Ok(more)
    }

    /// Makes one table equal for these keys.
    async fn write_keys(&mut self, index: usize, keys: &KeySet, begun: &mut Begun) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        begun.read.insert(index);
        begun.coverage.touch(index, keys);
        self.writing = Some(index);
        let in_pieces = self.states[index] == TableState::Following;
        begun.applied += Box::pin(self.applier.apply(index, keys, in_pieces)).await?;
        self.writing = None;
        Ok(())
    }
}
