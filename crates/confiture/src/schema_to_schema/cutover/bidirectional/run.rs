//! Changes carried both ways, for as long as both sides take writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::cutover::bidirectional::pair::{Carried, Pair};
use crate::schema_to_schema::cutover::bidirectional::{Bidirectional, BidirectionalReport, Policy, open};
use crate::schema_to_schema::cutover::direction::{Ledgers, is_within};
use crate::schema_to_schema::cutover::settle;
use crate::schema_to_schema::cutover::switch::take_over;
use crate::schema_to_schema::live::batch::BatchReport;
use crate::schema_to_schema::live::ledger::{self, Direction, Phase};
use crate::schema_to_schema::live::run::{Following, Until, check_held};
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::sessions::Sessions;

/// The shortest time between two rounds, and the longest while nothing changes.
const PAUSE: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_millis(500);

/// How often a batch that met somebody else's lock is tried again.
const TRIES: u32 = 20;

/// Opens the new side to writes, where that is not done, and carries changes both ways. `options` are those of the migration.
/// Run again after whatever stopped it, it goes on.
///
/// # Errors
///
/// [`ErrorKind::Unsafe`] where the way is not clear; [`ErrorKind::Found`] where both sides have changed a row and the policy is
/// that somebody decides; [`ErrorKind::Connect`] where a server stays away for longer than the patience. None loses a change:
/// they go on being captured.
pub async fn both_ways(
    options: Options,
    how: &Bidirectional,
    execution: &Execution,
) -> Result<BidirectionalReport> {
    let started = Instant::now();
    let mut report =
        BidirectionalReport { policy: how.policy.word().into(), ..BidirectionalReport::default() };
    let (mut since, mut tries): (Option<Instant>, u32) = (None, 0);
    loop {
        let served = report.batches;
        let Err(error) = Box::pin(once(&options, how, &mut report, execution)).await else {
            report.elapsed = started.elapsed();
            return Ok(report);
        };
        if report.batches != served {
            (since, tries) = (None, 0);
        }
        // The lock may be held by what the server has left of the connection that was lost.
        let again =
            error.kind() == ErrorKind::Connect || (error.kind() == ErrorKind::Locked && since.is_some());
        let began = *since.get_or_insert_with(Instant::now);
        if !again || began.elapsed() >= how.patience || execution.is_interrupted() {
            return Err(error);
        }
        tries += 1;
        execution.warn(format!("{error}; going on as soon as it can be"));
        tokio::select! {
            () = sleep(Duration::from_millis(50 << tries.min(5))) => {}
            () = execution.interrupted() => return Err(interrupted()),
        }
    }
}

async fn once(
    options: &Options,
    how: &Bidirectional,
    report: &mut BidirectionalReport,
    execution: &Execution,
) -> Result<()> {
    if is_within(options) {
        return Err(Error::refused("both schemas are in one database, where changes need not be carried")
            .hint("--sync immediate keeps both equal, by triggers in the application's own transactions"));
    }
    settle::settle(options, execution).await?;
    let ledgers = Ledgers::read(options).await?;
    check(&ledgers, options)?;
    let planned = Options { probe: Duration::ZERO, ..options.clone() };
    let forward = Arc::new(Box::pin(Migration::plan(planned, execution)).await?);
    let lock = take_over(&forward.options.target, execution).await?;
    let other = AdvisoryLock::take(&forward.options.source).await?;
    let done = Box::pin(async {
        if ledgers.is_bidirectional() {
            how.policy.remember(&Session::connect(&options.target).await?).await?;
        } else {
            report.interleaved = open::open(&forward, how, ledgers.epoch(), &lock, execution).await?;
            report.opened = true;
            execution
                .note(format!("Both sides take writes now. Where both change a row: {}.", says(&how.policy)));
        }
        carry(&forward, options, how, [&lock, &other], report, execution).await
    });
    let done = done.await;
    other.release().await.ok();
    lock.release().await.ok();
    done
}

/// What a policy means.
fn says(policy: &Policy) -> String {
    match policy {
        Policy::Source => "the old side wins".into(),
        Policy::Target => "the new side wins".into(),
        Policy::Latest(by) => format!("the row with the greater {by} wins"),
        Policy::Fail => "it stops, for somebody to decide".into(),
    }
}

/// Batches both ways, until it is told to stop.
async fn carry(
    forward: &Arc<Migration>,
    options: &Options,
    how: &Bidirectional,
    locks: [&AdvisoryLock; 2],
    report: &mut BidirectionalReport,
    execution: &Execution,
) -> Result<()> {
    let sessions = [Arc::new(Sessions::default()), Arc::new(Sessions::default())];
    let back = open_back(options, execution).await?;
    let carried = async {
        let mut pair = open_pair([forward, &back], &sessions, how.policy.clone(), execution).await?;
        let carried = Box::pin(rounds(&mut pair, how, locks, report)).await;
        report.conflicts += pair.conflicts;
        let why = carried.as_ref().err().map(|error| error.message().to_owned());
        ledger::set_stopped(&pair.forward.side, why.as_deref()).await.ok();
        carried
    };
    let carried = Box::pin(carried).await;
    end_sessions([forward, &back], &sessions, carried.is_err()).await;
    carried
}

/// The way back, as the old side's ledger has it.
pub(super) async fn open_back(options: &Options, execution: &Execution) -> Result<Arc<Migration>> {
    let ledgers = Ledgers::read(options).await?;
    Ok(Arc::new(Box::pin(Migration::plan(ledgers.way_back(options)?, execution)).await?))
}

/// Both directions, at work.
pub(super) async fn open_pair(
    [forward, back]: [&Arc<Migration>; 2],
    [over, home]: &[Arc<Sessions>; 2],
    policy: Policy,
    execution: &Execution,
) -> Result<Pair> {
    let following = Following::default();
    let (mut forward, _) = Box::pin(forward.open_follower(&following, over, execution)).await?;
    let (back, _) = Box::pin(back.open_follower(&following, home, execution)).await?;
    // What captures changes there may have been mended just now.
    forward.refresh_shapes().await?;
    Pair::new(forward, back, policy).await
}

/// Ends what [`open_pair`] has opened.
pub(super) async fn end_sessions(
    [forward, back]: [&Arc<Migration>; 2],
    [over, home]: &[Arc<Sessions>; 2],
    failed: bool,
) {
    over.end(&forward.source, &forward.target, failed).await;
    home.end(&back.source, &back.target, failed).await;
}

async fn rounds(
    pair: &mut Pair,
    how: &Bidirectional,
    locks: [&AdvisoryLock; 2],
    report: &mut BidirectionalReport,
) -> Result<()> {
    loop {
        pair.forward.pass_gate().await?;
        let is_quiet = round(pair, report).await?;
        locks.iter().try_for_each(|lock| check_held(lock))?;
        let execution = pair.execution().clone();
        if pair.hands_over() && !execution.is_interrupted() {
            report.handed_over = true;
            return Ok(());
        }
        if execution.is_interrupted() || (is_quiet && how.until == Until::CaughtUp) {
            return Ok(());
        }
        let (over, home) = (&mut pair.forward.feed, &mut pair.back.feed);
        tokio::select! {
            () = sleep(PAUSE), if !is_quiet => {}
            waited = over.wait(IDLE), if is_quiet => waited?,
            waited = home.wait(IDLE), if is_quiet => waited?,
            () = execution.interrupted() => {}
        }
    }
}

/// One batch each way. True where there was nothing to carry.
pub(super) async fn round(pair: &mut Pair, report: &mut BidirectionalReport) -> Result<bool> {
    let mut is_quiet = true;
    for (at, way) in [Direction::Forward, Direction::Reverse].into_iter().enumerate() {
        let Some(batch) = patient(pair, way).await? else {
            is_quiet = false;
            continue;
        };
        is_quiet &= is_last(&batch);
        report.batches[at] += u64::from(batch.applied.keys > 0);
        report.rows[at] += batch.applied.rows_written + batch.applied.rows_deleted;
    }
    Ok(is_quiet)
}

/// True where nothing was left behind this batch.
pub(super) fn is_last(batch: &BatchReport) -> bool {
    batch.applied.keys == 0 && batch.row_changes == 0 && !batch.more && batch.carried == 0
}

/// A batch that is tried again where somebody else's lock was in the way; `None` where the other direction has to go first.
pub(super) async fn patient(pair: &mut Pair, way: Direction) -> Result<Option<BatchReport>> {
    let mut tries = 0;
    loop {
        let error = match Box::pin(pair.carry(way)).await {
            Ok(Carried::Done(batch)) => return Ok(Some(batch)),
            Ok(Carried::Later) => return Ok(None),
            Err(error) => error,
        };
        tries += 1;
        match error.sqlstate_code() {
            Some("40001" | "40P01" | "55P03") if tries <= TRIES => {
                sleep(Duration::from_millis(20 << tries.min(6))).await;
            }
            _ => return Err(explain(error)),
        }
    }
}

/// Two rows that exclude each other without having one key.
fn explain(error: Error) -> Error {
    match error.sqlstate_code() {
        Some("23505" | "23P01") => error
            .hint("each side has taken a row that the other one's unique constraint excludes: change one of the two, and run the command again"),
        _ => error,
    }
}

fn check(ledgers: &Ledgers, options: &Options) -> Result<()> {
    if ledgers.is_bidirectional() {
        return Ok(());
    }
    let Some(forward) = &ledgers.forward else {
        return Err(Error::refused(format!("{} follows no source yet", options.target))
            .hint("begin: confiture migrate schema-to-schema sync --from … --to …"));
    };
    match forward.phase {
        Phase::CutOver => {
            Err(Error::refused(format!("the application writes to {} alone already", options.target))
                .hint("to go back: confiture migrate schema-to-schema rollback"))
        }
        _ => Ok(()),
    }
}

fn interrupted() -> Error {
    Error::interrupted("stopped; both sides go on taking writes, and changes go on being captured")
        .hint("run the same command again: it goes on from here")
}
