//! What a run will do, as data.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use crate::diff::Lock;
use crate::error::{Error, Result};
use crate::lint::{Remark, Severity};
use crate::migrate::assess::{Assessment, Standing, called};
use crate::migrate::destroys::destroys;
use crate::migrate::options::{DownOptions, Extent, UpOptions};
use crate::migrate::steps::{Step, Steps, place_of};
use crate::migrate::trial::WayBack;
use crate::migrate::unit::{Source, Unit, find_unit};
use crate::migrate::version::Version;
use crate::sql::{LockMode, masked, strongest_lock};

/// Which way a migration is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Applied.
    Up,
    /// Reverted.
    Down,
}

/// What a run will do.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Which way.
    pub direction: Direction,
    /// The migrations, in the order in which they run.
    pub migrations: Vec<Planned>,
    /// Applied migrations whose files have changed, which `--repair` records as they are now.
    pub repairs: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// What a rehearsal has shown of the way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way_back: Option<WayBack>,
    /// There are squashes whose parts are all applied: the history will say so.
    #[serde(skip)]
    pub(super) settles: bool,
}

/// A migration that will be run.
#[derive(Debug, Clone, Serialize)]
pub struct Planned {
    /// Its version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// The file that is run; `None` for one in Rust.
    pub file: Option<PathBuf>,
    /// All of it is one transaction.
    pub in_transaction: bool,
    /// How many steps an earlier run has done: this one goes on behind them.
    pub steps_done: usize,
    /// What the file says is lost.
    pub loses_data: Option<String>,
    /// Its statements.
    pub statements: Vec<PlannedStatement>,
    /// What lint says of it; nothing on the way back.
    pub remarks: Vec<Remark>,
}

/// A statement that will be run.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedStatement {
    /// `file:line:column`.
    pub place: String,
    /// Its first line, without passwords.
    pub text: String,
    /// Its step, from 1.
    pub step: usize,
    /// It runs outside of any transaction.
    pub alone: bool,
    /// The strongest lock on tables in use that such a statement is known to take.
    pub lock: Option<&'static str>,
    /// What such a statement destroys.
    pub destroys: Option<&'static str>,
    /// What it locked in a rehearsal, of what was there before; `None` where it was not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Vec<Lock>>,
}

impl Plan {
    fn new(direction: Direction) -> Self {
        Self {
            direction,
            migrations: Vec::new(),
            repairs: Vec::new(),
            notes: Vec::new(),
            way_back: None,
            settles: false,
        }
    }

    /// True where there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.migrations.is_empty() && self.repairs.is_empty()
    }

    /// True where nothing is written, not even into the history.
    pub(super) fn is_idle(&self) -> bool {
        self.is_empty() && !self.settles
    }

    /// True where every migration of it is one of the other's, too.
    pub(super) fn is_part_of(&self, other: &Self) -> bool {
        let versions: BTreeSet<_> = other.migrations.iter().map(|planned| &planned.version).collect();
        self.migrations.iter().all(|planned| versions.contains(&planned.version))
    }

    /// What is about to be lost or taken back, to ask about; `None` where nobody needs to be asked.
    #[must_use]
    pub fn asks(&self, production: bool) -> Option<String> {
        let mut reasons = Vec::new();
        for migration in &self.migrations {
            let name = migration.called();
            if let Some(what) = &migration.loses_data {
                let what = if what.is_empty() { "data" } else { what };
                reasons.push(format!("{name} loses {what}"));
            }
            if production && self.direction == Direction::Up {
                let destroying = migration.statements.iter();
                let destroying = destroying.filter_map(|one| Some((one.destroys?, &one.place)));
                let destroying: Vec<_> = destroying.collect();
                let said = |remark: &&Remark| {
                    destroying.iter().any(|(_, place)| *place.as_str() == remark.place.to_string())
                };
                let remarks = migration.errors().filter(|remark| !said(remark));
                let remarks: Vec<_> =
                    remarks.map(|remark| format!("{name}: {} ({})", remark.message, remark.place)).collect();
                reasons.extend(destroying.iter().map(|(what, place)| format!("{name} has {what} ({place})")));
                reasons.extend(remarks);
            }
        }
        if production && self.direction == Direction::Down {
            reasons.insert(0, "the environment is marked as production".to_owned());
        }
        if reasons.is_empty() {
            return None;
        }
        let names: Vec<_> = self.migrations.iter().map(Planned::called).collect();
        let what = if self.direction == Direction::Up { "applying" } else { "reverting" };
        Some(format!("{what} {} ({})", names.join(", "), reasons.join("; ")))
    }
}

impl Planned {
    /// `003_add_users`, for sentences.
    #[must_use]
    pub fn called(&self) -> String {
        called(&self.version, &self.name)
    }

    /// What lint calls an error: it blocks an application, breaks one, or loses data.
    pub fn errors(&self) -> impl Iterator<Item = &Remark> {
        self.remarks.iter().filter(|remark| remark.severity == Severity::Error)
    }
}

/// Chooses what `up` runs.
pub(super) fn plan_up(units: &[Unit<'_>], assessed: &[Assessment], options: &UpOptions) -> Result<Plan> {
    let mut plan = Plan::new(Direction::Up);
    plan.settles = assessed.iter().any(|one| one.settles);
    if let Some(target) = &options.target {
        check_target(units, target)?;
    }
    let is_wanted = |one: &Assessment| options.target.as_ref().is_none_or(|target| one.version <= *target);
    for one in assessed {
        match one.state {
            Standing::Applied => {}
            Standing::Missing => plan.notes.push(format!(
                "{} is applied, and its file is gone: the database may be ahead of this folder",
                one.called()
            )),
            Standing::RevertInterrupted => return Err(revert_interrupted(one)),
            Standing::HalfSquashed => return Err(half_squashed(one)),
            Standing::Changed if options.repair => plan.repairs.push(one.called()),
            Standing::Changed => return Err(changed(one, units)),
            Standing::OutOfOrder if is_wanted(one) && !options.allow_out_of_order => {
                return Err(out_of_order(one, assessed));
            }
            Standing::Interrupted => plan.migrations.push(planned(find(units, one)?, Direction::Up, one)?),
            Standing::Pending | Standing::OutOfOrder if is_wanted(one) => {
                plan.migrations.push(planned(find(units, one)?, Direction::Up, one)?);
            }
            Standing::Pending | Standing::OutOfOrder => {}
        }
    }
    Ok(plan)
}

/// Chooses what `down` runs.
pub(super) fn plan_down(units: &[Unit<'_>], assessed: &[Assessment], options: &DownOptions) -> Result<Plan> {
    let mut plan = Plan::new(Direction::Down);
    plan.settles = assessed.iter().any(|one| one.settles);
    let applied =
        assessed.iter().rev().filter(|one| !matches!(one.state, Standing::Pending | Standing::OutOfOrder));
    if let Extent::To(target) = &options.extent {
        let is_start = target.as_str().bytes().all(|byte| byte == b'0');
        if !is_start && !assessed.iter().any(|one| one.version == *target) {
            check_target(units, target)?;
        }
    }
    for (index, one) in applied.enumerate() {
        let wanted = match &options.extent {
            Extent::Steps(steps) => index < *steps,
            Extent::To(target) => one.version > *target,
        };
        if !wanted {
            break;
        }
        match one.state {
            Standing::Interrupted => {
                return Err(Error::refused(format!(
                    "{} is applied in part ({} steps), and a part cannot be reverted",
                    one.called(),
                    one.steps_done.unwrap_or_default()
                ))
                .hint("finish it with `confiture migrate up` first, then revert it"));
            }
            Standing::HalfSquashed => return Err(half_squashed(one)),
            Standing::Changed => plan.notes.push(format!(
                "{} has changed since it was applied: its way back may be that of another way up",
                one.called()
            )),
            _ => {}
        }
        plan.migrations.push(planned(find(units, one)?, Direction::Down, one)?);
    }
    Ok(plan)
}

fn planned(unit: &Unit<'_>, direction: Direction, one: &Assessment) -> Result<Planned> {
    let mut planned = Planned {
        version: unit.version.clone(),
        name: unit.name.clone(),
        file: unit.file().map(PathBuf::from),
        in_transaction: true,
        steps_done: one.steps_done.unwrap_or_default(),
        loses_data: None,
        statements: Vec::new(),
        remarks: Vec::new(),
    };
    if let Source::Code(code) = unit.source {
        planned.in_transaction = code.in_transaction();
        return Ok(planned);
    }
    let Some(part) = unit.part(direction == Direction::Up) else { return Err(no_way_back(unit)) };
    if part.is_empty() {
        return Err(empty(unit, direction).at(part.script.script.place(0)));
    }
    let steps = Steps::of(part)?;
    planned.file = Some(part.script.script.file().to_owned());
    planned.in_transaction = steps.in_transaction;
    planned.loses_data.clone_from(&part.directives.loses_data);
    for (index, step) in steps.steps.iter().enumerate() {
        for piece in step.pieces() {
            planned.statements.push(PlannedStatement {
                place: place_of(part, piece.statement).to_string(),
                text: first_line(&masked(piece.text(), 0..0).0),
                step: index + 1,
                alone: matches!(step, Step::Alone(..)),
                lock: strongest_lock(piece.text()).map(LockMode::name),
                destroys: destroys(piece.text()),
                seen: None,
            });
        }
    }
    Ok(planned)
}

fn first_line(text: &str) -> String {
    const MOST: usize = 80;
    let line = text.lines().next().unwrap_or_default().trim_end();
    let is_all = line.len() == text.trim_end().len();
    let mut shown: String = line.chars().take(MOST).collect();
    if !is_all || shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

fn find<'a, 'b>(units: &'b [Unit<'a>], one: &Assessment) -> Result<&'b Unit<'a>> {
    find_unit(units, &one.version).ok_or_else(|| {
        Error::config(format!("{} is in the history, and its file is gone", one.called()))
            .hint("put the file back, from version control: nobody else knows what it does")
    })
}

/// A version that is asked for must exist.
fn check_target(units: &[Unit<'_>], target: &Version) -> Result<()> {
    if units.iter().any(|unit| unit.version == *target) {
        return Ok(());
    }
    Err(no_such(target, units.iter().map(|unit| unit.version.as_str())))
}

/// The error about a version that does not exist.
pub(super) fn no_such<'a>(version: &Version, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<_> = known.collect();
    let last = known.iter().rev().take(3).rev().copied().collect::<Vec<_>>().join(", ");
    Error::config(format!("there is no migration {version}")).did_you_mean(version.as_str(), known).hint(
        if last.is_empty() { "the folder is empty".to_owned() } else { format!("the last ones are {last}") },
    )
}

fn changed(one: &Assessment, units: &[Unit<'_>]) -> Error {
    let mut error = Error::config(format!("{} has changed since it was applied", one.called()))
        .detail(one.changes.join("\n"))
        .hint("undo the change, and write a new migration for what it was meant to do")
        .hint("where the change is known to be right for every database: `--repair` records the file as it is now, and runs nothing of it");
    if let Some(place) = &one.first_change {
        error = error.at(place.clone());
        let unit = find_unit(units, &one.version);
        if let Some(script) = unit.and_then(|unit| unit.part(true)).map(|part| &part.script) {
            let at = script
                .statements
                .iter()
                .find(|statement| script.script.place(statement.span.start) == *place);
            if let Some(statement) = at {
                error = error.excerpt(script.script.excerpt(statement.span.clone()));
            }
        }
    }
    error
}

fn out_of_order(one: &Assessment, assessed: &[Assessment]) -> Error {
    let applied = assessed.iter().filter(|other| {
        other.version > one.version
            && matches!(other.state, Standing::Applied | Standing::Changed | Standing::Missing)
    });
    let higher = applied.max_by_key(|other| &other.version).map(Assessment::called).unwrap_or_default();
    Error::refused(format!("{} is pending, and {higher}, which comes later, is applied", one.called()))
        .hint("give it a version behind the last one (`confiture migrate generate` shows the next), so that it runs last everywhere")
        .hint("or, where the order makes no difference: --allow-out-of-order")
}

fn revert_interrupted(one: &Assessment) -> Error {
    Error::refused(format!(
        "the revert of {} was interrupted after {} of its steps",
        one.called(),
        one.steps_done.unwrap_or_default()
    ))
    .hint("`confiture migrate down` goes on with it; then run this again")
}

fn half_squashed(one: &Assessment) -> Error {
    Error::config(format!(
        "{} takes the place of migrations of which only some are applied here",
        one.called()
    ))
    .hint("apply the rest of them from the former files (they are in version control, or in the folder `squashed`), then run this again")
}

fn no_way_back(unit: &Unit<'_>) -> Error {
    let stem =
        unit.file().and_then(|file| file.file_name()).unwrap_or_default().to_string_lossy().into_owned();
    let expected = match stem.to_lowercase().strip_suffix(".up.sql") {
        Some(_) => format!("write {}.down.sql beside it", &stem[..stem.len() - ".up.sql".len()]),
        None => "write its way back, in the form of the folder's other files".to_owned(),
    };
    Error::config(format!("{} has no way back", unit.called())).hint(expected)
}

fn empty(unit: &Unit<'_>, direction: Direction) -> Error {
    let (what, hint) = match direction {
        Direction::Up => ("has nothing to apply", "write its statements"),
        Direction::Down => ("has an empty way back", "write the statements that undo the way up"),
    };
    Error::config(format!("{} {what}", unit.called()))
        .hint(format!("{hint}; where there really is nothing to do: SELECT 1;"))
}
