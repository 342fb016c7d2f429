//! A whole switch: from a run that follows to one that follows the other way round.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::checklist::{self, Check, Outcome, Standard};
use crate::schema_to_schema::cutover::application::Occasion;
use crate::schema_to_schema::cutover::arm::{self, Armed};
use crate::schema_to_schema::cutover::between::{self, Done, GivenUp, Order, Plan};
use crate::schema_to_schema::cutover::direction::{Ledgers, active};
use crate::schema_to_schema::cutover::settle::{self, tidy};
use crate::schema_to_schema::cutover::within::{self, Exchange, Turn};
use crate::schema_to_schema::cutover::{
    SwitchKind, SwitchReport, Switching, bidirectional, fence, locks, record,
};
use crate::schema_to_schema::live::capture::plan_capture;
use crate::schema_to_schema::live::feed;
use crate::schema_to_schema::live::follower::Follower;
use crate::schema_to_schema::live::ledger::{Direction, Phase};
use crate::schema_to_schema::live::run::{Capture, FollowReport, Following, Until};
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::plan::Topology;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::portion;
use crate::schema_to_schema::reverse::{Finding, ReverseMapping, Severity};
use crate::schema_to_schema::sessions::Sessions;
use crate::schema_to_schema::{failpoint, immediate};
use crate::sql::Sql;

/// How long a run that is at work may take to hand over.
const HANDING_OVER: Duration = Duration::from_secs(20);

/// What may be said where there can be no way back.
const WITHOUT: &str = "or go without a way back, and say so: --no-way-back";

/// A batch that takes no longer than this leaves little for the last one; where the servers are far apart, a tenth of the longest
/// stall.
const SHORT: Duration = Duration::from_millis(100);

/// Leads the application to the new side. `options` are those of the migration.
///
/// # Errors
///
/// [`ErrorKind::Unsafe`] where the way is not clear, [`ErrorKind::Server`] where it was given up because somebody held a lock
/// or time was spent: then nothing has happened, and writers go on where they were.
pub async fn cut_over(
    options: Options,
    switching: &Switching,
    execution: &Execution,
) -> Result<SwitchReport> {
    Box::pin(Switch::new(SwitchKind::Cutover, options, switching, execution).run()).await
}

/// Leads the application back to the old side, with everything that it has written since.
///
/// # Errors
///
/// As [`cut_over`].
pub async fn roll_back(
    options: Options,
    switching: &Switching,
    execution: &Execution,
) -> Result<SwitchReport> {
    Box::pin(Switch::new(SwitchKind::Rollback, options, switching, execution).run()).await
}

pub(super) struct Switch<'a> {
    pub(super) kind: SwitchKind,
    /// Of the way forward.
    pub(super) forward: Options,
    pub(super) switching: &'a Switching,
    pub(super) execution: &'a Execution,
    started: Instant,
}

impl<'a> Switch<'a> {
    fn new(kind: SwitchKind, forward: Options, switching: &'a Switching, execution: &'a Execution) -> Self {
        Self { kind, forward, switching, execution, started: Instant::now() }
    }

    /// The direction that this switch ends.
    fn before(&self) -> Direction {
        match self.kind {
            SwitchKind::Cutover => Direction::Forward,
            SwitchKind::Rollback => Direction::Reverse,
        }
    }

    async fn run(self) -> Result<SwitchReport> {
        settle::settle_with(&self.forward, self.switching.application.as_ref(), self.execution).await?;
        let ledgers = Ledgers::read(&self.forward).await?;
        if ledgers.is_bidirectional() {
            return Box::pin(self.close(&ledgers)).await;
        }
        self.check_direction(&ledgers)?;
        let planned = Box::pin(self.plan(&ledgers)).await?;
        let active = Arc::clone(&planned.active);
        let lock = take_over(&active.options.target, self.execution).await?;
        // One database has one lock.
        let other = match active.plan.topology {
            Topology::OneDatabase => None,
            Topology::TwoDatabases => Some(AdvisoryLock::take(&active.options.source).await?),
        };
        let sessions = Arc::new(Sessions::default());
        let done = Box::pin(self.switch(&planned, &lock, &sessions, ledgers.epoch() + 1)).await;
        sessions.end(&active.source, &active.target, done.is_err()).await;
        let after = match &done {
            Ok(report) if report.switched => self.before().opposite(),
            _ => self.before(),
        };
        let tidied = match &done {
            Err(error) if error.kind() == ErrorKind::Connect => Ok(()),
            _ => in_time(tidy(&self.forward, after, self.execution)).await,
        };
        in_time(lock.release()).await.ok();
        if let Some(other) = other {
            in_time(other.release()).await.ok();
        }
        let mut report = done?;
        if let Err(error) = tidied {
            report.afterwards.push(format!("not everything is tidied up: {error}"));
        }
        if report.switched
            && !self.switching.no_way_back
            && let Err(error) = self.first_run_back().await
        {
            report.afterwards.push(format!("changes are not carried back yet: {error}"));
        }
        report.elapsed = self.started.elapsed();
        Ok(report)
    }

    /// The migration that carries changes now, the one that will, and the mapping of the way back where that is the latter.
    async fn plan(&self, ledgers: &Ledgers) -> Result<Planned> {
        let execution = self.execution;
        if self.kind == SwitchKind::Rollback {
            let active = Box::pin(Migration::plan(ledgers.way_back(&self.forward)?, execution)).await?;
            // In one database the tables have other names now.
            if let Some(exchange) = ledgers.reverse.as_ref().and_then(|record| record.exchange.clone()) {
                return Ok(Planned {
                    active: Arc::new(active),
                    passive: None,
                    way_back: None,
                    exchange: Some(exchange),
                });
            }
            let forward = Options { probe: Duration::ZERO, ..self.forward.clone() };
            let passive = Box::pin(Migration::plan(forward, execution))
                .await
                .map_err(|error| error.context("planning the way forward again"))?;
            return Ok(Planned {
                active: Arc::new(active),
                passive: Some(Arc::new(passive)),
                way_back: None,
                exchange: None,
            });
        }
        let options = Options { probe: Duration::ZERO, ..self.forward.clone() };
        let active = Arc::new(Box::pin(Migration::plan(options, execution)).await?);
        if self.switching.no_way_back {
            return Ok(Planned { active, passive: None, way_back: None, exchange: None });
        }
        let way_back = match &self.switching.way_back {
            Some(way_back) => way_back.clone(),
            None => Box::pin(active.reversed_and_tried()).await?,
        };
        check_way_back(&way_back, self.switching.accept_losses)?;
        let passive = Box::pin(active.plan_reverse(&way_back, execution))
            .await
            .map_err(|error| error.context("planning the way back"))?;
        refuse_obstacles(&passive).await?;
        Ok(Planned { active, passive: Some(Arc::new(passive)), way_back: Some(way_back), exchange: None })
    }

    fn check_direction(&self, ledgers: &Ledgers) -> Result<()> {
        let (direction, from) = (ledgers.direction(), &self.forward.target);
        if ledgers.forward.is_none() && ledgers.reverse.is_none() {
            return Err(Error::refused(format!("{from} follows no source yet"))
                .hint("begin: confiture migrate schema-to-schema sync --from … --to …"));
        }
        if ledgers.forward.as_ref().is_some_and(|record| record.phase == Phase::Immediate) {
            return Err(immediate::is_open());
        }
        match (direction == self.before(), self.kind) {
            (true, _) => Ok(()),
            (false, SwitchKind::Cutover) => {
                Err(Error::refused(format!("the application writes to {from} already"))
                    .hint("to go back: confiture migrate schema-to-schema rollback"))
            }
            (false, SwitchKind::Rollback) => Err(Error::refused("there was no cutover to go back from")),
        }
    }

    /// The end of a time in which both sides took writes.
    async fn close(self, ledgers: &Ledgers) -> Result<SwitchReport> {
        let mut report = bidirectional::close(&self, ledgers).await?;
        if report.switched {
            let after = async {
                tidy(&self.forward, self.before().opposite(), self.execution).await?;
                self.first_run_back().await
            };
            if let Err(error) = after.await {
                report.afterwards.push(format!("changes are not carried yet: {error}"));
            }
        }
        report.elapsed = self.started.elapsed();
        Ok(report)
    }

    async fn switch(
        &self,
        planned: &Planned,
        lock: &AdvisoryLock,
        sessions: &Arc<Sessions>,
        epoch: i64,
    ) -> Result<SwitchReport> {
        let active = &planned.active;
        let (mut follower, caught_up) = active.follow_for_a_switch(sessions, lock, self.execution).await?;
        check_equal(self.execution, follower.phase, &caught_up)?;
        let arming = self.make_ready(planned, &follower, epoch);
        let ready = self.execution.step("Making the way back ready", arming).await?;
        failpoint::reached("switch: armed");
        arm::fence_target(active, &follower.id).await?;
        follower.refresh_shapes().await?;
        failpoint::reached("switch: fenced");
        let checks = Box::pin(self.check(active, planned.way_back.as_ref())).await?;
        let last = self.settle_down(&mut follower).await?;
        let occasion = Occasion::of(self.kind, &self.forward);
        let mut report = SwitchReport {
            kind: self.kind,
            from: occasion.from.clone(),
            to: occasion.to.clone(),
            switched: false,
            way_back: !self.switching.no_way_back,
            stall: last,
            tries: 0,
            last_rows: 0,
            checklist: checks,
            verification: caught_up.verification,
            sequences: Vec::new(),
            afterwards: Vec::new(),
            elapsed: Duration::ZERO,
        };
        if self.switching.rehearse {
            return Ok(report);
        }
        let home = Session::connect(&self.forward.target).await?;
        let pooler = self.switching.application.pooler();
        let record = record::begin(&home, self.kind, &report.checklist, pooler.as_ref()).await?;
        let plan =
            Plan { forward: &self.forward, switching: self.switching, occasion: &occasion, epoch, record };
        match self.attempts(&mut follower, &plan, &ready, &mut report).await {
            Ok(done) => {
                report.switched = true;
                (report.stall, report.last_rows) = (done.stall, done.rows);
                report.sequences = done.sequences;
                report.afterwards = done.afterwards;
                let found = (!report.afterwards.is_empty()).then(|| report.afterwards.join("; "));
                let (fenced_at, stall) = (Some(done.fenced_at), Some(done.stall));
                in_time(record::end(&home, record, fenced_at, stall, found.as_deref())).await.ok();
                Ok(report)
            }
            Err(error) => {
                // Where a server did not answer, the next command finds out what became of it, and tells the application.
                if error.kind() != ErrorKind::Connect {
                    in_time(settle::give_up(&self.forward, record, &error)).await.ok();
                }
                Err(error)
            }
        }
    }

    /// Makes the other direction ready.
    async fn make_ready(&self, planned: &Planned, follower: &Follower, epoch: i64) -> Result<Ready> {
        let Planned { active, passive, way_back, exchange } = planned;
        if let Some(exchange) = exchange {
            let id = feed::new_id(&follower.side).await?;
            return Ok(Ready::Within(Turn::back(id, exchange)?));
        }
        let Some(passive) = passive else { return self.make_ready_without(active, follower, epoch).await };
        if active.plan.topology == Topology::TwoDatabases {
            let (passive, patience) = (Arc::clone(passive), self.switching.patience);
            let armed = Armed::between(passive, way_back.as_ref(), epoch - 1, patience, self.execution);
            return armed.await.map(Ready::Between);
        }
        let exchange = Exchange::of_cutover(active, &follower.captured.tables)?;
        let captured = plan_capture(&passive.plan, &passive.source, &passive.source_catalog).await?;
        let way_back = way_back.clone().map(|way_back| way_back.renamed(|name| exchange.rename(name)));
        portion::create(&follower.side).await?;
        Ok(Ready::Within(Turn {
            id: feed::new_id(&follower.side).await?,
            direction: Direction::Reverse,
            captured: captured.tables,
            targets: passive.plan.tables.iter().map(|table| exchange.rename(&table.target)).collect(),
            way_back: way_back.map(|way_back| way_back.store()).transpose()?,
            exchange,
        }))
    }

    /// Makes ready what a cutover needs that nothing leads back from.
    async fn make_ready_without(
        &self,
        active: &Arc<Migration>,
        follower: &Follower,
        epoch: i64,
    ) -> Result<Ready> {
        if active.plan.topology == Topology::TwoDatabases {
            return Armed::without_way_back(active, epoch - 1).await.map(Ready::Between);
        }
        let exchange = Exchange::of_cutover(active, &follower.captured.tables)?;
        Ok(Ready::Within(Turn {
            id: feed::new_id(&follower.side).await?,
            direction: Direction::Reverse,
            captured: Vec::new(),
            targets: arm::driving_tables(active).iter().map(|table| exchange.rename(table)).collect(),
            way_back: None,
            exchange,
        }))
    }

    /// Looks at the list of what has to be so, and refuses where something is not.
    async fn check(&self, active: &Migration, way_back: Option<&ReverseMapping>) -> Result<Vec<Check>> {
        let standard = Standard {
            confirmed: self.switching.confirmed.clone(),
            max_stall: self.switching.max_stall,
            sequence_gap: self.switching.sequence_gap,
            way_back: way_back.cloned(),
            way_back_ready: Some(Ok("its ledger and its capture stand ready".into())),
            no_way_back: self.switching.no_way_back,
            ..Standard::default()
        };
        let mut checks = checklist::read(active, &standard).await?;
        if self.kind == SwitchKind::Rollback {
            // From there the way leads forward again, by the mapping that the user wrote.
            checks.retain(|check| !["way-back", "losses"].contains(&check.id));
        }
        let is_accepted = |check: &&Check| self.switching.accept_losses && check.id == "losses";
        let failed: Vec<&Check> =
            checks.iter().filter(|check| check.outcome == Outcome::Fail && !is_accepted(check)).collect();
        if failed.is_empty() {
            return Ok(checks);
        }
        let what = format!(
            "{} of {} points of the list are not so, and nothing was switched",
            failed.len(),
            checks.len()
        );
        let mut error = Error::new(ErrorKind::Found, what);
        for check in failed {
            let hint = check.hint.as_deref().map_or(String::new(), |hint| format!(" ({hint})"));
            error = error.hint(format!("{}: {}{hint}", check.id, check.evidence));
        }
        Err(error)
    }

    /// Tries until it is done, or until patience ends. Between tries writers go on, and so do batches.
    async fn attempts(
        &self,
        follower: &mut Follower,
        plan: &Plan<'_>,
        ready: &Ready,
        report: &mut SwitchReport,
    ) -> Result<Done> {
        let until = Instant::now() + self.switching.patience;
        let application = &self.switching.application;
        application.pre_fence(plan.occasion, until).await?;
        failpoint::reached("switch: application asked");
        let mut order = Order(fence::writable(&follower.captured.tables));
        if let Ready::Within(turn) = ready {
            let more = turn.exchange.tables();
            order.0.extend(more.into_iter().filter(|name| {
                !follower.captured.tables.iter().any(|table| {
                    table.name == *name || table.partitions.iter().any(|(partition, _)| partition == name)
                })
            }));
        }
        let mut pause = Duration::from_millis(100);
        loop {
            let tried = match ready {
                Ready::Between(armed) => between::attempt(follower, plan, armed, &order).await,
                Ready::Within(turn) => within::attempt(follower, plan, turn, &order).await,
            };
            let GivenUp { error, stall, is_unknown } = match tried {
                Ok(done) => return Ok(done),
                Err(given_up) => given_up,
            };
            if is_unknown {
                return Err(between::unknown(error));
            }
            let in_the_way = locks::is_in_the_way(&error);
            if !in_the_way || Instant::now() + pause >= until || self.execution.is_interrupted() {
                return Err(self.explain(follower, error).await);
            }
            report.tries += 1;
            order.next();
            let relations = fence::oids(&follower.captured.tables);
            let holder = locks::holder(&follower.migration.source, &relations, false).await;
            let who = holder.unwrap_or_else(|| error.message().to_owned());
            self.execution.note(format!("{who}: tried for {} ms, trying again", stall.as_millis()));
            tokio::select! {
                () = sleep(pause) => {}
                () = self.execution.interrupted() => return Err(Error::interrupted("stopped; nothing was switched")),
            }
            pause = (pause * 2).min(Duration::from_secs(2));
            self.settle_down(follower).await?;
        }
    }

    /// Says who was in the way.
    async fn explain(&self, follower: &Follower, error: Error) -> Error {
        if !locks::is_in_the_way(&error) {
            return error;
        }
        let relations = fence::oids(&follower.captured.tables);
        match locks::holder(&follower.migration.source, &relations, false).await {
            Some(holder) => locks::held_up(&holder, self.switching.patience, "nothing was switched"),
            None => error,
        }
    }

    /// Batches until one takes little time: so much is left for the last one. Returns how long it took.
    async fn settle_down(&self, follower: &mut Follower) -> Result<Duration> {
        follower.settle_down(SHORT.max(self.switching.max_stall / 10)).await
    }

    /// The first batches the other way round: they take in how everything looks, and prove that it works.
    async fn first_run_back(&self) -> Result<()> {
        let following = Following { until: Until::CaughtUp, ..Following::default() };
        let (options, _) = active(self.forward.clone()).await?;
        let migration = Arc::new(Box::pin(Migration::plan(options, self.execution)).await?);
        match Box::pin(migration.follow(&following, self.execution)).await {
            // A run that had handed over is at work again.
            Err(error) if error.kind() == ErrorKind::Locked => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }
}

/// Takes the lock of the side into which changes are carried, from a run that is at work where there is one.
pub(crate) async fn take_over(target: &Connection, execution: &Execution) -> Result<AdvisoryLock> {
    match AdvisoryLock::take(target).await {
        Err(error) if error.kind() == ErrorKind::Locked => {}
        taken => return taken,
    }
    let asking = Session::connect(target).await?;
    let ask = Sql::literal("UPDATE confiture.control SET hand_over_to = pg_catalog.pg_backend_pid()");
    asking.execute(&ask, &[]).await?;
    execution.note("A run is at work: it is asked to hand over.");
    let waiting = Session::connect(target).await?;
    let taken = AdvisoryLock::take_within(waiting, HANDING_OVER, |_| ()).await;
    asking.execute(&Sql::literal("UPDATE confiture.control SET hand_over_to = NULL"), &[]).await?;
    taken
}

/// Refuses a way back that loses something, unless that was accepted.
pub(super) fn check_way_back(way_back: &ReverseMapping, accept_losses: bool) -> Result<()> {
    let is_bad = |finding: &&Finding| {
        finding.severity == Severity::Blocks || (finding.severity == Severity::Loses && !accept_losses)
    };
    let bad: Vec<&Finding> = way_back.findings.iter().filter(is_bad).collect();
    let Some(first) = bad.first() else { return Ok(()) };
    let mut error = Error::refused(format!("a rollback would not bring everything back: {}", first.message));
    for hint in bad.iter().filter_map(|finding| finding.hint.as_deref()).take(5) {
        error = error.hint(hint);
    }
    error = error.hint(match first.severity {
        Severity::Loses => "or accept that, and say so: --accept-losses",
        _ => WITHOUT,
    });
    Err(match &first.place {
        Some(place) => error.at(place.clone()),
        None => error,
    })
}

/// Refuses where changes of the new side could not be captured.
pub(super) async fn refuse_obstacles(way_back: &Migration) -> Result<()> {
    let obstacles = way_back.obstacles_of_following(Capture::Auto).await?;
    match obstacles.into_iter().find(|obstacle| obstacle.fatal) {
        Some(obstacle) => {
            let refused = Error::refused(format!("the way back: {}", obstacle.message));
            Err(refused.hint(obstacle.hint).hint(WITHOUT))
        }
        None => Ok(()),
    }
}

/// Refuses where both sides are not known to be equal.
pub(super) fn check_equal(execution: &Execution, phase: Phase, report: &FollowReport) -> Result<()> {
    if execution.is_interrupted() {
        return Err(Error::interrupted("stopped; nothing was switched"));
    }
    if phase != Phase::Following {
        return Err(Error::refused("the target has not caught up"));
    }
    match &report.verification {
        Some(found) if found.ok => Ok(()),
        Some(_) => Err(Error::new(ErrorKind::Found, "both sides differ, so nothing was switched")
            .hint("see what differs: confiture migrate schema-to-schema verify --show-values")
            .hint("read those rows again: confiture migrate schema-to-schema verify --repair")),
        None => Err(Error::refused("both sides were not compared")),
    }
}

/// What comes after a switch, whatever became of it: done soon, or left to the next command.
async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    const LONG: Duration = Duration::from_secs(30);
    let late = |_| Error::new(ErrorKind::Connect, "a server does not answer");
    timeout(LONG, work).await.map_err(late)?
}

/// What a switch is planned with.
struct Planned {
    /// What carries changes now.
    active: Arc<Migration>,
    /// What will; `None` where that cannot be planned yet, because its tables have other names.
    passive: Option<Arc<Migration>>,
    /// The mapping of the way back, where that is the latter.
    way_back: Option<ReverseMapping>,
    /// In one database, what takes the tables back.
    exchange: Option<String>,
}

/// The other direction, ready.
enum Ready {
    Between(Armed),
    Within(Turn),
}
