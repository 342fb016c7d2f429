//! What a rollback would bring back, and what not, as the analysis shows it.

use std::fmt::Write as _;

use confiture::schema_to_schema::{Finding, ReverseMapping, Severity};

use super::numbers::count;
use super::style::Style;

/// One line where nothing is lost; else every loss with its place and what to write.
pub(crate) fn render(style: Style, reverse: &ReverseMapping) -> String {
    let tables = count(reverse.mapping.tables.len(), "table");
    let shown = || reverse.findings.iter().filter(|finding| finding.severity > Severity::Note);
    let mut text = match shown().find(|finding| finding.severity >= Severity::Loses) {
        None => {
            format!("Way back: {tables} can be carried back after a cutover; a rollback loses nothing.\n")
        }
        Some(_) => {
            format!(
                "{}\n",
                style.bold("Way back: a rollback after a cutover would not bring everything back")
            )
        }
    };
    for finding in shown() {
        let _ = writeln!(text, "  {}", one(style, finding));
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "      {} {hint}", style.cyan("hint:"));
        }
    }
    text
}

fn one(style: Style, finding: &Finding) -> String {
    let place = finding.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    let column = finding.column.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
    let word = match finding.severity {
        Severity::Blocks => style.red("no way"),
        Severity::Loses => style.yellow("lost"),
        Severity::Lossy => style.yellow("lossy"),
        Severity::Note => style.yellow("note"),
    };
    format!("{word} {place}{}{column}: {}", finding.table.short(), finding.message)
}
