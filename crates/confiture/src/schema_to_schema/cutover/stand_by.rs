//! A process that outlives the one that switches: PgBouncer never ends a pause by itself, and the application's commands have
//! nobody else to take them back.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::error::Result;
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::cutover::application::Application;
use crate::schema_to_schema::cutover::settle_with;
use crate::schema_to_schema::live::ledger::Direction;
use crate::schema_to_schema::options::Options;

/// How long the servers may take to notice that the other process is gone, and to answer again.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until it is known whether the process that switches has died, which `died` says. Where it has, this brings the switch
/// to its end, forward where it was decided, else back, and the application with it.
///
/// Returns which way changes go since; `None` where there was nothing to do.
///
/// # Errors
///
/// Those of [`settle_with`], when patience has ended.
pub async fn stand_by(
    options: &Options,
    application: &dyn Application,
    died: impl Future<Output = bool>,
    execution: &Execution,
) -> Result<Option<Direction>> {
    if !died.await {
        return Ok(None);
    }
    let until = Instant::now() + PATIENCE;
    loop {
        match bring_to_its_end(options, application, execution).await {
            Ok(direction) => return Ok(Some(direction)),
            Err(error) if Instant::now() >= until => return Err(error),
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn bring_to_its_end(
    options: &Options,
    application: &dyn Application,
    execution: &Execution,
) -> Result<Direction> {
    for side in [&options.target, &options.source] {
        if let Some(error) = AdvisoryLock::holder(&Session::connect(side).await?).await? {
            return Err(error);
        }
    }
    settle_with(options, application, execution).await
}
