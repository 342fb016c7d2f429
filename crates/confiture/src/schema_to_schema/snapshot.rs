//! One snapshot of the source that all workers read.

use crate::config::Connection;
use crate::error::Result;
use crate::postgres::Session;
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
        let query =
            Sql::literal("SELECT pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_export_snapshot()");
        let row = session.query_one(&query, &[]).await?;
        Ok(Self { shown: row.get(0), exported: row.get(1), session })
    }

    /// The session that holds it.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Another session that reads the same snapshot.
    pub(crate) async fn reader(&self, connection: &Connection) -> Result<Session> {
        let session = Session::connect(connection).await?;
        session.batch(&Sql::literal("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
        self.adopt(&session).await?;
        Ok(session)
    }

    /// Makes a transaction that has just begun read this snapshot.
    pub(crate) async fn adopt(&self, session: &Session) -> Result<()> {
        session.batch(&sql!("SET TRANSACTION SNAPSHOT {}", Literal(&self.exported))).await
    }
}
