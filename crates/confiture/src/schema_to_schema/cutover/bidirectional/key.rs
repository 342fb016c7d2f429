//! Keys by which both sides' changes are compared: as texts, so that two texts must not be one key.

use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::schema_to_schema::planner::Migration;
use crate::sql::{QualifiedName, Sql};

/// Refuses keys of which two are equal although their texts differ, in the tables that each of the directions writes to.
pub(super) async fn refuse_loose(directions: [&Migration; 2]) -> Result<()> {
    let query = Sql::literal(include_str!("../../../postgres/queries/loose_keys.sql"));
    for migration in directions {
        let tables = migration.plan.tables.iter();
        let keys =
            tables.flat_map(|table| table.key.iter().map(|name| (table.target.to_string(), name.as_str())));
        let (relations, names): (Vec<String>, Vec<&str>) = keys.unzip();
        let session = Session::connect(&migration.options.target).await?;
        let Some(row) = session.query_opt(&query, &[&relations, &names]).await? else { continue };
        let (schema, table, column, kind): (&str, &str, &str, &str) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let table = QualifiedName::new(schema, table).short();
        return Err(Error::refused(format!(
            "the key {column} of {table}, on {}, is {kind}: two texts may be one key, so that a row which both sides change could go unnoticed",
            migration.plan.target
        ))
        .hint("give it a type whose equal values have one text (text, bigint, uuid, numeric with a scale …), or leave the table out with --tables"));
    }
    Ok(())
}
