//! How far a migration is, and what a run that is at work is told.

use confiture::config::{Connection, Mapping};
use confiture::event::Execution;
use confiture::project::Project;
use confiture::schema_to_schema::{
    Options, Order, Phase, Status, status as read_status, tell as tell_run, trail,
};
use confiture::{ErrorKind, Result};
use serde_json::json;

use super::ends;
use super::options::SchemaToSchemaOptions;
use super::{switching, watching};
use crate::invocation::Invocation;
use crate::output::{Reply, as_value, following};

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
    let style = invocation.terminal.stdout;
    let mut text = following::status(style, &found);
    let mut value = as_value(&found)?;
    if let (true, Some(source)) = (is_cut_over(&found), source) {
        let back = look_if_there(Some(&target.connection), source).await?;
        if let Some(back) = back {
            text.push_str(&format!("\nThe way back:\n{}", following::status(style, &back)));
            value["way_back"] = as_value(&back)?;
        }
    }
    Reply::new(&value, text)
}

/// True where the application writes to the target, so that changes go the other way.
fn is_cut_over(status: &Status) -> bool {
    status.following.as_ref().is_some_and(|following| following.phase == Phase::CutOver)
}

/// The status of a direction; `None` where its ledger is not there, or not to be read.
async fn look_if_there(source: Option<&Connection>, target: &Connection) -> Result<Option<Status>> {
    match read_status(source, target).await {
        Ok(status) => Ok(Some(status)),
        Err(error) if matches!(error.kind(), ErrorKind::Config | ErrorKind::Server) => Ok(None),
        Err(error) => Err(error),
    }
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
    execution: &Execution,
) -> Result<Reply> {
    let target = ends::target(project, options, mapping).await?;
    if let Ok((source, _)) = ends::source(project, options, mapping, &target).await {
        let told = Options::new(source.connection.clone(), target.connection.clone(), mapping.clone());
        switching::let_clients_go_on(project, &told, execution).await?;
    }
    // After a cutover the run listens on the other side.
    let listens = match look_if_there(None, &target.connection).await? {
        Some(status) if is_cut_over(&status) => ends::source(project, options, mapping, &target).await?.0,
        _ => target,
    };
    tell_run(&listens.connection, order).await?;
    let said = match order {
        Order::Pause => "Paused: nothing is copied or applied until `resume`; changes go on being captured.",
        Order::Resume => "Resumed.",
        Order::Throttle { rows_per_second: None, bytes_per_second: None } => "As fast as it can.",
        Order::Throttle { .. } => "Throttled.",
    };
    Reply::new(&json!({ "told": said }), said)
}
