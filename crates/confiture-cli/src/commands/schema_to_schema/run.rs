//! The steps, done: options in, what the library reports out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use confiture::config::Mapping;
use confiture::event::Execution;
use confiture::project::Project;
use confiture::schema_to_schema::cutover::{active, handed_over};
use confiture::schema_to_schema::{
    Check, Cleaning, Direction, Following, Migration, Options, Plan, clean_up, follows, read_checklist,
    scaffold as first_mapping,
};
use confiture::{Error, Result};
use serde_json::{Map, json};

use super::options::{Follow, MappingFrom, SchemaToSchemaOptions, Step};
use super::{bidirectional, checklist, ends, following, mapping_file, monitor, report, scaffold, switching};
use crate::confirm::confirm;
use crate::database::Database;
use crate::event_log::EventLog;
use crate::invocation::Invocation;
use crate::output::style::Style;
use crate::output::{Reply, as_value, following as output, migration, numbers, plan, verification};
use crate::progress::COMPARING;
use crate::runtime;

/// Does what `options` ask for.
pub(super) fn run(invocation: &Invocation, options: &SchemaToSchemaOptions) -> Result<Reply> {
    let project = Project::open(&invocation.surroundings())?;
    let (mapping, file) = mapping_file::read(&project, &options.mapping)?;
    let named = Named { mapping, file };
    runtime::run(invocation, async |execution| {
        let log =
            options.events.as_deref().map(|file| EventLog::open(file, invocation.command)).transpose()?;
        let Some(log) = log.map(Arc::new) else {
            return step(invocation, &project, options, named, &execution).await;
        };
        let execution = execution.heard_by(Arc::clone(&log) as _);
        let outcome = step(invocation, &project, options, named, &execution).await;
        log.end(&outcome);
        outcome
    })
}

/// Does the one step that `options` name.
async fn step(
    invocation: &Invocation,
    project: &Project,
    options: &SchemaToSchemaOptions,
    named: Named,
    execution: &Execution,
) -> Result<Reply> {
    match options.step {
        Step::Cleanup => return cleanup(invocation, project, options, &named.mapping, execution).await,
        Step::Status => {
            return following::status(invocation, project, options, &named.mapping, execution).await;
        }
        Step::Monitor => {
            return monitor::monitor(invocation, project, options, &named, execution).await;
        }
        Step::Tell(order) => {
            return following::tell(project, options, &named.mapping, order, execution).await;
        }
        _ => {}
    }
    if let (Step::Analyze, Some(file), true) =
        (options.step, &options.write_mapping, named.mapping.tables.is_empty())
    {
        return write_scaffold(project, options, &named.mapping, file).await;
    }
    if matches!(options.step, Step::Switch | Step::Bidirectional) {
        return switch(invocation, project, options, named, execution).await;
    }
    if options.step == Step::Report {
        let record = report::read(project, options, &named.mapping).await?;
        let prepared = prepare(invocation.terminal.stderr, project, options, named, execution).await;
        let plan = prepared.as_ref().map(Prepared::plan).map_err(|error| error.message().to_owned());
        return report::write(options, &record, plan, execution);
    }
    let prepared = prepare(invocation.terminal.stderr, project, options, named, execution).await?;
    match options.step {
        Step::Setup => setup(&prepared, execution).await,
        Step::Analyze => Box::pin(analyze(invocation, options, &prepared)).await,
        Step::Checklist => checklist::check(invocation, options, &prepared).await,
        Step::Runbook => checklist::runbook(invocation, project, options, &prepared).await,
        Step::Verify => verify(invocation, options, &prepared, execution).await,
        _ if options.dry_run => dry_run(invocation, &prepared),
        _ if options.follow.is_some() => follow(invocation, options, &prepared, execution).await,
        _ => migrate(invocation, options, &prepared, execution).await,
    }
}

/// A mapping, and the file that it was read from.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) mapping: Mapping,
    file: Option<PathBuf>,
}

/// A plan, and the databases: a local server runs as long as they are held.
pub(super) struct Prepared {
    pub(super) migration: Arc<Migration>,
    pub(super) mapping: Mapping,
    target: Database,
    _source: Database,
    /// Of the way to the new side.
    forward: Options,
    /// Which way changes go.
    direction: Direction,
}

impl Prepared {
    fn plan(&self) -> &Plan {
        self.migration.as_plan()
    }
}

/// The databases, and what the library is told of them.
struct Known {
    told: Options,
    mapping: Mapping,
    target: Database,
    source: Database,
}

async fn know(
    project: &Project,
    options: &SchemaToSchemaOptions,
    mut named: Named,
    execution: &Execution,
) -> Result<Known> {
    let target = ends::target(project, options, &named.mapping).await?;
    if looks(options)
        && named.file.is_none()
        && options.mapping == MappingFrom::Project
        && let Some(file) = ends::remembered_mapping(&target).await?
    {
        execution.note(format!("With the run's mapping {}", file.display()));
        let (mapping, file) = mapping_file::read(project, &MappingFrom::File(file))?;
        named = Named { mapping, file };
    }
    let Named { mapping, file } = named;
    let (source, source_name) = ends::source(project, options, &mapping, &target).await?;
    let told = told(options, &source, source_name, &target, &mapping, file);
    Ok(Known { told, mapping, target, source })
}

/// Plans, and looks at every point of the list before a cutover. Whatever an earlier command has left stays as it is.
pub(super) async fn look(
    project: &Project,
    options: &SchemaToSchemaOptions,
    named: Named,
    execution: &Execution,
) -> Result<Vec<Check>> {
    let known = know(project, options, named, execution).await?;
    let told = Options { probe: Duration::ZERO, ..known.told };
    let migration = Box::pin(Migration::plan(told, execution)).await?;
    Box::pin(read_checklist(&migration, &checklist::standard(options))).await
}

async fn prepare(
    style: Style,
    project: &Project,
    options: &SchemaToSchemaOptions,
    named: Named,
    execution: &Execution,
) -> Result<Prepared> {
    let Known { mut told, mapping, target, source } = know(project, options, named, execution).await?;
    let forward = told.clone();
    let mut direction = Direction::Forward;
    if matches!(options.step, Step::Sync | Step::Verify) || options.follow.is_some() {
        // After a cutover changes go the other way.
        switching::settle_left(project, &told, execution).await?;
        (told, direction) = active(told).await?;
    } else {
        switching::let_clients_go_on(project, &told, execution).await?;
    }
    execution.note(format!("{}Analyzing tables...", style.chart()));
    let mut migration = Migration::plan(told.clone(), execution).await?;
    // Only where somebody reads the estimate before it is over.
    if !looks(options) && (options.step == Step::Analyze || options.dry_run || !options.yes) {
        migration.estimate(execution).await?;
    }
    let migration = Arc::new(migration);
    Ok(Prepared { migration, mapping, target, _source: source, forward, direction })
}

/// True of steps that look at what an earlier run did, and begin nothing.
fn looks(options: &SchemaToSchemaOptions) -> bool {
    matches!(options.step, Step::Verify | Step::Checklist | Step::Runbook | Step::Report | Step::Monitor)
}

/// What the library is told.
fn told(
    options: &SchemaToSchemaOptions,
    source: &Database,
    source_name: Option<String>,
    target: &Database,
    mapping: &Mapping,
    file: Option<PathBuf>,
) -> Options {
    let defaults = Options::new(source.connection.clone(), target.connection.clone(), mapping.clone());
    Options {
        source_name,
        mapping_file: file.map(|file| file.display().to_string()),
        strategy: options.strategy,
        fdw_tables: options.fdw_tables.clone(),
        copy_tables: options.copy_tables.clone(),
        tables: options.tables.clone(),
        threshold_rows: options.threshold_rows,
        parallel: options.parallel,
        filter: options.filter.clone(),
        as_copied: looks(options),
        foreign_schema: options.foreign_schema.clone().unwrap_or_else(|| defaults.foreign_schema.clone()),
        fetch_size: options.fetch_size.unwrap_or(defaults.fetch_size),
        truncate: options.truncate,
        restart: options.restart,
        show_values: options.show_values,
        ..defaults
    }
}

/// Without a mapping, a first one: it is written before any plan, which would need it to hold.
async fn write_scaffold(
    project: &Project,
    options: &SchemaToSchemaOptions,
    mapping: &Mapping,
    file: &Path,
) -> Result<Reply> {
    let target = ends::target(project, options, mapping).await?;
    let (source, _) = ends::source(project, options, mapping, &target).await?;
    let text = first_mapping(&source.connection, &target.connection).await?;
    mapping_file::write(&text, file)?;
    let open = text.lines().filter(|line| line.contains("# OPEN")).count();
    let said = format!(
        "Wrote a first mapping to {}: {} to answer, marked OPEN.\nThen: confiture migrate schema-to-schema analyze --mapping {}\n",
        file.display(),
        numbers::count(open, "question"),
        file.display()
    );
    Reply::new(&json!({ "mapping_file": file, "open_questions": open }), said)
}

async fn switch(
    invocation: &Invocation,
    project: &Project,
    options: &SchemaToSchemaOptions,
    Named { mapping, file }: Named,
    execution: &Execution,
) -> Result<Reply> {
    let target = ends::target(project, options, &mapping).await?;
    let (source, source_name) = ends::source(project, options, &mapping, &target).await?;
    let told = told(options, &source, source_name, &target, &mapping, file);
    if options.step == Step::Bidirectional {
        return bidirectional::run(invocation, options, told, execution).await;
    }
    switching::switch(invocation, project, options, told, [&source, &target], execution).await
}

async fn setup(prepared: &Prepared, execution: &Execution) -> Result<Reply> {
    let report = prepared.migration.set_up(execution).await?;
    let foreign = match report.foreign_tables.len() {
        0 => "no table of this plan needs a foreign table".to_owned(),
        tables => format!("{} read through foreign tables", numbers::count(tables, "source table")),
    };
    let text = format!("The target remembers the source {}; {foreign}.", report.source);
    Reply::new(&report, text)
}

async fn analyze(
    invocation: &Invocation,
    options: &SchemaToSchemaOptions,
    prepared: &Prepared,
) -> Result<Reply> {
    let style = invocation.terminal.stdout;
    let mut text =
        format!("{}\n{}", plan::boxed(style, prepared.plan()), plan::details(style, prepared.plan()));
    let way_back = prepared.migration.reversed_and_tried().await?;
    text.push_str(&format!("\n{}", crate::output::way_back::render(style, &way_back)));
    if let Some(file) = &options.write_mapping {
        mapping_file::write(&scaffold::complete(&prepared.mapping, prepared.plan()).render(), file)?;
        text.push_str(&format!("\nWrote the mapping to {}.\n", file.display()));
    }
    let result = json!({
        "plan": prepared.plan(), "way_back": way_back.findings, "mapping_file": options.write_mapping
    });
    Reply::new(&result, text)
}

fn dry_run(invocation: &Invocation, prepared: &Prepared) -> Result<Reply> {
    let style = invocation.terminal.stdout;
    let mut text =
        format!("{}\n{}", plan::groups(style, prepared.plan()), plan::details(style, prepared.plan()));
    text.push_str("\nNothing was changed (--dry-run).\n");
    Reply::new(&json!({ "plan": prepared.plan(), "dry_run": true }), text)
}

async fn migrate(
    invocation: &Invocation,
    options: &SchemaToSchemaOptions,
    prepared: &Prepared,
    execution: &Execution,
) -> Result<Reply> {
    let style = invocation.terminal.stdout;
    if prepared.migration.is_done().await? {
        execution.note("Nothing is left to do: an earlier run finished this migration.");
    } else {
        tell(invocation, prepared.plan(), execution);
        confirm(&invocation.terminal, execution, options.yes, &question(options, prepared))
            .await
            .map_err(|error| error.hint("--dry-run shows the plan and changes nothing"))?;
        execution.note("Starting migration...");
    }
    let report = prepared.migration.migrate(execution).await?;
    let mut result = Map::from_iter([("migration".to_owned(), as_value(&report)?)]);
    let mut text = migration::render(style, &report);
    let mut verdict = migration::verdict(&report);
    if options.verify {
        let verified = execution.step(COMPARING, prepared.migration.verify(execution)).await?;
        text.push_str(&format!("\n{}", verification::render(style, &verified)));
        verdict = verification::verdict(&verified, options.show_values).or(verdict);
        result.insert("verification".to_owned(), as_value(&verified)?);
    }
    Ok(Reply::new(&result, text)?.but(verdict))
}

/// Copies, and applies what changes meanwhile.
async fn follow(
    invocation: &Invocation,
    options: &SchemaToSchemaOptions,
    prepared: &Prepared,
    execution: &Execution,
) -> Result<Reply> {
    let Some(Follow { capture, until }) = options.follow else { return Reply::new(&json!({}), "") };
    let begun = prepared.direction == Direction::Reverse || follows(&prepared.target.connection).await?;
    if prepared.direction == Direction::Reverse {
        execution.note("The application has been cut over: what it writes is carried back to the old side.");
    }
    if !begun {
        tell(invocation, prepared.plan(), execution);
        let question = format!("{}, and capturing its changes", question(options, prepared));
        confirm(&invocation.terminal, execution, options.yes, &question)
            .await
            .map_err(|error| error.hint("--dry-run shows the plan and changes nothing"))?;
    }
    execution.note(if begun { "Going on..." } else { "Starting migration..." });
    let told = Following {
        capture,
        until,
        verify: options.verify,
        verification: options.verifying,
        ..Following::default()
    };
    let mut report = prepared.migration.follow(&told, execution).await?;
    while report.handed_over {
        execution.note("Handed over; going on when the switch is done.");
        let migration = handed_over(&prepared.forward, execution).await?;
        report = Arc::new(migration).follow(&told, execution).await?;
    }
    let text = output::render(invocation.terminal.stdout, &report);
    Ok(Reply::new(&json!({ "following": report }), text)?.but(output::verdict(&report, options.show_values)))
}

/// The plan, before the question: as groups, or line by line with `--verbose`.
fn tell(invocation: &Invocation, plan: &Plan, execution: &Execution) {
    let style = invocation.terminal.stderr;
    if invocation.terminal.verbose {
        plan::lines(style, plan).into_iter().for_each(|line| execution.note(line));
    } else {
        execution.note(plan::groups(style, plan));
    }
}

/// What is about to happen, in one sentence.
fn question(options: &SchemaToSchemaOptions, prepared: &Prepared) -> String {
    let plan = prepared.plan();
    let production = if prepared.target.settings.production.value { "the production database " } else { "" };
    let truncate = if options.truncate { ", which are emptied first" } else { "" };
    let tables = numbers::count(plan.tables.len(), "table");
    format!("copying from {} into {tables} of {production}{}{truncate}", plan.source, plan.target)
}

async fn verify(
    invocation: &Invocation,
    options: &SchemaToSchemaOptions,
    prepared: &Prepared,
    execution: &Execution,
) -> Result<Reply> {
    let report = if follows(&prepared.target.connection).await? {
        prepared.migration.verify_following(options.verifying, execution).await?
    } else if options.verifying.repair {
        return Err(Error::refused(
            "the target does not follow its source, so nothing reads rows of it again",
        )
        .hint("see what differs without --repair; a run with --truncate copies anew"));
    } else {
        execution.step(COMPARING, prepared.migration.verify(execution)).await?
    };
    let text = verification::render(invocation.terminal.stdout, &report);
    Ok(Reply::new(&report, text)?.but(verification::verdict(&report, options.show_values)))
}

async fn cleanup(
    invocation: &Invocation,
    project: &Project,
    options: &SchemaToSchemaOptions,
    mapping: &Mapping,
    execution: &Execution,
) -> Result<Reply> {
    let target = ends::target(project, options, mapping).await?;
    let Cleaning { abandon, drop_old, .. } = options.cleaning;
    if target.settings.production.value || abandon || drop_old {
        let rows = match (abandon, drop_old) {
            (true, _) => "what was copied so far, ",
            (_, true) => "the old tables with all their rows, ",
            _ => "",
        };
        let question = format!("removing {rows}the foreign tables and the records of {}", target.connection);
        confirm(&invocation.terminal, execution, options.yes, &question).await?;
    }
    let schema = options.foreign_schema.clone().unwrap_or_else(|| "old_schema".into());
    // What captures changes is on the source.
    let source = match options.source.is_some() || follows(&target.connection).await? {
        true => Some(ends::source(project, options, mapping, &target).await?.0),
        false => None,
    };
    let source = source.as_ref().map(|source| &source.connection);
    if let Some(source) = source {
        let told = Options::new(source.clone(), target.connection.clone(), mapping.clone());
        switching::let_clients_go_on(project, &told, execution).await?;
    }
    let report = clean_up(source, &target.connection, &schema, options.cleaning, execution).await?;
    let captured = if report.capture { " What captured changes on the source is gone too." } else { "" };
    let text = match (report.foreign_tables, report.ledger) {
        (true, true) => "Removed the foreign tables and the migration's records.",
        (true, false) => "Removed the foreign tables.",
        (false, true) => "Removed the migration's records.",
        (false, false) => "There was nothing to clean up.",
    };
    let back = if report.way_back {
        " The way back is closed, and the old tables are no longer fenced."
    } else {
        ""
    };
    let dropped = match report.dropped.len() {
        0 => String::new(),
        tables => format!(" Dropped {}.", numbers::count(tables, "old table")),
    };
    let text = format!("{text}{captured}{back}{dropped}");
    Reply::new(&report, text)
}
