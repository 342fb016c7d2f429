//! What was carried while both sides take writes, as text.

use std::fmt::Write as _;

use confiture::schema_to_schema::cutover::BidirectionalReport;

use super::numbers::{count, duration, thousands};
use super::style::Style;

/// The whole report.
pub(crate) fn render(style: Style, report: &BidirectionalReport) -> String {
    let mut text = String::new();
    if report.opened {
        let _ = writeln!(text, "{} Both sides take writes.", style.done());
        for sequence in &report.interleaved {
            let _ = writeln!(
                text,
                "  {} goes on with {}, and takes turns with those of the other side",
                sequence.sequence.short(),
                sequence.last_value
            );
        }
    }
    let [over, back] = report.rows;
    let _ = writeln!(
        text,
        "{} Carried {} to the new side and {} back ({}).",
        style.done(),
        count(usize::try_from(over).unwrap_or(usize::MAX), "row"),
        thousands(back),
        duration(report.elapsed)
    );
    let _ = match report.conflicts {
        0 => writeln!(text, "  No row was changed by both."),
        conflicts => writeln!(
            text,
            "  {} {} changed by both, and settled ({}): see confiture.conflict, on both sides.",
            thousands(conflicts),
            if conflicts == 1 { "row was" } else { "rows were" },
            report.policy
        ),
    };
    let _ = match report.handed_over {
        true => writeln!(text, "  Handed over: somebody ends it for one of the sides."),
        false => writeln!(
            text,
            "  Both sides go on taking writes, and changes go on being captured: run it again to carry them, or end it with `cutover` or `rollback`."
        ),
    };
    text
}
