//! One snapshot of the source that all workers read.

use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::schema_to_schema::plan::{Plan, Topology};
use crate::sql::{Literal, Sql, sql};

/// An exported snapshot, alive for as long as this value.
pub(crate) struct Snapshot {
    session: Session,
    exported: String,
    /// `pg_current_snapshot()`, to be shown and remembered.
    pub(crate) shown: String,
}

impl Snapshot {
    /// Freezes what `session` sees from now on, for itself and for others.
    pub(crate) async fn export(session: Session) -> Result<Self> {
        session.batch(&Sql::literal("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
        Self::take(session).await
    }

    /// Freezes what others see from now on, once everything that the plan reads is locked against TRUNCATE and ALTER
    /// TABLE: those do not wait for snapshots, and a table that was emptied looks empty to every snapshot there is.
    ///
    /// Reading nothing from every table also finds out whether each may be read, before anything is written.
    pub(crate) async fn export_locked(session: Session, plan: &Plan) -> Result<Self> {
        // The locks come first, so the snapshot must be a later statement's: that is what READ COMMITTED is for.
        session.batch(&Sql::literal("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")).await?;
        for table in plan.tables.iter().filter(|table| table.query.statement.is_none()) {
            for range in table.query.whole() {
                let nothing = match plan.topology {
                    Topology::TwoDatabases => sql!("{}\nLIMIT 0", table.select_sent(&range)),
                    // What else the mapping reads here may be what this run fills, and must lock itself.
                    Topology::OneDatabase => {
                        sql!("SELECT FROM {} LIMIT 0", table.query.storage[range.storage].relation)
                    }
                };
                session.query(&nothing, &[]).await.map_err(|error| explain(error, &table.target.short()))?;
            }
        }
        Self::take(session).await
    }

    async fn take(session: Session) -> Result<Self> {
        let query =
            Sql::literal("SELECT pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_export_snapshot()");
        let row = session.query_one(&query, &[]).await?;
        Ok(Self { shown: row.get(0), exported: row.get(1), session })
    }

    /// Takes part in a snapshot that another session exports, and holds it from then on.
    pub(crate) async fn joined(session: Session, exported: &str) -> Result<Self> {
        join(&session, exported).await?;
        Self::take(session).await
    }

    /// The same snapshot, held by another session of the database.
    pub(crate) async fn beside(&self, session: Session) -> Result<Self> {
        Self::joined(session, &self.exported).await
    }

    /// The session that holds it.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Begins a transaction of another session that reads the same snapshot.
    pub(crate) async fn share(&self, session: &Session) -> Result<()> {
        session.batch(&Sql::literal("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
        self.adopt(session).await
    }

    /// Makes a transaction that has just begun read this snapshot.
    pub(crate) async fn adopt(&self, session: &Session) -> Result<()> {
        session.batch(&sql!("SET TRANSACTION SNAPSHOT {}", Literal(&self.exported))).await
    }
}

/// Begins a transaction of a session that reads what another one has exported.
pub(crate) async fn join(session: &Session, exported: &str) -> Result<()> {
    session.batch(&Sql::literal("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
    session.batch(&sql!("SET TRANSACTION SNAPSHOT {}", Literal(exported))).await
}

fn explain(error: Error, table: &str) -> Error {
    explain_row_security(error).context(format!("reading for {table}"))
}

/// Says what to do where policies would hide rows of the source: our sessions refuse to read less than everything.
pub(crate) fn explain_row_security(error: Error) -> Error {
    if error.sqlstate_code() == Some("42501") && error.message().contains("row-level security") {
        return error.hint(
            "less than the table would arrive: connect as the table's owner, or as a role with BYPASSRLS",
        );
    }
    error
}
