//! When both sides are compared, and what becomes of what was found: once the target follows, every so often, and when
//! somebody asks. A round compares all its tables, in as many pairs of snapshots as that takes, and repairs where it was
//! told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::postgres::feed::KeySet;
use crate::schema_to_schema::difference::Differences;
use crate::schema_to_schema::failpoint;
use crate::schema_to_schema::ledger::{TableState, set_state};
use crate::schema_to_schema::live::follower::Follower;
use crate::schema_to_schema::live::ledger;
use crate::schema_to_schema::live::request::{self, Request};
use crate::schema_to_schema::live::run::{FollowReport, Following};
use crate::schema_to_schema::live::verification::{Compared, Comparison};
use crate::schema_to_schema::verify::{
    ForeignKeyVerification, TableVerification, ValidationResult, VerificationReport,
};
use crate::sql::{Sql, sql};

/// How often it is looked whether somebody asks.
const LISTEN: Duration = Duration::from_millis(500);

/// Pairs of snapshots that an application may make useless one after the other, by emptying tables, before it has to wait.
const PATIENT: u32 = 3;

/// How often it has to wait before the comparison is given up.
const GUARDED: u32 = 4;

/// How often what differs is repaired and compared again.
const REPAIRS: u32 = 2;

/// What is compared, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verifying {
    /// Again this long after the last time; `None` for once.
    pub every: Option<Duration>,
    /// All rows, also those of keys that no batch has touched since they were found equal.
    pub complete: bool,
    /// Read rows that differ again, write them, and compare again.
    pub repair: bool,
}

/// Compares both sides, round by round.
pub(crate) struct Verifier {
    following: Following,
    round: Option<Round>,
    comparing: JoinSet<Result<Compared>>,
    /// When the last round ended.
    last: Option<Instant>,
    listened: Instant,
}

/// One comparison of all tables.
struct Round {
    request: Option<Request>,
    complete: bool,
    repair: bool,
    show_values: bool,
    started: Instant,
    /// Tables that are still to be compared.
    left: Vec<usize>,
    found: BTreeMap<usize, TableVerification>,
    checks: Option<(Vec<ForeignKeyVerification>, Vec<ValidationResult>)>,
    batch: i64,
    /// Tables to which something happened while they were compared of which no keys tell: all of their rows are compared, once.
    outrun: BTreeSet<usize>,
    /// Pairs of snapshots in which tables were gone, one after the other.
    in_vain: u32,
    /// Keeps tables from being emptied, once that has happened too often.
    guard: Option<Session>,
    repairs: u32,
    repaired: BTreeMap<usize, Differences>,
}

impl Verifier {
    pub(crate) fn new(following: &Following) -> Self {
        Self {
            following: following.clone(),
            round: None,
            comparing: JoinSet::new(),
            last: None,
            listened: Instant::now(),
        }
    }

    /// True where nothing is left to be compared of what was to be compared once.
    pub(crate) fn is_done(&self) -> bool {
        self.round.is_none() && (self.last.is_some() || !self.following.verify)
    }

    /// After a batch: begins what is due, takes in what was found, and says whether the next batch leaves both sides frozen.
    pub(crate) async fn go_on(
        &mut self,
        follower: &mut Follower,
        report: &mut FollowReport,
        is_settled: bool,
    ) -> Result<bool> {
        if let Some(aligned) = follower.aligned.take()
            && let Some(round) = &mut self.round
        {
            for index in &round.left {
                follower.coverage.begin(*index, aligned.batch);
            }
            let comparison = Comparison {
                migration: Arc::clone(&follower.migration),
                captured: Arc::clone(&follower.captured),
                tables: round.left.clone(),
                complete: round.complete,
                is_way_back: follower.coverage.is_way_back,
                show_values: round.show_values,
                patience: patience(&follower.side).await?,
                execution: follower.execution.clone(),
                aligned,
            };
            let execution = follower.execution.clone();
            self.comparing
                .spawn(async move { execution.step("Comparing both sides", comparison.run()).await });
        }
        while let Some(ended) = self.comparing.try_join_next() {
            let ended =
                ended.unwrap_or_else(|panic| Err(Error::unexpected("a worker panicked").because(panic)));
            if let Err(error) = self.take_in(ended, follower, report).await {
                self.fail(error, follower).await?;
            }
        }
        let listens = self.listened.elapsed() >= LISTEN;
        if listens {
            self.listened = Instant::now();
            self.hear_who_has_gone(follower).await?;
        }
        if self.round.is_none() && is_settled {
            self.begin_what_is_due(follower, listens).await?;
        }
        if self.round.is_none() {
            follower.coverage.end();
        }
        let is_free = self.comparing.is_empty() && is_settled && follower.is_following();
        Ok(self.round.is_some() && is_free)
    }

    /// Stops what is at work; whoever asked may ask the next run.
    pub(crate) async fn end(mut self, follower: &Follower) -> Result<()> {
        self.comparing.shutdown().await;
        if let Some(Round { request: Some(request), .. }) = &self.round {
            request.give_back(&follower.side).await?;
        }
        Ok(())
    }

    /// Stops what nobody waits for any more.
    async fn hear_who_has_gone(&mut self, follower: &Follower) -> Result<()> {
        if let Some(Round { request: Some(request), .. }) = &self.round
            && !request.is_wanted(&follower.side).await?
        {
            follower.execution.note("Whoever asked for a comparison has gone.");
            self.comparing.shutdown().await;
            self.round = None;
        }
        Ok(())
    }

    async fn begin_what_is_due(&mut self, follower: &mut Follower, listens: bool) -> Result<()> {
        let wish = self.following.verification;
        let is_due = match (self.last, wish.every) {
            (None, _) => self.following.verify,
            (Some(last), Some(every)) => last.elapsed() >= every,
            (Some(_), None) => false,
        };
        let all: Vec<usize> = (0..follower.states.len()).collect();
        let round = |left: Vec<usize>| Round {
            request: None,
            complete: wish.complete,
            repair: wish.repair,
            show_values: follower.migration.options.show_values,
            started: Instant::now(),
            left,
            found: BTreeMap::new(),
            checks: None,
            batch: follower.batches,
            outrun: BTreeSet::new(),
            in_vain: 0,
            guard: None,
            repairs: 0,
            repaired: BTreeMap::new(),
        };
        if is_due {
            self.round = Some(round(all));
            return Ok(());
        }
        let request = if listens { request::take(&follower.side).await? } else { None };
        let Some(request) = request else { return Ok(()) };
        let is_wanted = |index: &usize| {
            let name = follower.migration.plan.tables[*index].target.to_string();
            request.tables.is_empty() || request.tables.contains(&name)
        };
        let left = all.into_iter().filter(is_wanted).collect();
        self.round = Some(Round {
            complete: request.complete,
            repair: request.repair,
            show_values: request.show_values,
            request: Some(request),
            ..round(left)
        });
        Ok(())
    }

    async fn take_in(
        &mut self,
        compared: Result<Compared>,
        follower: &mut Follower,
        report: &mut FollowReport,
    ) -> Result<()> {
        let compared = compared?;
        let Some(round) = &mut self.round else { return Ok(()) };
        failpoint::reached("verification: compared, not recorded");
        round.batch = compared.batch;
        round.guard = None;
        let mut again = Vec::new();
        for (index, mut found) in compared.tables {
            if found.ok {
                let rows = found.keys.is_none().then_some(found.source_rows);
                let coverage = &mut follower.coverage;
                let is_known = coverage.found_equal(&follower.side, index, compared.batch, rows).await?;
                if !is_known && round.outrun.insert(index) {
                    again.push(index);
                    continue;
                }
            } else {
                follower.coverage.forget(&follower.side, index).await?;
            }
            found.repaired = round.repaired.get(&index).cloned();
            round.found.insert(index, found);
        }
        failpoint::reached("verification: recorded");
        round.in_vain = if compared.gone.is_empty() { 0 } else { round.in_vain + 1 };
        if let (Some(error), true) = (compared.because, round.in_vain >= PATIENT + GUARDED) {
            return Err(error);
        }
        if round.in_vain >= PATIENT {
            round.guard = guard(follower).await?;
        }
        round.left = again.into_iter().chain(compared.gone).chain(compared.left).collect();
        round.checks = compared.checks;
        if !round.left.is_empty() || round.checks.is_none() {
            return Ok(());
        }
        let differing: Vec<usize> =
            round.found.iter().filter(|(_, found)| !found.ok).map(|(index, _)| *index).collect();
        if round.repair && !differing.is_empty() && round.repairs < REPAIRS {
            return self.repair(&differing, follower).await;
        }
        self.finish(follower, report).await
    }

    /// Has what differs read again by the next batch, and then compared again.
    async fn repair(&mut self, tables: &[usize], follower: &mut Follower) -> Result<()> {
        let Some(round) = &mut self.round else { return Ok(()) };
        round.repairs += 1;
        round.left = tables.to_vec();
        for index in tables {
            if let Some(differences) = round.found.get(index).and_then(|found| found.differences.clone()) {
                round.repaired.insert(*index, differences);
            }
            let name = follower.migration.plan.tables[*index].target.clone();
            follower.execution.note(format!("{}: what differs is read again", name.short()));
            let mut whole = KeySet::default();
            whole.insert_whole();
            let side = &follower.side;
            let defer = async {
                ledger::defer(side, &name, &whole).await?;
                set_state(side, &name, TableState::CatchingUp).await?;
                ledger::note(side, &format!("{} differs from its source: repaired", name.short())).await
            };
            side.transaction(defer).await?;
            follower.states[*index] = TableState::CatchingUp;
        }
        failpoint::reached("verification: repair deferred");
        Ok(())
    }

    async fn finish(&mut self, follower: &Follower, report: &mut FollowReport) -> Result<()> {
        let Some(round) = self.round.take() else { return Ok(()) };
        self.last = Some(Instant::now());
        let (foreign_keys, validations) = round.checks.unwrap_or_default();
        let tables: Vec<TableVerification> = round.found.into_values().collect();
        let ok = tables.iter().all(|table| table.ok)
            && foreign_keys.iter().all(|key| key.orphans == 0)
            && validations.iter().all(|validation| validation.ok);
        let elapsed = round.started.elapsed();
        let found = VerificationReport { ok, tables, foreign_keys, validations, elapsed };
        ledger::record_verification(&follower.side, round.batch, &found).await?;
        if let Some(request) = round.request {
            request.answer(&follower.side, &found).await?;
        } else if self.following.until == crate::schema_to_schema::live::Until::Interrupted && !found.ok {
            follower
                .execution
                .warn("both sides differ: `verify` says where, `verify --repair` reads those rows again");
        }
        (report.verified_batch, report.verification) = (Some(round.batch), Some(found));
        Ok(())
    }

    /// A comparison that cannot be made ends the run, or only the wait of whoever asked for it.
    async fn fail(&mut self, error: Error, follower: &Follower) -> Result<()> {
        let is_lost = error.kind() == crate::ErrorKind::Connect || follower.side.is_closed();
        match self.round.take() {
            Some(Round { request: Some(request), .. }) if !is_lost => {
                request.refuse(&follower.side, &error).await
            }
            _ => Err(error),
        }
    }
}

/// How long one pair of snapshots may be held.
async fn patience(session: &Session) -> Result<Duration> {
    let query =
        Sql::literal("SELECT extract(epoch FROM max_snapshot)::pg_catalog.float8 FROM confiture.control");
    let row = session.query_opt(&query, &[]).await?;
    let seconds = row.map_or(300.0, |row| row.get::<_, f64>(0));
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

/// Keeps the application from emptying its tables, until the session ends; `None` where a table cannot be had in time.
///
/// Whoever wants to empty one then waits, all who come after wait behind him, and so may the batch or the comparison that this
/// is for. So the server ends it soon, whatever we do.
async fn guard(follower: &Follower) -> Result<Option<Session>> {
    let session = Session::connect(&follower.migration.options.source).await?;
    let names = Sql::join(", ", follower.captured.tables.iter().map(|table| &table.name));
    let lock = sql!(
        "BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL idle_in_transaction_session_timeout = '1s'; \
         LOCK TABLE {} IN ACCESS SHARE MODE",
        names
    );
    match session.batch(&lock).await {
        Ok(()) => Ok(Some(session)),
        Err(error) if error.sqlstate_code() == Some("55P03") => Ok(None),
        Err(error) => Err(error),
    }
}
