//! A folder of migrations and a database, together.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use serde::Serialize;

use crate::config::Connection;
use crate::error::Result;
use crate::event::Execution;
use crate::lint::Ground;
use crate::migrate::assess::{Assessment, Standing, assess};
use crate::migrate::code::Migration;
use crate::migrate::folder::Folder;
use crate::migrate::history::{History, read_history};
use crate::migrate::ledger::{Unadopted, find_unadopted, refuse_undo_of_flyway};
use crate::migrate::options::{DownOptions, Extent, Options, UpOptions};
use crate::migrate::plan::{Direction, Plan, plan_down, plan_up};
use crate::migrate::run::{Report, Run, connect_twice};
use crate::migrate::unit::Unit;
use crate::postgres::{Session, read_lint_ground};

/// Migrations, and the database that they are for. Nothing is connected to before a method is called.
pub struct Migrator {
    pub(super) connection: Connection,
    pub(super) folder: Folder,
    code: Vec<Arc<dyn Migration>>,
    pub(super) options: Options,
}

/// How a database stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The database.
    pub database: String,
    /// The history table.
    pub history_table: String,
    /// It is there.
    pub history_exists: bool,
    /// All migrations, of the folder and of the history, in the order of their versions.
    pub migrations: Vec<Assessment>,
    /// How many are applied.
    pub applied: usize,
    /// How many `up` would apply, or go on with.
    pub pending: usize,
    /// What another tool has applied, where nothing was ever recorded: `up` refuses to apply that again.
    pub unadopted: Option<Unadopted>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

impl Migrator {
    /// The migrations of `folder`, for the database of `connection`.
    #[must_use]
    pub fn new(connection: Connection, folder: Folder, options: Options) -> Self {
        Self { connection, folder, code: Vec::new(), options }
    }

    /// How its migrations are run.
    pub fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    /// The migrations that are files.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Adds a migration that is code.
    #[must_use]
    pub fn with(mut self, migration: impl Migration + 'static) -> Self {
        self.code.push(Arc::new(migration));
        self
    }

    pub(super) fn units(&self) -> Result<Vec<Unit<'_>>> {
        Unit::all(&self.folder.migrations, &self.code)
    }

    pub(super) async fn connect(&self) -> Result<(Session, History)> {
        let ((session, _), history) = self.connect_twice().await?;
        Ok((session, history))
    }

    /// The two sessions of a run, and the history.
    pub(super) async fn connect_twice(&self) -> Result<((Session, Session), History)> {
        let sessions = connect_twice(&self.connection).await?;
        let history = read_history(&sessions.0, &self.options.history_table).await?;
        Ok((sessions, history))
    }

    /// Says how the database stands. Nothing is written.
    ///
    /// # Errors
    ///
    /// A database that cannot be reached, a history that cannot be read.
    pub async fn status(&self) -> Result<Status> {
        let units = self.units()?;
        let (session, history) = self.connect().await?;
        let unadopted = find_unadopted(&session, &history, &self.options.history_table, &units).await?;
        let migrations = assess(&units, &history);
        let count = |states: &[Standing]| migrations.iter().filter(|one| states.contains(&one.state)).count();
        Ok(Status {
            database: self.connection.to_string(),
            history_table: history.table.to_string(),
            history_exists: history.exists,
            applied: count(&[Standing::Applied, Standing::Changed, Standing::Missing]),
            pending: count(&[Standing::Pending, Standing::OutOfOrder, Standing::Interrupted]),
            notes: self
                .folder
                .notes
                .iter()
                .cloned()
                .chain(unadopted.as_ref().map(Unadopted::sentence))
                .collect(),
            migrations,
            unadopted,
        })
    }

    /// Says what [`up`](Self::up) would do. Nothing is written.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status); what stands in the way of applying anything: a changed file of an applied migration, a pending
    /// one below the last that is applied, an empty one, one that another tool has applied.
    pub async fn plan_up(&self, options: &UpOptions) -> Result<Plan> {
        let units = self.units()?;
        let sessions = connect_twice(&self.connection).await?;
        Ok(self.read_and_plan_up(&sessions, &units, options).await?.1)
    }

    /// The history, and what `up` would do.
    async fn read_and_plan_up(
        &self,
        (control, other): &(Session, Session),
        units: &[Unit<'_>],
        options: &UpOptions,
    ) -> Result<(History, Plan)> {
        let history = pin!(async {
            let history = read_history(control, &self.options.history_table).await?;
            self.refuse_unadopted(control, &history, units, options).await?;
            Ok(history)
        });
        let ground = pin!(self.read_ground(other));
        // What lint judges by is read on the other session meanwhile, and waited for only where there is something to do.
        let (history, ground) = match select(history, ground).await {
            Either::Left((history, ground)) => (history?, ground.left_future()),
            Either::Right((ground, history)) => (history.await?, ready(ground).right_future()),
        };
        let mut plan = self.with_notes(plan_up(units, &assess(units, &history), options))?;
        if !plan.is_idle() {
            self.inspect(&mut plan, ground.await?);
        }
        Ok((history, plan))
    }

    /// What another tool has applied is not applied again.
    pub(super) async fn refuse_unadopted(
        &self,
        session: &Session,
        history: &History,
        units: &[Unit<'_>],
        options: &UpOptions,
    ) -> Result<()> {
        refuse_undo_of_flyway(units, history)?;
        if options.ignore_ledger {
            return Ok(());
        }
        let unadopted = find_unadopted(session, history, &self.options.history_table, units).await?;
        unadopted.map_or(Ok(()), |unadopted| Err(unadopted.refusal()))
    }

    /// What lint judges by, where it is on.
    async fn read_ground(&self, session: &Session) -> Result<Option<Ground>> {
        if self.options.lint { read_lint_ground(session).await.map(Some) } else { Ok(None) }
    }

    /// Applies what is pending.
    ///
    /// # Errors
    ///
    /// As [`plan_up`](Self::plan_up); another run that holds the lock; a pooler in between; what the server refused, at its place in
    /// the user's file. What was applied before stays, and a hint says so.
    pub async fn up(&self, options: &UpOptions, execution: &Execution) -> Result<Report> {
        self.up_if(options, execution, async |_| Ok(())).await
    }

    /// As [`up`](Self::up), where `agree` does not refuse what is planned.
    ///
    /// # Errors
    ///
    /// As [`up`](Self::up); that of `agree`.
    pub async fn up_if(
        &self,
        options: &UpOptions,
        execution: &Execution,
        agree: impl AsyncFn(&Plan) -> Result<()>,
    ) -> Result<Report> {
        let units = self.units()?;
        let sessions = connect_twice(&self.connection).await?;
        let (history, mut plan) = self.read_and_plan_up(&sessions, &units, options).await?;
        if plan.is_idle() {
            return Ok(nothing(plan));
        }
        agree(&plan).await?;
        let mut run =
            Run::begin(sessions, &self.options, execution, Direction::Up, options.interrupted).await?;
        let outcome = async {
            if run.history.records != history.records {
                // Another run was at it meanwhile.
                let mut now = self.with_notes(plan_up(&units, &run.assess(&units), options))?;
                self.inspect(&mut now, self.read_ground(run.lock.session()).await?);
                if !now.is_part_of(&plan) {
                    agree(&now).await?;
                }
                plan = now;
            }
            run.execute(&plan, &units).await
        };
        let outcome = outcome.await;
        run.end(outcome).await
    }

    /// Says what [`down`](Self::down) would do. Nothing is written.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status); a migration without a way back.
    pub async fn plan_down(&self, options: &DownOptions) -> Result<Plan> {
        let units = self.units()?;
        let (_session, history) = self.connect().await?;
        plan_down(&units, &assess(&units, &history), options)
    }

    /// Reverts the last migrations.
    ///
    /// # Errors
    ///
    /// As [`plan_down`](Self::plan_down) and [`up`](Self::up).
    pub async fn down(&self, options: &DownOptions, execution: &Execution) -> Result<Report> {
        let units = self.units()?;
        let (sessions, history) = self.connect_twice().await?;
        let plan = plan_down(&units, &assess(&units, &history), options)?;
        if plan.is_empty() {
            return Ok(nothing(plan));
        }
        let mut run =
            Run::begin(sessions, &self.options, execution, Direction::Down, options.interrupted).await?;
        let outcome = match plan_down(&units, &run.assess(&units), options) {
            Ok(plan) => run.execute(&plan, &units).await,
            Err(error) => Err(error),
        };
        run.end(outcome).await
    }

    /// Reverts the last `steps` migrations and applies them again, in one run.
    ///
    /// # Errors
    ///
    /// As [`down`](Self::down) and [`up`](Self::up).
    pub async fn redo(&self, steps: usize, execution: &Execution) -> Result<Report> {
        let units = self.units()?;
        let (sessions, _) = self.connect_twice().await?;
        let mut run = Run::begin(sessions, &self.options, execution, Direction::Down, None).await?;
        let outcome = self.redo_in(&mut run, &units, steps).await;
        run.end(outcome).await
    }

    async fn redo_in(&self, run: &mut Run<'_>, units: &[Unit<'_>], steps: usize) -> Result<()> {
        let options = DownOptions { extent: Extent::Steps(steps), interrupted: None };
        let down = plan_down(units, &run.assess(units), &options)?;
        let Some(last) = down.migrations.first().map(|planned| planned.version.clone()) else {
            return Ok(());
        };
        run.execute(&down, units).await?;
        run.history = read_history(run.lock.session(), &self.options.history_table).await?;
        // What was pending in between stays so.
        let reverted: Vec<_> = down.migrations.iter().map(|planned| planned.version.clone()).collect();
        let up =
            UpOptions { target: Some(last), allow_out_of_order: true, repair: true, ..UpOptions::default() };
        let mut plan = plan_up(units, &run.assess(units), &up)?;
        plan.migrations.retain(|planned| reverted.contains(&planned.version));
        plan.repairs.clear();
        run.report.direction = Direction::Up;
        run.execute(&plan, units).await
    }

    fn with_notes(&self, plan: Result<Plan>) -> Result<Plan> {
        let mut plan = plan?;
        plan.notes.extend(self.folder.notes.iter().cloned());
        Ok(plan)
    }
}

fn nothing(plan: Plan) -> Report {
    Report {
        direction: plan.direction,
        migrations: Vec::new(),
        repaired: Vec::new(),
        notes: plan.notes,
        elapsed: std::time::Duration::ZERO,
    }
}
