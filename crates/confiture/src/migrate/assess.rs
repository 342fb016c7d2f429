//! Files and history held against each other: what is applied, pending, changed, missing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use crate::error::Place;
use crate::migrate::history::{History, Record, State};
use crate::migrate::unit::Unit;
use crate::migrate::version::Version;

/// How a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Applied, and its file says what was applied.
    Applied,
    /// Not applied.
    Pending,
    /// Not applied, although one with a higher version is.
    OutOfOrder,
    /// Applied, and its file says something else now.
    Changed,
    /// Applied, and its file is gone.
    Missing,
    /// In steps, of which some are done.
    Interrupted,
    /// Its revert is in steps, of which some are done.
    RevertInterrupted,
    /// It takes the place of migrations of which only some are applied.
    HalfSquashed,
}

/// One migration, as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct Assessment {
    /// The version.
    pub version: Version,
    /// The name.
    pub name: String,
    /// How it stands.
    pub state: Standing,
    /// The file with the way up; `None` for one that is gone, and for one in Rust.
    pub file: Option<PathBuf>,
    /// It can be reverted: there is a way back.
    pub reversible: bool,
    /// When it was applied, in UTC.
    pub applied_at: Option<String>,
    /// By which role.
    pub applied_by: Option<String>,
    /// How long it took.
    pub execution_ms: Option<f64>,
    /// Where the record comes from, where Confiture did not run it: `build`, `baseline`, or another tool's ledger.
    pub source: Option<String>,
    /// How many of its steps are done, where it was interrupted.
    pub steps_done: Option<usize>,
    /// What has changed since it was applied, in words.
    pub changes: Vec<String>,
    /// It is a squash whose parts are all applied: the history will say so.
    #[serde(skip)]
    pub(super) settles: bool,
    #[serde(skip)]
    pub(super) first_change: Option<Place>,
}

/// Holds the two against each other.
pub(super) fn assess(units: &[Unit<'_>], history: &History) -> Vec<Assessment> {
    let is_applied =
        |version: &Version| history.record(version).is_some_and(|record| record.state == State::Applied);
    let last_applied = history
        .records
        .iter()
        .filter(|record| record.state == State::Applied)
        .map(|record| &record.version)
        .max();
    let mut all: Vec<Assessment> = units
        .iter()
        .map(|unit| {
            let record = history.record(&unit.version);
            let mut assessment = Assessment::of(unit, record);
            let squashes = unit.squashes();
            if !squashes.is_empty() && assessment.state != Standing::Applied {
                let applied = squashes.iter().filter(|version| is_applied(version)).count();
                assessment.settles = applied == squashes.len();
                assessment.state = match applied {
                    0 => assessment.state,
                    _ if assessment.settles => Standing::Applied,
                    _ => Standing::HalfSquashed,
                };
                assessment.changes.clear();
            }
            if assessment.state == Standing::Pending && last_applied.is_some_and(|last| *last > unit.version)
            {
                assessment.state = Standing::OutOfOrder;
            }
            assessment
        })
        .collect();
    let known: BTreeSet<_> =
        units.iter().flat_map(|unit| std::iter::once(&unit.version).chain(unit.squashes())).collect();
    let gone = history
        .records
        .iter()
        .filter(|record| record.state != State::Reverted && !known.contains(&record.version));
    all.extend(gone.map(Assessment::of_gone));
    all.sort_by(|one, other| one.version.cmp(&other.version));
    all
}

impl Assessment {
    fn of(unit: &Unit<'_>, record: Option<&Record>) -> Self {
        let record = record.filter(|record| record.state != State::Reverted);
        let (changes, first_change) = match record.and_then(|record| record.checksum.as_ref()) {
            Some(recorded) if recorded.whole != unit.checksum.whole => {
                unit.changes_since(&recorded.statements)
            }
            _ => (Vec::new(), None),
        };
        let state = match record.map(|record| record.state) {
            None | Some(State::Reverted) => Standing::Pending,
            Some(State::Applying) => Standing::Interrupted,
            Some(State::Reverting) => Standing::RevertInterrupted,
            Some(State::Applied) if changes.is_empty() => Standing::Applied,
            Some(State::Applied) => Standing::Changed,
        };
        Self {
            version: unit.version.clone(),
            name: unit.name.clone(),
            state,
            file: unit.file().map(PathBuf::from),
            reversible: unit.is_reversible(),
            applied_at: record.map(|record| record.applied_at.clone()),
            applied_by: record.map(|record| record.applied_by.clone()),
            execution_ms: record.and_then(|record| record.execution_ms),
            source: record.and_then(|record| record.source.clone()),
            steps_done: record.filter(|_| is_interrupted(state)).map(|record| as_count(record.step)),
            changes: if state == Standing::Changed { changes } else { Vec::new() },
            settles: false,
            first_change,
        }
    }

    fn of_gone(record: &Record) -> Self {
        let state = match record.state {
            State::Applying => Standing::Interrupted,
            State::Reverting => Standing::RevertInterrupted,
            State::Applied | State::Reverted => Standing::Missing,
        };
        Self {
            version: record.version.clone(),
            name: record.name.clone(),
            state,
            file: None,
            reversible: false,
            applied_at: Some(record.applied_at.clone()),
            applied_by: Some(record.applied_by.clone()),
            execution_ms: record.execution_ms,
            source: record.source.clone(),
            steps_done: is_interrupted(state).then(|| as_count(record.step)),
            changes: Vec::new(),
            settles: false,
            first_change: None,
        }
    }

    /// `003_add_users`, for sentences.
    #[must_use]
    pub fn called(&self) -> String {
        called(&self.version, &self.name)
    }
}

fn is_interrupted(state: Standing) -> bool {
    matches!(state, Standing::Interrupted | Standing::RevertInterrupted)
}

pub(super) fn as_count(number: i32) -> usize {
    usize::try_from(number).unwrap_or_default()
}

/// `003_add_users`, for sentences.
pub(super) fn called(version: &Version, name: &str) -> String {
    if name.is_empty() { version.to_string() } else { format!("{version}_{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::checksum::Checksum;
    use crate::migrate::folder::MigrationFile;
    use crate::migrate::part::Part;
    use crate::sql::{QualifiedName, Script};

    fn file(version: &str, text: &str) -> MigrationFile {
        MigrationFile {
            version: Version::parse(version).unwrap(),
            name: "x".to_owned(),
            up: Part::parse(Script::new(format!("{version}_x.up.sql"), text)).unwrap(),
            down: None,
        }
    }

    fn record(version: &str, text: &str, state: State) -> Record {
        let part = Part::parse(Script::new("", text)).unwrap();
        Record {
            version: Version::parse(version).unwrap(),
            name: "x".to_owned(),
            checksum: Some(Checksum::of(&part.script)),
            state,
            step: 2,
            running: false,
            applied_at: String::new(),
            execution_ms: None,
            applied_by: String::new(),
            source: None,
        }
    }

    fn standings(files: &[MigrationFile], records: Vec<Record>) -> String {
        let units: Vec<_> = files.iter().map(Unit::of_file).collect();
        let history = History { table: QualifiedName::new("a", "b"), exists: true, records };
        let shown = assess(&units, &history);
        let shown: Vec<_> = shown
            .iter()
            .map(|one| format!("{} {:?} {}", one.version, one.state, one.changes.join(",")))
            .collect();
        shown.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn every_standing() {
        let files = [
            file("001", "SELECT 1"),
            file("002", "-- new\nSELECT  1;"),
            file("003", "SELECT 1;\nSELECT 9;"),
            file("004", "SELECT 1"),
            file("005", "SELECT 1"),
            file("007", "SELECT 1"),
        ];
        let records = vec![
            record("1", "SELECT 1", State::Applied),
            record("2", "SELECT 1", State::Applied),
            record("3", "SELECT 1; SELECT 2", State::Applied),
            record("5", "SELECT 1", State::Applying),
            record("6", "SELECT 1", State::Applied),
            record("7", "SELECT 1", State::Reverted),
        ];
        insta::assert_snapshot!(standings(&files, records), @"001 Applied; 002 Applied; 003 Changed statement 2 (003_x.up.sql:2:1) is new or changed,1 statement of what was applied is gone; 004 OutOfOrder; 005 Interrupted; 6 Missing; 007 Pending");
    }

    #[test]
    fn a_squash_stands_for_its_parts() {
        let files = [file("003", "-- confiture: squashes 001, 002, 003\nSELECT 1; SELECT 2")];
        let part = |version| record(version, "SELECT 1", State::Applied);
        assert_eq!(standings(&files, vec![]), "003 Pending");
        assert_eq!(standings(&files, vec![part("1"), part("2"), part("3")]), "003 Applied");
        assert_eq!(standings(&files, vec![part("1"), part("2")]), "003 HalfSquashed");
        assert_eq!(standings(&files, vec![record("3", "SELECT 1; SELECT 2", State::Applied)]), "003 Applied");
    }
}
