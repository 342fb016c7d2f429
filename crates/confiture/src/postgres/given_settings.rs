//! What a server gives to each new session, before anybody sets anything.

use crate::error::Result;
use crate::postgres::{Row, Session};
use crate::sql::{Literal, Sql, sql};

/// Statements that make another session what one of this database is: its search path, and what `ALTER DATABASE … SET` and
/// `ALTER ROLE … SET` have given to this role here. The settings of `session` are reset.
///
/// # Errors
///
/// What the server says.
pub async fn read_given_settings(session: &Session) -> Result<Vec<Sql>> {
    session.batch(&Sql::literal("RESET ALL")).await?;
    let query = Sql::literal(include_str!("queries/given_settings.sql"));
    let set = |row: &Row| {
        let (name, value): (String, String) = (row.get(0), row.get(1));
        sql!("SELECT pg_catalog.set_config({}, {}, false)", Literal(&name), Literal(&value))
    };
    Ok(session.query(&query, &[]).await?.iter().map(set).collect())
}
