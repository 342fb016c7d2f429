//! What a sync would do, did and found, for people.

use std::fmt::Write as _;
use std::path::Path;

use confiture::sync::{
    Applied, Manifest, ManifestCheck, Plan, Preview, Report, RiskReport, Signature, TablePlan,
};

use super::numbers;
use super::style::Style;

/// A plan: every column's rule, the SELECTs, and some masked rows.
pub(crate) fn plan(plan: &Plan, preview: &[Preview], style: Style) -> String {
    let mut page =
        format!("{}\n{} {} {}\n", style.bold("Sync plan"), plan.source, style.arrow(), plan.target);
    for table in &plan.tables {
        table_plan(&mut page, table, preview, style);
    }
    if !plan.referring.is_empty() {
        let names: Vec<String> = plan.referring.iter().map(confiture::sql::QualifiedName::short).collect();
        let _ = writeln!(
            page,
            "\nNot synced, and referring to synced tables: {}. Their rows must find their keys again, or nothing changes.",
            names.join(", ")
        );
    }
    if !plan.notes.is_empty() {
        let _ = writeln!(page, "\n{}", style.bold("Notes"));
        for note in &plan.notes {
            let _ = writeln!(page, "  {note}");
        }
    }
    if plan.bytes_needed >= 1_000_000 {
        let free = match plan.bytes_free {
            Some(free) => format!("its disk has {} free", numbers::bytes(free)),
            None => "how much its disk has free, SQL does not tell".to_owned(),
        };
        let _ = writeln!(
            page,
            "\nThe target needs about {} until the commit, beside the {} that these tables hold there now; {free}.",
            numbers::bytes(plan.bytes_needed),
            numbers::bytes(plan.bytes_there)
        );
    }
    let _ = writeln!(
        page,
        "\n{}, {} masked. Nothing was changed.",
        numbers::count(plan.tables.len(), "table"),
        numbers::count(plan.masked_columns(), "column")
    );
    page
}

fn table_plan(page: &mut String, table: &TablePlan, preview: &[Preview], style: Style) {
    let _ = writeln!(
        page,
        "\n{} (about {}, {})",
        style.bold(table.table.short()),
        numbers::rows(table.rows),
        numbers::bytes(table.bytes)
    );
    let width = |of: fn(&confiture::sync::ColumnPlan) -> usize| {
        table.columns.iter().map(of).max().unwrap_or_default()
    };
    let (names, rules) = (
        width(|column| column.name.to_string().chars().count()),
        width(|column| column.rule.chars().count()).min(48),
    );
    for column in &table.columns {
        let applied = match column.applied {
            Applied::Nowhere => "copied as it is",
            Applied::OnSource => "computed by the source: the value stays there",
            Applied::OnFragment => "made without the value: the source sends a fragment or a mark",
            Applied::InStream => "masked in memory",
        };
        let line = format!(
            "  {:names$}  {:rules$}  {applied} ({})",
            column.name.to_string(),
            column.rule,
            column.chosen_by
        );
        let _ = writeln!(page, "{}", if column.applied == Applied::Nowhere { style.dim(line) } else { line });
    }
    let _ = writeln!(page, "  runs on the source:\n    {}", table.select.as_str().replace('\n', "\n    "));
    for column in preview.iter().filter(|column| column.table == table.table) {
        for (sent, arrives) in &column.values {
            let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
            let _ = writeln!(
                page,
                "  {}: {} {} {}",
                column.column,
                style.dim(show(sent)),
                style.arrow(),
                show(arrives)
            );
        }
    }
}

/// What was done.
pub(crate) fn report(report: &Report, plan: &Plan, manifest: &Path, style: Style) -> String {
    let mut page = String::new();
    for table in &report.tables {
        let masked = table.columns.iter().filter(|column| column.applied != Applied::Nowhere).count();
        let _ = writeln!(
            page,
            "{} {}: {}, {} masked ({})",
            style.done(),
            table.table.short(),
            numbers::count(table.rows, "row"),
            numbers::count(masked, "column"),
            numbers::duration(table.elapsed)
        );
    }
    let rows: u64 = report.tables.iter().map(|table| table.rows).sum();
    let _ = writeln!(
        page,
        "Synced {} to {} in {}.",
        numbers::count(rows, "row"),
        plan.target,
        numbers::duration(report.elapsed)
    );
    if report.scan.fingerprints > 0 {
        let _ = writeln!(
            page,
            "Searched {} for {}: none arrived.",
            numbers::count(report.scan.texts, "text"),
            numbers::count(report.scan.fingerprints, "original value")
        );
    }
    let _ = writeln!(page, "Manifest: {}", manifest.display());
    page
}

/// A database beside its manifest.
pub(crate) fn check(check: &ManifestCheck, manifest: &Manifest, style: Style) -> String {
    let signature = match check.signature {
        Signature::Valid => "valid",
        Signature::Invalid => "INVALID",
        Signature::Unsigned => "none: the key was that run's alone",
    };
    let mut page = format!("From {} ({})\nSignature: {signature}\n", manifest.source, manifest.label);
    for table in &check.tables {
        let mark = if table.unchanged { style.done() } else { style.failed() };
        let found = table.found.map_or_else(|| "no table".to_owned(), |rows| numbers::count(rows, "row"));
        let _ = writeln!(
            page,
            "{mark} {}: {} recorded, {found} found",
            table.table.short(),
            numbers::count(table.recorded, "row")
        );
    }
    page
}

/// How well rows hide among each other.
pub(crate) fn risk(report: &RiskReport, style: Style) -> String {
    let whole = &report.whole;
    let mut page = format!(
        "{}{}: {} in {}{}, the smallest of {}\n",
        style.bold(report.table.short()),
        if report.forecast { " as a sync would bring it" } else { "" },
        numbers::count(whole.rows, "row"),
        if whole.estimated { "about " } else { "" },
        numbers::count(whole.classes, "group"),
        numbers::count(whole.smallest, "row")
    );
    if let Some(diversity) = whole.diversity {
        let _ =
            writeln!(page, "The least diverse group has {}.", numbers::count(diversity, "sensitive value"));
    }
    let _ = writeln!(page, "Rows in groups of fewer than {}:", report.k);
    for found in &report.combinations {
        let names: Vec<String> = found.columns.iter().map(ToString::to_string).collect();
        let _ = writeln!(page, "  {:>12}  {}", numbers::thousands(found.rows_at_risk), names.join(", "));
    }
    page
}
