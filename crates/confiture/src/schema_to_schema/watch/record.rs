//! All that the ledger holds of a migration, for a report to whoever was not there.

use serde::Serialize;

use super::Side;
use super::sight::{self, Comparison, Cutover, Second, Sight};
use crate::config::Connection;
use crate::error::{Error, Result};
use crate::postgres::{Row, Session};
use crate::schema_to_schema::live::{self, TrailEntry};
use crate::sql::{QualifiedName, Sql};

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// What a look sees now.
    pub sight: Sight,
    /// When it began, in UTC.
    pub began: String,
    /// The mapping's file; `None` for equal names.
    pub mapping_file: Option<String>,
    /// The version of Confiture that ran last.
    pub tool_version: String,
    /// How every table was copied.
    pub copies: Vec<TableCopy>,
    /// What batches did, of those that the ledger still holds.
    pub batches: Option<Batches>,
    /// Comparisons of both sides, the oldest first.
    pub comparisons: Vec<Comparison>,
    /// Cutovers and rollbacks, the oldest first.
    pub cutovers: Vec<Cutover>,
    /// The audit trail, the oldest first.
    pub trail: Vec<TrailEntry>,
    /// Second by second.
    #[serde(skip)]
    pub seconds: Vec<Second>,
    /// The versions of both servers, where they answered.
    pub versions: Vec<(Side, String)>,
}

/// How a table was copied.
#[derive(Debug, Clone, Serialize)]
pub struct TableCopy {
    /// The target table.
    pub table: QualifiedName,
    /// `copy`, `fdw` or `local`.
    pub route: String,
    /// `--where` of the run that copied it.
    pub filter: Option<String>,
    /// Rows.
    pub rows: i64,
    /// Bytes.
    pub bytes: i64,
    /// Pieces.
    pub pieces: i64,
    /// Seconds from its beginning until its last piece began, at least; `None` while nothing is there.
    pub seconds: Option<f64>,
}

/// What batches did.
#[derive(Debug, Clone, Serialize)]
pub struct Batches {
    /// How many the ledger still holds.
    pub held: i64,
    /// The first of them, in seconds since 1970.
    pub first: f64,
    /// The last of them.
    pub last: f64,
    /// Keys that were read again.
    pub keys: i64,
    /// Rows written.
    pub rows_written: i64,
    /// Rows deleted.
    pub rows_deleted: i64,
    /// The marker lag: 50th, 95th and 99th percentile, and the longest.
    pub lag_ms: [f64; 4],
    /// The same of how long a batch took.
    pub batch_ms: [f64; 4],
}

/// Reads all that the target remembers.
///
/// # Errors
///
/// [`crate::ErrorKind::Config`] where it remembers no migration; [`crate::ErrorKind::Connect`] where it does not answer. A source
/// that does not answer is left out.
pub async fn record(source: Option<&Connection>, target: &Connection) -> Result<Record> {
    let session = Session::connect(target).await?;
    let source = match source {
        Some(source) => Session::connect(source).await.ok(),
        None => None,
    };
    let Some(sight) = sight::read(source.as_ref(), &session, 0.0).await? else {
        return Err(Error::config(format!("{target} remembers no migration"))
            .hint("a report is made before `cleanup`, which removes what is remembered"));
    };
    let follows = sight.status.following.is_some();
    let begun = Sql::literal(
        "SELECT pg_catalog.to_char(set_up_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), mapping_file, tool_version
         FROM confiture.migration",
    );
    let begun = session.query_opt(&begun, &[]).await?;
    let text = |index| begun.as_ref().and_then(|row| row.get::<_, Option<String>>(index));
    let (mut trail, mut comparisons) = (live::trail_of(&session, i64::MAX).await?, Vec::new());
    trail.reverse();
    if follows {
        comparisons = sight::comparisons(&session, i64::MAX).await?;
        comparisons.reverse();
    }
    let mut cutovers = sight.cutovers.clone();
    cutovers.reverse();
    let version = |session: &Session| {
        let version = session.server_version();
        format!("{}.{}", version / 10_000, version % 10_000)
    };
    let versions = source.as_ref().map(|source| (Side::Source, version(source)));
    Ok(Record {
        began: text(0).unwrap_or_default(),
        mapping_file: text(1),
        tool_version: text(2).unwrap_or_default(),
        copies: copies(&session).await?,
        batches: if follows { batches(&session).await? } else { None },
        comparisons,
        cutovers,
        trail,
        seconds: sight.seconds.clone(),
        versions: versions.into_iter().chain([(Side::Target, version(&session))]).collect(),
        sight,
    })
}

async fn copies(session: &Session) -> Result<Vec<TableCopy>> {
    let query = Sql::literal(
        "SELECT s.table_schema, s.table_name, s.route, s.filter, coalesce(pg_catalog.sum(c.rows), 0)::pg_catalog.int8,
                coalesce(pg_catalog.sum(c.bytes), 0)::pg_catalog.int8, pg_catalog.count(c.rows),
                extract(epoch FROM coalesce(s.finished_at, pg_catalog.max(c.finished_at)) - s.started_at)::pg_catalog.float8
         FROM confiture.table_state AS s LEFT JOIN confiture.chunk AS c USING (table_schema, table_name)
         GROUP BY s.table_schema, s.table_name ORDER BY 5 DESC, 1, 2",
    );
    let copy = |row: &Row| TableCopy {
        table: QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1)),
        route: row.get(2),
        filter: row.get(3),
        rows: row.get(4),
        bytes: row.get(5),
        pieces: row.get(6),
        seconds: row.get(7),
    };
    Ok(session.query(&query, &[]).await?.iter().map(copy).collect())
}

async fn batches(session: &Session) -> Result<Option<Batches>> {
    let query = Sql::literal(
        "SELECT pg_catalog.count(*), extract(epoch FROM pg_catalog.min(at))::pg_catalog.float8,
                extract(epoch FROM pg_catalog.max(at))::pg_catalog.float8,
                pg_catalog.sum(keys)::pg_catalog.int8, pg_catalog.sum(rows_written)::pg_catalog.int8,
                pg_catalog.sum(rows_deleted)::pg_catalog.int8,
                pg_catalog.percentile_disc(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY lag_ms),
                pg_catalog.percentile_disc(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY elapsed_ms)
         FROM confiture.batch HAVING pg_catalog.count(*) > 0",
    );
    let four = |row: &Row, index| row.get::<_, Vec<f64>>(index).try_into().unwrap_or_default();
    Ok(session.query_opt(&query, &[]).await?.map(|row| Batches {
        held: row.get(0),
        first: row.get(1),
        last: row.get(2),
        keys: row.get(3),
        rows_written: row.get(4),
        rows_deleted: row.get(5),
        lag_ms: four(&row, 6),
        batch_ms: four(&row, 7),
    }))
}
