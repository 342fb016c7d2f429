//! A run that follows: opened from what the ledger says, it copies what is not there, builds keys and indexes, and applies
//! batch after batch. Whatever ends it, the next run goes on from the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Execution};
use crate::postgres::Session;
use crate::postgres::feed::{ChangeFeed, KeySet};
use crate::schema_to_schema::journal::{self, EntryKind};
use crate::schema_to_schema::ledger::TableState;
use crate::schema_to_schema::live::applier::Applier;
use crate::schema_to_schema::live::batch::{Aligned, BatchReport};
use crate::schema_to_schema::live::capture::Captured;
use crate::schema_to_schema::live::coverage::Coverage;
use crate::schema_to_schema::live::feed;
use crate::schema_to_schema::live::gate::Gate;
use crate::schema_to_schema::live::ledger::{self, Control, FeedKind, Phase};
use crate::schema_to_schema::live::shape::{Scope, Shapes};
use crate::schema_to_schema::mutation::{self, Mutation};
use crate::schema_to_schema::plan::Topology;
use crate::schema_to_schema::planner::Migration;
use crate::sql::QualifiedName;

/// How often what others told the run is read, and the ledger says that it is at work.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// How often it is looked whether everything is still captured.
const GAPS: Duration = Duration::from_secs(10);

/// Sees every batch while its snapshot of the source is open and nothing else is written to the target: for proofs.
pub trait Witness: Send + Sync {
    /// Takes part in the source's snapshot, which others may import while this call lasts.
    fn freeze<'a>(&'a self, exported: &'a str) -> BoxFuture<'a, Result<()>>;

    /// The target has committed the batch.
    fn committed<'a>(&'a self, batch: &'a BatchReport, exact: bool) -> BoxFuture<'a, Result<()>>;
}

/// A run at work.
pub(crate) struct Follower {
    pub(crate) migration: Arc<Migration>,
    pub(crate) captured: Arc<Captured>,
    pub(crate) applier: Applier,
    pub(crate) feed: Box<dyn ChangeFeed + Sync>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) witness: Option<Arc<dyn Witness>>,
    pub(crate) execution: Execution,
    /// Of every table of the plan.
    pub(crate) states: Vec<TableState>,
    pub(crate) phase: Phase,
    pub(crate) batches: i64,
    /// A session of the target for what is not part of a batch.
    pub(crate) side: Session,
    pub(crate) shapes: BothShapes,
    /// Tables of which indexes or constraints are off, and how many.
    pub(crate) unbuilt: BTreeMap<usize, usize>,
    pub(crate) heartbeat: Instant,
    /// Which feed it is.
    pub(crate) kind: FeedKind,
    /// Its name on the source.
    pub(crate) id: String,
    /// When it was last looked whether everything is still captured.
    pub(crate) looked_for_gaps: Instant,
    /// The table that a batch is writing, or was when it failed.
    pub(crate) writing: Option<usize>,
    /// Bytes that the source keeps for the feed, when they were last asked for.
    pub(crate) retained: u64,
    /// What is known to be equal.
    pub(crate) coverage: Coverage,
    /// Whether the next batch leaves both sides frozen, to be compared.
    pub(crate) align: bool,
    /// Both sides, where a batch has left them frozen.
    pub(crate) aligned: Option<Aligned>,
    /// Whether the applier writes past foreign keys and triggers.
    pub(crate) bypasses_constraints: bool,
    /// Of every table, keys of the source that a batch leaves as they are on the target; empty for none.
    pub(crate) withheld: Vec<KeySet>,
    /// Whether a run that somebody waits to take over ends.
    pub(crate) gives_way: bool,
    /// Whether somebody waits to take over, and may.
    pub(crate) hands_over: bool,
}

/// How the tables of both sides looked, and the source's functions.
pub(crate) struct BothShapes {
    pub(crate) source: Shapes,
    pub(crate) source_scope: Scope,
    pub(crate) target: Shapes,
    pub(crate) target_scope: Scope,
}

impl Follower {
    pub(crate) fn is_local(&self) -> bool {
        self.migration.plan.topology == Topology::OneDatabase
    }

    pub(crate) fn is_catching_up(&self) -> bool {
        self.states.contains(&TableState::CatchingUp)
    }

    /// True once every batch leaves the whole target equal to the source.
    pub(crate) fn is_following(&self) -> bool {
        self.states.iter().all(|state| *state == TableState::Following)
    }

    /// The tables that are so far.
    pub(crate) fn tables_in(&self, state: TableState) -> Vec<usize> {
        (0..self.states.len()).filter(|index| self.states[*index] == state).collect()
    }

    pub(crate) fn left_to_build(&self, index: usize) -> bool {
        self.unbuilt.contains_key(&index)
    }

    /// Counts what is still off, table by table.
    pub(crate) async fn count_unbuilt(&mut self) -> Result<()> {
        self.unbuilt.clear();
        let tables = self.migration.plan.tables.iter().enumerate();
        let index: BTreeMap<_, usize> = tables.map(|(index, table)| (&table.target, index)).collect();
        for entry in journal::entries(&self.side).await? {
            if let Some(index) = index.get(&entry.table)
                && entry.kind <= EntryKind::Constraint
            {
                *self.unbuilt.entry(*index).or_default() += 1;
            }
        }
        Ok(())
    }

    /// The same of one table.
    pub(crate) async fn count_unbuilt_of(&mut self, index: usize, name: &QualifiedName) -> Result<()> {
        let entries = journal::entries_of(&self.side, name).await?;
        match entries.iter().filter(|entry| entry.kind <= EntryKind::Constraint).count() {
            0 => self.unbuilt.remove(&index),
            count => self.unbuilt.insert(index, count),
        };
        Ok(())
    }

    /// Looks whether what was read for the target tables at `read` is what the batch's snapshot saw. TRUNCATE and whatever
    /// rewrites a table take its rows away from older snapshots as well, and a column may have been renamed since.
    pub(crate) async fn check_what_was_read(&self, read: &BTreeSet<usize>) -> Result<()> {
        let tables: BTreeSet<usize> = read
            .iter()
            .map(|index| &self.captured.followed[*index])
            .flat_map(|followed| {
                std::iter::once(followed.driving).chain(followed.depends.iter().map(|one| one.table))
            })
            .collect();
        let oids: Vec<u32> =
            tables.into_iter().flat_map(|table| self.captured.tables[table].oids()).collect();
        if oids.is_empty() || mutation::is(Mutation::BlindToRewrites) {
            return Ok(());
        }
        let scope = Scope { oids, ..self.shapes.source_scope.clone() };
        let (then, now) = tokio::try_join!(
            Shapes::digest(&self.applier.source, &scope),
            Shapes::digest(&self.migration.source, &scope)
        )?;
        if then == now {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Server,
            "a source table was altered, rewritten or emptied while its rows were read, or a function replaced",
        )
        .sqlstate("40001")
        .hint("nothing was written; run the command again"))
    }

    /// An error that a source table's alteration explains is that alteration's.
    pub(crate) async fn explain_altered(&mut self, error: Error) -> Error {
        if !error.sqlstate_code().is_some_and(|code| code.starts_with("42")) {
            return error;
        }
        let shapes = &mut self.shapes;
        match shapes.source.changes(&self.migration.source, &shapes.source_scope).await {
            Ok(changes) => check_altered("source", &changes).err().unwrap_or(error),
            Err(_) => error,
        }
    }

    /// Begins the target's transaction, and looks whether a target table was altered.
    pub(crate) async fn begin_on_target(&mut self) -> Result<()> {
        let Self { shapes, applier, .. } = self;
        let look = shapes.target.changes(&applier.target, &shapes.target_scope);
        let ((), changes) = tokio::try_join!(biased; applier.begin(), look)?;
        check_altered("target", &changes)
    }

    /// Tells everybody who wants to know that a batch is done.
    pub(crate) async fn seen(&mut self, batch: &BatchReport) -> Result<()> {
        if let Some(witness) = self.witness.clone() {
            witness.committed(batch, self.is_following()).await?;
        }
        self.execution.emit(&Event::BatchApplied {
            number: batch.number,
            keys: batch.applied.keys,
            rows_written: batch.applied.rows_written,
            rows_deleted: batch.applied.rows_deleted,
            lag: batch.lag,
            elapsed: batch.elapsed,
        });
        if self.heartbeat.elapsed() >= HEARTBEAT {
            self.heartbeat = Instant::now();
            self.beat(batch.lag).await?;
        }
        Ok(())
    }

    /// Says in the ledger that this run is at work, and reads what others told it.
    pub(crate) async fn beat(&mut self, lag: Duration) -> Result<()> {
        let control = ledger::control(&self.side).await?;
        self.hold(&control).await?;
        if self.looked_for_gaps.elapsed() >= GAPS {
            self.looked_for_gaps = Instant::now();
            let gaps = feed::gaps(self.kind, &self.id, &self.migration.source, &self.captured).await?;
            if let Some(gap) = gaps.first() {
                return Err(Error::new(ErrorKind::Unsafe, format!("changes may have been missed: {gap}"))
                    .sqlstate(ALTERED)
                    .hint(
                        "run the command again: that is mended, and what may have been missed is read again",
                    ));
            }
        }
        ledger::see(&self.side, lag, self.retained).await
    }

    /// The same while no batch is applied.
    pub(crate) async fn beat_while_paused(&mut self) -> Result<()> {
        let control = ledger::control(&self.side).await?;
        if self.heartbeat.elapsed() >= HEARTBEAT {
            self.heartbeat = Instant::now();
            self.hold(&control).await?;
            ledger::beat(&self.side).await?;
        }
        Ok(())
    }

    /// Takes the target's tables as they look now, after this run itself has put a fence or a capture on them.
    pub(crate) async fn refresh_shapes(&mut self) -> Result<()> {
        let Self { shapes, side, .. } = self;
        shapes.target = Shapes::read(side, &shapes.target_scope).await?;
        Ok(())
    }

    /// Opens or closes the gate, as was told and as the source's replicas and disks allow.
    async fn hold(&mut self, control: &Control) -> Result<()> {
        let state = self.feed.state().await?;
        for warning in state.warnings {
            self.execution.warn(warning);
        }
        let too_much = control.retained_bytes.is_some_and(|most| state.retained_bytes > most);
        let behind = match control.replica_lag {
            Some(most) => replica_lag(&self.migration.source).await? > most,
            None => false,
        };
        self.gate.set(control, too_much || behind);
        self.hands_over = self.gives_way && control.hand_over;
        self.retained = state.retained_bytes;
        Ok(())
    }

    /// Says how far the whole is, where that has changed.
    pub(crate) async fn set_phase(&mut self, phase: Phase) -> Result<()> {
        if self.phase != phase {
            ledger::set_phase(&self.side, phase).await?;
            self.phase = phase;
        }
        Ok(())
    }
}

/// How far the source's replica that is furthest behind is behind.
async fn replica_lag(source: &Session) -> Result<Duration> {
    let query = crate::sql::Sql::literal(
        "SELECT coalesce(pg_catalog.max(extract(epoch FROM replay_lag)), 0)::pg_catalog.float8
         FROM pg_catalog.pg_stat_replication WHERE application_name <> 'confiture'",
    );
    Ok(Duration::from_secs_f64(source.query_one(&query, &[]).await?.get::<_, f64>(0).max(0.0)))
}

/// An error where something was altered.
pub(crate) fn check_altered(side: &str, changes: &[String]) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsafe,
        format!("the {side} was altered while the migration follows it: {}", changes.join("; ")),
    )
    .sqlstate(ALTERED)
    .hint("nothing was applied since; changes go on being captured")
    .hint("see whether the mapping still says what you mean, then run the command again"))
}

/// Marks the error of a table that was altered: `object_not_in_prerequisite_state`.
pub(crate) const ALTERED: &str = "55000";
