//! A process that outlives the one that switches: PgBouncer never ends a pause by itself, and the application's commands have
//! nobody else to take them back.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::cutover::application::{Application, Occasion};
use crate::schema_to_schema::cutover::{SwitchKind, settle};
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
/// Those of [`settle`](super::settle), and of the application, when patience has ended.
pub async fn stand_by(
    options: &Options,
    kind: SwitchKind,
    application: &dyn Application,
    died: impl Future<Output = bool>,
    execution: &Execution,
) -> Result<Option<Direction>> {
    if !died.await {
        return Ok(None);
    }
    let until = Instant::now() + PATIENCE;
    loop {
        match bring_to_its_end(options, kind, application, execution).await {
            Ok(direction) => return Ok(Some(direction)),
            Err(error) if Instant::now() >= until => return Err(error),
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn bring_to_its_end(
    options: &Options,
    kind: SwitchKind,
    application: &dyn Application,
    execution: &Execution,
) -> Result<Direction> {
    for side in [&options.target, &options.source] {
        if let Some(error) = AdvisoryLock::holder(&Session::connect(side).await?).await? {
            return Err(error);
        }
    }
    let direction = settle(options, execution).await?;
    let occasion = Occasion::of(kind, options);
    // Also where the ledgers had nothing left to do: it may have died between its last commit and the application.
    let is_decided = matches!(
        (kind, direction),
        (SwitchKind::Cutover, Direction::Reverse) | (SwitchKind::Rollback, Direction::Forward)
    );
    let told = match is_decided {
        true => application.switched(&occasion).await,
        false => application.rolled_back(&occasion).await,
    };
    told.map_err(|error: Error| error.context("the application was not led to its side"))?;
    Ok(direction)
}
