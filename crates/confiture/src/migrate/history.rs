//! The history table: what was applied to a database, when, by whom, and how far.

use serde::Serialize;

use crate::config::mapping::TableName;
use crate::error::{Error, ErrorKind, Result};
use crate::migrate::checksum::Checksum;
use crate::migrate::version::Version;
use crate::postgres::{Row, Session};
use crate::sql::{Identifier, Literal, QualifiedName, Sql, SqlPart, sql};

/// What the history says of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is applied.
    Applied,
    /// It is being applied in steps, or was when its run ended.
    Applying,
    /// It is being reverted in steps, or was when its run ended.
    Reverting,
    /// It was applied and reverted: it counts as pending.
    Reverted,
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Applying => "applying",
            Self::Reverting => "reverting",
            Self::Reverted => "reverted",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Applied, Self::Applying, Self::Reverting, Self::Reverted]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// One row of the history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// The version, as it was recorded.
    pub version: Version,
    /// The name.
    pub name: String,
    /// What stood for the file's text; `None` where there was no file.
    pub checksum: Option<Checksum>,
    /// What became of it.
    pub state: State,
    /// How many steps are done, of a migration in steps.
    pub step: i32,
    /// The next step was begun and nobody has said that it ended.
    pub running: bool,
    /// When, in UTC.
    pub applied_at: String,
    /// How long it took.
    pub execution_ms: Option<f64>,
    /// The role.
    pub applied_by: String,
    /// `build`, `baseline`, or the ledger that it was taken over from.
    pub source: Option<String>,
}

impl Serialize for Checksum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.whole)
    }
}

/// The history of one database, as it was read.
#[derive(Debug, Clone)]
pub struct History {
    /// The table, whether it is there or not.
    pub table: QualifiedName,
    /// It is there.
    pub exists: bool,
    /// Its rows, in the order of their versions.
    pub records: Vec<Record>,
}

impl History {
    /// Reads the rows of these versions again; gives them as a history of their own.
    pub(super) async fn read_again(&mut self, session: &Session, versions: &[&Version]) -> Result<Self> {
        let mut part = Self { table: self.table.clone(), exists: self.exists, records: Vec::new() };
        if !self.exists {
            return Ok(part);
        }
        let texts: Vec<_> = versions.iter().map(|version| version.as_str()).collect();
        part.records = read_records(session, &self.table, Some(&texts)).await?;
        for record in &part.records {
            match self.records.binary_search_by(|known| known.version.cmp(&record.version)) {
                Ok(at) => self.records[at] = record.clone(),
                Err(at) => self.records.insert(at, record.clone()),
            }
        }
        Ok(part)
    }

    /// The row of a version.
    #[must_use]
    pub fn record(&self, version: &Version) -> Option<&Record> {
        let at = self.records.binary_search_by(|record| record.version.cmp(version)).ok()?;
        self.records.get(at)
    }
}

/// What is read of it.
const COLUMNS: [&str; 12] = [
    "id",
    "version",
    "name",
    "checksum",
    "statements",
    "state",
    "step",
    "running",
    "applied_at",
    "execution_ms",
    "applied_by",
    "source",
];

/// Reads the history. Where there is no table, it is empty.
///
/// # Errors
///
/// A table of that name that is somebody else's; a missing privilege; a lost connection.
pub(super) async fn read_history(session: &Session, table: &TableName) -> Result<History> {
    let locate = Sql::literal(include_str!("../postgres/queries/history_table.sql"));
    let schema = table.schema.as_ref().map(Identifier::as_str);
    let row = session.query_one(&locate, &[&schema, &table.name.as_str()]).await?;
    let schema: Option<String> = row.get("schema");
    let Some(schema) = schema else {
        return Err(Error::config(format!("there is no schema to keep the history table {} in", table.name))
            .hint(
                "set history_table to schema.name, or give the role a search_path with a schema that exists",
            ));
    };
    let table = QualifiedName::new(schema, table.name.clone());
    let Some(columns) = row.get::<_, Option<Vec<String>>>("columns") else {
        return Ok(History { table, exists: false, records: Vec::new() });
    };
    let is_missing = |name: &&&str| !columns.iter().any(|column| column == **name);
    let missing: Vec<&str> = COLUMNS.iter().filter(is_missing).copied().collect();
    if !missing.is_empty() {
        return Err(Error::config(format!(
            "the table {table} is no history of Confiture: it has no column {}",
            missing.join(", ")
        ))
        .hint("name another table with history_table")
        .hint(format!("where it is another tool's: then `confiture migrate baseline --adopt {table}` takes over what it says")));
    }
    let records = read_records(session, &table, None).await?;
    Ok(History { table, exists: true, records })
}

/// The rows of these versions, or all.
async fn read_records(
    session: &Session,
    table: &QualifiedName,
    versions: Option<&[&str]>,
) -> Result<Vec<Record>> {
    let query = sql!(
        "SELECT version, name, checksum, statements, state, step, running, \
         pg_catalog.to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS applied_at, \
         execution_ms, applied_by, source FROM {} WHERE $1::pg_catalog.text[] IS NULL OR version = ANY ($1) ORDER BY id",
        table
    );
    let rows = session.query(&query, &[&versions]).await?;
    let mut records = rows.iter().map(|row| read_record(row, table)).collect::<Result<Vec<_>>>()?;
    records.sort_by(|one, other| one.version.cmp(&other.version));
    Ok(records)
}

/// Histories in other schemas than that of `table`.
pub(super) async fn find_elsewhere(session: &Session, table: &QualifiedName) -> Result<Vec<QualifiedName>> {
    let query = Sql::literal(include_str!("../postgres/queries/history_elsewhere.sql"));
    let rows = session.query(&query, &[&table.schema.as_str(), &table.name.as_str()]).await?;
    let name = |row: &Row| QualifiedName::new(row.get::<_, String>("schema"), row.get::<_, String>("name"));
    Ok(rows.iter().map(name).collect())
}

/// What a history elsewhere says is applied.
pub(super) async fn applied_in(session: &Session, table: &QualifiedName) -> Result<Vec<(String, String)>> {
    let query = sql!("SELECT version, name FROM {} WHERE state <> 'reverted'", table);
    let rows = session.query(&query, &[]).await?;
    Ok(rows.iter().map(|row| (row.get("version"), row.get("name"))).collect())
}

fn read_record(row: &Row, table: &QualifiedName) -> Result<Record> {
    let version: String = row.get("version");
    let strange = |what: &str| {
        Error::new(ErrorKind::Config, format!("{table} has a row whose {what} Confiture has not written"))
            .hint("a newer version of Confiture may have: use that one")
    };
    let checksum: Option<String> = row.get("checksum");
    let state: String = row.get("state");
    Ok(Record {
        version: Version::parse(&version).ok_or_else(|| strange("version"))?,
        name: row.get("name"),
        checksum: checksum.map(|whole| Checksum { whole, statements: row.get("statements") }),
        state: State::parse(&state).ok_or_else(|| strange("state"))?,
        step: row.get("step"),
        running: row.get("running"),
        applied_at: row.get("applied_at"),
        execution_ms: row.get::<_, Option<f64>>("execution_ms").map(|elapsed| (elapsed * 1e3).round() / 1e3),
        applied_by: row.get("applied_by"),
        source: row.get("source"),
    })
}

/// Makes the table where it is missing.
pub(super) async fn create_table(session: &Session, history: &History) -> Result<()> {
    if history.exists {
        return Ok(());
    }
    session.batch(&table_definition(&history.table)).await.map_err(|error| {
        let error = error.context(format!("making the history table {}", history.table));
        if error.sqlstate_code() == Some("42501") {
            return error.hint(
                "set history_table to schema.name in a schema where this role may create tables (from PostgreSQL 15 on, \
                 `public` is none), or have its owner run: GRANT CREATE ON SCHEMA …",
            );
        }
        error
    })
}

pub(super) fn table_definition(table: &impl SqlPart) -> Sql {
    sql!(
        "CREATE TABLE IF NOT EXISTS {} (\n\
         id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY,\n\
         version pg_catalog.text PRIMARY KEY,\n\
         name pg_catalog.text NOT NULL,\n\
         checksum pg_catalog.text,\n\
         statements pg_catalog.text[] NOT NULL DEFAULT '{{}}',\n\
         state pg_catalog.text NOT NULL CHECK (state IN ('applied', 'applying', 'reverting', 'reverted')),\n\
         step pg_catalog.int4 NOT NULL DEFAULT 0,\n\
         running pg_catalog.bool NOT NULL DEFAULT false,\n\
         applied_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),\n\
         execution_ms pg_catalog.float8,\n\
         applied_by pg_catalog.text NOT NULL DEFAULT session_user,\n\
         applied_from pg_catalog.text DEFAULT coalesce(pg_catalog.host(pg_catalog.inet_client_addr()), 'local'),\n\
         tool pg_catalog.text NOT NULL DEFAULT {},\n\
         source pg_catalog.text\n\
         );\n\
         COMMENT ON TABLE {} IS 'Migrations that Confiture has applied to this database; see docs/migrations.md';",
        table,
        Literal(TOOL),
        table
    )
}

const TOOL: &str = concat!("confiture ", env!("CARGO_PKG_VERSION"));

/// A migration as the history knows it.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    /// The version as it stands in the table, where it does; else as the file has it.
    pub(super) version: &'a str,
    pub(super) name: &'a str,
    pub(super) checksum: Option<&'a Checksum>,
    pub(super) source: Option<&'a str>,
    /// When it was applied, as the server reads it; `None`: now.
    pub(super) applied_at: Option<&'a str>,
    /// The table is known to have no row of this version.
    pub(super) is_new: bool,
}

/// Records that a migration is applied, or how far it is.
///
/// Where there is no row yet, it is inserted plainly: `ON CONFLICT` with its many columns takes the server four times as long.
pub(super) fn record(table: &impl SqlPart, entry: &Entry<'_>, state: State, execution_ms: &Sql) -> Sql {
    let text = |text: Option<&str>| text.map_or(Sql::literal("NULL"), |text| sql!("{}", Literal(text)));
    let whole = text(entry.checksum.map(|checksum| checksum.whole.as_str()));
    let at = entry.applied_at.map_or(Sql::literal("pg_catalog.clock_timestamp()"), |at| {
        sql!("{}::pg_catalog.timestamptz", Literal(at))
    });
    let mut insert = sql!(
        "INSERT INTO {} (version, name, checksum, statements, state, execution_ms, applied_at, source) \
         VALUES ({}, {}, {}, {}, {}, {}, {}, {})",
        table,
        Literal(entry.version),
        Literal(entry.name),
        whole,
        statements(entry.checksum),
        Literal(state.as_str()),
        execution_ms,
        at,
        text(entry.source)
    );
    if !entry.is_new {
        insert.push(&Sql::literal(REPLACE));
    }
    insert
}

const REPLACE: &str = " ON CONFLICT (version) DO UPDATE SET \
    (name, checksum, statements, state, step, running, execution_ms, applied_at, applied_by, applied_from, tool, source) = \
    (EXCLUDED.name, EXCLUDED.checksum, EXCLUDED.statements, EXCLUDED.state, 0, false, EXCLUDED.execution_ms, \
    EXCLUDED.applied_at, EXCLUDED.applied_by, EXCLUDED.applied_from, EXCLUDED.tool, EXCLUDED.source)";

/// As the text of an array: digests are hexadecimal, so that none needs quotes there.
fn statements(checksum: Option<&Checksum>) -> Sql {
    let digests = checksum.map(|checksum| checksum.statements.as_slice()).unwrap_or_default();
    sql!("{}", Literal(&format!("{{{}}}", digests.join(","))))
}

/// Moves a migration in steps on: `step` are done, and the next one is about to run outside of a transaction or not.
pub(super) fn record_step(
    table: &QualifiedName,
    version: &str,
    state: State,
    step: usize,
    running: bool,
) -> Sql {
    sql!(
        "UPDATE {} SET state = {}, step = {}, running = {} WHERE version = {}",
        table,
        Literal(state.as_str()),
        step,
        running,
        Literal(version)
    )
}

/// Says what the statements of a migration in steps are now: those that are still to come may have been mended.
pub(super) fn record_text(table: &QualifiedName, version: &str, checksum: &Checksum) -> Sql {
    sql!(
        "UPDATE {} SET checksum = {}, statements = {} WHERE version = {}",
        table,
        Literal(&checksum.whole),
        statements(Some(checksum)),
        Literal(version)
    )
}

/// Ends a migration in steps, or one that is reverted.
pub(super) fn record_end(table: &QualifiedName, version: &str, state: State, execution_ms: &Sql) -> Sql {
    sql!(
        "UPDATE {} SET state = {}, step = 0, running = false, execution_ms = {}, \
         applied_at = pg_catalog.clock_timestamp(), applied_by = session_user, tool = {} WHERE version = {}",
        table,
        Literal(state.as_str()),
        execution_ms,
        Literal(TOOL),
        Literal(version)
    )
}
