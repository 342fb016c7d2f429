//! How far a migration is, and what a run that is at work is told.

use std::io::Write as _;
use std::time::Duration;

use confiture::Result;
use confiture::config::Mapping;
use confiture::event::Execution;
use confiture::project::Project;
use confiture::schema_to_schema::{Order, Status, status as read_status, tell as tell_run};
use serde_json::json;
use tokio::time::sleep;

use super::ends;
use super::options::SchemaToSchemaOptions;
use crate::args::Format;
use crate::invocation::Invocation;
use crate::output::{Reply, as_value, following};

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);

/// Shows the status, once or until Ctrl-C.
pub(super) async fn status(
    invocation: &Invocation,
    project: &Project,
    options: &SchemaToSchemaOptions,
    mapping: &Mapping,
    execution: &Execution,
) -> Result<Reply> {
    let target = ends::target(project, options, mapping).await?;
    // Without the source only what it alone knows is missing.
    let source = ends::source(project, options, mapping, &target).await.ok();
    let source = source.as_ref().map(|(source, _)| &source.connection);
    let mut found = read_status(source, &target.connection).await?;
    while options.watch && !execution.is_interrupted() {
        show(invocation, &found)?;
        tokio::select! {
            () = sleep(EVERY) => {}
            () = execution.interrupted() => break,
        }
        found = read_status(source, &target.connection).await?;
    }
    let text = following::status(invocation.terminal.stdout, &found);
    Reply::new(&found, text)
}

/// One look of many: on a terminal in place of the last one, as JSON a line each.
fn show(invocation: &Invocation, found: &Status) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = match invocation.terminal.format {
        Format::Json => writeln!(out, "{}", as_value(found)?),
        _ => {
            let clear = if invocation.terminal.stdout.plain { "" } else { "\x1b[H\x1b[2J" };
            writeln!(out, "{clear}{}", following::status(invocation.terminal.stdout, found))
        }
    };
    // A reader that has gone has seen enough.
    written
        .and_then(|()| out.flush())
        .map_err(|error| confiture::Error::interrupted("nobody reads the status any more").because(error))
}

/// Tells a run something.
pub(super) async fn tell(
    project: &Project,
    options: &SchemaToSchemaOptions,
    mapping: &Mapping,
    order: Order,
) -> Result<Reply> {
    let target = ends::target(project, options, mapping).await?;
    tell_run(&target.connection, order).await?;
    let said = match order {
        Order::Pause => "Paused: nothing is copied or applied until `resume`; changes go on being captured.",
        Order::Resume => "Resumed.",
        Order::Throttle { rows_per_second: None, bytes_per_second: None } => "As fast as it can.",
        Order::Throttle { .. } => "Throttled.",
    };
    Reply::new(&json!({ "told": said }), said)
}
