//! What can be said of a folder by looking at it.

use serde::Serialize;

use crate::diff::Difference;
use crate::lint::{Remark, Severity};
use crate::migrate::assess::{Standing, called};
use crate::migrate::folder::Folder;
use crate::migrate::migrator::Status;
use crate::migrate::rehearse::Rehearsal;
use crate::migrate::steps::Steps;

/// Something worth knowing about a migration.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// A stable name: `no_way_back`.
    pub code: &'static str,
    /// It is wrong; else it is only said.
    pub is_error: bool,
    /// Which migration.
    pub migration: Option<String>,
    /// What.
    pub message: String,
}

impl Finding {
    fn new(
        code: &'static str,
        is_error: bool,
        migration: impl Into<Option<String>>,
        message: impl Into<String>,
    ) -> Self {
        Self { code, is_error, migration: migration.into(), message: message.into() }
    }

    /// What a rehearsal has shown.
    #[must_use]
    pub fn of_rehearsal(rehearsal: &Rehearsal) -> Vec<Self> {
        let mut found = Vec::new();
        for one in &rehearsal.migrations {
            let name = Some(one.migration.clone());
            if let Some(error) = &one.down_fails {
                found.push(Self::new(
                    "down_fails",
                    true,
                    name.clone(),
                    format!("its way back fails: {error}"),
                ));
            }
            let fails = one.not_again.as_ref().map(|error| format!("it cannot be applied again ({error})"));
            if !one.after_down.is_empty() {
                let listed = listed(&one.after_down, "is gone", "stays behind");
                let so = fails.map_or_else(String::new, |fails| format!("; so {fails}"));
                let message = format!("its way back does not lead back: {listed}{so}");
                found.push(Self::new("down_differs", true, name.clone(), message));
            } else if let Some(fails) = fails {
                found.push(Self::new(
                    "redo_fails",
                    true,
                    name.clone(),
                    format!("after its way back, {fails}"),
                ));
            }
            if !one.after_redo.is_empty() {
                let message = format!(
                    "applied again after its way back, it makes something else: {}",
                    listed(&one.after_redo, "is missing", "is new")
                );
                found.push(Self::new("redo_differs", true, name, message));
            }
        }
        found
    }

    /// What the files of the schema have made, and the migrations have not, or the other way round.
    #[must_use]
    pub fn of_schema(differences: &[Difference]) -> Option<Self> {
        (!differences.is_empty()).then(|| {
            let listed = listed(differences, "is only in the schema files", "is only in the migrations");
            Self::new(
                "schema_differs",
                true,
                None,
                format!("the migrations do not make what the schema files say: {listed}"),
            )
        })
    }

    /// What lint says: an error of a migration that is still to be applied is wrong, everything else is only said.
    #[must_use]
    pub fn of_lint(remarks: &[Remark], is_pending: bool) -> Vec<Self> {
        let of = |remark: &Remark| {
            let is_error = is_pending && remark.severity == Severity::Error;
            let message = format!("{}: {} ({})", remark.place, remark.message, remark.rule);
            Self::new("lint", is_error, None, message)
        };
        remarks.iter().filter(|remark| remark.severity > Severity::Note).map(of).collect()
    }

    /// What a database's history says.
    #[must_use]
    pub fn of_status(status: &Status) -> Vec<Self> {
        let mut found = Vec::new();
        for one in &status.migrations {
            let (code, is_error, message) = match one.state {
                Standing::Changed => (
                    "changed",
                    true,
                    format!("it has changed since it was applied: {}", one.changes.join("; ")),
                ),
                Standing::Missing => ("file_gone", true, "it is applied, and its file is gone".to_owned()),
                Standing::OutOfOrder => {
                    ("out_of_order", true, "it is pending below the last applied one".to_owned())
                }
                Standing::Interrupted | Standing::RevertInterrupted => {
                    ("interrupted", true, "it was interrupted between two steps".to_owned())
                }
                Standing::HalfSquashed => {
                    ("half_squashed", true, "only some of what it was made of is applied".to_owned())
                }
                Standing::Applied | Standing::Pending => continue,
            };
            found.push(Self::new(code, is_error, one.called(), message));
        }
        found
    }
}

fn listed(differences: &[Difference], only_first: &str, only_second: &str) -> String {
    const MOST: usize = 5;
    let shown = differences.iter().take(MOST).map(|difference| match difference {
        Difference::OnlyFirst { object } => format!("{object} {only_first}"),
        Difference::OnlySecond { object } => format!("{object} {only_second}"),
        Difference::Other { object, statement } => {
            match statement.as_deref().filter(|text| !text.contains('\n')) {
                Some(statement) => format!("{object} is another (what is missing: {statement})"),
                None => format!("{object} is another"),
            }
        }
    });
    let mut listed = shown.collect::<Vec<_>>().join(", ");
    if differences.len() > MOST {
        listed.push_str(&format!(" and {} more", differences.len() - MOST));
    }
    listed
}

/// Looks at the folder alone: ways back, gaps in the numbers, empty files, statements that a migration cannot hold.
#[must_use]
pub fn check_folder(folder: &Folder) -> Vec<Finding> {
    let notes = folder.notes.iter().map(|note| Finding::new("not_read", false, None, note.clone()));
    let mut found: Vec<_> = notes.collect();
    for migration in &folder.migrations {
        let name = called(&migration.version, &migration.name);
        if migration.up.is_empty() {
            found.push(Finding::new("empty", true, name.clone(), "it has nothing to apply"));
        }
        for (part, way) in [(Some(&migration.up), "up"), (migration.down.as_ref(), "back")] {
            if let Some(Err(error)) = part.map(Steps::of) {
                let place = error.place().map(|place| format!(" ({place})")).unwrap_or_default();
                found.push(Finding::new(
                    "unfit",
                    true,
                    name.clone(),
                    format!("on the way {way}: {error}{place}"),
                ));
            }
        }
        match &migration.down {
            None => found.push(Finding::new("no_way_back", false, name, "it has no way back")),
            Some(down) if down.is_empty() => {
                found.push(Finding::new("no_way_back", false, name, "its way back is empty"));
            }
            Some(_) => {}
        }
    }
    found.extend(gaps(folder));
    found
}

/// In a sequence, numbers that nobody has.
fn gaps(folder: &Folder) -> impl Iterator<Item = Finding> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number < 1_000_000);
    folder.migrations.windows(2).filter_map(move |pair| {
        let (one, next) = (number(pair[0].version.as_str())?, number(pair[1].version.as_str())?);
        let (from, to) = (one + 1, next - 1);
        if from > to || !pair[1].up.directives.squashes.is_empty() {
            return None;
        }
        let missing = if from == to { format!("{from} is") } else { format!("{from} to {to} are") };
        let name = called(&pair[1].version, &pair[1].name);
        Some(Finding::new("gap", false, name, format!("{missing} missing before it")))
    })
}
