//! The list before a cutover, as text.

use std::fmt::Write as _;

use confiture::schema_to_schema::{Check, CheckOutcome};
use confiture::{Error, ErrorKind};

use super::numbers::count;
use super::style::Style;

/// Every point on a line, with what was found, and what to do where it is not so.
pub(crate) fn render(style: Style, checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let mark = match check.outcome {
            CheckOutcome::Pass => "PASS".to_owned(),
            CheckOutcome::Warn => style.yellow("WARN"),
            CheckOutcome::Fail => style.red("FAIL"),
            CheckOutcome::Ask => style.yellow("ASK "),
        };
        let _ = writeln!(text, "{mark}  {}: {}", check.what, style.dim(&check.evidence));
        if let Some(hint) = check.hint.as_ref().filter(|_| check.outcome != CheckOutcome::Pass) {
            let _ = writeln!(text, "      {} {hint}", style.cyan("hint:"));
        }
        if check.outcome == CheckOutcome::Ask {
            let _ = writeln!(text, "      then say --confirm {}", check.id);
        }
    }
    let of = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let (failed, asked) = (of(CheckOutcome::Fail), of(CheckOutcome::Ask));
    let _ = match (failed, asked) {
        (0, 0) => writeln!(text, "\n{} Everything is so: the cutover may come.", style.done()),
        _ => writeln!(
            text,
            "\n{} of {} are so; {failed} are not, {asked} are to be confirmed.",
            of(CheckOutcome::Pass) + of(CheckOutcome::Warn),
            checks.len()
        ),
    };
    text
}

/// "No", where a point is not so.
pub(crate) fn verdict(checks: &[Check]) -> Option<Error> {
    let open: Vec<&str> =
        checks.iter().filter(|check| check.outcome > CheckOutcome::Warn).map(|check| check.id).collect();
    (!open.is_empty()).then(|| {
        let verb = if open.len() == 1 { "stands" } else { "stand" };
        let points = count(open.len(), "point");
        Error::new(ErrorKind::Found, format!("{points} {verb} before the cutover: {}", open.join(", ")))
    })
}
