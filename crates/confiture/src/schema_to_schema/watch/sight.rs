//! What the ledger says, for whoever watches.

use serde::Serialize;

use crate::error::Result;
use crate::postgres::{Row, Session};
use crate::schema_to_schema::live::{self, Status, TrailEntry};
use crate::sql::Sql;

/// What the ledger says.
#[derive(Debug, Clone, Serialize)]
pub struct Sight {
    /// Seconds since 1970, by the target's clock.
    pub at: f64,
    /// How far the migration and every table is.
    pub status: Status,
    /// What batches did in the last minute; `None` where nothing follows.
    pub pace: Option<Pace>,
    /// The last comparisons of both sides, the newest first.
    pub comparisons: Vec<Comparison>,
    /// What is off or not valid on the target.
    pub taken_off: TakenOff,
    /// Cutovers and rollbacks, the newest first.
    pub cutovers: Vec<Cutover>,
    /// The last lines of the audit trail, the newest first.
    pub trail: Vec<TrailEntry>,
    /// Rows copied so far, of all tables.
    pub copied_rows: i64,
    /// Bytes copied so far, of all tables.
    pub copied_bytes: i64,
    /// Second by second, since when it was asked for.
    #[serde(skip)]
    pub seconds: Vec<Second>,
}

/// What batches did in the last minute.
#[derive(Debug, Clone, Serialize)]
pub struct Pace {
    /// Batches.
    pub batches: i64,
    /// Rows that they wrote or deleted a second.
    pub rows_per_second: f64,
    /// The marker lag's 50th, 95th and 99th percentile; `None` without a batch.
    pub lag_ms: Option<[f64; 3]>,
    /// The same of how long a batch took.
    pub batch_ms: Option<[f64; 3]>,
}

/// A comparison of both sides.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// When, in seconds since 1970.
    pub at: f64,
    /// The batch that both sides were frozen after.
    pub batch: i64,
    /// True where both were equal.
    pub ok: bool,
    /// Tables that were compared.
    pub tables: i32,
    /// Rows that were compared.
    pub rows: i64,
    /// How long it took.
    pub elapsed_ms: f64,
    /// What differed; never a value.
    pub found: Option<String>,
}

/// What is off or not valid on the target.
#[derive(Debug, Clone, Serialize)]
pub struct TakenOff {
    /// Keys and indexes that are still to be built.
    pub indexes_off: i64,
    /// Foreign keys and triggers that are still to be put back.
    pub foreign_keys_and_triggers_off: i64,
    /// Foreign keys that are NOT VALID.
    pub foreign_keys_not_valid: i64,
    /// Indexes that are not valid.
    pub indexes_not_valid: i64,
}

/// A cutover or a rollback.
#[derive(Debug, Clone, Serialize)]
pub struct Cutover {
    /// `cutover` or `rollback`.
    pub kind: String,
    /// When it began, in seconds since 1970.
    pub started: Option<f64>,
    /// When writes were fenced off.
    pub fenced: Option<f64>,
    /// When it was committed.
    pub committed: Option<f64>,
    /// When it ended.
    pub ended: Option<f64>,
    /// How it ended; `None` while it is at work.
    pub outcome: Option<String>,
    /// How long writes had to wait, at most.
    pub stall_ms: Option<f64>,
    /// What was looked at before, as it was written down.
    pub checklist: Option<serde_json::Value>,
    /// What was found; never a value.
    pub found: Option<String>,
}

/// One second of a migration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Second {
    /// Since 1970, by the target's clock.
    pub second: i64,
    /// Rows of the pieces that were finished in it.
    pub copied_rows: i64,
    /// Their bytes.
    pub copied_bytes: i64,
    /// Rows that batches wrote or deleted.
    pub applied_rows: i64,
    /// Batches.
    pub batches: i64,
    /// The longest marker lag.
    pub lag_ms: Option<f64>,
    /// The longest batch.
    pub batch_ms: Option<f64>,
}

/// Lines of the audit trail that are shown.
const TRAIL: i64 = 60;

/// Reads it; `None` where the target remembers no migration.
pub(super) async fn read(source: Option<&Session>, session: &Session, since: f64) -> Result<Option<Sight>> {
    let status = match live::status::read(source, session).await {
        // A source that has gone in the middle is no reason to see nothing.
        Err(_) if source.is_some_and(Session::is_closed) => live::status::read(None, session).await?,
        read => read?,
    };
    let Some(status) = status else { return Ok(None) };
    let follows = status.following.is_some();
    let totals = Sql::literal(
        "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::pg_catalog.float8,
                coalesce(pg_catalog.sum(rows), 0)::pg_catalog.int8, coalesce(pg_catalog.sum(bytes), 0)::pg_catalog.int8
         FROM confiture.chunk",
    );
    let totals = session.query_one(&totals, &[]).await?;
    let taken_off = Sql::literal(include_str!("../../postgres/queries/monitoring/taken_off.sql"));
    let taken_off = session.query_one(&taken_off, &[]).await?;
    Ok(Some(Sight {
        at: totals.get(0),
        copied_rows: totals.get(1),
        copied_bytes: totals.get(2),
        pace: if follows { Some(pace(session).await?) } else { None },
        comparisons: if follows { comparisons(session, 20).await? } else { Vec::new() },
        taken_off: TakenOff {
            indexes_off: taken_off.get(0),
            foreign_keys_and_triggers_off: taken_off.get(1),
            foreign_keys_not_valid: taken_off.get(2),
            indexes_not_valid: taken_off.get(3),
        },
        cutovers: cutovers(session).await?,
        trail: live::trail_of(session, TRAIL).await?,
        seconds: if follows { seconds(session, since).await? } else { Vec::new() },
        status,
    }))
}

async fn pace(session: &Session) -> Result<Pace> {
    let query = Sql::literal(include_str!("../../postgres/queries/monitoring/throughput.sql"));
    let row = session.query_one(&query, &[]).await?;
    let three = |index| row.get::<_, Option<Vec<f64>>>(index).and_then(|found| found.try_into().ok());
    Ok(Pace { batches: row.get(0), rows_per_second: row.get(1), lag_ms: three(2), batch_ms: three(3) })
}

/// The last comparisons, the newest first.
pub(super) async fn comparisons(session: &Session, most: i64) -> Result<Vec<Comparison>> {
    let query = Sql::literal(
        "SELECT extract(epoch FROM at)::pg_catalog.float8, batch, ok, tables, rows, elapsed_ms, found
         FROM confiture.verification ORDER BY id DESC LIMIT $1",
    );
    let comparison = |row: &Row| Comparison {
        at: row.get(0),
        batch: row.get(1),
        ok: row.get(2),
        tables: row.get(3),
        rows: row.get(4),
        elapsed_ms: row.get(5),
        found: row.get(6),
    };
    Ok(session.query(&query, &[&most]).await?.iter().map(comparison).collect())
}

/// Cutovers, where there has been one.
pub(super) async fn cutovers(session: &Session) -> Result<Vec<Cutover>> {
    let there = Sql::literal("SELECT pg_catalog.to_regclass('confiture.cutover') IS NOT NULL");
    if !session.query_one(&there, &[]).await?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let query = Sql::literal(
        "SELECT kind::text, extract(epoch FROM started_at)::pg_catalog.float8,
                extract(epoch FROM fenced_at)::pg_catalog.float8, extract(epoch FROM committed_at)::pg_catalog.float8,
                extract(epoch FROM ended_at)::pg_catalog.float8, outcome::text, stall_ms::pg_catalog.float8,
                checklist::text, found::text
         FROM confiture.cutover ORDER BY id DESC LIMIT 20",
    );
    let cutover = |row: &Row| Cutover {
        kind: row.get(0),
        started: row.get(1),
        fenced: row.get(2),
        committed: row.get(3),
        ended: row.get(4),
        outcome: row.get::<_, Option<String>>(5).filter(|outcome| outcome != "begun"),
        stall_ms: row.get(6),
        checklist: row.get::<_, Option<&str>>(7).and_then(|text| serde_json::from_str(text).ok()),
        found: row.get(8),
    };
    Ok(session.query(&query, &[]).await?.iter().map(cutover).collect())
}

/// Second by second, of a migration that follows.
pub(super) async fn seconds(session: &Session, since: f64) -> Result<Vec<Second>> {
    let query = Sql::literal(include_str!("../../postgres/queries/monitoring/seconds.sql"));
    let second = |row: &Row| Second {
        second: row.get(0),
        copied_rows: row.get(1),
        copied_bytes: row.get(2),
        applied_rows: row.get(3),
        batches: row.get(4),
        lag_ms: row.get(5),
        batch_ms: row.get(6),
    };
    Ok(session.query(&query, &[&since]).await?.iter().map(second).collect())
}
