//! How far a migration is, and what a run that is at work is told.

use confiture::Result;
use confiture::config::{Connection, Mapping};
use confiture::event::Execution;
use confiture::project::Project;
use confiture::schema_to_schema::{Order, Status, status as read_status, tell as tell_run, trail};
use serde_json::json;

use super::ends;
use super::options::SchemaToSchemaOptions;
use super::watching;
use crate::invocation::Invocation;
use crate::output::{Reply, following};

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
    if options.watch {
        let first = look(source, &target.connection, options.trail);
        // A terminal waits for a migration to begin; a pipe wants to know that there is none.
        if !invocation.terminal.redraws {
            first.await?;
        }
        watching::watch(invocation, source, &target.connection, execution).await?;
    }
    let found = look(source, &target.connection, options.trail).await?;
    let text = following::status(invocation.terminal.stdout, &found);
    Reply::new(&found, text)
}

/// The status, with so many lines of the audit trail.
async fn look(source: Option<&Connection>, target: &Connection, lines: u32) -> Result<Status> {
    let mut found = read_status(source, target).await?;
    if lines != 10 {
        found.events = trail(target, lines).await?.iter().map(ToString::to_string).collect();
    }
    Ok(found)
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
