//! Sequences follow the rows. `ALTER SEQUENCE … RESTART` and not `setval`: it is taken back with the transaction.

use crate::catalog::Sequence;
use crate::error::Result;
use crate::postgres::Session;
use crate::sql::{QualifiedName, sql};
use crate::sync::plan::Applied;
use crate::sync::planner::Sync;

/// Sets the sequences that columns of synced tables own to where the source's are, and never behind the rows. Returns how
/// many.
pub(crate) async fn set(sync: &Sync, source: &Session, target: &Session) -> Result<usize> {
    let mut count = 0;
    for table in &sync.plan.tables {
        let Some(relation) = sync.target_catalog.relations.get(&table.table) else { continue };
        for column in &relation.columns {
            let Some(sequence) =
                column.sequence.as_ref().and_then(|name| sync.target_catalog.sequences.get(name))
            else {
                continue;
            };
            let masked = table
                .columns
                .iter()
                .any(|planned| planned.name == column.name && planned.applied != Applied::Nowhere);
            let twin = sync
                .source_catalog
                .relations
                .get(&table.table)
                .and_then(|relation| relation.column(&column.name));
            let from = twin.and_then(|twin| twin.sequence.as_ref());
            let mut last = match from {
                // Masked numbers have nothing to do with where the source stands.
                Some(name) if !masked => last_value(source, name).await?,
                _ => None,
            };
            let is_number = matches!(column.data_type.text.as_str(), "smallint" | "integer" | "bigint");
            if is_number && sequence.increment > 0 {
                let highest = sql!(
                    "SELECT CAST(pg_catalog.max({}) AS pg_catalog.int8) FROM {}",
                    column.name,
                    table.table
                );
                let highest: Option<i64> = target.query_one(&highest, &[]).await?.get(0);
                last = last.max(highest);
            }
            restart(sequence, last, target).await?;
            count += 1;
        }
    }
    Ok(count)
}

async fn restart(sequence: &Sequence, last: Option<i64>, target: &Session) -> Result<()> {
    let next = match last {
        None => sequence.start,
        // A sequence at its end stays there, and says so when it is asked.
        Some(last) => {
            last.checked_add(sequence.increment).map_or(last, |next| next.clamp(sequence.min, sequence.max))
        }
    };
    let statement = sql!("ALTER SEQUENCE {} RESTART WITH {}", sequence.name, next);
    target.batch(&statement).await.map_err(|error| {
        error
            .context(format!("setting the sequence {}", sequence.name.short()))
            .hint("the role must own the sequence, as it owns the table")
    })
}

/// The last value handed out; `None` where none was, or where the role may not read it.
async fn last_value(session: &Session, sequence: &QualifiedName) -> Result<Option<i64>> {
    let query = sql!("SELECT CASE WHEN is_called THEN last_value END FROM {}", sequence);
    session.batch(&crate::sql::Sql::literal("SAVEPOINT sequence")).await?;
    let row = session.query_one(&query, &[]).await;
    session.batch(&crate::sql::Sql::literal("ROLLBACK TO SAVEPOINT sequence")).await?;
    match row {
        Ok(row) => Ok(row.get(0)),
        Err(error) if error.sqlstate_code() == Some("42501") => Ok(None),
        Err(error) => Err(error),
    }
}
