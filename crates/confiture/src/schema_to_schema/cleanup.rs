//! What a migration leaves behind, removed: foreign tables and the ledger. Nothing that Confiture did not make.

use serde::Serialize;

use crate::config::Connection;
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::sessions::unless_interrupted;
use crate::schema_to_schema::{foreign, journal, ledger};
use crate::sql::{Identifier, Sql};

/// What was removed.
#[derive(Debug, Clone, Serialize)]
pub struct CleanupReport {
    /// The foreign server, its user mapping, and the foreign tables.
    pub foreign_tables: bool,
    /// The ledger: the schema `confiture`.
    pub ledger: bool,
}

/// Removes foreign tables and the ledger from `target`. Run again, it finds nothing to do.
///
/// # Errors
///
/// [`crate::ErrorKind::Unsafe`] where a migration is unfinished: the journal would be lost, and with it the indexes that
/// are still to be built.
pub async fn clean_up(
    target: &Connection,
    foreign_schema: &Identifier,
    execution: &Execution,
) -> Result<CleanupReport> {
    let session = Session::connect(target).await?;
    let lock = AdvisoryLock::take(target).await?;
    const STOPPED: &str = "stopped while cleaning up; run it again";
    let work = clean_up_locked(&session, foreign_schema);
    let done = unless_interrupted(execution, &[&session], STOPPED, work).await;
    let released = lock.release().await;
    done.and_then(|report| released.map(|()| report))
}

async fn clean_up_locked(session: &Session, foreign_schema: &Identifier) -> Result<CleanupReport> {
    let mut schema = foreign_schema.clone();
    let has_ledger = ledger::exists(session).await?;
    if has_ledger {
        let left = journal::entries(session).await?;
        if !left.is_empty() {
            return Err(Error::refused(format!(
                "{} keys, indexes or triggers of the target are still taken off",
                left.len()
            ))
            .hint("let the migration finish first: run `confiture migrate schema-to-schema migrate` again"));
        }
        let query =
            Sql::literal("SELECT foreign_schema FROM confiture.migration WHERE foreign_schema IS NOT NULL");
        if let Some(row) = session.query_opt(&query, &[]).await? {
            schema = Identifier::new(row.get::<_, String>(0));
        }
    }
    let foreign_tables = foreign::remove(session, &schema).await?;
    if has_ledger {
        session.batch(&Sql::literal(include_str!("../postgres/queries/drop_ledger.sql"))).await?;
    }
    Ok(CleanupReport { foreign_tables, ledger: has_ledger })
}
