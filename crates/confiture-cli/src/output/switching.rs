//! What a cutover or a rollback did, as text.

use std::fmt::Write as _;

use confiture::schema_to_schema::CheckOutcome;
use confiture::schema_to_schema::cutover::{SwitchKind, SwitchReport};

use super::numbers::{count, duration, milliseconds};
use super::style::Style;

/// The whole report.
pub(crate) fn render(style: Style, report: &SwitchReport) -> String {
    let mut text = String::new();
    if let Some(verification) = &report.verification {
        text.push_str(&super::verification::render(style, verification));
    }
    for check in &report.checklist {
        let (mark, word) = match check.outcome {
            CheckOutcome::Pass => (style.done(), "PASS"),
            CheckOutcome::Warn => (style.chart(), "WARN"),
            CheckOutcome::Ask => (style.chart(), "ASK "),
            CheckOutcome::Fail => (style.failed(), "FAIL"),
        };
        let _ = writeln!(text, "{mark} {word} {}: {}", check.what, style.dim(&check.evidence));
    }
    let stall = milliseconds(report.stall);
    if !report.switched {
        let _ = writeln!(
            text,
            "{} Rehearsed: everything but the fence. Writes would have waited for about {stall}, and nothing was switched.",
            style.done()
        );
        return text;
    }
    let (what, back) = match report.kind {
        SwitchKind::Cutover => ("Cut over", "`rollback` leads back, with everything written until then"),
        SwitchKind::Rollback => ("Rolled back", "`cutover` leads there again"),
    };
    let _ =
        writeln!(text, "{} {what}: {} takes the application's writes.", style.done(), style.bold(&report.to));
    let tries = match report.tries {
        0 => String::new(),
        tries => format!(", after {} that met a lock", count(tries, "try").replace("trys", "tries")),
    };
    let _ = writeln!(
        text,
        "  Writes waited for {}{tries}; {} crossed meanwhile.",
        style.bold(stall),
        count(report.last_rows, "row")
    );
    for sequence in &report.sequences {
        let _ = writeln!(text, "  {} goes on after {}", sequence.sequence.short(), sequence.last_value);
    }
    if report.way_back {
        let _ = writeln!(text, "  {} is fenced, and gets what changes from now on: {back}.", report.from);
        let _ = writeln!(text, "  Keep `sync` running: it carries changes the other way now.");
    } else {
        let _ = writeln!(text, "  {} is fenced, and there is no way back.", report.from);
    }
    for problem in &report.afterwards {
        let _ = writeln!(text, "{} {problem}", style.failed());
    }
    let _ = writeln!(text, "{}", style.dim(format!("Took {} in all.", duration(report.elapsed))));
    text
}
