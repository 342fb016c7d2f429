//! What a migration did, as text.

use std::fmt::Write as _;

use confiture::schema_to_schema::{MigrationReport, Outcome, Route};
use confiture::{Error, ErrorKind};

use super::numbers::{count, duration, thousands};
use super::style::Style;

/// One line for each table, then what was done beside.
pub(crate) fn render(style: Style, report: &MigrationReport) -> String {
    let mut text = String::new();
    for table in &report.tables {
        let mark = if table.route == Route::Copy { style.fast() } else { style.done() };
        let how = match table.outcome {
            Outcome::Copied => "migrated",
            Outcome::Continued => "migrated, continued from an earlier run",
            Outcome::CopiedAgain => "migrated again, for its source had changed",
            Outcome::AlreadyDone => "was migrated by an earlier run",
        };
        // What an earlier run did took no time now.
        let time = match table.elapsed.is_zero() {
            true => String::new(),
            false => format!(", {} actual", duration(table.elapsed)),
        };
        let _ = writeln!(text, "{mark} {} {how} ({}{time})", table.table.short(), count(table.rows, "row"));
    }
    if report.already_done {
        text.push_str("Everything had been done before; nothing was changed.\n");
        return text;
    }
    for key in &report.violated {
        let _ = writeln!(
            text,
            "{} {}.{}: rows refer to nothing, so the foreign key is NOT VALID",
            style.failed(),
            key.table.short(),
            key.name
        );
    }
    let beside = [
        (report.rebuilt, plural(report.rebuilt, "index or constraint", "indexes and constraints") + " built"),
        (report.sequences.len(), count(report.sequences.len(), "sequence") + " advanced"),
    ];
    let beside: Vec<_> = beside.into_iter().filter(|(number, _)| *number > 0).map(|(_, said)| said).collect();
    let colon = if beside.is_empty() { "" } else { ": " };
    let (tables, elapsed) = (count(report.tables.len(), "table"), duration(report.elapsed));
    let _ = writeln!(text, "{tables} in {elapsed}{colon}{}.", beside.join(", "));
    text
}

/// "No", where rows violate a foreign key.
pub(crate) fn verdict(report: &MigrationReport) -> Option<Error> {
    let violated = report.violated.len();
    (violated > 0).then(|| {
        Error::new(ErrorKind::Found, format!("rows violate {}", count(violated, "foreign key")))
            .hint("the source holds the same orphans, or the mapping leaves out rows that others refer to; correct that, then ALTER TABLE … VALIDATE CONSTRAINT")
    })
}

fn plural(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number as u64), if number == 1 { one } else { many })
}
