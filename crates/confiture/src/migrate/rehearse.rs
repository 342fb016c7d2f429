//! Migrations run in a scratch database, up, down and up again, and compared.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::catalog::{Kind, Object, Objects};
use crate::config::Connection;
use crate::diff::{self, Difference};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::migrate::assess::assess;
use crate::migrate::digest::{Digest, Mark, Reader, State};
use crate::migrate::folder::Folder;
use crate::migrate::history;
use crate::migrate::migrator::Migrator;
use crate::migrate::options::{DownOptions, Extent, Options, UpOptions};
use crate::migrate::plan::{Direction, plan_down, plan_up};
use crate::migrate::run::Run;
use crate::migrate::unit::Unit;
use crate::postgres::outlasting::refuse_what_outlasts;
use crate::postgres::scratch::in_scratch;
use crate::postgres::{Reading, Session, read_objects, roles};
use crate::sql::QualifiedName;

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsal {
    /// Each migration.
    pub migrations: Vec<Rehearsed>,
    /// What all of them make.
    #[serde(skip)]
    pub result: Objects,
    /// The same in the words in which states were compared.
    #[serde(skip)]
    pub digest: Digest,
}

/// One migration, tried.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsed {
    /// Which: `003_add_users`.
    pub migration: String,
    /// It has a way back, and was reverted.
    pub reverted: bool,
    /// What the server says to its way back.
    pub down_fails: Option<String>,
    /// What the way back does not bring back, or leaves behind.
    pub after_down: Vec<Difference>,
    /// What is different when it is applied again.
    pub after_redo: Vec<Difference>,
    /// Why it cannot be applied again.
    pub not_again: Option<String>,
    /// What is there now is not what it has made.
    #[serde(skip)]
    is_stuck: bool,
}

/// Runs every migration of a folder in a scratch database on the server of `connection`: up, then, where there is a way back, down
/// and up again. Where that seems to lead elsewhere, all is run once more in another one, and those that seem to are judged by
/// what [`diff`] says of the whole catalog. Where one cannot be applied again, those behind it are tried in another one, too.
///
/// # Errors
///
/// What the server refuses on the way up, at its place.
pub async fn rehearse(connection: &Connection, folder: &Folder, execution: &Execution) -> Result<Rehearsal> {
    refuse_what_outlasts(folder.scripts())?;
    let mut tried = Vec::new();
    loop {
        let from = tried.len();
        let (mut rehearsal, suspects) = pass(connection, folder, execution, Work::Try { from }).await?;
        if !suspects.is_empty() {
            let work = Work::Judge { suspects: &suspects, until: rehearsal.migrations.len() };
            let (judged, _) = pass(connection, folder, execution, work).await?;
            let judged = judged.migrations.into_iter().enumerate();
            for (at, one) in judged.filter(|(at, _)| suspects.contains(at)) {
                rehearsal.migrations[at] = one;
            }
        }
        let is_end = !rehearsal.migrations.last().is_some_and(|one| one.is_stuck);
        tried.extend(rehearsal.migrations.drain(from..));
        if is_end {
            return Ok(Rehearsal { migrations: tried, ..rehearsal });
        }
    }
}

/// Which migrations seem to lead elsewhere, by their places.
type Suspects = BTreeSet<usize>;

/// What one pass through all migrations is for. The others go up only.
#[derive(Clone, Copy)]
enum Work<'a> {
    /// All from this one on are tried.
    Try { from: usize },
    /// These are judged; where the pass that suspects them came to its end, it ends.
    Judge { suspects: &'a Suspects, until: usize },
}

/// All migrations in one scratch database, up to one that is stuck.
async fn pass(
    connection: &Connection,
    folder: &Folder,
    execution: &Execution,
    work: Work<'_>,
) -> Result<(Rehearsal, Suspects)> {
    let passed = in_scratch(connection, folder.texts(), async |scratch| {
        let options = Options { lint: false, ..Options::default() };
        let migrator = Migrator::new(scratch.session().connection().clone(), folder.clone(), options);
        let units = migrator.units()?;
        let quiet = &execution.unwatched();
        let mut walk = Walk::begin(&migrator, &units, quiet).await?;
        let (mut migrations, mut found) = (Vec::new(), Suspects::new());
        for (at, unit) in units.iter().enumerate() {
            if execution.is_interrupted() {
                return Err(interrupted());
            }
            let called = unit.called();
            let mut one = Rehearsed::of(unit);
            match work {
                Work::Try { from } if at < from => {
                    one.reverted = false;
                    walk.rehearse(unit, &mut one).await?;
                }
                Work::Try { .. } => {
                    let work = walk.rehearse(unit, &mut one);
                    if execution.step(&format!("Trying {called}"), work).await? {
                        found.insert(at);
                    }
                }
                Work::Judge { suspects, .. } if suspects.contains(&at) => {
                    let work = walk.judge(unit, &mut one);
                    execution.step(&format!("Looking closely at {called}"), work).await?;
                }
                Work::Judge { .. } => walk.pass_by(unit).await?,
            }
            let is_end = one.is_stuck || matches!(work, Work::Judge { until, .. } if until == at + 1);
            migrations.push(one);
            if is_end {
                break;
            }
        }
        let result = walk.objects().await?;
        Ok((Rehearsal { migrations, result, digest: walk.before }, found))
    });
    passed.await.map_err(|error| match error.kind() {
        ErrorKind::Interrupted => interrupted(),
        _ => error,
    })
}

/// What a database holds, without the history.
pub(super) async fn read_without(
    session: &Session,
    history: &QualifiedName,
    reading: Reading,
) -> Result<Objects> {
    let is_history = |object: &Object| {
        object.kind == Kind::Table
            && object.schema.as_deref() == Some(history.schema.as_str())
            && object.name == history.name.as_str()
    };
    Ok(read_objects(session, reading).await?.without(is_history))
}

fn interrupted() -> Error {
    Error::interrupted("interrupted; all of this was in a scratch database")
}

impl Rehearsed {
    /// True where it went up, down and up again.
    #[must_use]
    pub fn is_redone(&self) -> bool {
        self.reverted && self.not_again.is_none()
    }

    fn of(unit: &Unit<'_>) -> Self {
        Self {
            migration: unit.called(),
            reverted: unit.is_reversible(),
            after_down: Vec::new(),
            after_redo: Vec::new(),
            down_fails: None,
            not_again: None,
            is_stuck: false,
        }
    }
}

/// One run that leads through every state of a database, and what it holds.
struct Walk<'a> {
    migrator: &'a Migrator,
    units: &'a [Unit<'a>],
    execution: &'a Execution,
    /// None where sessions that begin now have other settings than those of the run before.
    run: Option<Run<'a>>,
    reader: Reader,
    history: QualifiedName,
    /// What the database holds before the next migration.
    before: Digest,
    /// The mark of the state that the sessions of the run began in.
    begun: Mark,
}

impl<'a> Walk<'a> {
    async fn begin(migrator: &'a Migrator, units: &'a [Unit<'a>], execution: &'a Execution) -> Result<Self> {
        let run = begin_run(migrator, units, execution).await?;
        let session = Session::connect(&migrator.connection).await?;
        let history = run.history.table.clone();
        let mut reader = Reader::new(session, Some(&history)).await?;
        let (state, begun) = reader.read().await?;
        let mut before = Digest::default();
        state.turn(&mut before);
        reader.go_on_from(Some(begun.clone()));
        Ok(Self { migrator, units, execution, run: Some(run), reader, history, before, begun })
    }

    /// Up, down and up again. What the last `up` has made, the next migration finds: it is not read twice. True where a state seems
    /// to be another than it was.
    async fn rehearse(&mut self, unit: &Unit<'_>, one: &mut Rehearsed) -> Result<bool> {
        self.up(unit).await.map_err(say_empty)?;
        let (after, mut mark) = self.reader.read().await?;
        let (mut differs, mut again) = (false, Some(mark.clone()));
        if one.reverted {
            if self.down(unit, one).await? {
                let (state, _) = self.reader.read().await?;
                differs = State::More(Digest::default()).differs(&state, &self.before);
                self.up_again(unit, one).await?;
            }
            if !one.is_stuck {
                let (state, marked) = self.reader.read().await?;
                let redo_differs = after.differs(&state, &self.before);
                differs |= redo_differs;
                // Where the second `up` has made something else, what the first one made is not what is there.
                again = (!redo_differs).then(|| marked.clone());
                mark = marked;
            }
        }
        self.reader.go_on_from(again);
        after.turn(&mut self.before);
        self.settle(mark).await?;
        Ok(differs)
    }

    /// The same; what differs is said as the whole catalog shows it.
    async fn judge(&mut self, unit: &Unit<'_>, one: &mut Rehearsed) -> Result<()> {
        let before = self.objects().await?;
        self.up(unit).await.map_err(say_empty)?;
        let after = self.objects().await?;
        if self.down(unit, one).await? {
            one.after_down = diff::not_shared(&before, &self.objects().await?);
            self.up_again(unit, one).await?;
        }
        if !one.is_stuck {
            one.after_redo = diff::not_shared(&after, &self.objects().await?);
        }
        let mark = self.reader.mark().await?;
        self.settle(mark).await
    }

    /// Up only.
    async fn pass_by(&mut self, unit: &Unit<'_>) -> Result<()> {
        self.up(unit).await.map_err(say_empty)?;
        let mark = self.reader.mark().await?;
        self.settle(mark).await
    }

    async fn objects(&self) -> Result<Objects> {
        read_without(&self.reader.session, &self.history, Reading::Once).await
    }

    /// The run ends where sessions that begin now have other settings than its own.
    async fn settle(&mut self, mark: Mark) -> Result<()> {
        if !mark.has_settings_of(&self.begun)
            && let Some(run) = self.run.take()
        {
            run.end(Ok(())).await?;
            self.begun = mark;
        }
        Ok(())
    }

    /// False where the server refuses the way back. One that is one transaction has done nothing then.
    async fn down(&mut self, unit: &Unit<'_>, one: &mut Rehearsed) -> Result<bool> {
        let outcome = self.step(unit, Direction::Down).await;
        one.down_fails = refused(outcome).map_err(|error| error.context("on the way back"))?;
        one.reverted = one.down_fails.is_none();
        one.is_stuck = !one.reverted && !self.is_applied(unit).await?;
        Ok(one.reverted)
    }

    /// Whether the history says that it is applied.
    async fn is_applied(&mut self, unit: &Unit<'_>) -> Result<bool> {
        let Some(run) = &mut self.run else { return Ok(false) };
        let history = run.history.read_again(run.lock.session(), &[&unit.version]).await?;
        Ok(history.record(&unit.version).is_some_and(|record| record.state == history::State::Applied))
    }

    /// What its way back has left, or rows, may stand in its way.
    async fn up_again(&mut self, unit: &Unit<'_>, one: &mut Rehearsed) -> Result<()> {
        let outcome = self.up(unit).await;
        one.not_again =
            refused(outcome).map_err(|error| error.context("on the way up again, after the way back"))?;
        one.is_stuck = one.not_again.is_some();
        Ok(())
    }

    /// Up; roles that are missing are made, where the server is our own.
    async fn up(&mut self, unit: &Unit<'_>) -> Result<()> {
        let session = self.reader.session.clone();
        roles::with_roles(&session, async || self.step(unit, Direction::Up).await).await
    }

    /// One migration one way, as `up` and `down` do it. Only its own rows of the history are read again.
    async fn step(&mut self, unit: &Unit<'_>, direction: Direction) -> Result<()> {
        let run = match &mut self.run {
            Some(run) => run,
            none => none.insert(begin_run(self.migrator, self.units, self.execution).await?),
        };
        let units = std::slice::from_ref(unit);
        let versions: Vec<_> = std::iter::once(&unit.version).chain(unit.squashes()).collect();
        let history = run.history.read_again(run.lock.session(), &versions).await?;
        let assessed = assess(units, &history);
        let plan = match direction {
            Direction::Up => plan_up(units, &assessed, &UpOptions::default())?,
            Direction::Down => {
                let last = DownOptions { extent: Extent::Steps(1), interrupted: None };
                plan_down(units, &assessed, &last)?
            }
        };
        run.report.direction = direction;
        run.report.migrations.clear();
        run.execute(&plan, units).await
    }
}

/// What the server says, with its place.
fn refused(outcome: Result<()>) -> Result<Option<String>> {
    match outcome {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == ErrorKind::Server => {
            let place = error.place().map(|place| format!(" ({place})")).unwrap_or_default();
            Ok(Some(format!("{error}{place}")))
        }
        Err(error) => Err(error),
    }
}

async fn begin_run<'a>(
    migrator: &'a Migrator,
    units: &[Unit<'_>],
    execution: &'a Execution,
) -> Result<Run<'a>> {
    let (sessions, history) = migrator.connect_twice().await?;
    migrator.refuse_unadopted(&sessions.0, &history, units, &UpOptions::default()).await?;
    Run::begin(sessions, &migrator.options, execution, Direction::Up, None).await
}

/// Applies migrations; roles that they lack are made, where the server is our own.
pub(super) async fn up_with_roles(
    migrator: &Migrator,
    session: &Session,
    up: &UpOptions,
    execution: &Execution,
) -> Result<()> {
    roles::with_roles(session, async || migrator.up(up, execution).await.map(drop)).await
}

/// Says of an error in an empty database that what is missing may be in every real one, where no migration has made it.
#[must_use]
pub fn say_empty(error: Error) -> Error {
    match error.sqlstate_code() {
        _ if roles::missing_role(&error).is_some() => error,
        Some("42P01" | "42704" | "42883" | "3F000" | "42703") => error.hint(
            "all migrations are tried in an empty database: together they must make all that they use. Where the first of them takes \
             something for granted, put a migration in front that makes it, and mark that one as applied: confiture migrate baseline VERSION",
        ),
        _ => error,
    }
}
