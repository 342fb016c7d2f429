//! `confiture migrate schema-to-schema bidirectional`.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use confiture::config::mapping::SyncMode;
use confiture::event::Execution;
use confiture::schema_to_schema::cutover::{Bidirectional, Policy, both_ways, is_bidirectional};
use confiture::schema_to_schema::{Options, Until};
use confiture::sql::Identifier;
use confiture::{Error, Result};

use super::flags::Which;
use super::immediate;
use super::options::{BothOptions, SchemaToSchemaOptions, Step};
use crate::args::time;
use crate::confirm::confirm;
use crate::invocation::Invocation;
use crate::output::{Reply, bidirectional as output};

/// Has both sides take writes, and carries changes both ways.
///
/// For a time in which both versions of the application are at work. The migration must follow already, and both sides are
/// compared first. What both sides change is settled by --conflicts, and written with both rows into confiture.conflict. Ctrl-C stops
/// carrying, and nothing else: both sides go on taking writes, and the same command goes on. It ends with `cutover`, which
/// fences the old side, or with `rollback`, which fences the new one.
///
/// With --sync immediate, in one database, triggers carry each write in its own transaction instead: what is written through the
/// one schema stands in the other one when it commits. That costs each write, and two transactions that write the two twins of one
/// row are a deadlock. --stop ends it.
#[derive(Debug, clap::Args)]
pub(super) struct BothWays {
    #[command(flatten)]
    which: Which,

    /// How changes are carried; without it what the mapping's `sync:` says [default: batches].
    #[arg(long, value_enum, value_name = "HOW")]
    sync: Option<SyncName>,

    /// End --sync immediate: the old side alone is written, and the new one follows.
    #[arg(long)]
    stop: bool,

    /// With --sync immediate: show the plan and change nothing.
    #[arg(long, conflicts_with = "stop")]
    dry_run: bool,

    /// With --sync immediate: how long to go on trying where somebody holds a lock; each try waits for 300 ms at most.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "60s")]
    patience: Duration,

    /// Who wins where both sides have changed a row: the old side, the new one, the row that was written last, or nobody, so that
    /// it stops.
    #[arg(long, value_enum, value_name = "WHO", default_value = "fail")]
    conflicts: Who,

    /// With `--conflicts latest`: the column of the new tables that says when a row was written.
    #[arg(long, value_name = "COLUMN", required_if_eq("conflicts", "latest"))]
    latest_by: Option<String>,

    /// Go although the way back would not bring everything back; `analyze` says what.
    #[arg(long)]
    accept_losses: bool,

    /// Stop once there is nothing left to carry.
    #[arg(long)]
    until_caught_up: bool,

    /// Answer the confirmation with yes.
    #[arg(short, long)]
    yes: bool,

    /// Append what happens to this file, a line of JSON for each event.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    events: Option<PathBuf>,
}

/// `--sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SyncName {
    /// In batches, by a run that is at work.
    Batches,
    /// By triggers, in the transaction of the write: two schemas of one database.
    Immediate,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Who {
    Source,
    Target,
    Latest,
    Fail,
}

impl BothWays {
    pub(super) fn options(self) -> Result<SchemaToSchemaOptions> {
        let mut options = SchemaToSchemaOptions::new(Step::Bidirectional);
        self.which.fill(&mut options);
        (options.yes, options.events) = (self.yes, self.events);
        let policy = match (self.conflicts, self.latest_by) {
            (Who::Latest, Some(by)) => Policy::Latest(Identifier::new(by)),
            (_, Some(_)) => {
                return Err(Error::usage("--latest-by is for --conflicts latest"));
            }
            (Who::Source, None) => Policy::Source,
            (Who::Target, None) => Policy::Target,
            (Who::Fail | Who::Latest, None) => Policy::Fail,
        };
        let until = if self.until_caught_up { Until::CaughtUp } else { Until::Interrupted };
        options.dry_run = self.dry_run;
        options.both = Some(BothOptions {
            sync: self.sync.map(|name| match name {
                SyncName::Batches => SyncMode::Batches,
                SyncName::Immediate => SyncMode::Immediate,
            }),
            stop: self.stop,
            patience: self.patience,
            policy,
            accept_losses: self.accept_losses,
            until,
        });
        Ok(options)
    }
}

/// Opens the new side, after a confirmation, and carries.
pub(super) async fn run(
    invocation: &Invocation,
    options: &SchemaToSchemaOptions,
    told: Options,
    execution: &Execution,
) -> Result<Reply> {
    let Some(both) = &options.both else { return Err(Error::unexpected("nothing to carry")) };
    let written = told.mapping.sync.as_ref().map(|sync| sync.value);
    if both.stop || both.sync.or(written) == Some(SyncMode::Immediate) {
        return immediate::run(invocation, options, both, told, execution).await;
    }
    if options.dry_run {
        return Err(Error::usage("--dry-run is for --sync immediate; `analyze` shows the way back"));
    }
    if !is_bidirectional(&told).await? {
        let question = format!(
            "opening {} to writes, beside {}, with sequences that take turns",
            told.target, told.source
        );
        confirm(&invocation.terminal, execution, options.yes, &question).await?;
    }
    let how = Bidirectional {
        policy: both.policy.clone(),
        accept_losses: both.accept_losses,
        until: both.until,
        ..Bidirectional::default()
    };
    let report = both_ways(told, &how, execution).await?;
    let text = output::render(invocation.terminal.stdout, &report);
    Reply::new(&report, text)
}
