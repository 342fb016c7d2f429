//! What is planned, run on a copy of the database's schema: what it locks there, and whether its way back leads back.

use serde::Serialize;

use crate::diff::{self, Sizes};
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::migrate::migrator::Migrator;
use crate::migrate::plan::{Direction, Plan, Planned};
use crate::migrate::steps::{Step, Steps};
use crate::migrate::unit::{Source, Unit, find_unit};
use crate::postgres::outlasting::refuse_what_outlasts;
use crate::postgres::{
    LockWatch, Reading, SeenLock, Session, read_lint_ground, read_objects, roles, run_pieces, session_end,
};
use crate::sql::Sql;

/// What a rehearsal has shown of the way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", content = "what", rename_all = "snake_case")]
pub enum WayBack {
    /// It leads back to the schema that was there before.
    LeadsBack,
    /// What it does not bring back, or leaves behind: `table app.a is missing`.
    Differs(Vec<String>),
    /// These migrations have none, so it was not tried.
    Missing(Vec<String>),
}

/// How many differences a sentence names.
const MOST_DIFFERENCES: usize = 5;

impl WayBack {
    /// `the way back leads back: the schema is as it was`.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::LeadsBack => "the way back leads back: the schema is as it was".to_owned(),
            Self::Differs(differences) => {
                let first = differences.iter().take(MOST_DIFFERENCES).cloned().collect::<Vec<_>>().join("; ");
                let more = match differences.len().saturating_sub(MOST_DIFFERENCES) {
                    0 => String::new(),
                    more => format!("; and {more} more"),
                };
                format!("the way back does not lead back: {first}{more}")
            }
            Self::Missing(migrations) => {
                format!("there is no way back for {}, so none was tried", migrations.join(", "))
            }
        }
    }
}

impl Migrator {
    /// Runs what is planned on `copy`, a database with the schema of this one and without its rows, and notes in the plan what each
    /// statement locks there, with the sizes that the tables have here; on the way up, then the way back. `settings` make a session
    /// what one of this database is. Hooks are not run.
    ///
    /// # Errors
    ///
    /// What the server refuses, at its place, on the way back with that in front; a statement whose effect would outlast the copy.
    pub async fn rehearse(
        &self,
        plan: &mut Plan,
        copy: &Session,
        settings: &[Sql],
        execution: &Execution,
    ) -> Result<()> {
        let units = self.units()?;
        let sizes = Sizes::of(&read_lint_ground(&Session::connect(&self.connection).await?).await?);
        // What scripts set is none of its business.
        let reader = Session::connect(copy.connection()).await?;
        let before = read_objects(&reader, Reading::Repeated).await?;
        let mut stage = Stage { copy, settings, watch: LockWatch::begin(copy).await? };
        let is_up = plan.direction == Direction::Up;
        for planned in &mut plan.migrations {
            let called = planned.called();
            let unit = find_unit(&units, &planned.version)
                .ok_or_else(|| Error::unexpected(format!("{called} is planned and not there")))?;
            let run = stage.run(unit, is_up, planned.steps_done);
            let seen = execution.step(&format!("Rehearsing {called}"), run).await?;
            note(planned, seen, &sizes);
        }
        if is_up && !plan.is_empty() {
            plan.way_back = Some(match self.missing_ways_back(&units, plan) {
                missing if missing.is_empty() => {
                    execution.step("Rehearsing the way back", stage.back(&units, plan)).await?;
                    match diff::differences(&read_objects(&reader, Reading::Repeated).await?, &before) {
                        differences if differences.is_empty() => WayBack::LeadsBack,
                        differences => WayBack::Differs(differences),
                    }
                }
                missing => WayBack::Missing(missing),
            });
        }
        Ok(())
    }

    fn missing_ways_back(&self, units: &[Unit<'_>], plan: &Plan) -> Vec<String> {
        let is_missing =
            |planned: &&Planned| find_unit(units, &planned.version).is_none_or(|unit| !unit.is_reversible());
        plan.migrations.iter().filter(is_missing).map(Planned::called).collect()
    }
}

/// Where it is played.
struct Stage<'a> {
    copy: &'a Session,
    settings: &'a [Sql],
    watch: LockWatch<'a>,
}

impl Stage<'_> {
    /// Runs one migration from the step `from` on, and gives what each of its statements has locked.
    async fn run(&mut self, unit: &Unit<'_>, up: bool, from: usize) -> Result<Vec<Vec<SeenLock>>> {
        self.settle().await?;
        let Some(part) = unit.part(up) else { return self.call(unit, up).await.map(|()| Vec::new()) };
        refuse_what_outlasts([&part.script])?;
        let steps = Steps::of(part)?;
        run_pieces(self.copy, &steps.settings_before(from)).await?;
        let mut seen = Vec::new();
        for step in steps.steps.iter().skip(from) {
            let locks = roles::with_roles(self.copy, async || self.run_step(step).await).await;
            seen.extend(locks.map_err(|error| error.context("in the rehearsal on a copy of the schema"))?);
        }
        Ok(seen)
    }

    async fn run_step(&mut self, step: &Step<'_>) -> Result<Vec<Vec<SeenLock>>> {
        let together = matches!(step, Step::Together(_));
        if together {
            self.watch.begin_transaction().await?;
        }
        let mut seen = Vec::new();
        for piece in step.pieces() {
            let locks = self.watch.run_piece(*piece).await?;
            seen.push(self.watch.felt(locks));
        }
        if together {
            self.watch.commit().await.map_err(|error| error.context("at the commit"))?;
        }
        Ok(seen)
    }

    /// Runs one that is code. What that locks, nobody sees.
    async fn call(&self, unit: &Unit<'_>, up: bool) -> Result<()> {
        let Source::Code(code) = unit.source else { return Ok(()) };
        let work = async {
            match up {
                true => code.up(self.copy).await,
                false => match code.down(self.copy) {
                    Some(work) => work.await,
                    None => Ok(()),
                },
            }
        };
        match code.in_transaction() {
            true => self.copy.transaction(work).await,
            false => work.await,
        }
    }

    async fn back(&mut self, units: &[Unit<'_>], plan: &Plan) -> Result<()> {
        for planned in plan.migrations.iter().rev() {
            if let Some(unit) = find_unit(units, &planned.version) {
                self.run(unit, false, 0).await.map_err(|error| error.context("on the way back"))?;
            }
        }
        Ok(())
    }

    /// The session as a migration finds it.
    async fn settle(&self) -> Result<()> {
        self.copy.batch(&Sql::join("; ", session_end())).await?;
        let settings = "SET client_min_messages = 'warning'; SET synchronous_commit = off";
        let mut settings = vec![Sql::literal(settings)];
        settings.extend_from_slice(self.settings);
        self.copy.batch(&Sql::join("; ", settings)).await
    }
}

/// What was run are the last statements.
fn note(planned: &mut Planned, seen: Vec<Vec<SeenLock>>, sizes: &Sizes) {
    let done = planned.statements.len().saturating_sub(seen.len());
    for (at, locks) in seen.into_iter().enumerate() {
        if let Some(statement) = planned.statements.get_mut(done + at) {
            let in_plan = |lock: SeenLock| lock.in_plan(done + at, sizes);
            statement.seen = Some(locks.into_iter().map(in_plan).collect());
        }
    }
}
