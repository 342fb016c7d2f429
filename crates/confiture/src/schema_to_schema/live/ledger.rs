//! What the target remembers of a migration that follows its source.

use std::time::Duration;

use crate::error::Result;
use crate::postgres::Session;
use crate::postgres::feed::{KeySet, SnapshotImage, array_text};
use crate::schema_to_schema::live::applier::Applied;
use crate::schema_to_schema::live::identity::Identity;
use crate::schema_to_schema::verify::VerificationReport;
use crate::sql::{QualifiedName, Sql};

/// Which feed tells what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedKind {
    /// Logical decoding: a publication and a slot.
    Wal,
    /// Triggers that write keys to a queue.
    Queue,
}

impl FeedKind {
    /// Its word in the ledger and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Wal => "wal",
            Self::Queue => "queue",
        }
    }
}

/// How far a migration that follows is, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Changes are about to be captured.
    Preparing,
    /// Tables are being copied; changes wait.
    Copying,
    /// All tables are there; what changed meanwhile is being applied, and indexes are built.
    CatchingUp,
    /// Every batch leaves the target equal to the source.
    Following,
    /// Both sides take writes, and changes are carried both ways.
    Bidirectional,
    /// Ready to follow the other way round, once the application has moved.
    Armed,
    /// The application writes to what was the target: nothing is applied here any more.
    CutOver,
    /// Both schemas of one database are written at once: triggers carry each write to the other side.
    Immediate,
}

/// Which way changes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the old side to the new one.
    Forward,
    /// After the cutover, from the new side back to the old one.
    Reverse,
}

impl Direction {
    /// Its word in the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
        }
    }

    /// The other one.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Forward => Self::Reverse,
            Self::Reverse => Self::Forward,
        }
    }
}

impl Phase {
    const ALL: [(&'static str, Self); 8] = [
        ("preparing", Self::Preparing),
        ("copying", Self::Copying),
        ("catching_up", Self::CatchingUp),
        ("following", Self::Following),
        ("bidirectional", Self::Bidirectional),
        ("armed", Self::Armed),
        ("cut_over", Self::CutOver),
        ("immediate", Self::Immediate),
    ];

    /// Its word in the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, phase)| *phase == self).map_or("", |(word, _)| word)
    }

    pub(crate) fn of_word(word: &str) -> Self {
        Self::ALL.iter().find(|(known, _)| *known == word).map_or(Self::Preparing, |(_, phase)| *phase)
    }
}

/// What the ledger holds of the whole.
#[derive(Debug, Clone)]
pub(crate) struct FollowRecord {
    pub(crate) id: String,
    pub(crate) feed: FeedKind,
    pub(crate) phase: Phase,
    pub(crate) snapshot: Option<SnapshotImage>,
    pub(crate) batches: i64,
    /// Source and target, when a run last began.
    pub(crate) servers: Option<[Identity; 2]>,
    pub(crate) direction: Direction,
    /// Cutovers and rollbacks so far.
    pub(crate) epoch: i64,
    /// Of the way back: what its mapping is, as JSON.
    pub(crate) way_back: Option<String>,
    /// In one database, after a cutover: what takes the tables back, as JSON.
    pub(crate) exchange: Option<String>,
}

/// A batch, as it is recorded.
#[derive(Debug, Clone)]
pub(crate) struct BatchRecord<'a> {
    pub(crate) id: i64,
    pub(crate) snapshot: &'a SnapshotImage,
    pub(crate) applied: Applied,
    pub(crate) row_changes: u64,
    pub(crate) carried: usize,
    pub(crate) lag: Duration,
    pub(crate) elapsed: Duration,
}

/// True where the target follows a source.
pub(crate) async fn exists(session: &Session) -> Result<bool> {
    let query = Sql::literal("SELECT pg_catalog.to_regclass('confiture.follow') IS NOT NULL");
    Ok(session.query_one(&query, &[]).await?.get(0))
}

/// Makes the tables, in a ledger that is there.
pub(crate) async fn create(session: &Session) -> Result<()> {
    match exists(session).await? {
        true => Ok(()),
        false => session.batch(&Sql::literal(include_str!("../../postgres/queries/follow.sql"))).await,
    }
}

/// What is remembered; `None` where nothing follows.
pub(crate) async fn read(session: &Session) -> Result<Option<FollowRecord>> {
    if !exists(session).await? {
        return Ok(None);
    }
    let query = Sql::literal(
        "SELECT id, feed, phase, snapshot, batches, source_server, target_server, direction, epoch, way_back::text, exchange::text
         FROM confiture.follow",
    );
    let row = match session.query_opt(&query, &[]).await {
        // Somebody who tidies up has dropped it meanwhile.
        Err(error) if error.sqlstate_code() == Some("42P01") => None,
        row => row?,
    };
    let Some(row) = row else { return Ok(None) };
    let snapshot = row.get::<_, Option<&str>>(3).map(str::parse).transpose()?;
    let server = |index| row.get::<_, Option<&str>>(index).map(str::parse::<Identity>).transpose();
    Ok(Some(FollowRecord {
        id: row.get(0),
        feed: if row.get::<_, &str>(1) == "wal" { FeedKind::Wal } else { FeedKind::Queue },
        phase: Phase::of_word(row.get(2)),
        batches: row.get(4),
        direction: if row.get::<_, &str>(7) == "reverse" { Direction::Reverse } else { Direction::Forward },
        epoch: row.get(8),
        way_back: row.get(9),
        exchange: row.get(10),
        servers: server(5)?.zip(server(6)?).map(|(source, target)| {
            // The last batch knows best how far the source was.
            let seen = snapshot.as_ref().map_or(0, SnapshotImage::xmax);
            [source.at_least(seen), target]
        }),
        snapshot,
    }))
}

/// Begins: from here on there may be something on the source to be removed.
pub(crate) async fn begin(session: &Session, id: &str, feed: FeedKind, reason: &str) -> Result<()> {
    let insert = Sql::literal(
        "INSERT INTO confiture.follow (id, feed, reason, phase) VALUES ($1, $2, $3, 'preparing')",
    );
    session.execute(&insert, &[&id, &feed.word(), &reason]).await?;
    Ok(())
}

/// Begins a migration that does not follow yet: the application has not moved.
pub(crate) async fn arm(
    session: &Session,
    id: &str,
    feed: FeedKind,
    reason: &str,
    direction: Direction,
    epoch: i64,
) -> Result<()> {
    let insert = Sql::literal(
        "INSERT INTO confiture.follow (id, feed, reason, phase, direction, epoch) VALUES ($1, $2, $3, 'armed', $4, $5)",
    );
    session.execute(&insert, &[&id, &feed.word(), &reason, &direction.word(), &epoch]).await?;
    Ok(())
}

/// Says between which servers it follows; where positions mean nothing any more, so that the next batch begins anew.
pub(crate) async fn set_servers(session: &Session, servers: &[Identity; 2], forget: bool) -> Result<()> {
    let update = Sql::literal(
        "UPDATE confiture.follow SET source_server = $1, target_server = $2,
             snapshot = CASE WHEN NOT $3 THEN snapshot END",
    );
    let [source, target] = servers.each_ref().map(ToString::to_string);
    session.execute(&update, &[&source, &target, &forget]).await?;
    Ok(())
}

/// Says how far the whole is.
pub(crate) async fn set_phase(session: &Session, phase: Phase) -> Result<()> {
    let update = Sql::literal(
        "WITH event AS (INSERT INTO confiture.event (what) VALUES ('phase: ' || $1))
         UPDATE confiture.follow SET phase = $1",
    );
    session.execute(&update, &[&phase.word()]).await?;
    Ok(())
}

/// Says why no run is at work; `None` while one is.
pub(crate) async fn set_stopped(session: &Session, because: Option<&str>) -> Result<()> {
    let update = Sql::literal(
        "WITH event AS (INSERT INTO confiture.event (what) SELECT 'stopped: ' || $1 WHERE $1 IS NOT NULL)
         UPDATE confiture.follow SET stopped_because = $1",
    );
    session.execute(&update, &[&because]).await?;
    Ok(())
}

/// Adds a line to the audit trail.
pub(crate) async fn note(session: &Session, what: &str) -> Result<()> {
    session.execute(&Sql::literal("INSERT INTO confiture.event (what) VALUES ($1)"), &[&what]).await?;
    Ok(())
}

/// Records a batch, in the transaction that holds its rows.
pub(crate) async fn record_batch(session: &Session, batch: &BatchRecord<'_>) -> Result<()> {
    let insert = Sql::literal(
        "WITH batch AS (
             INSERT INTO confiture.batch
                 (id, snapshot, keys, rows_written, rows_deleted, row_changes, carried, lag_ms, elapsed_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ), old AS (DELETE FROM confiture.batch WHERE id = $1 - 10000)
         UPDATE confiture.follow SET snapshot = $2, batches = $1, row_changes = row_changes + $6, lag_ms = $8,
             seen_at = pg_catalog.clock_timestamp()",
    );
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
    let Applied { keys, rows_written, rows_deleted, .. } = batch.applied;
    session
        .execute(
            &insert,
            &[
                &batch.id,
                &batch.snapshot.to_string(),
                &keys.cast_signed(),
                &rows_written.cast_signed(),
                &rows_deleted.cast_signed(),
                &batch.row_changes.cast_signed(),
                &i64::try_from(batch.carried).unwrap_or(i64::MAX),
                &milliseconds(batch.lag),
                &milliseconds(batch.elapsed),
            ],
        )
        .await?;
    Ok(())
}

/// Says that nothing had changed, of a batch that is not worth a record of its own.
pub(crate) async fn see(session: &Session, lag: Duration, retained: u64) -> Result<()> {
    let update = Sql::literal(
        "UPDATE confiture.follow SET seen_at = pg_catalog.clock_timestamp(), beat_at = pg_catalog.clock_timestamp(),
             lag_ms = $1, retained_bytes = $2",
    );
    let (lag, retained) = (lag.as_secs_f64() * 1e3, retained.cast_signed());
    session.execute(&update, &[&lag, &retained]).await?;
    Ok(())
}

/// What a comparison found, without a value; `None` for nothing.
fn found(report: &VerificationReport) -> Option<String> {
    let different: Vec<String> = report
        .tables
        .iter()
        .filter(|table| !table.ok)
        .map(|table| format!("{} differs", table.table.short()))
        .chain(report.foreign_keys.iter().filter(|key| key.orphans > 0).map(|key| {
            format!("{} rows of {} refer to nothing by {}", key.orphans, key.table.short(), key.name)
        }))
        .chain(report.validations.iter().filter(|one| !one.ok).map(|one| format!("{} fails", one.name)))
        .collect();
    (!different.is_empty()).then(|| different.join("; "))
}

/// The same for the audit trail.
pub(crate) fn outcome(report: &VerificationReport) -> String {
    let rows: i64 = report.tables.iter().map(|table| table.source_rows).sum();
    let equal = || match report.tables.len() {
        1 => format!("equal (1 table, {rows} rows compared)"),
        tables => format!("equal ({tables} tables, {rows} rows compared)"),
    };
    found(report).unwrap_or_else(equal)
}

/// Records a comparison of both sides after a batch.
pub(crate) async fn record_verification(
    session: &Session,
    batch: i64,
    report: &VerificationReport,
) -> Result<()> {
    let insert = Sql::literal(
        "INSERT INTO confiture.verification (batch, ok, tables, rows, elapsed_ms, found)
         VALUES ($1, $2, $3, $4, $5, $6)",
    );
    let found = found(report);
    let rows: i64 = report.tables.iter().map(|table| table.source_rows).sum();
    let tables = i32::try_from(report.tables.len()).unwrap_or(i32::MAX);
    let elapsed = report.elapsed.as_secs_f64() * 1e3;
    session.execute(&insert, &[&batch, &report.ok, &tables, &rows, &elapsed, &found]).await?;
    note(session, &format!("compared after batch {batch}: {}", outcome(report))).await
}

/// Says that a run is at work, though it is paused.
pub(crate) async fn beat(session: &Session) -> Result<()> {
    session.batch(&Sql::literal("UPDATE confiture.follow SET beat_at = pg_catalog.clock_timestamp()")).await
}

/// Keeps keys for later.
pub(crate) async fn defer(session: &Session, table: &QualifiedName, keys: &KeySet) -> Result<()> {
    const AT_ONCE: usize = 50_000;
    let insert = Sql::literal(
        "INSERT INTO confiture.deferred (table_schema, table_name, key)
         SELECT $1, $2, key::text[] FROM pg_catalog.unnest($3::text[]) AS key",
    );
    let (schema, name) = (table.schema.as_str(), table.name.as_str());
    if keys.is_whole() {
        session.execute(&insert, &[&schema, &name, &vec![None::<String>]]).await?;
    }
    let mut texts = keys.iter().map(|key| Some(array_text(key.iter().map(String::as_str)))).peekable();
    while texts.peek().is_some() {
        let some: Vec<Option<String>> = texts.by_ref().take(AT_ONCE).collect();
        session.execute(&insert, &[&schema, &name, &some]).await?;
    }
    Ok(())
}

/// Takes up to `most` of the keys that wait for a table, in the caller's transaction; and whether some are left. Where the
/// whole table waits, wherever among them, that is taken, and none is left: what was read of a few keys would meet rows of
/// which nobody knows whether they are still there.
pub(crate) async fn take_deferred(
    session: &Session,
    table: &QualifiedName,
    most: i64,
) -> Result<(KeySet, bool)> {
    let mut keys = KeySet::default();
    let take_whole = Sql::literal(
        "DELETE FROM confiture.deferred WHERE table_schema = $1 AND table_name = $2 AND EXISTS (
             SELECT FROM confiture.deferred WHERE table_schema = $1 AND table_name = $2 AND key IS NULL)",
    );
    if session.execute(&take_whole, &[&table.schema.as_str(), &table.name.as_str()]).await? > 0 {
        keys.insert_whole();
        return Ok((keys, false));
    }
    let take = Sql::literal(
        "DELETE FROM confiture.deferred WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM confiture.deferred WHERE table_schema = $1 AND table_name = $2 LIMIT $3))
         RETURNING key",
    );
    let rows = session.query(&take, &[&table.schema.as_str(), &table.name.as_str(), &most]).await?;
    rows.iter().for_each(|row| keys.insert(&row.get::<_, Vec<&str>>(0)));
    Ok((keys, i64::try_from(rows.len()).unwrap_or(i64::MAX) >= most))
}

/// Some of the keys that wait for a table.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) keys: KeySet,
    /// Whether the whole table waits.
    pub(crate) whole: bool,
    /// Where the next page begins; `None` after the last.
    pub(crate) last: Option<String>,
}

/// The keys that wait for a table, a page after the other, without taking them: those after `after`, by `ctid`.
pub(crate) async fn deferred_page(
    session: &Session,
    table: &QualifiedName,
    after: &str,
    most: i64,
) -> Result<Page> {
    let query = Sql::literal(
        "SELECT key, ctid::text FROM confiture.deferred
         WHERE table_schema = $1 AND table_name = $2 AND ctid > $3::text::pg_catalog.tid ORDER BY ctid LIMIT $4",
    );
    let parameters: [crate::postgres::Parameter<'_>; 4] =
        [&table.schema.as_str(), &table.name.as_str(), &after, &most];
    let rows = session.query(&query, &parameters).await?;
    let mut page = Page { last: rows.last().map(|row| row.get(1)), ..Page::default() };
    for row in &rows {
        match row.get::<_, Option<Vec<&str>>>(0) {
            Some(key) => page.keys.insert(&key),
            None => page.whole = true,
        }
    }
    Ok(page)
}

/// What anybody has told the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) paused: bool,
    pub(crate) rows_per_second: Option<u64>,
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) replica_lag: Option<Duration>,
    pub(crate) retained_bytes: Option<u64>,
    /// Somebody who waits is to take over.
    pub(crate) hand_over: bool,
}

/// Reads what anybody has told the run.
pub(crate) async fn control(session: &Session) -> Result<Control> {
    let query = Sql::literal(
        "SELECT paused, max_rows_per_second, max_bytes_per_second,
                extract(epoch FROM max_replica_lag)::pg_catalog.float8, max_retained_bytes,
                EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE pid = hand_over_to)
         FROM confiture.control",
    );
    let Some(row) = session.query_opt(&query, &[]).await? else { return Ok(Control::default()) };
    let number = |index| row.get::<_, Option<i64>>(index).map(i64::cast_unsigned);
    Ok(Control {
        paused: row.get(0),
        rows_per_second: number(1),
        bytes_per_second: number(2),
        replica_lag: row.get::<_, Option<f64>>(3).map(Duration::from_secs_f64),
        retained_bytes: number(4),
        hand_over: row.get(5),
    })
}
