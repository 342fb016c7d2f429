//! How far a migration that follows is, for whoever looks: read from the ledger and from both servers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::config::Connection;
use crate::error::{Error, Result};
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::ledger as tables;
use crate::schema_to_schema::live::coverage;
use crate::schema_to_schema::live::ledger::{self, FeedKind, Phase};
use crate::schema_to_schema::live::trail::trail_of;
use crate::sql::{QualifiedName, Sql};

/// How far a migration is.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The source, without its password.
    pub source: String,
    /// The target, without its password.
    pub target: String,
    /// Of a migration that follows; `None` for one that copies once.
    pub following: Option<FollowingStatus>,
    /// Every table.
    pub tables: Vec<TableStatus>,
    /// Who is at work, as `pg_stat_activity` shows it; `None` for nobody.
    pub at_work: Option<String>,
    /// The last lines of the audit trail, the newest first.
    pub events: Vec<String>,
}

/// What a migration that follows is like.
#[derive(Debug, Clone, Serialize)]
pub struct FollowingStatus {
    /// How far it is as a whole.
    pub phase: Phase,
    /// Where changes come from.
    pub feed: FeedKind,
    /// Why so.
    pub reason: String,
    /// Batches so far.
    pub batches: i64,
    /// Row changes so far, where the feed knows them.
    pub row_changes: i64,
    /// The last marker's round trip: from a snapshot until all that it sees had been told.
    #[serde(rename = "lag_ms")]
    pub lag: Option<f64>,
    /// Seconds since the target last was a picture of the source.
    pub seen_seconds_ago: Option<f64>,
    /// Keys that wait for their table.
    pub waiting_keys: i64,
    /// Bytes that the source keeps for the feed.
    pub retained_bytes: i64,
    /// Rows a second, written by batches in the last minute.
    pub rows_per_second: f64,
    /// Age of the oldest snapshot that we hold on the source, in seconds; `None` for none, or where the source was not asked.
    pub oldest_snapshot_seconds: Option<f64>,
    /// True while somebody has paused it.
    pub paused: bool,
    /// Rows a second that it may write.
    pub max_rows_per_second: Option<u64>,
    /// Bytes a second that it may send.
    pub max_bytes_per_second: Option<u64>,
    /// Why no run is at work, where one failed.
    pub stopped_because: Option<String>,
}

/// How far one table is.
#[derive(Debug, Clone, Serialize)]
pub struct TableStatus {
    /// The target table.
    pub table: QualifiedName,
    /// `copying`, `copied`, `indexing`, `catching_up`, `following` or `finished`.
    pub state: String,
    /// Rows that were copied.
    pub rows: i64,
    /// Rows of the source, by estimate; `None` where the source was not asked.
    pub expected_rows: Option<i64>,
    /// Pages of the source that were copied.
    pub pages: i64,
    /// Keys that wait.
    pub waiting_keys: i64,
    /// Seconds until it is copied, at the pace so far; `None` where it is, or where nobody can say.
    pub seconds_left: Option<f64>,
    /// What is known to be equal; `None` where all rows are still to be compared, or where nothing follows.
    pub coverage: Option<CoverageStatus>,
}

/// What is known to be equal of one table.
#[derive(Debug, Clone, Serialize)]
pub struct CoverageStatus {
    /// The batch that left both sides equal.
    pub batch: i64,
    /// How long ago that was.
    pub seconds_ago: f64,
    /// How long ago all rows were compared, also those that no batch had touched.
    pub complete_seconds_ago: f64,
    /// Keys that batches have touched since: what the next comparison looks at. One that was touched twice may count twice.
    pub touched_keys: i64,
}

/// Reads how far the migration into `target` is; `source` is asked for what only it knows.
///
/// # Errors
///
/// [`crate::ErrorKind::Config`] where the target remembers no migration; [`crate::ErrorKind::Connect`].
pub async fn status(source: Option<&Connection>, target: &Connection) -> Result<Status> {
    let session = Session::connect(target).await?;
    let source = match source {
        Some(source) => Some(Session::connect(source).await?),
        None => None,
    };
    read(source.as_ref(), &session).await?.ok_or_else(|| {
        Error::config(format!("{target} remembers no migration"))
            .hint("begin one: confiture migrate schema-to-schema migrate --from … --to …")
    })
}

/// The same on sessions that are there; `None` where the target remembers no migration.
pub(crate) async fn read(source: Option<&Session>, session: &Session) -> Result<Option<Status>> {
    if !tables::exists(session).await? {
        return Ok(None);
    }
    let shown = Sql::literal("SELECT source FROM confiture.migration");
    let shown = session.query_opt(&shown, &[]).await?.map(|row| row.get(0)).unwrap_or_default();
    let following = match ledger::exists(session).await? {
        true => following(session, source).await?,
        false => None,
    };
    Ok(Some(Status {
        source: shown,
        target: session.connection().to_string(),
        tables: tables_of(session, source, following.is_some()).await?,
        following,
        at_work: AdvisoryLock::holder(session).await?.map(|error| holder(error.message()).to_owned()),
        events: trail_of(session, 10).await?.iter().map(ToString::to_string).collect(),
    }))
}

/// Who holds the lock, out of the sentence that refuses whoever else wants it.
fn holder(refusal: &str) -> &str {
    refusal.rsplit_once(": ").map_or(refusal, |(_, who)| who)
}

/// True where a migration into `target` follows its source.
///
/// # Errors
///
/// [`crate::ErrorKind::Connect`].
pub async fn follows(target: &Connection) -> Result<bool> {
    Ok(ledger::read(&Session::connect(target).await?).await?.is_some())
}

async fn following(session: &Session, source: Option<&Session>) -> Result<Option<FollowingStatus>> {
    let query = Sql::literal(
        "SELECT phase, feed, reason, batches, row_changes, lag_ms,
                extract(epoch FROM pg_catalog.clock_timestamp() - seen_at)::pg_catalog.float8,
                (SELECT pg_catalog.count(*) FROM confiture.deferred), retained_bytes, stopped_because,
                (SELECT coalesce(pg_catalog.sum(rows_written + rows_deleted), 0)::pg_catalog.float8 / 60
                 FROM confiture.batch WHERE at > pg_catalog.clock_timestamp() - interval '1 minute')
         FROM confiture.follow",
    );
    let Some(row) = session.query_opt(&query, &[]).await? else { return Ok(None) };
    let control = ledger::control(session).await?;
    let oldest_snapshot_seconds = match source {
        Some(source) => {
            let query = Sql::literal(include_str!("../../postgres/queries/our_snapshots.sql"));
            source.query_one(&query, &[]).await?.get(0)
        }
        None => None,
    };
    Ok(Some(FollowingStatus {
        phase: Phase::of_word(row.get(0)),
        feed: if row.get::<_, &str>(1) == "wal" { FeedKind::Wal } else { FeedKind::Queue },
        reason: row.get(2),
        batches: row.get(3),
        row_changes: row.get(4),
        lag: row.get(5),
        seen_seconds_ago: row.get(6),
        waiting_keys: row.get(7),
        retained_bytes: row.get(8),
        stopped_because: row.get(9),
        rows_per_second: row.get(10),
        oldest_snapshot_seconds,
        paused: control.paused,
        max_rows_per_second: control.rows_per_second,
        max_bytes_per_second: control.bytes_per_second,
    }))
}

async fn tables_of(session: &Session, source: Option<&Session>, follows: bool) -> Result<Vec<TableStatus>> {
    let waiting = Sql::literal(match follows {
        true => {
            "(SELECT pg_catalog.count(*) FROM confiture.deferred AS d
                  WHERE d.table_schema = s.table_schema AND d.table_name = s.table_name)"
        }
        false => "0::pg_catalog.int8",
    });
    let query = crate::sql::sql!(
        "SELECT s.table_schema, s.table_name, s.state, coalesce(pg_catalog.sum(c.rows), 0)::pg_catalog.int8,
                coalesce(pg_catalog.sum(least(c.end_page, 4294967295) - c.first_page)
                    FILTER (WHERE c.end_page < 4294967295), 0)::pg_catalog.int8,
                {}, extract(epoch FROM pg_catalog.clock_timestamp() - s.started_at)::pg_catalog.float8,
                coalesce(pg_catalog.array_agg(DISTINCT c.relation) FILTER (WHERE c.relation IS NOT NULL), ARRAY[]::text[])
         FROM confiture.table_state AS s LEFT JOIN confiture.chunk AS c USING (table_schema, table_name)
         GROUP BY s.table_schema, s.table_name, s.state, s.started_at ORDER BY 1, 2",
        waiting
    );
    let mut covered = match follows {
        true => coverage::status(session).await?,
        false => BTreeMap::new(),
    };
    let mut found = Vec::new();
    for row in session.query(&query, &[]).await? {
        let table = QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        let (state, rows): (String, i64) = (row.get(2), row.get(3));
        let relations: Vec<String> = row.get(7);
        let expected_rows = match source {
            Some(source) if !relations.is_empty() => estimate(source, &relations).await?,
            _ => None,
        };
        let elapsed: f64 = row.get(6);
        let seconds_left =
            expected_rows.filter(|expected| state == "copying" && rows > 0 && *expected > rows);
        found.push(TableStatus {
            coverage: covered.remove(&table),
            table,
            state,
            rows,
            expected_rows,
            pages: row.get(4),
            waiting_keys: row.get(5),
            seconds_left: seconds_left.map(|expected| elapsed * (expected - rows) as f64 / rows as f64),
        });
    }
    Ok(found)
}

/// Rows that the source's planner expects in relations.
async fn estimate(source: &Session, relations: &[String]) -> Result<Option<i64>> {
    let query = Sql::literal(
        "SELECT pg_catalog.sum(greatest(reltuples, 0))::pg_catalog.int8 FROM pg_catalog.pg_class
         WHERE oid IN (SELECT pg_catalog.to_regclass(name) FROM pg_catalog.unnest($1::text[]) AS name)",
    );
    Ok(source.query_one(&query, &[&relations]).await?.get(0))
}

/// What a user tells a run that is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stop copying and applying; changes go on being captured.
    Pause,
    /// Go on.
    Resume,
    /// Write and send no faster than this; `None` for as fast as can be.
    Throttle {
        /// Rows a second.
        rows_per_second: Option<u64>,
        /// Bytes a second.
        bytes_per_second: Option<u64>,
    },
}

/// Tells a run something, through the table `confiture.control`, which any SQL client may write too. It is heard within
/// about a second.
///
/// # Errors
///
/// [`crate::ErrorKind::Config`] where the target follows nothing.
pub async fn tell(target: &Connection, order: Order) -> Result<()> {
    let session = Session::connect(target).await?;
    if !ledger::exists(&session).await? {
        return Err(Error::config(format!(
            "{target} follows no source, so there is nothing to pause or throttle"
        )));
    }
    let note = match order {
        Order::Pause => "paused".to_owned(),
        Order::Resume => "resumed".to_owned(),
        Order::Throttle { rows_per_second, bytes_per_second } => {
            let shown = |most: Option<u64>, what: &str| most.map(|most| format!("{most} {what} a second"));
            let shown = [shown(rows_per_second, "rows"), shown(bytes_per_second, "bytes")];
            let shown: Vec<String> = shown.into_iter().flatten().collect();
            match shown.is_empty() {
                true => "no longer throttled".to_owned(),
                false => format!("throttled to {}", shown.join(" and ")),
            }
        }
    };
    match order {
        Order::Pause | Order::Resume => {
            let set = Sql::literal("UPDATE confiture.control SET paused = $1, changed_at = pg_catalog.now()");
            session.execute(&set, &[&(order == Order::Pause)]).await?;
        }
        Order::Throttle { rows_per_second, bytes_per_second } => {
            let set = Sql::literal(
                "UPDATE confiture.control SET max_rows_per_second = $1, max_bytes_per_second = $2,
                     changed_at = pg_catalog.now()",
            );
            let number = |most: Option<u64>| most.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
            session.execute(&set, &[&number(rows_per_second), &number(bytes_per_second)]).await?;
        }
    }
    ledger::note(&session, &note).await
}

impl FollowingStatus {
    /// The last marker's round trip.
    #[must_use]
    pub fn marker_lag(&self) -> Option<Duration> {
        self.lag.map(|lag| Duration::from_secs_f64(lag / 1e3))
    }
}
