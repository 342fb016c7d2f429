//! What a process that died in the middle of a switch has left, brought to an end: forward where the switch was decided, else
//! back.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::cleanup::drop_ledger;
use crate::schema_to_schema::cutover::application::{Application, Occasion, Pooler};
use crate::schema_to_schema::cutover::arm::{self, Armed};
use crate::schema_to_schema::cutover::direction::{Ledgers, is_within};
use crate::schema_to_schema::cutover::{SwitchKind, bidirectional, fence, record};
use crate::schema_to_schema::live::capture::plan_capture;
use crate::schema_to_schema::live::feed;
use crate::schema_to_schema::live::ledger::{self, Direction, FollowRecord, Phase};
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::planner::Migration;
use crate::sql::Sql;

/// Brings a switch to its end that a process left in the middle, and says which way changes go since. `options` are those of
/// the way forward.
///
/// # Errors
///
/// [`crate::ErrorKind::Connect`] where a side cannot be reached.
pub async fn settle(options: &Options, execution: &Execution) -> Result<Direction> {
    settle_with(options, &(), execution).await
}

/// The same, and leads the application where it belongs.
///
/// # Errors
///
/// As [`settle`], and those of the application.
pub async fn settle_with(
    options: &Options,
    application: &dyn Application,
    execution: &Execution,
) -> Result<Direction> {
    let ledgers = Ledgers::read(options).await?;
    let direction = ledgers.direction();
    // Whoever is at work is in the middle of it, and alive.
    for side in [&options.target, &options.source] {
        if AdvisoryLock::holder(&Session::connect(side).await?).await?.is_some() {
            return Ok(direction);
        }
    }
    if bidirectional::is_unfinished(&ledgers) {
        let kind = match direction {
            Direction::Reverse => SwitchKind::Cutover,
            Direction::Forward => SwitchKind::Rollback,
        };
        execution.warn(
            "both sides took writes, or were about to, and that was not brought to its end: that is done now",
        );
        bidirectional::finish(options, execution).await?;
        application.switched(&Occasion::of(kind, options)).await?;
        return Ok(direction);
    }
    let home = Session::connect(&options.target).await?;
    let mut begun = record::unfinished(&home).await?;
    let (half_done, armed) = (ledgers.is_half_done(), is_armed(&ledgers, direction));
    if !half_done && !armed && begun.is_none() {
        // In one database a switch has no middle; what captured for the direction that has ended may be left.
        if is_within(options) {
            tidy(options, direction, execution).await?;
        }
        return Ok(direction);
    }
    // Which switch it was: one that has come to the direction, or one that would have left it.
    let kind = match (&begun, direction, half_done) {
        (Some(begun), ..) => begun.kind,
        (_, Direction::Reverse, true) | (_, Direction::Forward, false) => SwitchKind::Cutover,
        (_, Direction::Forward, true) | (_, Direction::Reverse, false) => SwitchKind::Rollback,
    };
    let occasion = Occasion::of(kind, options);
    let is_decided = direction == kind.leads_to();
    if half_done {
        execution.warn(format!("a {} was decided and not brought to its end: that is done now", kind.word()));
        open_up_again(options).await?;
        begun = record::unfinished(&home).await?;
    } else if armed {
        execution.note(format!("What an unfinished {} had made ready is removed.", kind.word()));
    }
    match is_decided {
        true => application.switched(&occasion).await?,
        false => application.rolled_back(&occasion).await?,
    }
    // Clients that wait behind a PgBouncer are let go by whoever knows it.
    if let Some(begun) = begun.filter(|begun| begun.pooler.is_none() || application.pooler().is_some()) {
        record::end(&home, begun.id, None, None, Some("the process ended")).await?;
    }
    tidy(options, direction, execution).await?;
    Ok(direction)
}

/// The PgBouncer of a switch that was left in the middle: its clients may still wait.
///
/// # Errors
///
/// [`crate::ErrorKind::Connect`].
pub async fn unfinished(options: &Options) -> Result<Option<Pooler>> {
    let home = Session::connect(&options.target).await?;
    Ok(record::unfinished(&home).await?.and_then(|begun| begun.pooler))
}

/// True where the other direction stands ready, and nobody is going to switch.
fn is_armed(ledgers: &Ledgers, direction: Direction) -> bool {
    let other = match direction {
        Direction::Forward => &ledgers.reverse,
        Direction::Reverse => &ledgers.forward,
    };
    other.as_ref().is_some_and(|record| record.phase == Phase::Armed)
}

/// Opens the side that a decided switch leads to, where it is not open yet.
pub(super) async fn open_up_again(options: &Options) -> Result<()> {
    let ledgers = Ledgers::read(options).await?;
    if !ledgers.is_half_done() {
        return Ok(());
    }
    let (Some(forward), Some(reverse)) = (&ledgers.forward, &ledgers.reverse) else { return Ok(()) };
    // The one into the side that the application has left is active now; the other one has come to its end.
    let (active, ended, entered) = match ledgers.direction() {
        Direction::Reverse => (reverse, forward, &options.target),
        Direction::Forward => (forward, reverse, &options.source),
    };
    let session = Session::connect(entered).await?;
    let open_up = match active.direction {
        Direction::Reverse if ledgers.is_without_way_back() => {
            Sql::join(";\n", fence::take_down(&session, &ended.id).await?)
        }
        Direction::Reverse => captured_by(active, ledgers.way_back(options)?, &session, &ended.id).await?,
        Direction::Forward => captured_by(active, options.clone(), &session, &ended.id).await?,
    };
    let work = async {
        session.batch(&open_up).await?;
        session.batch(&arm::hand_over(active.epoch)).await?;
        match ledger_is_home(&session).await? {
            true => record::decided(&session).await,
            false => Ok(()),
        }
    };
    session.transaction(work).await
}

/// What opens the side from which the migration of `options` carries changes, whose ledger is `active`.
async fn captured_by(active: &FollowRecord, options: Options, session: &Session, ended: &str) -> Result<Sql> {
    let migration = Arc::new(Box::pin(Migration::plan(options, &Execution::unattended())).await?);
    let captured = plan_capture(&migration.plan, &migration.source, &migration.source_catalog).await?;
    let id = active.id.clone();
    let armed = Armed::carrying(migration, id, active.feed, captured.tables, active.direction);
    armed.open_up(session, ended).await
}

async fn ledger_is_home(session: &Session) -> Result<bool> {
    let query = Sql::literal("SELECT EXISTS (SELECT FROM confiture.follow WHERE direction = 'forward')");
    Ok(session.query_one(&query, &[]).await?.get(0))
}

/// Removes what the direction that is not active no longer needs: what captured changes for it, and, where it only stood ready,
/// its ledger and the fence around its source.
pub(super) async fn tidy(options: &Options, active: Direction, execution: &Execution) -> Result<()> {
    let ledgers = Ledgers::read(options).await?;
    if is_within(options)
        && let Some(record) = ledgers.forward.as_ref().or(ledgers.reverse.as_ref())
    {
        return feed::tear_down_ended(&record.id, &options.target, execution).await;
    }
    let (other, of_active, captured_on, ledger_on) = match active {
        Direction::Forward => (ledgers.reverse, ledgers.forward, &options.target, &options.source),
        Direction::Reverse => (ledgers.forward, ledgers.reverse, &options.source, &options.target),
    };
    let (Some(other), Some(of_active)) = (other, of_active) else { return Ok(()) };
    feed::tear_down(other.feed, &other.id, captured_on, execution).await?;
    match (other.phase, active) {
        (Phase::Armed, Direction::Forward) => disarm(ledger_on, captured_on, &of_active).await,
        // The way forward is not forgotten, and its side stays fenced.
        (Phase::Armed, Direction::Reverse) => {
            let again = Sql::literal("UPDATE confiture.follow SET phase = 'cut_over'");
            Session::connect(ledger_on).await?.execute(&again, &[]).await.map(|_| ())
        }
        _ => Ok(()),
    }
}

/// Removes the ledger of a way back that never was, and the fence that goes with it.
async fn disarm(
    ledger_on: &crate::config::Connection,
    fenced: &crate::config::Connection,
    active: &FollowRecord,
) -> Result<()> {
    let session = Session::connect(fenced).await?;
    fence::remove(&session, &active.id).await?;
    let session = Session::connect(ledger_on).await?;
    let record = ledger::read(&session).await?;
    if record.is_some_and(|record| record.phase == Phase::Armed) {
        drop_ledger(&session).await?;
    }
    Ok(())
}

/// Says that a switch was given up, in the ledger of the new side.
pub(super) async fn give_up(options: &Options, id: i64, error: &Error) -> Result<()> {
    let session = Session::connect(&options.target).await?;
    record::end(&session, id, None, None, Some(error.message())).await
}
