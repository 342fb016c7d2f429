//! Reading `pg_catalog` into a [`Catalog`].
//!
//! All the queries run in one snapshot and one after the other without waiting for each other's answers. Each is a file
//! under `queries/catalog/` that runs in psql; what they return is put together here.

mod columns;
mod constraints;
mod encoding;
mod indexes;
mod relations;
mod sequences;
mod triggers;
mod types;

use futures_util::{TryFutureExt, try_join};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::catalog::Catalog;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::sql::{Identifier, QualifiedName, Sql};

/// The text of a query of this module.
macro_rules! query {
    ($file:literal) => {
        crate::sql::Sql::literal(include_str!(concat!("../queries/catalog/", $file, ".sql")))
    };
}
use query;

/// How often a catalog is read anew where DDL of others pulls objects away under the reader.
const ATTEMPTS: usize = 5;

/// What an error carries where an object was dropped between the snapshot and the rendering of its definition, which
/// PostgreSQL does by the newest state: the class of "try again".
const DROPPED_MEANWHILE: &str = "40001";

/// Reads what the database holds, in one read-only snapshot of its own, or in the caller's transaction where the session
/// is in one ([`read_catalog_in_transaction`]).
///
/// Any role may: nothing but `pg_catalog` is read. Waits for who holds an `ACCESS EXCLUSIVE` lock on a table, as long as
/// the session's `lock_timeout` allows. A future that is dropped half-way leaves the session in the transaction.
///
/// # Errors
///
/// What the server refuses; [`ErrorKind::Config`] where names are not UTF-8, which a `SQL_ASCII` database allows.
pub async fn read_catalog(session: &Session) -> Result<Catalog> {
    if is_in_transaction(session).await? {
        return read_catalog_in_transaction(session).await;
    }
    let mut attempt = 1;
    loop {
        // On one pipeline: the transaction begins before the first query is parsed.
        let begin = async { session.batch(&query!("begin")).await };
        let read = try_join!(begin, read(session)).map(|((), catalog)| catalog);
        if session.is_closed() {
            return read;
        }
        session.batch(&Sql::literal("ROLLBACK")).await?;
        match read {
            Err(error) if attempt < ATTEMPTS && is_dropped_meanwhile(&error) => attempt += 1,
            Err(error) => return Err(encoding::explain(session, error).await),
            catalog => return catalog,
        }
    }
}

/// Reads what the database holds as the session's transaction sees it. The transaction goes on unharmed, its settings
/// as they were, also where this fails.
///
/// # Errors
///
/// As [`read_catalog`]; and where the session is in no transaction.
pub async fn read_catalog_in_transaction(session: &Session) -> Result<Catalog> {
    let begin = async { session.batch(&Sql::literal("SAVEPOINT confiture_catalog")).await };
    let (begun, read) = futures_util::join!(begin, read(session));
    begun?;
    if !session.is_closed() {
        let end = "ROLLBACK TO SAVEPOINT confiture_catalog; RELEASE SAVEPOINT confiture_catalog";
        session.batch(&Sql::literal(end)).await?;
    }
    match read {
        Err(error) => Err(encoding::explain(session, error).await),
        catalog => catalog,
    }
}

async fn is_in_transaction(session: &Session) -> Result<bool> {
    let probe = async { session.batch(&query!("probe")).await };
    let ((), rows) = try_join!(probe, ask(session, query!("in_transaction")))?;
    value(only(&rows)?, "in_transaction")
}

/// Reads everything, in the transaction or savepoint that the caller has opened and will roll back.
async fn read(session: &Session) -> Result<Catalog> {
    let context = |error: Error| error.context("cannot read the catalog");
    let database = ask(session, query!("database")).map_err(context).await?;
    let settings = async { session.batch(&query!("settings")).await };
    // The order matters for the first: settings come before all that renders by them.
    let (
        (),
        schemas,
        extensions,
        relations,
        inheritance,
        columns,
        constraints,
        indexes,
        index_statistics,
        triggers,
        sequences,
        types,
    ) = try_join!(
        settings,
        ask(session, query!("schemas")),
        ask(session, query!("extensions")),
        ask(session, query!("relations")),
        ask(session, query!("inheritance")),
        ask(session, query!("columns")),
        ask(session, query!("constraints")),
        ask(session, query!("indexes")),
        ask(session, query!("index_statistics")),
        ask(session, query!("triggers")),
        ask(session, query!("sequences")),
        ask(session, query!("types")),
    )
    .map_err(context)?;

    let database = only(&database)?;
    let ancestry = relations::Ancestry::read(&inheritance)?;
    let mut by_oid = relations::read(&relations, &ancestry, value::<i64>(database, "block_size")?)?;
    columns::read(&columns, &mut by_oid)?;
    constraints::read(&constraints, &mut by_oid)?;
    indexes::read(&indexes, &index_statistics, &ancestry, &mut by_oid)?;
    triggers::read(&triggers, &mut by_oid)?;
    let sequences = sequences::read(&sequences, &mut by_oid)?;
    relations::estimate_partitioned(&mut by_oid);

    Ok(Catalog {
        server_version: value::<i32>(database, "server_version")?.unsigned_abs(),
        database: value(database, "database")?,
        encoding: value(database, "encoding")?,
        search_path: identifiers(value::<Vec<&str>>(database, "search_path")?),
        schemas: schemas.iter().map(|row| identifier(row, "name")).collect::<Result<_>>()?,
        relations: by_oid.into_values().map(|relation| (relation.name.clone(), relation)).collect(),
        sequences,
        types: types::read(&types)?,
        extensions: extensions
            .iter()
            .map(|row| Ok((identifier(row, "name")?, value(row, "version")?)))
            .collect::<Result<_>>()?,
    })
}

/// Sends a query. An `async fn` that owns its text, so that many can be under way at once.
async fn ask(session: &Session, sql: Sql) -> Result<Vec<Row>> {
    session.query(&sql, &[]).await
}

fn only(rows: &[Row]) -> Result<&Row> {
    rows.first().ok_or_else(|| Error::unexpected("the server answered with no row where there is always one"))
}

/// The value of a column, by the column's name in the query.
fn value<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T> {
    row.try_get(column).map_err(|error| {
        Error::unexpected(format!("the catalog query's column {column} does not hold what it should"))
            .because(error)
    })
}

fn identifier(row: &Row, column: &str) -> Result<Identifier> {
    value::<&str>(row, column).map(Identifier::from)
}

fn identifiers(names: Vec<&str>) -> Vec<Identifier> {
    names.into_iter().map(Identifier::from).collect()
}

/// The name in two columns; `None` where they are null.
fn qualified_name(row: &Row, schema: &str, name: &str) -> Result<Option<QualifiedName>> {
    let schema = value::<Option<&str>>(row, schema)?;
    let name = value::<Option<&str>>(row, name)?;
    Ok(schema.zip(name).map(|(schema, name)| QualifiedName::new(schema, name)))
}

/// What PostgreSQL renders for an object, null where the object was dropped since the snapshot.
fn rendered<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T> {
    value::<Option<T>>(row, column)?.ok_or_else(|| {
        Error::new(ErrorKind::Server, "an object was dropped while the catalog was read")
            .sqlstate(DROPPED_MEANWHILE)
            .hint("run it again when no other DDL runs on the database")
    })
}

/// The letter of a `"char"`; none for its zero byte.
fn letter(row: &Row, column: &str) -> Result<Option<char>> {
    Ok(value::<&str>(row, column)?.chars().next())
}

/// Sizes and counts are never negative, but PostgreSQL has no type that says so.
fn count(number: i64) -> u64 {
    number.max(0).unsigned_abs()
}

/// True for what DDL of others makes functions of the catalog say: an object that the snapshot shows is gone
/// (XX000 is "cache lookup failed", "could not open relation with OID").
fn is_dropped_meanwhile(error: &Error) -> bool {
    matches!(error.sqlstate_code(), Some(DROPPED_MEANWHILE | "XX000" | "42P01" | "42704"))
}
