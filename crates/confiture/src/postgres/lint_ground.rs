//! Reads what lint judges by.

use crate::error::Result;
use crate::lint::{Ground, Table};
use crate::postgres::Session;
use crate::sql::Sql;

/// Reads sizes, columns and checks of the tables of a database. Only the catalog is read.
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
    let rows = session.query(&Sql::literal(include_str!("queries/lint_ground.sql")), &[]).await?;
    let tables = rows.iter().map(|row| {
        let names: Vec<String> = row.get("columns");
        let types: Vec<String> = row.get("types");
        let rows: Option<f64> = row.get("rows");
        let table = Table {
            rows: rows.map(|rows| rows.max(0.0) as u64),
            bytes: row.get::<_, i64>("bytes").unsigned_abs(),
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
