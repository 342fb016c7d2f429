//! What proves that both sides are equal, and how the cutover went.

use std::time::Duration;

use confiture::schema_to_schema::watch::{Comparison, Cutover, Record};
use serde_json::Value;

use super::html::{Html, mark, paragraph, section, table};
use super::plot::{clock, stall};
use crate::output::numbers::{count, duration, milliseconds, thousands};

/// The last comparison, in a sentence.
pub(super) fn last_comparison(record: &Record) -> String {
    match record.comparisons.last() {
        Some(last) if last.ok => format!(
            "Last compared {} UTC, after batch {}: both sides equal ({}, {} rows compared).",
            clock(last.at),
            thousands(last.batch.unsigned_abs()),
            count(last.tables.unsigned_abs(), "table"),
            thousands(last.rows.unsigned_abs())
        ),
        Some(last) => format!(
            "Last compared {} UTC: {}.",
            clock(last.at),
            last.found.as_deref().unwrap_or("both sides differ")
        ),
        None => match record.trail.iter().rev().find(|entry| entry.what.starts_with("compared")) {
            Some(entry) => format!(
                "Last {} ({} UTC).",
                entry.what,
                entry.at.get(..19).unwrap_or_default().replace('T', " ")
            ),
            None => "Both sides were not compared yet.".to_owned(),
        },
    }
}

/// Comparisons, and what they cover.
pub(super) fn proofs(record: &Record) -> Html {
    let mut inside = vec![paragraph(
        "For a comparison both databases are frozen in the same state by a batch; both servers hash every row, or those that \
         batches have touched since the last time, through the same mapping, and the sums are held against each other.",
    )];
    let row = |one: &Comparison| {
        [
            Html::element("span", "when", Html::text(clock(one.at))),
            mark(Some(one.ok)),
            Html::text(thousands(one.batch.unsigned_abs())),
            Html::text(one.tables),
            Html::text(thousands(one.rows.unsigned_abs())),
            Html::text(duration(Duration::from_secs_f64(one.elapsed_ms.max(0.0) / 1e3))),
            Html::text(one.found.as_deref().unwrap_or("equal")),
        ]
    };
    if record.comparisons.is_empty() {
        inside.push(paragraph(last_comparison(record)));
    } else {
        let header = ["UTC", "", ">After batch", ">Tables", ">Rows", ">Time", "Found"];
        inside.push(table(header, record.comparisons.iter().map(row)));
    }
    let covered = record
        .sight
        .status
        .tables
        .iter()
        .filter_map(|table| table.coverage.as_ref().map(|known| (table, known)));
    let covered: Vec<_> = covered
        .map(|(table, known)| {
            [
                Html::element("code", "", Html::text(table.table.short())),
                Html::text(thousands(known.batch.unsigned_abs())),
                Html::text(format!(
                    "{} ago",
                    duration(Duration::from_secs_f64(known.complete_seconds_ago.max(0.0)))
                )),
                Html::text(thousands(known.touched_keys.unsigned_abs())),
            ]
        })
        .collect();
    let open: Vec<String> = record
        .sight
        .status
        .tables
        .iter()
        .filter(|table| table.coverage.is_none())
        .map(|table| table.table.short())
        .collect();
    if record.sight.status.following.is_some() {
        inside.push(Html::element("h3", "", Html::text("What is known to be equal")));
        if !covered.is_empty() {
            inside.push(table(
                ["Table", ">Equal after batch", ">All rows compared", ">Keys touched since"],
                covered,
            ));
        }
        if !open.is_empty() {
            inside.push(paragraph(format!("All rows are still to be compared of: {}.", open.join(", "))));
        }
    }
    let off = &record.sight.taken_off;
    let sum = off.indexes_off
        + off.foreign_keys_and_triggers_off
        + off.foreign_keys_not_valid
        + off.indexes_not_valid;
    inside.push(paragraph(match sum {
        0 => "All keys, indexes, foreign keys and triggers of the new tables are in place and valid.".to_owned(),
        _ => format!(
            "Of the new tables, {} keys and indexes and {} foreign keys and triggers are off; {} foreign keys and {} indexes are not valid.",
            off.indexes_off, off.foreign_keys_and_triggers_off, off.foreign_keys_not_valid, off.indexes_not_valid
        ),
    }));
    section("Proofs", inside)
}

/// Cutovers and rollbacks.
pub(super) fn cutover(record: &Record) -> Html {
    if record.cutovers.is_empty() {
        return section("Cutover", [paragraph("There was none when this was written.")]);
    }
    section("Cutover", record.cutovers.iter().map(one_cutover))
}

fn one_cutover(one: &Cutover) -> Html {
    let title = if one.kind == "rollback" { "Rollback" } else { "Cutover" };
    let began = one.started.map_or(String::new(), clock);
    let outcome = one.outcome.as_deref().unwrap_or("at work").replace('_', " ");
    let mut pieces = vec![Html::element("h3", "", Html::text(format!("{title}, {began} UTC: {outcome}")))];
    if let Some(found) = &one.found {
        pieces.push(paragraph(found));
    }
    let moment = |name: &'static str, at: Option<f64>| {
        let since =
            one.started.zip(at).map(|(from, at)| milliseconds(Duration::from_secs_f64((at - from).max(0.0))));
        [
            Html::text(name),
            Html::text(at.map_or_else(|| "-".to_owned(), clock)),
            Html::text(since.unwrap_or_default()),
        ]
    };
    pieces.push(table(
        ["", "UTC", ">After"],
        [
            moment("Began", one.started),
            moment("Writes fenced off", one.fenced),
            moment("Committed", one.committed),
            moment("Ended", one.ended),
        ],
    ));
    if let Some(waited) = one.stall_ms {
        pieces.push(stall(one, waited));
    }
    if let Some(list) = one.checklist.as_ref().map(checklist).filter(|list| !list.is_empty()) {
        pieces.push(table(["", "Checked before", "Found"], list));
    }
    Html::all(pieces)
}

/// A checklist as it was written down: objects with a sentence, an answer, and what was found.
fn checklist(list: &Value) -> Vec<[Html; 3]> {
    let entries: Vec<&Value> = match list {
        Value::Array(entries) => entries.iter().collect(),
        Value::Object(keys) => keys.values().find_map(Value::as_array).into_iter().flatten().collect(),
        _ => Vec::new(),
    };
    let text = |entry: &Value, names: &[&str]| {
        names.iter().find_map(|name| entry.get(*name).and_then(Value::as_str)).unwrap_or_default().to_owned()
    };
    let state = |entry: &Value| {
        let said = text(entry, &["outcome", "state", "status"]).to_lowercase();
        match said.as_str() {
            "pass" | "passed" | "ok" | "done" => Some(true),
            "fail" | "failed" => Some(false),
            _ => ["ok", "pass", "passed"].iter().find_map(|name| entry.get(*name).and_then(Value::as_bool)),
        }
    };
    let row = |entry: &&Value| {
        [
            mark(state(entry)),
            Html::text(text(entry, &["what", "says", "name"])),
            Html::text(text(entry, &["evidence", "found"])),
        ]
    };
    entries.iter().map(row).collect()
}
