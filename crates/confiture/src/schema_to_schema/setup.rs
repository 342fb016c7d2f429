//! Before the first row: the ledger, the source remembered, foreign tables where the plan needs them.

use std::sync::Arc;

use serde::Serialize;

use crate::error::Result;
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::plan::Route;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::sessions::unless_interrupted;
use crate::schema_to_schema::{foreign, ledger, live};
use crate::sql::QualifiedName;

/// What was set up.
#[derive(Debug, Clone, Serialize)]
pub struct SetupReport {
    /// The source that the target now remembers.
    pub source: String,
    /// The source tables that the target now reads through foreign tables.
    pub foreign_tables: Vec<QualifiedName>,
}

impl Migration {
    /// Makes the ledger, remembers the source, and makes foreign tables for the tables that go through FDW. Run again, it
    /// makes the foreign tables anew.
    ///
    /// # Errors
    ///
    /// Where the role may not create a schema in the target, or the target's server cannot reach the source.
    pub async fn set_up(self: &Arc<Self>, execution: &Execution) -> Result<SetupReport> {
        let lock = AdvisoryLock::take(&self.options.target).await?;
        const STOPPED: &str = "stopped while setting up; run it again";
        let done =
            unless_interrupted(execution, &[&self.target], STOPPED, self.set_up_locked(execution)).await;
        let released = lock.release().await;
        done.and_then(|report| released.map(|()| report))
    }

    async fn set_up_locked(&self, execution: &Execution) -> Result<SetupReport> {
        ledger::create(&self.target).await?;
        ledger::remember_source(&self.target, &self.options).await?;
        let foreign_tables = self.set_up_foreign(&self.target, execution).await?;
        let what = format!("set up: the source is {}", self.plan.source);
        live::ledger::note(&self.target, &what).await?;
        Ok(SetupReport { source: self.plan.source.clone(), foreign_tables })
    }

    /// Makes foreign tables for the tables that go through FDW; returns the source relations.
    pub(crate) async fn set_up_foreign(
        &self,
        session: &Session,
        execution: &Execution,
    ) -> Result<Vec<QualifiedName>> {
        if self.plan.tables.iter().all(|table| table.route != Route::Fdw) {
            return Ok(Vec::new());
        }
        let needed = foreign::needed(&self.plan, &self.source_catalog, &self.options.foreign_schema);
        execution.step("Setting up foreign tables", foreign::set_up(session, &self.options, &needed)).await?;
        Ok(needed.into_iter().collect())
    }
}
