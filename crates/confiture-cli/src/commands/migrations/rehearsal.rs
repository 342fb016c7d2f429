//! `confiture migrate up --rehearse`: what is pending, run on a copy of the database's schema.

use confiture::Result;
use confiture::event::Execution;
use confiture::migrate::Plan;
use confiture::postgres::roles;
use confiture::project::Project;
use confiture::schema_diff::with_copy;

use super::whereabouts::Found;
use crate::scratches::Scratches;

/// Runs what is planned on a scratch copy, and notes in the plan what was seen.
pub(super) async fn rehearse(
    project: &Project,
    found: &Found,
    plan: &mut Plan,
    execution: &Execution,
) -> Result<()> {
    if plan.migrations.is_empty() {
        return Ok(());
    }
    let (settings, connection) = (&found.database.settings, &found.database.connection);
    let texts = || found.migrator.folder().texts();
    let makes_roles = texts().any(|text| !roles::made_in(text).is_empty());
    let scratches = Scratches::find(project, settings, makes_roles, Some(connection)).await?;
    let (server, history_table) = (scratches.connection(), &settings.history_table.value);
    let outcome = with_copy(server, connection, history_table, texts(), execution, async |copy| {
        found.migrator.rehearse(plan, copy.session(), copy.settings(), execution).await?;
        plan.notes.extend(copy.remarks.iter().cloned());
        Ok(())
    });
    let outcome = outcome.await;
    scratches.leave();
    outcome
}
