//! What both servers and the ledger say of a migration, in figures.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::error::Result;
use crate::postgres::Session;
use crate::schema_to_schema::ledger;
use crate::schema_to_schema::live::{Phase, Status, status};
use crate::schema_to_schema::planner::Migration;
use crate::sql::Sql;

/// How far a migration is.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Tables of the plan.
    pub tables: usize,
    /// Rows of the source, by estimate.
    pub rows: u64,
    /// Bytes of the source, without indexes.
    pub bytes: u64,
    /// What the ledger says; `None` before anything was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Since when the target remembers the source, and by which version of the program.
    pub set_up: Option<String>,
    /// Comparisons so far.
    pub comparisons: i64,
    /// The last of them, in a sentence.
    pub last_comparison: Option<String>,
    /// Whether that found nothing.
    pub last_comparison_ok: bool,
    /// The longest that the target was behind in the batches that the ledger still has, in milliseconds.
    pub longest_lag_ms: Option<f64>,
    /// The cutover after which the application writes to the new side; `None` where it writes to the old one.
    pub switched: Option<SwitchFigures>,
    /// The last cutover or rollback, whether it was done or given up.
    pub last_switch: Option<SwitchFigures>,
}

/// A cutover or a rollback, as the ledger has it.
#[derive(Debug, Clone, Serialize)]
pub struct SwitchFigures {
    /// `cutover` or `rollback`.
    pub kind: String,
    /// When it began: `2031-05-14 08:30 UTC`.
    pub at: String,
    /// `done`, `given_up` or `begun`.
    pub outcome: String,
    /// How long writes had to wait, in milliseconds.
    pub stall_ms: Option<f64>,
    /// What was found.
    pub found: Option<String>,
    /// What its checklist said, point by point: the word, and what was seen.
    #[serde(skip)]
    pub(super) seen: BTreeMap<String, String>,
}

impl Figures {
    /// How far it is as a whole; `None` where nothing follows.
    pub(super) fn phase(&self) -> Option<Phase> {
        Some(self.status.as_ref()?.following.as_ref()?.phase)
    }
}

impl SwitchFigures {
    /// `longest stall 84 ms`
    pub(super) fn stall(&self) -> Option<String> {
        self.stall_ms.map(|stall| format!("writes waited for {stall:.0} ms"))
    }
}

pub(super) async fn read(migration: &Migration) -> Result<Figures> {
    let plan = &migration.plan;
    let target = Session::connect(&migration.options.target).await?;
    let mut figures = Figures {
        tables: plan.tables.len(),
        rows: plan.tables.iter().map(|table| table.rows).sum(),
        bytes: plan.tables.iter().map(|table| table.bytes).sum(),
        status: None,
        set_up: None,
        comparisons: 0,
        last_comparison: None,
        last_comparison_ok: false,
        longest_lag_ms: None,
        switched: None,
        last_switch: None,
    };
    if !ledger::exists(&target).await? {
        return Ok(figures);
    }
    let (source, to) = (&migration.options.source, &migration.options.target);
    figures.status = Some(Box::pin(status(Some(source), to)).await?);
    let set_up = Sql::literal(
        "SELECT pg_catalog.to_char(set_up_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC, by version ' || tool_version
         FROM confiture.migration",
    );
    figures.set_up = target.query_opt(&set_up, &[]).await?.map(|row| row.get(0));
    if figures.phase().is_none() {
        return Ok(figures);
    }
    let compared = Sql::literal(
        "SELECT (SELECT pg_catalog.count(*) FROM confiture.verification), ok, batch, tables, coalesce(found, ''),
                pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC'
         FROM confiture.verification ORDER BY id DESC LIMIT 1",
    );
    if let Some(row) = target.query_opt(&compared, &[]).await? {
        let (batch, tables, found): (i64, i32, &str) = (row.get(2), row.get(3), row.get(4));
        let found = if found.is_empty() { "nothing differed" } else { found };
        figures.comparisons = row.get(0);
        figures.last_comparison_ok = row.get(1);
        figures.last_comparison = Some(format!(
            "{}, as batch {batch} left both sides: {tables} tables, {found}",
            row.get::<_, &str>(5)
        ));
    }
    let lag = Sql::literal("SELECT pg_catalog.max(lag_ms) FROM confiture.batch");
    figures.longest_lag_ms = target.query_one(&lag, &[]).await?.get(0);
    switches(&target, &mut figures).await?;
    Ok(figures)
}

async fn switches(target: &Session, figures: &mut Figures) -> Result<()> {
    let there = Sql::literal("SELECT pg_catalog.to_regclass('confiture.cutover') IS NOT NULL");
    if !target.query_one(&there, &[]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    let query = Sql::literal(
        "SELECT kind, pg_catalog.to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC', outcome, stall_ms, found, checklist::text
         FROM confiture.cutover ORDER BY id DESC",
    );
    let rows = target.query(&query, &[]).await?;
    let switch = |row: &crate::postgres::Row| SwitchFigures {
        kind: row.get(0),
        at: row.get(1),
        outcome: row.get(2),
        stall_ms: row.get(3),
        found: row.get(4),
        seen: row.get::<_, Option<&str>>(5).map(seen).unwrap_or_default(),
    };
    figures.last_switch = rows.first().map(switch);
    if figures.phase() == Some(Phase::CutOver) {
        let is_cutover = |switch: &SwitchFigures| switch.kind == "cutover" && switch.outcome == "done";
        figures.switched = rows.iter().map(switch).find(is_cutover).or_else(|| {
            Some(SwitchFigures {
                kind: "cutover".into(),
                at: "an earlier time".into(),
                outcome: "done".into(),
                stall_ms: None,
                found: None,
                seen: BTreeMap::new(),
            })
        });
    }
    Ok(())
}

/// The points of a checklist that was kept.
fn seen(checklist: &str) -> BTreeMap<String, String> {
    let points: Vec<serde_json::Value> = serde_json::from_str(checklist).unwrap_or_default();
    let text = |point: &serde_json::Value, key: &str| Some(point.get(key)?.as_str()?.to_owned());
    points.iter().filter_map(|point| Some((text(point, "id")?, text(point, "evidence")?))).collect()
}

/// `12 ms`, `1.5 s`.
pub(super) fn milliseconds(number: f64) -> String {
    let time = Duration::from_secs_f64((number / 1e3).max(0.0));
    match time.as_millis() {
        0..1000 => format!("{number:.0} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// `4.2 GB`.
pub(super) fn bytes(number: u64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let number = number as f64;
    match units.iter().find(|(size, _)| number >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", number / size),
        None => format!("{number:.0} bytes"),
    }
}
