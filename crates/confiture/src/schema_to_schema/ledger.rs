//! What the target remembers of a migration, in its schema `confiture`.

use std::collections::BTreeMap;

use crate::config::Connection;
use crate::error::Result;
use crate::postgres::Session;
use crate::schema_to_schema::copy::Moved;
use crate::schema_to_schema::plan::{PageRange, Route, TablePlan};
use crate::sql::{QualifiedName, Sql};

/// How far a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableState {
    /// Rows are being moved; chunks say which are there.
    Copying,
    /// All rows are there; indexes, keys and sequences may not be.
    Copied,
    /// Done.
    Finished,
}

/// What the ledger holds of one table.
#[derive(Debug, Clone)]
pub(crate) struct TableRecord {
    pub(crate) fingerprint: String,
    pub(crate) source: String,
    pub(crate) state: TableState,
    pub(crate) rows: u64,
    pub(crate) chunks: Vec<Chunk>,
}

/// A page range that is in the target.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) relation: String,
    pub(crate) first: u32,
    pub(crate) end: u32,
}

/// True where the target has a ledger.
pub(crate) async fn exists(session: &Session) -> Result<bool> {
    let query = Sql::literal("SELECT pg_catalog.to_regclass('confiture.table_state') IS NOT NULL");
    Ok(session.query_one(&query, &[]).await?.get(0))
}

/// Makes the ledger where there is none.
pub(crate) async fn create(session: &Session) -> Result<()> {
    let ddl = Sql::literal(concat!("BEGIN;\n", include_str!("../postgres/queries/ledger.sql"), "COMMIT"));
    match session.batch(&ddl).await {
        Ok(()) => Ok(()),
        Err(error) => {
            session.batch(&Sql::literal("ROLLBACK")).await?;
            let error = error.context("making the ledger in the target's schema confiture");
            Err(match error.sqlstate_code() {
                Some("42501") => error
                    .hint("the target's role needs CREATE on the database: GRANT CREATE ON DATABASE … TO …"),
                _ => error,
            })
        }
    }
}

/// Remembers the source, so that later commands need name the target alone. Never its password.
pub(crate) async fn remember_source(
    session: &Session,
    source: &Connection,
    name: Option<&str>,
) -> Result<()> {
    let remember = Sql::literal(
        "INSERT INTO confiture.migration (source, source_connection, source_name, tool_version) VALUES ($1, $2, $3, $4)
         ON CONFLICT (only_one) DO UPDATE SET source = excluded.source, source_connection = excluded.source_connection,
             source_name = excluded.source_name, tool_version = excluded.tool_version",
    );
    let (shown, dsn) = (source.to_string(), source.to_dsn());
    session.execute(&remember, &[&shown, &dsn, &name, &env!("CARGO_PKG_VERSION")]).await?;
    Ok(())
}

/// A source that a target remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedSource {
    /// The environment's name, where the source was named by one.
    pub name: Option<String>,
    /// How to reach it, as a connection string without a password.
    pub dsn: String,
}

/// The source that an earlier command named for this target; `None` where there was none.
///
/// # Errors
///
/// [`crate::ErrorKind::Connect`] where the target cannot be reached.
pub async fn remembered_source(target: &Connection) -> Result<Option<RememberedSource>> {
    let session = Session::connect(target).await?;
    if !exists(&session).await? {
        return Ok(None);
    }
    let query = Sql::literal("SELECT source_name, source_connection FROM confiture.migration");
    let row = session.query_opt(&query, &[]).await?;
    Ok(row.map(|row| RememberedSource { name: row.get(0), dsn: row.get(1) }))
}

/// What the ledger holds of every table; empty where there is no ledger.
pub(crate) async fn read(session: &Session) -> Result<BTreeMap<QualifiedName, TableRecord>> {
    if !exists(session).await? {
        return Ok(BTreeMap::new());
    }
    let query = Sql::literal(
        "SELECT table_schema, table_name, fingerprint, source, state, rows FROM confiture.table_state",
    );
    let mut records = BTreeMap::new();
    for row in session.query(&query, &[]).await? {
        let state = match row.get::<_, &str>(4) {
            "copying" => TableState::Copying,
            "copied" => TableState::Copied,
            _ => TableState::Finished,
        };
        let record = TableRecord {
            fingerprint: row.get(2),
            source: row.get(3),
            state,
            rows: row.get::<_, i64>(5).cast_unsigned(),
            chunks: Vec::new(),
        };
        records.insert(QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1)), record);
    }
    let query =
        Sql::literal("SELECT table_schema, table_name, relation, first_page, end_page FROM confiture.chunk");
    for row in session.query(&query, &[]).await? {
        let name = QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        if let Some(record) = records.get_mut(&name) {
            let page = |index| u32::try_from(row.get::<_, i64>(index)).unwrap_or(u32::MAX);
            record.chunks.push(Chunk { relation: row.get(2), first: page(3), end: page(4) });
        }
    }
    Ok(records)
}

impl TableRecord {
    /// The chunks as ranges of `table`'s storage as it is now; `None` where a relation is no longer there.
    pub(crate) fn ranges(&self, table: &TablePlan) -> Option<Vec<PageRange>> {
        let range = |chunk: &Chunk| {
            let is_it = |storage: &crate::schema_to_schema::plan::Storage| {
                storage.relation.to_string() == chunk.relation
            };
            let storage = table.query.storage.iter().position(is_it)?;
            let pages = table.query.storage[storage].pages.map(|_| (chunk.first, chunk.end));
            Some(PageRange { storage, pages })
        };
        self.chunks.iter().map(range).collect()
    }
}

/// Begins a table: forgets what an earlier run left of it.
pub(crate) async fn begin_table(
    session: &Session,
    table: &TablePlan,
    fingerprint: &str,
    source: &str,
    snapshot: &str,
) -> Result<()> {
    let insert = Sql::literal(
        "INSERT INTO confiture.table_state (table_schema, table_name, fingerprint, source, state, route, snapshot)
         VALUES ($1, $2, $3, $4, 'copying', $5, $6)",
    );
    forget_table(session, &table.target).await?;
    let (schema, name) = (table.target.schema.as_str(), table.target.name.as_str());
    session
        .execute(&insert, &[&schema, &name, &fingerprint, &source, &route_name(table.route), &snapshot])
        .await?;
    Ok(())
}

/// Forgets a table and its chunks.
pub(crate) async fn forget_table(session: &Session, table: &QualifiedName) -> Result<()> {
    let delete =
        Sql::literal("DELETE FROM confiture.table_state WHERE table_schema = $1 AND table_name = $2");
    session.execute(&delete, &[&table.schema.as_str(), &table.name.as_str()]).await?;
    Ok(())
}

/// Says of a table that an earlier run began that its rows are now those of another snapshot, which was proven.
pub(crate) async fn adopt_snapshot(session: &Session, table: &QualifiedName, snapshot: &str) -> Result<()> {
    let update = Sql::literal(
        "UPDATE confiture.table_state SET snapshot = $3 WHERE table_schema = $1 AND table_name = $2",
    );
    session.execute(&update, &[&table.schema.as_str(), &table.name.as_str(), &snapshot]).await?;
    Ok(())
}

/// Records a chunk, in the transaction that holds its rows.
pub(crate) async fn record_chunk(
    session: &Session,
    table: &TablePlan,
    range: &PageRange,
    moved: Moved,
) -> Result<()> {
    let insert = Sql::literal(
        "WITH chunk AS (
             INSERT INTO confiture.chunk (table_schema, table_name, relation, first_page, end_page, rows, bytes)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
         )
         UPDATE confiture.table_state SET rows = rows + $6, bytes = bytes + $7
         WHERE table_schema = $1 AND table_name = $2",
    );
    let relation = table
        .query
        .storage
        .get(range.storage)
        .map(|storage| storage.relation.to_string())
        .unwrap_or_default();
    let (first, end) =
        range.pages.map_or((0, i64::from(u32::MAX)), |(first, end)| (i64::from(first), i64::from(end)));
    let (schema, name) = (table.target.schema.as_str(), table.target.name.as_str());
    let (rows, bytes) = (moved.rows.cast_signed(), moved.bytes.cast_signed());
    session.execute(&insert, &[&schema, &name, &relation, &first, &end, &rows, &bytes]).await?;
    Ok(())
}

/// Moves a table to `copied` or `finished`.
pub(crate) async fn set_state(session: &Session, table: &QualifiedName, state: TableState) -> Result<()> {
    let name = match state {
        TableState::Copying => "copying",
        TableState::Copied => "copied",
        TableState::Finished => "finished",
    };
    let update = Sql::literal(
        "UPDATE confiture.table_state
         SET state = $3, finished_at = CASE $3 WHEN 'finished' THEN pg_catalog.now() END
         WHERE table_schema = $1 AND table_name = $2",
    );
    session.execute(&update, &[&table.schema.as_str(), &table.name.as_str(), &name]).await?;
    Ok(())
}

/// Adds a line to the audit trail.
pub(crate) async fn record_event(session: &Session, what: &str) -> Result<()> {
    session.execute(&Sql::literal("INSERT INTO confiture.event (what) VALUES ($1)"), &[&what]).await?;
    Ok(())
}

fn route_name(route: Route) -> &'static str {
    match route {
        Route::Copy => "copy",
        Route::Fdw => "fdw",
        Route::Local => "local",
    }
}
