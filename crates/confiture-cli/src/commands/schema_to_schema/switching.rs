//! A cutover or a rollback, from the command line.

use std::path::PathBuf;
use std::sync::Arc;

use confiture::config::{Flags, Hooks, Moment};
use confiture::event::Execution;
use confiture::project::{Naming, Project};
use confiture::schema_to_schema::cutover::{
    Application, Commands, Occasion, Pooled, Several, SwitchKind, Switching, active, cut_over,
    is_bidirectional, roll_back, settle, settle_with, unfinished,
};
use confiture::schema_to_schema::immediate::refuse_while_both_are_written;
use confiture::schema_to_schema::{Cleaning, Direction, Options, clean_up, remains};
use confiture::{Error, ErrorKind, Result};

use super::options::{SchemaToSchemaOptions, SwitchOptions};
use super::standing_by::{self, StandingBy};
use crate::confirm::confirm;
use crate::database::{self, Database};
use crate::invocation::Invocation;
use crate::output::{Reply, switching as output};

/// Switches, after a confirmation.
pub(super) async fn switch(
    invocation: &Invocation,
    project: &Project,
    options: &SchemaToSchemaOptions,
    told: Options,
    databases: [&Database; 2],
    execution: &Execution,
) -> Result<Reply> {
    let Some(switch) = &options.switch else { return Err(Error::unexpected("nothing to switch")) };
    let hooks = databases[1].settings.hooks.value.clone().and(switch.hooks.clone());
    let application = application(project, switch, hooks, execution).await?;
    if switch.stand_by {
        let application = application.unwrap_or_else(|| Arc::new(()));
        return standing_by::wait(&told, application.as_ref(), execution).await;
    }
    // With the application as it is named now.
    if application.is_none() {
        settle_left(project, &told, execution).await?;
    }
    let (_, direction) = active(told.clone()).await?;
    let both = is_bidirectional(&told).await?;
    if switch.kind == SwitchKind::Rollback && direction == Direction::Forward && !both {
        return give_up(invocation, options, &told, databases, execution).await;
    }
    let switching = Switching {
        accept_losses: switch.accept_losses,
        no_way_back: options.no_way_back,
        confirmed: options.confirmed.clone(),
        max_stall: options.max_stall,
        patience: switch.patience,
        sequence_gap: switch.sequence_gap,
        rehearse: options.dry_run,
        application: application.clone().unwrap_or_else(|| Arc::new(())),
        ..Switching::default()
    };
    if !options.dry_run {
        let Occasion { from, to, .. } = Occasion::of(switch.kind, &told);
        let question = format!(
            "leading the application from {from} to {to}{}, writes waiting for {:?} at most",
            if options.no_way_back { " without a way back" } else { "" },
            options.max_stall
        );
        confirm(&invocation.terminal, execution, options.yes, &question).await.map_err(|error| {
            error.hint("--dry-run rehearses everything up to the fence and switches nothing")
        })?;
    }
    // Somebody who waits for clients that nobody would let go on, or whom commands have led half the way.
    let second = match &application {
        Some(_) if !options.dry_run => StandingBy::start(invocation, execution).await,
        _ => None,
    };
    let report = match switch.kind {
        SwitchKind::Cutover => cut_over(told, &switching, execution).await,
        SwitchKind::Rollback => roll_back(told, &switching, execution).await,
    };
    if let Some(second) = second {
        second.dismiss().await;
    }
    let report = report?;
    let text = output::render(invocation.terminal.stdout, &report);
    let verdict = (!report.afterwards.is_empty()).then(|| {
        let what = report.afterwards.join("; ");
        Error::new(
            ErrorKind::Found,
            format!("the application has moved, but not all went well afterwards: {what}"),
        )
        .hint("run the command again: it brings to an end what is left")
    });
    Ok(Reply::new(&report, text)?.but(verdict))
}

/// A rollback before the cutover: what was made is listed, and removed.
async fn give_up(
    invocation: &Invocation,
    options: &SchemaToSchemaOptions,
    told: &Options,
    [source, target]: [&Database; 2],
    execution: &Execution,
) -> Result<Reply> {
    refuse_while_both_are_written(&target.connection).await?;
    let list = remains(&source.connection, &target.connection).await?;
    if list.is_empty() {
        return Err(Error::refused(
            "there is nothing to roll back: no migration follows, and none was cut over",
        ));
    }
    let mut text = String::from("There was no cutover, so the migration is given up. What goes:\n");
    for line in &list {
        text.push_str(&format!("  {line}\n"));
    }
    if options.dry_run {
        text.push_str("Nothing was changed (--dry-run).\n");
        return Reply::new(&serde_json::json!({ "removes": list, "dry_run": true }), text);
    }
    execution.note(text.trim_end().to_owned());
    let question = format!("removing that, and leaving {} as it was", told.source);
    confirm(&invocation.terminal, execution, options.yes, &question).await?;
    let cleaning = Cleaning { abandon: true, ..Cleaning::default() };
    let report =
        clean_up(Some(&source.connection), &target.connection, &told.foreign_schema, cleaning, execution)
            .await?;
    let said = format!(
        "Rolled back: {} is as it was before the migration, and {} is empty.",
        told.source, told.target
    );
    Reply::new(&report, said)
}

/// Brings a switch to its end that a process left in the middle, and lets the clients go on whom that one held back. Says which way
/// changes go since.
pub(super) async fn settle_left(
    project: &Project,
    told: &Options,
    execution: &Execution,
) -> Result<Direction> {
    let Some(pooler) = unfinished(told).await? else { return settle(told, execution).await };
    let naming =
        Naming { named: Some(("the PgBouncer of the last switch", &pooler.console)), database_url: None };
    let console = database::find(project, naming, &Flags::default()).await?.connection;
    settle_with(told, &Pooled::new(console, pooler.database, pooler.file), execution).await
}

/// The same before a command that is about something else: only where clients may still be held back.
pub(super) async fn let_clients_go_on(
    project: &Project,
    told: &Options,
    execution: &Execution,
) -> Result<()> {
    match unfinished(told).await? {
        Some(_) => settle_left(project, told, execution).await.map(drop),
        None => Ok(()),
    }
}

/// Who leads the application; `None` for one that finds the other side by itself.
async fn application(
    project: &Project,
    switch: &SwitchOptions,
    hooks: Hooks,
    execution: &Execution,
) -> Result<Option<Arc<dyn Application>>> {
    let mut several: Vec<Arc<dyn Application>> = Vec::new();
    if let Some((console, database, file)) = &switch.pgbouncer {
        let naming = Naming { named: Some(("--pgbouncer", console)), database_url: None };
        let console = database::find(project, naming, &Flags::default()).await?.connection;
        several.push(Arc::new(Pooled::new(console, database.clone(), file.clone())));
    }
    if Moment::ALL.into_iter().any(|moment| moment.is_of_cutover() && hooks.of(moment).next().is_some()) {
        several.push(Arc::new(Commands::new(hooks, PathBuf::new(), execution.clone())));
    }
    Ok(match several.len() {
        0 => None,
        _ => Some(Arc::new(Several(several))),
    })
}
