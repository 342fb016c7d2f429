//! A schema-to-schema plan as text.

use std::fmt::Write as _;
use std::time::Duration;

use confiture::schema_to_schema::{Plan, Remark, Route, TablePlan};

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
