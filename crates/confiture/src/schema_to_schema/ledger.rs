//! What the target remembers of a migration, in its schema `confiture`.

use std::collections::BTreeMap;

use crate::config::Connection;
use crate::error::Result;
use crate::postgres::Session;
use crate::schema_to_schema::copy::Moved;
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::plan::{PageRange, Route, TablePlan};
use crate::sql::{QualifiedName, Sql, sql};

/// How far a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableState {
    /// Rows are being moved; chunks say which are there.
    Copying,
    /// All rows are there; indexes, keys and sequences may not be.
    Copied,
    /// Of a table that follows: its indexes are being built; changes wait.
    Indexing,
    /// Of a table that follows: changes that waited are being applied.
    CatchingUp,
    /// Every batch leaves it equal to the source.
    Following,
    /// Done.
    Finished,
}

/// What the ledger holds of one table.
#[derive(Debug, Clone)]
pub(crate) struct TableRecord {
    pub(crate) fingerprint: String,
    pub(crate) source: String,
    /// `--where` of the run that copied it.
    pub(crate) filter: Option<String>,
    pub(crate) state: TableState,
    /// The snapshot of its rows, as `pg_current_snapshot()` showed it.
    pub(crate) snapshot: String,
    /// Rows of all chunks.
    pub(crate) rows: u64,
    pub(crate) chunks: Vec<Chunk>,
}

/// A page range that is in the target.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) relation: String,
    pub(crate) first: u32,
    pub(crate) end: u32,
    /// The relation's file then, where changes are captured: another one holds its rows in other pages.
    pub(crate) file: Option<u32>,
}

impl TableState {
    const ALL: [(&'static str, Self); 6] = [
        ("copying", Self::Copying),
        ("copied", Self::Copied),
        ("indexing", Self::Indexing),
        ("catching_up", Self::CatchingUp),
        ("following", Self::Following),
        ("finished", Self::Finished),
    ];

    /// The word that the ledger has for it.
    pub(crate) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, state)| *state == self).map_or("", |(word, _)| word)
    }

    fn of_word(word: &str) -> Self {
        Self::ALL.iter().find(|(known, _)| *known == word).map_or(Self::Finished, |(_, state)| *state)
    }
}

/// True where the target has a ledger.
pub(crate) async fn exists(session: &Session) -> Result<bool> {
    let query = Sql::literal("SELECT pg_catalog.to_regclass('confiture.table_state') IS NOT NULL");
    Ok(session.query_one(&query, &[]).await?.get(0))
}

/// True where the target has the ledger's schema, or the role may make it.
pub(crate) async fn may_create(session: &Session) -> Result<bool> {
    let query = Sql::literal(
        "SELECT CASE WHEN pg_catalog.to_regnamespace('confiture') IS NULL
                     THEN pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
                     ELSE pg_catalog.to_regclass('confiture.table_state') IS NOT NULL
                          OR pg_catalog.has_schema_privilege('confiture', 'CREATE')
                END",
    );
    Ok(session.query_one(&query, &[]).await?.get(0))
}

/// Makes the ledger where there is none.
pub(crate) async fn create(session: &Session) -> Result<()> {
    if exists(session).await? {
        return Ok(());
    }
    // Asking for a schema that is there needs the privilege to make one; whoever lacks it was given the schema.
    let there = Sql::literal("SELECT pg_catalog.to_regnamespace('confiture') IS NOT NULL");
    let there: bool = session.query_one(&there, &[]).await?.get(0);
    let schema = Sql::literal(if there { "" } else { "CREATE SCHEMA confiture;" });
    let tables = Sql::literal(include_str!("../postgres/queries/ledger.sql"));
    let make = sql!("{}\n{}", schema, tables);
    session.transaction(session.batch(&make)).await.map_err(|error| {
        let error = error.context("making the ledger in the target's schema confiture");
        match error.sqlstate_code() {
            Some("42501") => {
                error.hint("the target's role needs CREATE on the database: GRANT CREATE ON DATABASE … TO …")
            }
            _ => error,
        }
    })
}

/// Remembers the source and the mapping's file, so that later commands need name the target alone. Never a password.
pub(crate) async fn remember_source(session: &Session, options: &Options) -> Result<()> {
    let remember = Sql::literal(
        "INSERT INTO confiture.migration (source, source_connection, source_name, mapping_file, tool_version)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (only_one) DO UPDATE SET source = excluded.source, source_connection = excluded.source_connection,
             source_name = excluded.source_name, mapping_file = excluded.mapping_file, tool_version = excluded.tool_version",
    );
    let (shown, dsn) = (options.source.to_string(), options.source.to_dsn());
    let (name, file) = (options.source_name.as_deref(), options.mapping_file.as_deref());
    session.execute(&remember, &[&shown, &dsn, &name, &file, &env!("CARGO_PKG_VERSION")]).await?;
    Ok(())
}

/// A source that a target remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedSource {
    /// The environment's name, where the source was named by one.
    pub name: Option<String>,
    /// How to reach it, as a connection string without a password.
    pub dsn: String,
    /// The file of the mapping that was used last, as it was named then; `None` where names were equal.
    pub mapping_file: Option<String>,
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
    let query = Sql::literal("SELECT source_name, source_connection, mapping_file FROM confiture.migration");
    let row = session.query_opt(&query, &[]).await?;
    Ok(row.map(|row| RememberedSource { name: row.get(0), dsn: row.get(1), mapping_file: row.get(2) }))
}

/// What the ledger holds of every table; empty where there is no ledger.
pub(crate) async fn read(session: &Session) -> Result<BTreeMap<QualifiedName, TableRecord>> {
    if !exists(session).await? {
        return Ok(BTreeMap::new());
    }
    let query = Sql::literal(
        "SELECT table_schema, table_name, fingerprint, source, state, snapshot, filter FROM confiture.table_state",
    );
    let mut records = BTreeMap::new();
    for row in session.query(&query, &[]).await? {
        let state = TableState::of_word(row.get(4));
        let record = TableRecord {
            fingerprint: row.get(2),
            source: row.get(3),
            filter: row.get(6),
            state,
            snapshot: row.get(5),
            rows: 0,
            chunks: Vec::new(),
        };
        records.insert(QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1)), record);
    }
    let query = Sql::literal(
        "SELECT table_schema, table_name, relation, first_page, end_page, rows, file FROM confiture.chunk",
    );
    for row in session.query(&query, &[]).await? {
        let name = QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        if let Some(record) = records.get_mut(&name) {
            let page = |index| u32::try_from(row.get::<_, i64>(index)).unwrap_or(u32::MAX);
            record.rows += row.get::<_, i64>(5).cast_unsigned();
            let file = row.get(6);
            record.chunks.push(Chunk { relation: row.get(2), first: page(3), end: page(4), file });
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
    source: &str,
    filter: Option<&str>,
    snapshot: &str,
) -> Result<()> {
    let insert = Sql::literal(
        "INSERT INTO confiture.table_state (table_schema, table_name, fingerprint, source, filter, state, route, snapshot)
         VALUES ($1, $2, $3, $4, $5, 'copying', $6, $7)",
    );
    forget_table(session, &table.target).await?;
    let (schema, name) = (table.target.schema.as_str(), table.target.name.as_str());
    let (fingerprint, route) = (table.fingerprint(), route_name(table.route));
    session.execute(&insert, &[&schema, &name, &fingerprint, &source, &filter, &route, &snapshot]).await?;
    Ok(())
}

/// Forgets a table and its chunks.
pub(crate) async fn forget_table(session: &Session, table: &QualifiedName) -> Result<()> {
    let delete = Sql::literal(
        "WITH chunks AS (DELETE FROM confiture.chunk WHERE table_schema = $1 AND table_name = $2)
         DELETE FROM confiture.table_state WHERE table_schema = $1 AND table_name = $2",
    );
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
    file: Option<u32>,
) -> Result<()> {
    let insert = Sql::literal(
        "INSERT INTO confiture.chunk (table_schema, table_name, relation, first_page, end_page, rows, bytes, file)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
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
    session.execute(&insert, &[&schema, &name, &relation, &first, &end, &rows, &bytes, &file]).await?;
    Ok(())
}

/// Says how far a table is.
pub(crate) async fn set_state(session: &Session, table: &QualifiedName, state: TableState) -> Result<()> {
    let update = Sql::literal(
        "UPDATE confiture.table_state SET state = $3 WHERE table_schema = $1 AND table_name = $2",
    );
    session.execute(&update, &[&table.schema.as_str(), &table.name.as_str(), &state.word()]).await?;
    Ok(())
}

/// Says that a table's rows are defined by another SELECT from now on.
pub(crate) async fn set_fingerprint(session: &Session, table: &TablePlan) -> Result<()> {
    let update = Sql::literal(
        "UPDATE confiture.table_state SET fingerprint = $3 WHERE table_schema = $1 AND table_name = $2",
    );
    let (schema, name) = (table.target.schema.as_str(), table.target.name.as_str());
    session.execute(&update, &[&schema, &name, &table.fingerprint()]).await?;
    Ok(())
}

/// Says of all tables of a run that they are done, and adds a line to the audit trail: all or nothing, so that the
/// tables of a run that was cut short are told apart from those of a run that was not.
pub(crate) async fn finish(session: &Session, tables: &[&QualifiedName], what: &str) -> Result<()> {
    let finish = Sql::literal(
        "WITH event AS (INSERT INTO confiture.event (what) VALUES ($3))
         UPDATE confiture.table_state SET state = 'finished', finished_at = pg_catalog.now()
         WHERE state <> 'finished' AND (table_schema, table_name) IN
             (SELECT * FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])))",
    );
    let schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    session.execute(&finish, &[&schemas, &names, &what]).await?;
    Ok(())
}

/// True where `table` holds exactly the rows that were copied into it, each as it was copied: the transactions that wrote
/// its rows are those of its chunks, and each wrote as many.
pub(crate) async fn is_untouched(session: &Session, table: &QualifiedName) -> Result<bool> {
    let query = sql!(
        "WITH held AS (
             SELECT xmin::text AS transaction, pg_catalog.count(*) AS rows FROM {} GROUP BY 1
         ), copied AS (
             SELECT transaction::pg_catalog.xid::text, pg_catalog.sum(rows)::pg_catalog.int8 AS rows
             FROM confiture.chunk WHERE table_schema = $1 AND table_name = $2 AND rows > 0 GROUP BY 1
         )
         SELECT NOT EXISTS ((TABLE held EXCEPT TABLE copied) UNION ALL (TABLE copied EXCEPT TABLE held))",
        table
    );
    Ok(session.query_one(&query, &[&table.schema.as_str(), &table.name.as_str()]).await?.get(0))
}

fn route_name(route: Route) -> &'static str {
    match route {
        Route::Copy => "copy",
        Route::Fdw => "fdw",
        Route::Local => "local",
    }
}
