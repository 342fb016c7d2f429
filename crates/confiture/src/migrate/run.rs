//! A run: the lock, the sessions, and the migrations of a plan one after the other.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::config::{Connection, Moment};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::migrate::assess::{Assessment, assess};
use crate::migrate::history::History;
use crate::migrate::hooks::{self, Occasion};
use crate::migrate::options::{Interrupted, Options};
use crate::migrate::plan::{Direction, Plan, Planned};
use crate::migrate::unit::{Unit, find_unit};
use crate::migrate::version::Version;
use crate::migrate::{apply, history};
use crate::postgres::{AdvisoryLock, Session, session_end};
use crate::sql::Sql;

/// What a run has done.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Which way.
    pub direction: Direction,
    /// The migrations that were run, in their order.
    pub migrations: Vec<Done>,
    /// Applied migrations whose changed files were recorded.
    pub repaired: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// How long it took.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::event::as_milliseconds")]
    pub elapsed: Duration,
}

/// A migration that was run.
#[derive(Debug, Clone, Serialize)]
pub struct Done {
    /// Its version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// Which way.
    pub direction: Direction,
    /// How many statements it has.
    pub statements: usize,
    /// All of it was one transaction.
    pub in_transaction: bool,
    /// An earlier run had begun it.
    pub resumed: bool,
    /// How often it was tried, because locks were not to be had in time.
    pub attempts: u32,
    /// How long it took.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::event::as_milliseconds")]
    pub elapsed: Duration,
}

impl Done {
    /// `003_add_users`, for sentences.
    #[must_use]
    pub fn called(&self) -> String {
        super::assess::called(&self.version, &self.name)
    }
}

/// The sessions of a run, and what it has done so far.
pub(super) struct Run<'a> {
    pub(super) options: &'a Options,
    pub(super) execution: &'a Execution,
    pub(super) lock: AdvisoryLock,
    pub(super) worker: Session,
    pub(super) history: History,
    pub(super) interrupted: Option<Interrupted>,
    pub(super) report: Report,
    started: Instant,
}

impl<'a> Run<'a> {
    /// Takes the lock on the first session and reads the history again: another run may have been at it. The second session works.
    pub(super) async fn begin(
        (control, worker): (Session, Session),
        options: &'a Options,
        execution: &'a Execution,
        direction: Direction,
        interrupted: Option<Interrupted>,
    ) -> Result<Self> {
        let started = Instant::now();
        let lock = tokio::select! {
            lock = AdvisoryLock::take_within(control, options.wait_for_run, |holder| {
                execution.note(format!("{holder}; waiting for up to {} s", options.wait_for_run.as_secs()));
            }) => lock?,
            () = execution.interrupted() => {
                return Err(Error::interrupted("interrupted before anything was applied; nothing was changed"));
            }
        };
        // It joins the run, and is as every migration finds it.
        worker.batch(&Sql::join("; ", session_end())).await?;
        // What was said at the login is about no migration.
        drop(worker.take_warnings());
        let history = history::read_history(lock.session(), &options.history_table).await?;
        let report = Report {
            direction,
            migrations: Vec::new(),
            repaired: Vec::new(),
            notes: Vec::new(),
            elapsed: Duration::ZERO,
        };
        Ok(Self { options, execution, lock, worker, history, interrupted, report, started })
    }

    /// How everything stands, now that nobody else is at work.
    pub(super) fn assess(&self, units: &[Unit<'_>]) -> Vec<Assessment> {
        assess(units, &self.history)
    }

    /// Makes the history table where it is missing.
    pub(super) async fn prepare(&mut self) -> Result<()> {
        history::create_table(self.lock.session(), &self.history).await?;
        self.history.exists = true;
        Ok(())
    }

    /// Does what a plan says.
    pub(super) async fn execute(&mut self, plan: &Plan, units: &[Unit<'_>]) -> Result<()> {
        self.report.notes.extend(plan.notes.iter().cloned());
        self.prepare().await?;
        self.settle(plan, units).await?;
        let (before, after) = match plan.direction {
            Direction::Up => (Moment::BeforeUp, Moment::AfterUp),
            Direction::Down => (Moment::BeforeDown, Moment::AfterDown),
        };
        if plan.migrations.is_empty() {
            return Ok(());
        }
        let outcome = async {
            self.hook(before, plan.direction, None, None).await.map_err(|error| (None, error))?;
            for planned in &plan.migrations {
                self.migrate(planned, plan.direction, units).await.map_err(|error| (Some(planned), error))?;
            }
            Ok(())
        }
        .await;
        if let Err((failed, error)) = outcome {
            if let Err(hook) = self.hook(Moment::OnFailure, plan.direction, failed, Some(&error)).await {
                self.execution.warn(hook.to_string());
            }
            return Err(self.explain(error));
        }
        self.late_hook(after, plan.direction, None).await;
        Ok(())
    }

    async fn migrate(&mut self, planned: &Planned, direction: Direction, units: &[Unit<'_>]) -> Result<()> {
        let called = planned.called();
        if self.execution.is_interrupted() {
            return Err(Error::interrupted(format!("interrupted before {called}")));
        }
        if !self.lock.is_held() {
            return Err(Error::new(
                ErrorKind::Connect,
                "the connection that holds the lock of this run was lost",
            )
            .hint("run it again"));
        }
        let unit = find_unit(units, &planned.version)
            .ok_or_else(|| Error::unexpected(format!("{called} was planned and is no migration")))?;
        self.hook(Moment::BeforeMigration, direction, Some(planned), None).await?;
        let words = if direction == Direction::Up { "Applying" } else { "Reverting" };
        let started = Instant::now();
        let execution = self.execution;
        let outcome = execution.step(&format!("{words} {called}"), apply::apply(self, unit, direction)).await;
        let warnings = self.worker.take_warnings().into_iter();
        self.report.notes.extend(warnings.map(|warning| format!("{called}: the server warns: {warning}")));
        let attempts = outcome?;
        self.report.migrations.push(Done {
            version: planned.version.clone(),
            name: planned.name.clone(),
            direction,
            statements: planned.statements.len(),
            in_transaction: planned.in_transaction,
            resumed: planned.steps_done > 0,
            attempts,
            elapsed: started.elapsed(),
        });
        self.late_hook(Moment::AfterMigration, direction, Some(planned)).await;
        Ok(())
    }

    /// Records the files of changed migrations, where that was asked for, and squashes whose parts are applied.
    async fn settle(&mut self, plan: &Plan, units: &[Unit<'_>]) -> Result<()> {
        if !plan.settles && plan.repairs.is_empty() {
            return Ok(());
        }
        let assessed = self.assess(units);
        for one in assessed.iter().filter(|one| one.settles || plan.repairs.contains(&one.called())) {
            let Some(unit) = find_unit(units, &one.version) else { continue };
            let version = self.version_in_history(&unit.version);
            let statement = history::record_text(&self.history.table, &version, &unit.checksum);
            self.lock.session().batch(&statement).await?;
            if one.settles {
                self.report
                    .notes
                    .push(format!("{} stands for the migrations that it was made of", one.called()));
            } else {
                self.report.repaired.push(one.called());
            }
        }
        Ok(())
    }

    /// The version as the history writes it, which may have other zeros in front.
    pub(super) fn version_in_history(&self, version: &Version) -> String {
        self.history.record(version).map_or(version, |record| &record.version).to_string()
    }

    async fn hook(
        &self,
        moment: Moment,
        direction: Direction,
        planned: Option<&Planned>,
        error: Option<&Error>,
    ) -> Result<()> {
        let occasion = Occasion { moment, direction, planned, error, done: &self.report.migrations };
        hooks::run(self.options, &self.worker, self.execution, &occasion).await
    }

    /// A hook after the fact: its failure undoes nothing, and is said.
    async fn late_hook(&mut self, moment: Moment, direction: Direction, planned: Option<&Planned>) {
        if let Err(error) = self.hook(moment, direction, planned, None).await {
            let said = error.server_detail().map_or_else(String::new, |detail| format!(": {detail}"));
            self.report.notes.push(format!("{error}{said}"));
        }
    }

    /// An error, with what was done before it.
    fn explain(&self, error: Error) -> Error {
        if self.options.in_scratch {
            return error;
        }
        let is_there = matches!(error.sqlstate_code(), Some("42P06" | "42P07" | "42701" | "42710" | "42723"));
        if is_there && self.history.records.is_empty() && self.report.migrations.is_empty() {
            return error.hint(
                "nothing was ever recorded here: where the database was made in another way, such as from the schema files, \
                 `confiture migrate baseline` records what it has",
            );
        }
        let is_built = self.history.records.iter().any(|record| record.source.as_deref() == Some("build"));
        let error = match is_there && is_built && self.report.direction == Direction::Up {
            true => error.hint(
                "this database was built from the schema files: where they had this already, `confiture migrate baseline VERSION` \
                 records it",
            ),
            false => error,
        };
        // A redo reverts before it applies.
        let error = self.say_done(error, Direction::Down, "reverted");
        self.say_done(error, Direction::Up, "applied")
    }

    fn say_done(&self, error: Error, direction: Direction, what: &str) -> Error {
        let done = self.report.migrations.iter().filter(|done| done.direction == direction);
        let names: Vec<_> = done.map(Done::called).collect();
        match names.as_slice() {
            [] => error,
            [one] => error.hint(format!("{one} was {what} before, and stays so")),
            [first, .., last] => error.hint(format!(
                "{} migrations were {what} before, {first} to {last}, and stay so",
                names.len()
            )),
        }
    }

    /// Ends the run, whatever came of it: the next one can begin at once.
    pub(super) async fn end(mut self, outcome: Result<()>) -> Result<Report> {
        self.report.elapsed = self.started.elapsed();
        // There is no report then.
        for note in self.report.notes.iter().filter(|_| outcome.is_err()) {
            self.execution.warn(note);
        }
        let released = tokio::time::timeout(Duration::from_secs(5), self.lock.release()).await;
        outcome?;
        if let Ok(released) = released {
            released?;
        }
        Ok(self.report)
    }
}

/// Two sessions, which are not those of a pooler that mixes them up.
pub(super) async fn connect_twice(connection: &Connection) -> Result<(Session, Session)> {
    let sessions = tokio::try_join!(Session::connect(connection), Session::connect(connection))?;
    refuse_pooling(&sessions.0, &sessions.1).await?;
    Ok(sessions)
}

/// Behind a pooler that gives each transaction any connection, the lock of a session is nobody's: two sessions that are one, or
/// one that is two, give it away. Found out without a prepared statement, which would stay in the pool.
async fn refuse_pooling(control: &Session, worker: &Session) -> Result<()> {
    let mut pooled = control.backend_pid() == worker.backend_pid();
    // A transaction gets the connection that was free last. So one of these gets the other's, where connections are shared.
    for opens in [control, worker] {
        if pooled {
            break;
        }
        opens.batch(&Sql::literal("BEGIN")).await?;
        pooled = control.is_served_by_another().await? || worker.is_served_by_another().await?;
        opens.batch(&Sql::literal("ROLLBACK")).await?;
    }
    if !pooled {
        return Ok(());
    }
    // The settings of these sessions are now those of somebody's connections.
    for session in [control, worker] {
        session.batch(&Sql::literal("RESET ALL")).await?;
    }
    Err(Error::config(format!(
        "{} is a connection pooler that shares connections between transactions (such as PgBouncer with pool_mode = transaction)",
        control.connection()
    ))
    .hint("the lock of a run and the settings of a session do not hold there: name the server itself, often port 5432")
    .hint("or a pool with pool_mode = session"))
}
