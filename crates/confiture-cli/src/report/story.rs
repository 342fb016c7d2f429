//! What was done, and how much of it.

use std::time::Duration;

use confiture::schema_to_schema::watch::{Record, Side};

use super::html::{Html, facts, paragraph, section, table};
use super::plot::{clock, over_time};
use crate::output::numbers::{bytes, count, duration, magnitude, milliseconds, thousands};

/// Rows, bytes, rates, batches, lag.
pub(super) fn figures(record: &Record) -> Html {
    let sight = &record.sight;
    let mut all = vec![
        ("Began", Html::text(format!("{} UTC", record.began))),
        ("Tables", Html::text(sight.status.tables.len())),
        (
            "Copied",
            Html::text(format!(
                "{} rows, {}",
                thousands(sight.copied_rows.unsigned_abs()),
                bytes(sight.copied_bytes.unsigned_abs())
            )),
        ),
    ];
    if let Some(following) = &sight.status.following {
        all.push(("Changes from", Html::text(format!("{} ({})", following.feed.word(), following.reason))));
        all.push(("Batches", Html::text(thousands(following.batches.unsigned_abs()))));
    }
    for (side, version) in &record.versions {
        let name = if *side == Side::Source { "Old server" } else { "New server" };
        all.push((name, Html::text(format!("PostgreSQL {version}"))));
    }
    let mut inside = vec![facts(all)];
    inside.push(copies(record));
    if let Some(batches) = &record.batches {
        inside.push(Html::element("h3", "", Html::text("Batches of changes")));
        inside.push(paragraph(format!(
            "Of the last {} (from {} to {}): {} keys were read again, {} rows written, {} deleted.",
            count(batches.held.unsigned_abs(), "batch").replace("batchs", "batches"),
            clock(batches.first),
            clock(batches.last),
            thousands(batches.keys.unsigned_abs()),
            thousands(batches.rows_written.unsigned_abs()),
            thousands(batches.rows_deleted.unsigned_abs())
        )));
        let row = |name: &'static str, found: [f64; 4]| {
            let [half, most, nearly, longest] =
                found.map(|ms| Html::text(milliseconds(Duration::from_secs_f64(ms.max(0.0) / 1e3))));
            [Html::text(name), half, most, nearly, longest]
        };
        inside.push(table(
            ["", ">half under", ">95 % under", ">99 % under", ">longest"],
            [
                row("Lag: how far the new database was behind", batches.lag_ms),
                row("Time of a batch", batches.batch_ms),
            ],
        ));
    }
    let lag = |value: f64| milliseconds(Duration::from_secs_f64(value / 1e3));
    inside.push(over_time("Lag", &record.seconds, |second| second.lag_ms, lag));
    let rows = |second: &confiture::schema_to_schema::watch::Second| {
        Some((second.copied_rows + second.applied_rows) as f64)
    };
    inside.push(over_time("Rows a second, copied and applied", &record.seconds, rows, |value| {
        magnitude(value as u64)
    }));
    section("Figures", inside)
}

fn copies(record: &Record) -> Html {
    let row = |copy: &confiture::schema_to_schema::watch::TableCopy| {
        let seconds = copy.seconds.filter(|seconds| *seconds > 0.0);
        let state = record.sight.status.tables.iter().find(|table| table.table == copy.table);
        let rate = |seconds: f64| format!("{}/s", magnitude((copy.rows as f64 / seconds) as u64));
        let filter = copy.filter.as_ref().map_or(String::new(), |filter| format!(" where {filter}"));
        [
            Html::element("code", "", Html::text(format!("{}{filter}", copy.table.short()))),
            Html::text(state.map_or(String::new(), |table| table.state.replace('_', " "))),
            Html::text(&copy.route),
            Html::text(thousands(copy.rows.unsigned_abs())),
            Html::text(bytes(copy.bytes.unsigned_abs())),
            Html::text(seconds.map_or(String::new(), |seconds| duration(Duration::from_secs_f64(seconds)))),
            Html::text(seconds.map_or(String::new(), rate)),
        ]
    };
    table(["Table", "State", "By", ">Rows", ">Bytes", ">Time", ">Rate"], record.copies.iter().map(row))
}

/// The audit trail.
pub(super) fn timeline(record: &Record) -> Html {
    let row = |entry: &confiture::schema_to_schema::TrailEntry| {
        let at = entry.at.get(..19).unwrap_or(&entry.at).replace('T', " ");
        [Html::element("span", "when", Html::text(at)), Html::text(&entry.what), Html::text(entry.who())]
    };
    section(
        "What was done, by whom, when",
        [table(["UTC", "What", "Who: role (person)"], record.trail.iter().map(row))],
    )
}
