//! The end of it: one side is fenced once the other has everything that was written there.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::{sleep, timeout_at};

use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::cleanup::drop_ledger;
use crate::schema_to_schema::cutover::application::Occasion;
use crate::schema_to_schema::cutover::arm::{self, Armed};
use crate::schema_to_schema::cutover::between::{self, GivenUp, Plan};
use crate::schema_to_schema::cutover::bidirectional::pair::Pair;
use crate::schema_to_schema::cutover::bidirectional::run::{
    end_sessions, is_last, open_back, open_pair, patient, round,
};
use crate::schema_to_schema::cutover::bidirectional::{BidirectionalReport, Policy, interleave};
use crate::schema_to_schema::cutover::decision::{self, Failure};
use crate::schema_to_schema::cutover::direction::Ledgers;
use crate::schema_to_schema::cutover::switch::{Switch, take_over};
use crate::schema_to_schema::cutover::{SwitchKind, SwitchReport, fence, locks, record, settle};
use crate::schema_to_schema::failpoint;
use crate::schema_to_schema::live::feed;
use crate::schema_to_schema::live::ledger::{Direction, Phase};
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::sessions::Sessions;
use crate::sql::Sql;

/// Rounds until both sides are nearly equal.
const ROUNDS: u32 = 200;

/// True where a process died between the two commits by which the new side is opened, or one of the sides is fenced.
pub(in crate::schema_to_schema::cutover) fn is_unfinished(ledgers: &Ledgers) -> bool {
    let phase = |record: &Option<crate::schema_to_schema::live::ledger::FollowRecord>| {
        record.as_ref().map(|record| record.phase)
    };
    matches!(
        (phase(&ledgers.forward), phase(&ledgers.reverse)),
        (Some(Phase::Bidirectional), Some(Phase::Following))
            | (Some(Phase::Following), Some(Phase::Bidirectional))
    )
}

/// Brings that to its end: sequences count as before, and the direction that has ended knows it.
pub(in crate::schema_to_schema::cutover) async fn finish(
    options: &Options,
    execution: &Execution,
) -> Result<()> {
    let ledgers = Ledgers::read(options).await?;
    let (Some(forward), Some(reverse)) = (&ledgers.forward, &ledgers.reverse) else { return Ok(()) };
    let migration = Box::pin(Migration::plan(options.clone(), &Execution::unattended())).await?;
    let (old, new) = (Session::connect(&options.source).await?, Session::connect(&options.target).await?);
    for session in [&old, &new] {
        session.batch(&Sql::literal("SET lock_timeout = '5s'")).await?;
    }
    match (forward.phase, reverse.phase) {
        (Phase::Bidirectional, Phase::Following) => {
            interleave::part(&migration, true, &new, &old).await?;
            interleave::part(&migration, false, &old, &new).await?;
            let ended = async {
                new.batch(&arm::hand_over(reverse.epoch)).await?;
                new.batch(&Sql::literal("DELETE FROM confiture.bidirectional")).await?;
                record::commit_begun(&new).await
            };
            new.transaction(ended).await
        }
        (Phase::Following, Phase::Bidirectional) => {
            interleave::part(&migration, false, &old, &new).await?;
            interleave::part(&migration, true, &new, &old).await?;
            feed::tear_down(reverse.feed, &reverse.id, &options.target, execution).await?;
            drop_ledger(&old).await
        }
        _ => Ok(()),
    }
}

/// Fences the side that the application leaves, and has changes go one way only.
pub(in crate::schema_to_schema::cutover) async fn close(
    switch: &Switch<'_>,
    ledgers: &Ledgers,
) -> Result<SwitchReport> {
    let (options, execution) = (&switch.forward, switch.execution);
    let planned = Options { probe: Duration::ZERO, ..options.clone() };
    let forward = Arc::new(Box::pin(Migration::plan(planned, execution)).await?);
    let lock = take_over(&options.target, execution).await?;
    let other = AdvisoryLock::take(&options.source).await?;
    let sessions = [Arc::new(Sessions::default()), Arc::new(Sessions::default())];
    let back = open_back(options, execution).await?;
    let closed = Box::pin(async {
        let policy = Policy::read(&Session::connect(&options.target).await?).await?;
        let mut pair = open_pair([&forward, &back], &sessions, policy, execution).await?;
        Closing { switch, epoch: ledgers.epoch() + 1 }.run(&mut pair).await
    });
    let closed = closed.await;
    end_sessions([&forward, &back], &sessions, closed.is_err()).await;
    lock.release().await.ok();
    other.release().await.ok();
    let mut report = closed?;
    if report.switched
        && let Err(error) = finish(options, execution).await
    {
        report.afterwards.push(format!("not everything is brought to its end: {error}"));
    }
    Ok(report)
}

/// Since when writers waited, for how long, and how many rows crossed meanwhile.
type Closed = (SystemTime, Duration, u64);

struct Closing<'a> {
    switch: &'a Switch<'a>,
    epoch: i64,
}

impl Closing<'_> {
    /// The direction that carries what is written on the side that the application leaves.
    fn way(&self) -> Direction {
        match self.switch.kind {
            SwitchKind::Cutover => Direction::Forward,
            SwitchKind::Rollback => Direction::Reverse,
        }
    }

    async fn run(&self, pair: &mut Pair) -> Result<SwitchReport> {
        let Switch { kind, forward, switching, execution, .. } = self.switch;
        let last = self.settle_down(pair).await?;
        let occasion = Occasion::of(*kind, forward);
        let mut report = SwitchReport {
            kind: *kind,
            from: occasion.from.clone(),
            to: occasion.to.clone(),
            switched: false,
            way_back: true,
            stall: last,
            tries: 0,
            last_rows: 0,
            checklist: Vec::new(),
            verification: None,
            sequences: Vec::new(),
            afterwards: Vec::new(),
            elapsed: Duration::ZERO,
        };
        if switching.rehearse {
            return Ok(report);
        }
        let home = Session::connect(&forward.target).await?;
        let record = record::begin(&home, *kind, &[], switching.application.pooler().as_ref()).await?;
        let until = Instant::now() + switching.patience;
        let plan = Plan { forward, switching, occasion: &occasion, epoch: self.epoch, record };
        let tried = async {
            switching.application.pre_fence(&occasion, until).await?;
            loop {
                let GivenUp { error, is_unknown, .. } = match self.attempt(pair, &plan).await {
                    Ok(done) => return Ok(done),
                    Err(given_up) => given_up,
                };
                if is_unknown {
                    return Err(between::unknown(error));
                }
                if !locks::is_in_the_way(&error) || Instant::now() >= until || execution.is_interrupted() {
                    return Err(self.explain(pair, error).await);
                }
                report.tries += 1;
                execution.note(format!("{error}: trying again"));
                sleep(Duration::from_millis(200)).await;
                self.settle_down(pair).await?;
            }
        };
        match tried.await {
            Ok((fenced_at, stall, rows)) => {
                (report.switched, report.stall, report.last_rows) = (true, stall, rows);
                record::end(&home, record, Some(fenced_at), Some(stall), None).await.ok();
                if let Err(error) = switching.application.switched(&occasion).await {
                    report.afterwards.push(error.to_string());
                }
                Ok(report)
            }
            Err(error) => {
                settle::give_up(forward, record, &error).await.ok();
                Err(error)
            }
        }
    }

    /// Says who was in the way.
    async fn explain(&self, pair: &mut Pair, error: Error) -> Error {
        let left = pair.one(self.way());
        let relations = fence::oids(&left.captured.tables);
        match locks::holder(&left.migration.source, &relations, false).await {
            Some(holder) if locks::is_in_the_way(&error) => {
                locks::held_up(&holder, self.switch.switching.patience, "nothing was switched")
            }
            _ => error,
        }
    }

    /// Rounds until little is left for the last batch. Returns how long the last one took.
    async fn settle_down(&self, pair: &mut Pair) -> Result<Duration> {
        let mut report = BidirectionalReport::default();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let is_quiet = round(pair, &mut report).await?;
            if is_quiet || began.elapsed() < Duration::from_millis(200) {
                return Ok(began.elapsed());
            }
        }
        Err(Error::refused("the sides do not keep up with each other: rounds take longer than 200 ms")
            .hint("try again when less is written"))
    }

    /// Tries once. Whatever fails before the commit leaves both sides open.
    async fn attempt(&self, pair: &mut Pair, plan: &Plan<'_>) -> std::result::Result<Closed, GivenUp> {
        let began = Instant::now();
        let connected = locks::connect(&plan.occasion.leaving, plan.switching.max_stall).await;
        let leaving =
            connected.map_err(|error| GivenUp { error, stall: began.elapsed(), is_unknown: false })?;
        let held = Instant::now();
        let deadline = plan.deadline(held);
        let made = timeout_at(deadline.into(), Box::pin(self.make(pair, &leaving, plan, deadline))).await;
        let made = match made.unwrap_or_else(|_| Err(plan.spent(None))) {
            Ok(made) => decision::commit(&leaving, plan, deadline).await.map(|()| made),
            Err(error) => Err(Failure::NotMade(error)),
        };
        match made {
            Ok((fenced_at, rows)) => Ok((fenced_at, held.elapsed(), rows)),
            Err(failure) => {
                let let_go = async {
                    locks::let_go(&leaving).await;
                    for way in [Direction::Forward, Direction::Reverse] {
                        let applier = &mut pair.one(way).applier;
                        locks::let_go(&applier.target).await;
                        applier.roll_back().await;
                    }
                };
                Err(between::give_up(failure, let_go, plan, held).await)
            }
        }
    }

    /// Everything up to the commit that decides.
    async fn make(
        &self,
        pair: &mut Pair,
        leaving: &Session,
        plan: &Plan<'_>,
        deadline: Instant,
    ) -> Result<(SystemTime, u64)> {
        let (way, switching) = (self.way(), plan.switching);
        switching.application.hold(plan.occasion, deadline).await?;
        let left = fence::writable(&pair.one(way).captured.tables);
        locks::begin(leaving, &left, switching.lock_patience, Instant::now() + switching.max_stall).await?;
        let fenced_at = SystemTime::now();
        failpoint::reached("close: writers locked out");
        let mut rows = 0;
        loop {
            // What the other side wins need not be carried: it is overwritten from there.
            let Some(batch) = patient(pair, way).await? else {
                return Err(Error::new(
                    ErrorKind::Server,
                    "a table was emptied on one side, and the other side's changes have to be carried first",
                )
                .sqlstate("55P03"));
            };
            rows += batch.applied.rows_written + batch.applied.rows_deleted;
            if is_last(&batch) {
                break;
            }
        }
        failpoint::reached("close: last batch");
        switching.application.fenced(plan.occasion, deadline).await?;
        // The direction that goes on is the one into the side that is left.
        let stays = pair.one(way.opposite());
        let (migration, captured) = (Arc::clone(&stays.migration), stays.captured.tables.clone());
        let armed = Armed::carrying(migration, stays.id.clone(), stays.kind, captured, way.opposite());
        let mut closed = armed.close_off(&left, self.epoch);
        if self.switch.kind == SwitchKind::Rollback {
            closed.push(&Sql::literal("; DELETE FROM confiture.bidirectional; "));
            closed.push(&record::committed(plan.record));
        }
        leaving.batch(&closed).await?;
        Ok((fenced_at, rows))
    }
}
