//! The ledgers of other tools: where they are.

use crate::error::Result;
use crate::postgres::Session;
use crate::sql::{QualifiedName, Sql};

/// Whose ledger it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Python,
    Dbmate,
    GolangMigrate,
    Sqlx,
    Refinery,
    Flyway,
    Goose,
    SqlMigrate,
    NodePgMigrate,
    Diesel,
    Prisma,
}

impl Tool {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python => "the Python original",
            Self::Dbmate => "dbmate",
            Self::GolangMigrate => "golang-migrate",
            Self::Sqlx => "sqlx",
            Self::Refinery => "refinery",
            Self::Flyway => "Flyway",
            Self::Goose => "goose",
            Self::SqlMigrate => "sql-migrate",
            Self::NodePgMigrate => "node-pg-migrate",
            Self::Diesel => "Diesel",
            Self::Prisma => "Prisma",
        }
    }
}

/// Names that ledgers have, and the columns by which each tool's is known, which tell more the more they are: those of another come first.
/// `schema_migrations` is the name of two.
const LEDGERS: [(&str, Tool, &[&str]); 11] = [
    ("_prisma_migrations", Tool::Prisma, &["migration_name", "checksum", "finished_at", "rolled_back_at"]),
    ("__diesel_schema_migrations", Tool::Diesel, &["version", "run_on"]),
    ("goose_db_version", Tool::Goose, &["id", "version_id", "is_applied"]),
    ("gorp_migrations", Tool::SqlMigrate, &["id", "applied_at"]),
    ("pgmigrations", Tool::NodePgMigrate, &["name", "run_on"]),
    ("tb_confiture", Tool::Python, &["version", "name", "applied_at"]),
    ("schema_migrations", Tool::GolangMigrate, &["version", "dirty"]),
    ("schema_migrations", Tool::Dbmate, &["version"]),
    ("_sqlx_migrations", Tool::Sqlx, &["version", "success", "installed_on"]),
    ("refinery_schema_history", Tool::Refinery, &["version", "applied_on"]),
    ("flyway_schema_history", Tool::Flyway, &["installed_rank", "version", "type", "success"]),
];

/// The names that are known, for sentences.
pub(crate) fn ledger_names() -> String {
    LEDGERS.map(|(name, ..)| name).join(", ").replacen(
        "schema_migrations, schema_migrations",
        "schema_migrations",
        1,
    )
}

/// A ledger that is there.
pub(crate) struct FoundLedger {
    pub(crate) tool: Tool,
    pub(crate) table: QualifiedName,
    /// It is a view, or something else stands on it: a view, a foreign key.
    is_used: bool,
}

/// The ledgers that there are: `asked` by name, or all whose names are known, in the schemas of the `search_path`.
pub(crate) async fn find_ledgers(session: &Session, asked: Option<&str>) -> Result<Vec<FoundLedger>> {
    let names: Vec<&str> = match asked {
        Some(name) => vec![name.rsplit('.').next().unwrap_or(name)],
        None => LEDGERS.iter().map(|(name, ..)| *name).collect(),
    };
    let schema = asked.and_then(|name| name.split_once('.')).map(|(schema, _)| schema);
    let query = Sql::literal(include_str!("queries/ledgers.sql"));
    let rows = session.query(&query, &[&names, &schema]).await?;
    let mut found = Vec::new();
    for row in rows {
        let table = QualifiedName::new(row.get::<_, String>("schema"), row.get::<_, String>("name"));
        let columns: Vec<String> = row.get("columns");
        let tool = LEDGERS.iter().find(|(name, _, wanted)| {
            (asked.is_some() || *name == table.name.as_str())
                && wanted.iter().all(|column| columns.iter().any(|one| one == column))
        });
        if let Some((_, tool, _)) = tool {
            found.push(FoundLedger { tool: *tool, table, is_used: row.get("is_used") });
        }
    }
    Ok(found)
}

/// The tables that are ledgers of other tools and nothing else: as the history is, they are no schema of the user's.
///
/// # Errors
///
/// What the server says.
pub async fn find_mere_ledgers(session: &Session) -> Result<Vec<QualifiedName>> {
    let found = find_ledgers(session, None).await?;
    Ok(found.into_iter().filter(|ledger| !ledger.is_used).map(|ledger| ledger.table).collect())
}
