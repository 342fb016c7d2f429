//! What verification found: one line for each table and each check.

use std::fmt::Write as _;

use confiture::schema_to_schema::{
    DifferenceKind, Differences, ForeignKeyVerification, ValidationResult, VerificationReport,
};
use confiture::{Error, ErrorKind};

use super::numbers::{count, duration, thousands};
use super::style::Style;

/// The whole report.
pub(crate) fn render(style: Style, report: &VerificationReport) -> String {
    let mut text = String::new();
    for found in &report.tables {
        let (old, new) = (found.source_rows.unsigned_abs(), found.target_rows.unsigned_abs());
        let line = table(style, &found.table.short(), old, new, found.ok);
        let _ = match found.keys {
            None => writeln!(text, "{line}"),
            Some(0) => writeln!(
                text,
                "{} {}: nothing changed since it was found equal",
                style.done(),
                found.table.short()
            ),
            Some(keys) => {
                writeln!(text, "{line}, of {} that changed since all were equal", count(keys, "key"))
            }
        };
        if let Some(repaired) = &found.repaired {
            text.push_str("   repaired:\n");
            differing(&mut text, repaired);
        }
        if let Some(differences) = &found.differences {
            differing(&mut text, differences);
        }
    }
    foreign_keys(&mut text, style, &report.foreign_keys);
    validations(&mut text, style, &report.validations);
    let _ = writeln!(text, "{}", style.dim(format!("Compared in {}.", duration(report.elapsed))));
    if report.ok && report.tables.iter().any(|table| table.keys.is_some()) {
        let said = "Rows that nobody changed in the source were equal before; --full compares them again.";
        let _ = writeln!(text, "{}", style.dim(said.to_owned()));
    }
    text
}

/// "No", where anything is wrong.
pub(crate) fn verdict(report: &VerificationReport, shows_values: bool) -> Option<Error> {
    let tables = report.tables.iter().filter(|table| !table.ok).count();
    let keys = report.foreign_keys.iter().filter(|key| key.orphans != 0).count();
    let validations = report.validations.iter().filter(|validation| !validation.ok).count();
    let found: Vec<String> = [(tables, "table"), (keys, "foreign key"), (validations, "validation")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| count(number, what))
        .collect();
    (!report.ok)
        .then(|| {
            let shown = if shows_values { "" } else { "--show-values shows what differs, and " };
            let cure = match report.tables.iter().any(|table| table.batch.is_some()) {
                true => "verify --repair reads those rows again",
                false => "a run with --truncate copies anew",
            };
            Error::new(ErrorKind::Found, format!("verification failed: {}", found.join(", ")))
                .hint(format!("do not cut over; {shown}{cure}"))
        })
        .map(|error| {
            if only_lacks(report) {
                error.hint("where only a part was copied, compare with the same --where and --tables")
            } else {
                error
            }
        })
}

/// True where the target has nothing wrong, but less than the source.
fn only_lacks(report: &VerificationReport) -> bool {
    let mut differing = report.tables.iter().filter_map(|table| table.differences.as_ref()).peekable();
    differing.peek().is_some() && differing.all(|found| found.extra == 0 && found.different == 0)
}

/// How many rows differ, and which.
fn differing(text: &mut String, differences: &Differences) {
    let least = if differences.complete { "" } else { "at least " };
    let kinds = [
        (differences.missing, "missing"),
        (differences.extra, "too many"),
        (differences.different, "different"),
    ];
    let kinds =
        kinds.iter().filter(|(rows, _)| *rows > 0).map(|(rows, kind)| format!("{} {kind}", thousands(*rows)));
    let _ = writeln!(text, "   {least}{}", kinds.collect::<Vec<_>>().join(", "));
    for row in &differences.rows {
        let kind = match row.kind {
            DifferenceKind::Missing => "missing",
            DifferenceKind::Extra => "too many",
            DifferenceKind::Different => "different",
        };
        let key =
            row.key.iter().map(|(column, value)| format!("{column}={value}")).collect::<Vec<_>>().join(" ");
        let columns = row.columns.iter().map(|column| match (&column.source, &column.target) {
            (None, None) => column.column.to_string(),
            (old, new) => format!("{} {} (old) {} (new)", column.column, shown(old), shown(new)),
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "   {kind} {key}{}{columns}", if columns.is_empty() { "" } else { ": " });
    }
}

fn shown(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("NULL")
}

fn foreign_keys(text: &mut String, style: Style, keys: &[ForeignKeyVerification]) {
    let broken: Vec<_> = keys.iter().filter(|key| key.orphans != 0).collect();
    if !keys.is_empty() && broken.is_empty() {
        let _ = writeln!(text, "{}", check(style, true, "Foreign key integrity verified"));
    }
    for key in broken {
        let sentence = format!(
            "Foreign key {}.{}: {} to nothing in {}",
            key.table.short(),
            key.name,
            referring(key.orphans.unsigned_abs()),
            key.references.short()
        );
        let _ = writeln!(text, "{}", check(style, false, &sentence));
    }
}

/// `3 rows refer`, `1 row refers`.
fn referring(rows: u64) -> String {
    format!("{} {}", count(rows, "row"), if rows == 1 { "refers" } else { "refer" })
}

fn validations(text: &mut String, style: Style, results: &[ValidationResult]) {
    let failed: Vec<_> = results.iter().filter(|result| !result.ok).collect();
    if !results.is_empty() && failed.is_empty() {
        let _ = writeln!(text, "{}", check(style, true, "Custom validations passed"));
    }
    for result in failed {
        let message = result.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
        let _ =
            writeln!(text, "{}", check(style, false, &format!("Custom validation {}{message}", result.name)));
    }
}

/// `✅ users: 10,000,000 (old) = 10,000,000 (new)`, or with `≠` where they differ.
///
/// Equal counts are not enough: `same` says whether the contents are equal too.
fn table(style: Style, table: &str, old: u64, new: u64, same: bool) -> String {
    let mark = if same { style.done() } else { style.failed() };
    let sign = match (old == new, style.plain) {
        (true, _) => "=",
        (false, false) => "≠",
        (false, true) => "<>",
    };
    let contents = if old == new && !same { ", but rows differ" } else { "" };
    format!("{mark} {table}: {} (old) {sign} {} (new){contents}", thousands(old), thousands(new))
}

/// `✅ Foreign key integrity verified`, `❌ Custom validations failed: …`.
fn check(style: Style, passed: bool, sentence: &str) -> String {
    format!("{} {sentence}", if passed { style.done() } else { style.failed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_seed() {
        let style = Style::default();
        assert_eq!(
            table(style, "users", 10_000_000, 10_000_000, true),
            "✅ users: 10,000,000 (old) = 10,000,000 (new)"
        );
        assert_eq!(check(style, true, "Foreign key integrity verified"), "✅ Foreign key integrity verified");
    }

    #[test]
    fn a_difference_is_seen_even_where_the_counts_agree() {
        let plain = Style { plain: true, ..Style::default() };
        assert_eq!(table(plain, "users", 3, 2, false), "FAIL users: 3 (old) <> 2 (new)");
        assert_eq!(
            table(plain, "users", 1_000, 1_000, false),
            "FAIL users: 1,000 (old) = 1,000 (new), but rows differ"
        );
    }
}
