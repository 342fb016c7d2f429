//! Following, from the first command to the last batch: opened from the ledger, driven until it is told to stop, opened again
//! after whatever cut it short.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::AdvisoryLock;
use crate::postgres::feed::CapturedTable;
use crate::postgres::feed::wal::SlotLost;
use crate::schema_to_schema::journal::{self, EntryKind};
use crate::schema_to_schema::ledger::{TableState, set_state};
use crate::schema_to_schema::live::batch::{Aligned, BatchReport};
use crate::schema_to_schema::live::capture::Captured;
use crate::schema_to_schema::live::finish::Finisher;
use crate::schema_to_schema::live::follower::{ALTERED, Follower, HEARTBEAT, Witness};
use crate::schema_to_schema::live::gate::Passer;
use crate::schema_to_schema::live::ledger::{self, FeedKind, Phase};
use crate::schema_to_schema::live::shape::Shapes;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::report::ViolatedForeignKey;
use crate::schema_to_schema::sequences::{self, AdvancedSequence};
use crate::schema_to_schema::sessions::Sessions;
use crate::schema_to_schema::verify::VerificationReport;
use crate::schema_to_schema::{constraints, failpoint};

/// The shortest time between two batches: what is told meanwhile is applied at once.
const PAUSE: Duration = Duration::from_millis(20);

/// The longest time between two batches while nothing changes.
const IDLE: Duration = Duration::from_millis(500);

/// How often a batch that met somebody else's lock, or was chosen as a deadlock's victim, is tried again.
const TRIES: u32 = 5;

/// Where changes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capture {
    /// The WAL where server and role allow it, else the queue.
    #[default]
    Auto,
    /// This feed.
    Only(FeedKind),
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Once the target equals the source and every batch keeps it so. Changes go on being captured.
    CaughtUp,
    /// When the execution is interrupted.
    Interrupted,
}

/// How to follow.
#[derive(Clone)]
pub struct Following {
    /// Where changes come from; a migration that follows already stays with its feed.
    pub capture: Capture,
    /// When to stop.
    pub until: Until,
    /// How long to try again after a connection was lost.
    pub patience: Duration,
    /// Whether both sides are compared once the target follows, while writes go on.
    pub verify: bool,
    /// Who sees every batch.
    pub witness: Option<Arc<dyn Witness>>,
}

impl Default for Following {
    fn default() -> Self {
        Self {
            capture: Capture::Auto,
            until: Until::Interrupted,
            patience: Duration::from_secs(300),
            verify: false,
            witness: None,
        }
    }
}

/// What following did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct FollowReport {
    /// Where changes come from.
    pub feed: FeedKind,
    /// How far it is.
    pub phase: Phase,
    /// Batches in all, over all runs.
    pub batches: i64,
    /// The snapshot of the source that the target equals, as `pg_current_snapshot()` showed it; `None` where there was none
    /// yet.
    pub snapshot: Option<String>,
    /// Sequences that were advanced in this run.
    pub sequences: Vec<AdvancedSequence>,
    /// Foreign keys that rows violate: they are there, but NOT VALID.
    pub violated: Vec<ViolatedForeignKey>,
    /// What the comparison of both sides found, after the batch of that number; `None` where there was none in this run.
    pub verification: Option<(i64, VerificationReport)>,
    /// True where foreign keys and triggers of the target are off until the cutover, because the target's role may not
    /// apply changes past them.
    pub foreign_keys_wait: bool,
    /// From beginning to end.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::event::as_milliseconds")]
    pub elapsed: Duration,
}

impl Migration {
    /// Copies what is not there and follows the source. Run again after whatever stopped it, it goes on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a mapping that cannot be followed; [`ErrorKind::Unsafe`] where the target holds rows that
    /// are not ours, or a table was altered so that the mapping may mean something else; [`ErrorKind::Locked`] where
    /// another run is at work; [`ErrorKind::Connect`] where a server stays away for longer than the patience. None loses a
    /// change: they go on being captured.
    pub async fn follow(
        self: &Arc<Self>,
        following: &Following,
        execution: &Execution,
    ) -> Result<FollowReport> {
        let mut migration = Arc::clone(self);
        let mut since: Option<Instant> = None;
        let mut tries = 0;
        loop {
            let sessions = Arc::new(Sessions::default());
            let (progressed, served) = (Instant::now(), AtomicBool::new(false));
            let result = tokio::select! {
                // On the heap: there is much of it.
                result = Box::pin(migration.follow_once(following, &sessions, &served, execution)) => result,
                () = stopped_hard(execution) => Err(interrupted()),
            };
            let cut = result.is_err() || execution.is_interrupted();
            sessions.end(&migration.source, &migration.target, cut).await;
            let error = match result {
                Ok(report) => return Ok(report),
                Err(error) => error,
            };
            // What had gone well for a while is a new story; and so is a connection that was lost after it had served.
            let cut = error.kind() == ErrorKind::Connect;
            if progressed.elapsed() > Duration::from_secs(30) || (cut && served.load(Ordering::Relaxed)) {
                (since, tries) = (None, 0);
            }
            // The lock may be held by what the server has left of the connection that was lost.
            let again = cut
                || (error.kind() == ErrorKind::Locked && since.is_some())
                || SlotLost::of(&error).is_some()
                || matches!(error.sqlstate_code(), Some("40001" | "40P01" | ALTERED));
            let began = *since.get_or_insert_with(Instant::now);
            if !again || began.elapsed() >= following.patience || execution.is_interrupted() {
                migration.say_stopped(&error).await;
                return Err(error);
            }
            tries += 1;
            execution.warn(format!("{error}; going on as soon as it can be"));
            let wait = Duration::from_millis(50 << tries.min(5));
            tokio::select! {
                () = sleep(wait) => {}
                () = execution.interrupted() => return Err(interrupted()),
            }
            migration = match replan(&migration, execution).await {
                Ok(planned) => planned,
                Err(error) if error.kind() == ErrorKind::Connect && began.elapsed() < following.patience => {
                    migration
                }
                Err(error) => {
                    migration.say_stopped(&error).await;
                    return Err(error);
                }
            };
        }
    }

    async fn follow_once(
        self: &Arc<Self>,
        following: &Following,
        sessions: &Arc<Sessions>,
        served: &AtomicBool,
        execution: &Execution,
    ) -> Result<FollowReport> {
        let started = Instant::now();
        let lock = AdvisoryLock::take_on(sessions.open_target(&self.options).await?).await?;
        let (mut follower, feed) = self.open_follower(following, sessions, execution).await?;
        let report = follower.run(following, sessions, served, &lock, started, feed).await;
        if let Ok(report) = &report {
            let what = format!("stopped after batch {}", report.batches);
            ledger::note(&follower.side, &what).await?;
        }
        report
    }

    /// Says in the ledger why no run is at work, where that can be said.
    async fn say_stopped(&self, error: &Error) {
        let Ok(session) = crate::postgres::Session::connect(&self.options.target).await else { return };
        if matches!(ledger::exists(&session).await, Ok(true)) {
            ledger::set_stopped(&session, Some(error.message())).await.ok();
        }
    }
}

impl Follower {
    async fn run(
        &mut self,
        following: &Following,
        sessions: &Arc<Sessions>,
        served: &AtomicBool,
        lock: &AdvisoryLock,
        started: Instant,
        feed: FeedKind,
    ) -> Result<FollowReport> {
        let mut report = FollowReport {
            feed,
            phase: self.phase,
            batches: self.batches,
            snapshot: None,
            sequences: Vec::new(),
            violated: Vec::new(),
            verification: None,
            foreign_keys_wait: false,
            elapsed: Duration::ZERO,
        };
        let (full, mut filled) = mpsc::unbounded_channel();
        let mut copying = self.start_copying(sessions, full).await?;
        let finisher = Finisher {
            migration: Arc::clone(&self.migration),
            captured: Arc::clone(&self.captured),
            sessions: Arc::clone(sessions),
            execution: self.execution.clone(),
        };
        let mut building: JoinSet<Result<usize>> = JoinSet::new();
        let mut at_work = BTreeSet::new();
        let mut referring: JoinSet<Result<Vec<ViolatedForeignKey>>> = JoinSet::new();
        let mut comparing: JoinSet<Result<Option<(i64, VerificationReport)>>> = JoinSet::new();
        let mut full_tables: Vec<usize> = self.indexes_in(TableState::Copied);
        let mut arrived = false;
        loop {
            // Tables that were full before this batch's snapshot: all that moved while they were copied waits after it.
            while let Ok(index) = filled.try_recv() {
                self.states[index] = TableState::Copied;
                full_tables.push(index);
            }
            self.pass_gate().await?;
            let batch = self.patient_batch().await?;
            served.store(true, Ordering::Relaxed);
            report.snapshot = Some(batch.snapshot.to_string());
            failpoint::reached("batch: done");
            for index in full_tables.drain(..) {
                at_work.insert(index);
                building.spawn(finisher.clone().build_key(index));
            }
            for index in self.indexes_in(TableState::Indexing) {
                if at_work.insert(index) {
                    building.spawn(finisher.clone().build_rest(index));
                }
            }
            while let Some(built) = building.try_join_next() {
                let index = built.unwrap_or_else(|panic| Err(panicked(panic)))?;
                at_work.remove(&index);
                self.count_unbuilt().await?;
                let name = self.migration.plan.tables[index].target.clone();
                set_state(&self.side, &name, TableState::CatchingUp).await?;
                self.states[index] = TableState::CatchingUp;
            }
            while let Some(ended) = copying.try_join_next() {
                if let Err(error) = ended.unwrap_or_else(|panic| Err(panicked(panic))) {
                    return Err(self.explain_altered(error).await);
                }
            }
            if copying.is_empty() && self.phase == Phase::Copying {
                self.set_phase(Phase::CatchingUp).await?;
            }
            if !lock.is_held() {
                return Err(Error::new(ErrorKind::Connect, "the connection that held the lock was lost"));
            }
            if self.is_following() && !arrived {
                arrived = true;
                self.arrive(&mut report, sessions, &mut referring).await?;
            }
            while let Some(violated) = referring.try_join_next() {
                report.violated = violated.unwrap_or_else(|panic| Err(panicked(panic)))?;
            }
            if let Some(aligned) = self.aligned.take() {
                let (migration, captured) = (Arc::clone(&self.migration), Arc::clone(&self.captured));
                comparing.spawn(compare(migration, captured, aligned, self.execution.clone()));
            }
            while let Some(compared) = comparing.try_join_next() {
                let compared = compared.unwrap_or_else(|panic| Err(panicked(panic)))?;
                let Some((number, compared)) = compared else { continue };
                ledger::record_verification(&self.side, number, &compared).await?;
                report.verification = Some((number, compared));
            }
            let is_compared = report.verification.is_some() || !following.verify;
            if arrived && referring.is_empty() && comparing.is_empty() && !is_compared {
                self.align = true;
            }
            let is_done =
                arrived && referring.is_empty() && is_compared && following.until == Until::CaughtUp;
            if self.execution.is_interrupted() || is_done {
                break;
            }
            let is_busy = batch.more || batch.applied.keys > 0;
            let patience = if is_busy || self.align || !building.is_empty() || !referring.is_empty() {
                PAUSE
            } else {
                IDLE
            };
            let (feed, execution) = (&mut self.feed, &self.execution);
            tokio::select! {
                () = sleep(PAUSE), if is_busy => {}
                waited = feed.wait(patience), if !is_busy => waited?,
                () = execution.interrupted() => {}
            }
        }
        copying.shutdown().await;
        building.shutdown().await;
        referring.shutdown().await;
        comparing.shutdown().await;
        report.phase = self.phase;
        report.batches = self.batches;
        if arrived {
            report.sequences.extend(self.advance_sequences().await?);
        }
        report.elapsed = started.elapsed();
        Ok(report)
    }

    /// A batch that is tried again where somebody else's lock was in the way.
    async fn patient_batch(&mut self) -> Result<BatchReport> {
        let mut tries = 0;
        loop {
            match self.batch().await {
                Err(error)
                    if matches!(error.sqlstate_code(), Some("40001" | "40P01" | "55P03"))
                        && tries < TRIES =>
                {
                    tries += 1;
                    self.execution.note(format!("{error}: the batch is tried again"));
                    sleep(Duration::from_millis(50 << tries)).await;
                }
                done => return done,
            }
        }
    }

    /// Waits for as long as somebody has paused the run, and goes on looking whether it still is.
    async fn pass_gate(&mut self) -> Result<()> {
        loop {
            let (gate, execution) = (Arc::clone(&self.gate), self.execution.clone());
            tokio::select! {
                passed = gate.wait(Passer::Batch, &execution) => {
                    return if execution.is_interrupted() { Ok(()) } else { passed };
                }
                () = sleep(HEARTBEAT) => {
                    self.beat(Duration::ZERO).await?;
                }
            }
        }
    }

    fn indexes_in(&self, state: TableState) -> Vec<usize> {
        (0..self.states.len()).filter(|index| self.states[*index] == state).collect()
    }

    /// Every table follows for the first time in this run: what speaks of several tables is put back.
    async fn arrive(
        &mut self,
        report: &mut FollowReport,
        sessions: &Sessions,
        referring: &mut JoinSet<Result<Vec<ViolatedForeignKey>>>,
    ) -> Result<()> {
        self.set_phase(Phase::Following).await?;
        report.sequences = self.advance_sequences().await?;
        let entries = journal::entries(&self.side).await?;
        if !entries.iter().any(|entry| entry.kind >= EntryKind::ForeignKey) {
            return Ok(());
        }
        if self.bypasses_constraints {
            let options = &self.migration.options;
            let (session, builder) =
                (sessions.open_target(options).await?, sessions.open_target(options).await?);
            let execution = self.execution.clone();
            referring.spawn(async move {
                constraints::put_foreign_keys_back(&session, &[builder], &execution).await
            });
        }
        report.foreign_keys_wait = !self.bypasses_constraints;
        Ok(())
    }

    async fn advance_sequences(&self) -> Result<Vec<AdvancedSequence>> {
        let migration = &self.migration;
        sequences::advance(
            &migration.plan,
            &migration.source_catalog,
            &migration.target_catalog,
            &migration.source,
            &self.side,
        )
        .await
    }
}

/// Compares both sides as one batch left them; `None` where the source can no longer be read as it was then.
async fn compare(
    migration: Arc<Migration>,
    captured: Arc<Captured>,
    aligned: Aligned,
    execution: Execution,
) -> Result<Option<(i64, VerificationReport)>> {
    let sessions = Sessions::default();
    let Aligned { source, target, batch } = aligned;
    let work = migration.verify_between(&source, &target, &sessions, &execution);
    let result = execution.step("Comparing both sides", work).await;
    sessions.end(&migration.source, &migration.target, result.is_err()).await;
    // TRUNCATE and what rewrites a table take its rows away from older snapshots too. That is no difference.
    let oids: Vec<u32> = captured.tables.iter().flat_map(CapturedTable::oids).collect();
    let (then, now) =
        tokio::try_join!(Shapes::digest(source.session(), &oids), Shapes::digest(&migration.source, &oids))?;
    match result {
        Ok(report) if report.ok || then == now => Ok(Some((batch, report))),
        Err(error) if then == now => Err(error),
        _ => {
            execution.note("A source table was altered or emptied while both sides were compared: they are compared again.");
            Ok(None)
        }
    }
}

/// The same migration, planned again with what is there now.
async fn replan(migration: &Arc<Migration>, execution: &Execution) -> Result<Arc<Migration>> {
    let planned = Box::pin(Migration::plan(migration.options.clone(), execution)).await?;
    Ok(Arc::new(planned))
}

fn panicked(panic: tokio::task::JoinError) -> Error {
    Error::unexpected("a worker panicked").because(panic)
}

fn interrupted() -> Error {
    Error::interrupted("stopped; changes go on being captured, and the target remembers how far it is")
        .hint("run the same command again: it goes on from here")
}

/// Resolves some time after the user asked to stop: a batch at work may end until then.
async fn stopped_hard(execution: &Execution) {
    execution.interrupted().await;
    sleep(Duration::from_secs(10)).await;
}
