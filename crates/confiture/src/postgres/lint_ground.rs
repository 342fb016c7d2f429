//! Reads what lint judges by.

use tokio_postgres::Row;

use crate::error::Result;
use crate::lint::{Ground, Table};
use crate::postgres::Session;
use crate::sql::Sql;

/// Reads sizes, columns and checks of the tables of a database. Only the catalog is read.
///
/// To measure a table takes a lock on it, the weakest one that there is. Where somebody holds a table for himself, the sizes are
/// those that the server counted last.
///
/// # Errors
///
/// What the server says.
pub async fn read_lint_ground(session: &Session) -> Result<Ground> {
    // The session's own path is pinned: this asks for that of whoever comes without one.
    let path =
        Sql::literal("SELECT reset_val AS path FROM pg_catalog.pg_settings WHERE name = 'search_path'");
    let path: String = session.query_one(&path, &[]).await?.get("path");
    let user = session.connection().user.clone();
    let rows = match read_tables(session, true).await {
        Err(error) if error.sqlstate_code() == Some("55P03") => read_tables(session, false).await?,
        rows => rows?,
    };
    let tables = rows.iter().map(|row| {
        let names: Vec<String> = row.get("columns");
        let types: Vec<String> = row.get("types");
        let rows: Option<f64> = row.get("rows");
        let table = Table {
            rows: rows.map(|rows| rows.max(0.0) as u64),
            bytes: row.get::<_, Option<i64>>("bytes").map(i64::unsigned_abs),
            is_partitioned: row.get("is_partitioned"),
            columns: names.into_iter().zip(types).collect(),
            checked_not_null: row.get("checked_not_null"),
            has_unique_index: row.get("has_unique_index"),
        };
        ((row.get("schema"), row.get("name")), table)
    });
    Ok(Ground {
        version: session.server_version(),
        search_path: path
            .split(',')
            .map(|schema| schema.trim().trim_matches('"'))
            .map(|schema| if schema == "$user" { user.clone() } else { schema.to_owned() })
            .collect(),
        tables: tables.collect(),
    })
}

async fn read_tables(session: &Session, measured: bool) -> Result<Vec<Row>> {
    let query = Sql::literal(include_str!("queries/lint_ground.sql"));
    let limit = Sql::literal("SET TRANSACTION READ ONLY; SET LOCAL lock_timeout = '250ms'");
    session
        .transaction(async {
            session.batch(&limit).await?;
            session.query(&query, &[&measured]).await
        })
        .await
}
