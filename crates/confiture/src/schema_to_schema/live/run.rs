//! Following, from the first command to the last batch: opened from the ledger, driven until it is told to stop, opened again
//! after whatever cut it short.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::feed::wal::{SlotLost, WalFeed};
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::failpoint;
use crate::schema_to_schema::ledger::TableState;
use crate::schema_to_schema::live::batch::BatchReport;
use crate::schema_to_schema::live::beside::Beside;
use crate::schema_to_schema::live::finish::Finisher;
use crate::schema_to_schema::live::follower::{ALTERED, Follower, Witness};
use crate::schema_to_schema::live::gate::Passer;
use crate::schema_to_schema::live::ledger::{self, FeedKind, Phase};
use crate::schema_to_schema::live::verifier::{Verifier, Verifying};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::report::ViolatedForeignKey;
use crate::schema_to_schema::sequences::{self, AdvancedSequence};
use crate::schema_to_schema::sessions::Sessions;
use crate::schema_to_schema::verify::VerificationReport;

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
    /// What is compared, and how.
    pub verification: Verifying,
    /// Of tables that are filled in part: that they are known to be what the mapping gives, so that only what changes from now
    /// on is looked at.
    pub assume_equal: bool,
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
            verification: Verifying::default(),
            assume_equal: false,
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
    /// What the comparison of both sides found; `None` where there was none in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationReport>,
    /// The batch that left both sides as they were compared.
    pub verified_batch: Option<i64>,
    /// True where foreign keys and triggers of the target are off until the cutover, because the target's role may not
    /// apply changes past them.
    pub foreign_keys_wait: bool,
    /// True where the run ended because a cutover or a rollback takes over.
    pub handed_over: bool,
    /// From beginning to end.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::event::as_milliseconds")]
    pub elapsed: Duration,
}

impl FollowReport {
    fn new(feed: FeedKind, phase: Phase, batches: i64) -> Self {
        Self {
            feed,
            phase,
            batches,
            snapshot: None,
            sequences: Vec::new(),
            violated: Vec::new(),
            verification: None,
            verified_batch: None,
            foreign_keys_wait: false,
            handed_over: false,
            elapsed: Duration::ZERO,
        }
    }
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
        if self.options.restart {
            if let Some(report) = self.written_at_once().await? {
                return Ok(report);
            }
            self.restart_following(execution).await?;
        }
        let mut migration = Arc::clone(self);
        let mut since: Option<Instant> = None;
        let mut tries = 0;
        loop {
            let sessions = Arc::new(Sessions::default());
            let (progressed, served) = (Instant::now(), AtomicBool::new(false));
            let result = tokio::select! {
                result = Box::pin(migration.follow_once(following, &sessions, &served, execution)) => result,
                () = stopped_hard(execution) => Err(interrupted()),
            };
            let cut = result.is_err() || execution.is_interrupted();
            sessions.end(&migration.source, &migration.target, cut).await;
            let error = match result {
                Ok(report) => return Ok(report),
                Err(error) => error,
            };
            if SlotLost::of(&error).is_some() {
                migration.forget_slot().await;
            }
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
            migration = match Box::pin(replan(&migration, execution)).await {
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

    /// Where triggers carry each write to the other side there is nothing to follow: says so.
    async fn written_at_once(&self) -> Result<Option<FollowReport>> {
        let session = crate::postgres::Session::connect(&self.options.target).await?;
        let record = ledger::read(&session).await?.filter(|record| record.phase == Phase::Immediate);
        Ok(record.map(|record| FollowReport::new(record.feed, record.phase, record.batches)))
    }

    async fn follow_once(
        self: &Arc<Self>,
        following: &Following,
        sessions: &Arc<Sessions>,
        served: &AtomicBool,
        execution: &Execution,
    ) -> Result<FollowReport> {
        let started = Instant::now();
        if let Some(report) = self.written_at_once().await? {
            return Ok(report);
        }
        let lock = AdvisoryLock::take_on(sessions.open_target(&self.options).await?).await?;
        refuse_both_ways(&sessions.open_target(&self.options).await?).await?;
        let (mut follower, feed) = Box::pin(self.open_follower(following, sessions, execution)).await?;
        let report = Box::pin(follower.run(following, sessions, served, &lock, started, feed)).await;
        if let Ok(report) = &report {
            let what = format!("stopped after batch {}", report.batches);
            ledger::note(&follower.side, &what).await?;
        }
        report
    }

    /// Carries changes until both sides are found equal, for a switch that goes on with the follower. Whoever asks meanwhile to
    /// take over is not given way: of two switches at once, the first is done.
    pub(crate) async fn follow_for_a_switch(
        self: &Arc<Self>,
        sessions: &Arc<Sessions>,
        lock: &AdvisoryLock,
        execution: &Execution,
    ) -> Result<(Follower, FollowReport)> {
        let following = Following { until: Until::CaughtUp, verify: true, ..Following::default() };
        let (mut follower, feed) = Box::pin(self.open_follower(&following, sessions, execution)).await?;
        follower.gives_way = false;
        let served = AtomicBool::new(false);
        let run = follower.run(&following, sessions, &served, lock, Instant::now(), feed);
        let report = Box::pin(run).await?;
        Ok((follower, report))
    }

    /// Removes a slot that is there and that nothing can be read from any more, so that the next run makes a new one and has
    /// all rows read again. Where that cannot be done now, the next run meets the same error.
    async fn forget_slot(&self) {
        let forget = async {
            let target = Session::connect(&self.options.target).await?;
            let Some(record) = ledger::read(&target).await? else { return Ok(()) };
            let source = Session::connect(&self.options.source).await?;
            let name = WalFeed::name(&record.id);
            WalFeed::drop_slot_and_publication(&source, &name, &name).await
        };
        if let Err(error) = forget.await {
            tracing::warn!(%error, "a slot that cannot be read from any more is still there");
        }
    }

    /// Says in the ledger why no run is at work, where that can be said.
    async fn say_stopped(&self, error: &Error) {
        let Ok(session) = Session::connect(&self.options.target).await else { return };
        if matches!(ledger::exists(&session).await, Ok(true)) {
            ledger::set_stopped(&session, Some(error.message())).await.ok();
        }
    }
}

impl Follower {
    /// Batch after batch, until `following` says that it is enough. More may be made afterwards.
    pub(crate) async fn run(
        &mut self,
        following: &Following,
        sessions: &Arc<Sessions>,
        served: &AtomicBool,
        lock: &AdvisoryLock,
        started: Instant,
        feed: FeedKind,
    ) -> Result<FollowReport> {
        let mut report = FollowReport::new(feed, self.phase, self.batches);
        let mut beside = Beside::start(self, sessions).await?;
        let mut verifier = Verifier::new(following);
        let mut arrived = false;
        loop {
            beside.take_full(&mut self.states);
            self.pass_gate().await?;
            let batch = self.patient_batch(beside.finisher()).await?;
            served.store(true, Ordering::Relaxed);
            report.snapshot = Some(batch.snapshot.to_string());
            failpoint::reached("batch: done");
            beside.go_on(self, &mut report).await?;
            check_held(lock)?;
            if self.is_following() && !arrived {
                arrived = true;
                self.set_phase(Phase::Following).await?;
                report.sequences = self.advance_sequences().await?;
                report.foreign_keys_wait = beside.put_foreign_keys_back(self).await?;
            }
            let is_settled = arrived && !beside.is_referring();
            self.align = verifier.go_on(self, &mut report, is_settled).await?;
            let is_done = is_settled && verifier.is_done() && following.until == Until::CaughtUp;
            if self.hands_over && !self.execution.is_interrupted() {
                report.handed_over = true;
                break;
            }
            if self.execution.is_interrupted() || is_done {
                break;
            }
            self.rest(&batch, beside.is_building()).await?;
        }
        beside.end().await;
        verifier.end(self).await?;
        (report.phase, report.batches) = (self.phase, self.batches);
        if arrived {
            report.sequences.extend(self.advance_sequences().await?);
        }
        report.elapsed = started.elapsed();
        Ok(report)
    }

    /// Waits while somebody has paused the run; whoever stops it meanwhile stops it after one more batch.
    pub(crate) async fn pass_gate(&mut self) -> Result<()> {
        loop {
            let beat = sleep(Duration::from_secs(1));
            tokio::select! {
                passed = self.gate.wait(Passer::Batch, &self.execution) => {
                    return if self.execution.is_interrupted() { Ok(()) } else { passed };
                }
                () = beat => {}
            }
            // Nothing is applied, so nobody else hears that the pause is over.
            self.beat_while_paused().await?;
            if self.hands_over {
                return Ok(());
            }
        }
    }

    /// Waits for something to do.
    async fn rest(&mut self, batch: &BatchReport, is_building: bool) -> Result<()> {
        let is_busy = batch.more || batch.applied.keys > 0;
        let patience = if self.align || is_building { PAUSE } else { IDLE };
        let (feed, execution) = (&mut self.feed, &self.execution);
        tokio::select! {
            () = sleep(PAUSE), if is_busy => Ok(()),
            waited = feed.wait(patience), if !is_busy => waited,
            () = execution.interrupted() => Ok(()),
        }
    }

    /// A batch that is tried again where somebody else's lock was in the way, or where rows that wait to be read again hold
    /// a value that another row has now: of each table, those are taken out once.
    async fn patient_batch(&mut self, finisher: &Finisher) -> Result<BatchReport> {
        let (mut tries, mut cleared) = (0, BTreeSet::new());
        loop {
            self.writing = None;
            let error = match Box::pin(self.batch()).await {
                Ok(report) => return Ok(report),
                Err(error) => error,
            };
            match error.sqlstate_code() {
                Some("40001" | "40P01" | "55P03") if tries < TRIES => {
                    tries += 1;
                    self.execution.note(format!("{error}: the batch is tried again"));
                    sleep(Duration::from_millis(50 << tries)).await;
                }
                Some("23505" | "23P01") => {
                    let in_the_way = self.may_be_in_the_way(&cleared);
                    if in_the_way.is_empty() {
                        return Err(error);
                    }
                    for index in in_the_way {
                        finisher.clone().clear_waiting(index).await?;
                        cleared.insert(index);
                    }
                }
                _ => return Err(error),
            }
        }
    }

    /// Where a unique value is taken already: tables whose waiting rows may have it, but for those that were `cleared`. All
    /// that such a table holds afterwards is what no change has touched, and that is of any later snapshot too.
    fn may_be_in_the_way(&self, cleared: &BTreeSet<usize>) -> Vec<usize> {
        let tables = match self.writing {
            Some(index) => vec![index],
            // At the commit, by a constraint that is deferred.
            None => self.tables_in(TableState::CatchingUp),
        };
        let waits = |index: &usize| {
            self.states[*index] == TableState::CatchingUp
                && self.migration.plan.tables[*index].portion.is_none()
                && !cleared.contains(index)
        };
        tables.into_iter().filter(waits).collect()
    }

    /// Advances the target's sequences to where the source's stand.
    pub(crate) async fn advance_sequences(&self) -> Result<Vec<AdvancedSequence>> {
        self.advance_sequences_by(0).await
    }

    /// Advances them so many steps further.
    pub(crate) async fn advance_sequences_by(&self, gap: u32) -> Result<Vec<AdvancedSequence>> {
        let migration = &self.migration;
        sequences::advance_by(
            &migration.plan,
            &migration.source_catalog,
            &migration.target_catalog,
            &migration.source,
            &self.side,
            gap,
        )
        .await
    }
}

/// The same migration, planned again with what is there now.
async fn replan(migration: &Arc<Migration>, execution: &Execution) -> Result<Arc<Migration>> {
    let planned = Box::pin(Migration::plan(migration.options.clone(), execution)).await?;
    Ok(Arc::new(planned))
}

/// Where both sides take writes, to carry changes one way would overwrite what was written on the other side.
async fn refuse_both_ways(target: &Session) -> Result<()> {
    match ledger::read(target).await?.map(|record| record.phase) {
        Some(Phase::Bidirectional) => {
            Err(Error::refused("both sides take writes, so changes are carried both ways")
                .hint("go on: confiture migrate schema-to-schema bidirectional")
                .hint("end it: confiture migrate schema-to-schema cutover, or rollback"))
        }
        _ => Ok(()),
    }
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

/// Refuses to go on without the lock that keeps others away.
pub(crate) fn check_held(lock: &AdvisoryLock) -> Result<()> {
    if lock.is_held() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Connect, "the connection that held the lock was lost")
        .hint("see the server's log, then run this again: the target remembers how far it is"))
}
