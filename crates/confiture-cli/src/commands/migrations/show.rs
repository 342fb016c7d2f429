//! Plans and reports of migrations, as text.

use std::fmt::Write as _;

use confiture::lint::{Remark, Severity};
use confiture::migrate::{Direction, Plan, Planned, Report};

use crate::output::numbers::{count, duration, milliseconds};
use crate::output::sentence;
use crate::output::style::Style;

/// What a run has done.
pub(super) fn report(style: Style, report: &Report, database: &str) -> String {
    let mut text = String::new();
    for done in &report.migrations {
        let what = match (done.direction, done.resumed) {
            (Direction::Up, true) => "finished",
            (Direction::Up, false) => "applied",
            (Direction::Down, _) => "reverted",
        };
        let tries = if done.attempts > 1 { format!(", {} tries", done.attempts) } else { String::new() };
        let _ = writeln!(
            text,
            "{} {what} {} ({}{tries})",
            style.done(),
            done.called(),
            milliseconds(done.elapsed)
        );
    }
    for name in &report.repaired {
        let _ = writeln!(text, "{} recorded {name} as its file is now", style.done());
    }
    for note in &report.notes {
        let _ = writeln!(text, "{}", sentence(note));
    }
    let again = report.direction == Direction::Up
        && report.migrations.iter().any(|done| done.direction == Direction::Down);
    let what = match report.direction {
        Direction::Up if again => "reverted and applied again on",
        Direction::Up => "applied to",
        Direction::Down => "reverted on",
    };
    if report.migrations.is_empty() && report.repaired.is_empty() {
        let _ = writeln!(text, "Nothing to do on {database}.");
    } else if !report.migrations.is_empty() {
        let migrations = report.migrations.iter().filter(|done| done.direction == report.direction).count();
        let migrations = count(migrations, "migration");
        let _ = writeln!(text, "{migrations} {what} {database} in {}", duration(report.elapsed));
    }
    text
}

/// What a run would do. `detailed`: every statement.
pub(super) fn plan(style: Style, plan: &Plan, database: &str, detailed: bool) -> String {
    let mut text = String::new();
    for migration in &plan.migrations {
        let _ = writeln!(text, "{} ({})", style.bold(migration.called()), manner(migration));
        if let Some(what) = &migration.loses_data {
            let _ = writeln!(text, "  loses {}", if what.is_empty() { "data" } else { what });
        }
        for statement in migration.statements.iter().filter(|_| detailed) {
            let seen = statement.seen.as_deref();
            // What was seen says more than what is known of such statements.
            let foretold =
                statement.lock.filter(|_| seen.is_none_or(|seen| seen.is_empty() && statement.alone));
            let lock = foretold.map(|lock| format!("{lock} lock")).unwrap_or_default();
            let alone = if statement.alone { "outside of a transaction" } else { "" };
            let destroys = statement.destroys.map(|_| "destroys rows").unwrap_or_default();
            let remarks: Vec<_> =
                [lock.as_str(), alone, destroys].into_iter().filter(|one| !one.is_empty()).collect();
            let remarks = if remarks.is_empty() {
                String::new()
            } else {
                style.dim(format!("  -- {}", remarks.join(", ")))
            };
            let _ = writeln!(text, "  {}{remarks}", statement.text);
            for lock in seen.unwrap_or_default() {
                let _ = writeln!(text, "    {}", style.dim(lock.in_words()));
            }
        }
        for remark in migration.remarks.iter().filter(|_| detailed) {
            let Remark { severity, message, rule, fix, place, .. } = remark;
            let weighed = remark.weighed.as_ref().map_or(String::new(), |weighed| format!("; {weighed}"));
            let _ = writeln!(text, "  {}: {place}: {message}{weighed} [{rule}]", severity.word());
            if *severity > Severity::Note {
                let _ = writeln!(text, "    {}: {fix}", style.cyan("fix"));
            }
        }
    }
    for name in &plan.repairs {
        let _ = writeln!(text, "{name}: its file is recorded as it is now");
    }
    for note in &plan.notes {
        let _ = writeln!(text, "{}", sentence(note));
    }
    if let Some(way_back) = &plan.way_back {
        text.push_str(
            "Rehearsed on a copy of the schema, without rows: what rows would refuse was not seen.\n",
        );
        let _ = writeln!(text, "{}", sentence(&way_back.in_words()));
    }
    let what = if plan.direction == Direction::Up { "to apply to" } else { "to revert on" };
    let _ = writeln!(text, "{} {what} {database}", count(plan.migrations.len(), "migration"));
    text
}

fn manner(migration: &Planned) -> String {
    let statements = count(migration.statements.len(), "statement");
    let steps = migration.statements.last().map_or(1, |last| last.step);
    let resumed = match migration.steps_done {
        0 => String::new(),
        done => format!(", {done} of them done"),
    };
    if migration.file.is_none() {
        "in Rust".to_owned()
    } else if migration.in_transaction {
        format!("{statements}, one transaction")
    } else {
        format!("{statements}, {}{resumed}", count(steps, "step"))
    }
}
