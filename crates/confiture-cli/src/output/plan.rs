//! A schema-to-schema plan as text.

use std::fmt::Write as _;
use std::time::Duration;

use confiture::schema_to_schema::{ColumnPlan, Plan, Remark, Route, TablePlan};
use confiture::sql::QualifiedName;

use super::analysis::{self, TableLine};
use super::style::Style;
use super::{numbers, sentence};

/// The box, for `analyze`.
pub(crate) fn boxed(style: Style, plan: &Plan) -> String {
    // In a narrow terminal five columns would be read letter by letter.
    if style.width.is_some_and(|width| width < 60) {
        return groups(style, plan);
    }
    let lines: Vec<TableLine> = plan.tables.iter().map(line).collect();
    page(style, plan, &analysis::boxed(style, &lines, &footer(plan)))
}

/// The groups, before the confirmation.
pub(crate) fn groups(style: Style, plan: &Plan) -> String {
    let lines: Vec<TableLine> = plan.tables.iter().map(line).collect();
    page(style, plan, &analysis::groups(style, &lines, &footer(plan)))
}

/// `users (10M rows) → FDW (20 sec estimated)` for each table, then the remarks.
pub(crate) fn lines(style: Style, plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> =
        plan.tables.iter().map(|table| analysis::short(style, &line(table))).collect();
    lines.extend(remarks(style, plan));
    lines
}

/// What becomes of which column, table by table: renames, expressions, joins, conditions, and what is left out.
pub(crate) fn details(style: Style, plan: &Plan) -> String {
    let mut text = String::new();
    for table in &plan.tables {
        let from =
            table.source.as_ref().map_or_else(|| "a statement of its own".to_owned(), QualifiedName::short);
        let _ =
            writeln!(text, "{} {} {from} {}", style.bold(table.target.short()), style.from(), joined(table));
        let same = |column: &&ColumnPlan| column.source_column.as_ref() == Some(&column.target);
        for column in table.columns.iter().filter(|column| !same(column)) {
            let _ = writeln!(text, "    {} {} {}", column.target, style.from(), one_line(&column.shown));
        }
        let names: Vec<String> =
            table.columns.iter().filter(same).map(|column| column.target.to_string()).collect();
        if !names.is_empty() {
            let _ = writeln!(text, "    {}", style.dim(format!("as they are: {}", names.join(", "))));
        }
        for (column, reason) in &table.skipped {
            let _ = writeln!(text, "    {}", style.dim(format!("not written: {column} ({reason})")));
        }
    }
    text
}

fn joined(table: &TablePlan) -> String {
    let mut text = one_line(table.query.joins.as_str());
    for filter in &table.query.filters {
        let _ = write!(text, "{}where {}", if text.is_empty() { "" } else { " " }, one_line(filter.as_str()));
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn page(style: Style, plan: &Plan, tables: &str) -> String {
    let mut text = format!("{} {} {}\n\n{tables}", plan.source, style.arrow(), plan.target);
    for remark in remarks(style, plan) {
        let _ = writeln!(text, "{remark}");
    }
    text
}

/// What the user should know, about the whole first.
fn remarks(style: Style, plan: &Plan) -> Vec<String> {
    let whole = plan.remarks.iter().map(|remark| remarked(style, &sentence(&remark.message), remark));
    let tables = plan.tables.iter().flat_map(|table| {
        let about = move |remark: &Remark| format!("{}: {}", table.target.short(), remark.message);
        table.remarks.iter().map(move |remark| remarked(style, &about(remark), remark))
    });
    whole.chain(tables).collect()
}

fn remarked(style: Style, message: &str, remark: &Remark) -> String {
    let label = if remark.warning { style.yellow("warning") } else { style.dim("note") };
    let place = remark.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    format!("{label}: {message}{place}")
}

fn line(table: &TablePlan) -> TableLine {
    let strategy = match table.route {
        Route::Copy => "COPY",
        Route::Fdw => "FDW",
        Route::Local => "LOCAL",
    };
    TableLine {
        table: table.target.short(),
        rows: table.rows,
        strategy,
        fast: table.route == Route::Copy,
        estimate: table.estimated_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        faster: None,
        reason: table.reason.clone(),
    }
}

/// The time in all where it is known for every table, else what there is to do.
fn footer(plan: &Plan) -> String {
    let seconds: Option<f64> = plan.tables.iter().map(|table| table.estimated_seconds).sum();
    match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(total) if !plan.tables.is_empty() => analysis::total(total),
        _ => format!(
            "{}, about {}",
            numbers::count(plan.tables.len(), "table"),
            numbers::rows(plan.tables.iter().map(|table| table.rows).sum())
        ),
    }
}
