//! Indexes, keys and triggers of the target: taken off for the load and put back, all within its transaction.

use crate::catalog::Oid;
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::sql::{QualifiedName, Sql, sql};

/// What was taken off.
pub(crate) struct TakenOff(Vec<Object>);

struct Object {
    table: QualifiedName,
    kind: String,
    name: String,
    restore: Vec<String>,
}

/// Takes everything off that slows a load or fires in it.
pub(crate) async fn take_off(session: &Session, tables: &[Oid], execution: &Execution) -> Result<TakenOff> {
    session.batch(&Sql::literal("SAVEPOINT search; SET LOCAL search_path = ''")).await?;
    let query = Sql::literal(include_str!("../postgres/queries/journal.sql"));
    let rows = session.query(&query, &[&tables]).await?;
    session.batch(&Sql::literal("ROLLBACK TO SAVEPOINT search; RELEASE SAVEPOINT search")).await?;
    let mut taken = Vec::new();
    for row in &rows {
        let object = Object {
            table: QualifiedName::new(row.get::<_, String>(1), row.get::<_, String>(2)),
            kind: row.get(3),
            name: row.get(4),
            restore: row.get(6),
        };
        session.batch(&Sql::literal("SAVEPOINT one")).await?;
        match session.batch(&Sql::from_server(row.get::<_, &str>(5))).await {
            Ok(()) => {
                session.batch(&Sql::literal("RELEASE SAVEPOINT one")).await?;
                taken.push(object);
            }
            // Something depends on it: a view that groups by the primary key, say. It stays.
            Err(error) if error.sqlstate_code() == Some("2BP01") => {
                session.batch(&Sql::literal("ROLLBACK TO SAVEPOINT one; RELEASE SAVEPOINT one")).await?;
                execution.note(format!(
                    "{} on {} stays during the load: others depend on it",
                    object.name,
                    object.table.short()
                ));
            }
            Err(error) => {
                return Err(error.context(format!("taking {} off {}", object.name, object.table.short())));
            }
        }
    }
    Ok(TakenOff(taken))
}

/// Builds the indexes and keys of one table, which is full.
pub(crate) async fn indexes(
    session: &Session,
    taken: &TakenOff,
    table: &QualifiedName,
    execution: &Execution,
) -> Result<()> {
    for object in taken.0.iter().filter(|object| object.table == *table && is_index(object)) {
        let name = format!("Building {} on {}", object.name, object.table.short());
        execution.step(&name, put_back(session, object)).await?;
    }
    Ok(())
}

/// Puts everything else back: keys of partitions first, then foreign keys, then triggers. Returns how many objects in all.
pub(crate) async fn rest(session: &Session, taken: &TakenOff) -> Result<usize> {
    for kind in ["foreign_key", "trigger"] {
        for object in taken.0.iter().filter(|object| object.kind == kind) {
            put_back(session, object).await?;
        }
    }
    Ok(taken.0.len())
}

/// Computes the materialized views anew that read what was filled. One that the role may not refresh keeps what it held.
pub(crate) async fn refresh_views(session: &Session, tables: &[Oid], execution: &Execution) -> Result<()> {
    let query = Sql::literal(include_str!("../postgres/queries/materialized_views.sql"));
    for row in session.query(&query, &[&tables]).await? {
        let name: &str = row.get(0);
        session.batch(&Sql::literal("SAVEPOINT one")).await?;
        let refresh = sql!("REFRESH MATERIALIZED VIEW {}", Sql::from_server(name));
        match session.batch(&refresh).await {
            Ok(()) => session.batch(&Sql::literal("RELEASE SAVEPOINT one")).await?,
            Err(error) if error.sqlstate_code() == Some("42501") => {
                session.batch(&Sql::literal("ROLLBACK TO SAVEPOINT one; RELEASE SAVEPOINT one")).await?;
                execution.warn(format!(
                    "the materialized view {name} belongs to another role, and still holds what it held"
                ));
            }
            Err(error) => return Err(error.context(format!("refreshing {name}"))),
        }
    }
    Ok(())
}

fn is_index(object: &Object) -> bool {
    matches!(object.kind.as_str(), "index" | "constraint")
}

async fn put_back(session: &Session, object: &Object) -> Result<()> {
    for statement in &object.restore {
        if let Err(error) = session.batch(&Sql::from_server(statement.as_str())).await {
            return Err(explain(error, object));
        }
    }
    Ok(())
}

fn explain(error: Error, object: &Object) -> Error {
    let table = object.table.short();
    let (message, hint) = match error.sqlstate_code() {
        Some("23505") => (
            format!("two rows of {table} are equal in {}: nothing was changed", object.name),
            "a rule makes values equal that were not: `{hash: 24}` and `{fpe: digits}` keep them apart",
        ),
        Some("23503") => (
            format!(
                "rows of {table} refer to rows that are not there ({}): nothing was changed",
                object.name
            ),
            "sync the tables at both ends of the foreign key together: add the missing one to --tables",
        ),
        _ => return error.context(format!("putting {} back on {table}", object.name)),
    };
    Error::new(error.kind(), message)
        .sqlstate(error.sqlstate_code().unwrap_or_default().to_owned())
        .hint(hint)
}
