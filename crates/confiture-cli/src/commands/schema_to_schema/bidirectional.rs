//! `confiture migrate schema-to-schema bidirectional`.

use std::time::Duration;

use confiture::config::mapping::SyncMode;
use confiture::event::Execution;
use confiture::schema_to_schema::Options;
use confiture::schema_to_schema::immediate::{Opening, propose, stop};
use confiture::{Error, Result};
use serde_json::json;

use super::flags::{Ends, Which};
use super::options::{BothOptions, SchemaToSchemaOptions, Step};
use crate::args::time;
use crate::confirm::confirm;
use crate::invocation::Invocation;
use crate::output::{Reply, immediate as output};

/// Lets the application write to both sides, each write carried to the other one.
///
/// `--sync immediate`, in one database: triggers carry each write in its own transaction. What is written through the old schema
/// stands in the new one when it commits, and the other way round. It costs each write as much again, and two transactions that
/// write the two twins of one row are a deadlock. Begun while the migration follows; `--stop` has it follow again.
#[derive(Debug, clap::Args)]
pub(super) struct Bidirectional {
    #[command(flatten)]
    ends: Ends,

    #[command(flatten)]
    which: Which,

    /// How writes are carried; without it what the mapping's `sync:` says.
    #[arg(long, value_enum, value_name = "HOW")]
    sync: Option<SyncName>,

    /// End it: the old side alone is written, and the new one follows.
    #[arg(long)]
    stop: bool,

    /// Go although not all that is written on the new side stands on the old one; the plan says what.
    #[arg(long, conflicts_with = "stop")]
    accept_losses: bool,

    /// How long to go on trying where somebody holds a lock; each try waits for 300 ms at most.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "60s")]
    patience: Duration,

    /// Show the plan and change nothing.
    #[arg(long, conflicts_with = "stop")]
    dry_run: bool,

    /// Answer the confirmation with yes.
    #[arg(short, long)]
    yes: bool,
}

/// `--sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SyncName {
    /// Triggers carry each write in its own transaction: two schemas of one database.
    Immediate,
}

impl Bidirectional {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        let mut options = SchemaToSchemaOptions::new(Step::Both);
        self.ends.fill(&mut options);
        self.which.fill(&mut options);
        options.dry_run = self.dry_run;
        options.yes = self.yes;
        options.both = Some(BothOptions {
            sync: self.sync.map(|SyncName::Immediate| SyncMode::Immediate),
            stop: self.stop,
            accept_losses: self.accept_losses,
            patience: self.patience,
        });
        options
    }
}

/// Opens both sides, or ends that.
pub(super) async fn write_both(
    invocation: &Invocation,
    options: &SchemaToSchemaOptions,
    told: Options,
    execution: &Execution,
) -> Result<Reply> {
    let Some(both) = &options.both else { return Err(Error::unexpected("nothing to open")) };
    let opening =
        Opening { accept_losses: both.accept_losses, patience: both.patience, ..Opening::default() };
    let style = invocation.terminal.stdout;
    if both.stop {
        confirm(&invocation.terminal, execution, options.yes, "ending that both sides are written").await?;
        let stopped = stop(&told.target, &opening, execution).await?;
        return Reply::new(&json!({ "stopped": stopped }), output::stopped(style, &stopped));
    }
    let mode = both.sync.or(told.mapping.sync.as_ref().map(|sync| sync.value)).unwrap_or_default();
    if mode == SyncMode::Batches {
        return Err(Error::usage("changes of both sides are carried only by triggers as yet")
            .hint("say --sync immediate, or `sync: immediate` in the mapping"));
    }
    let proposal = propose(told, execution).await?;
    let plan = output::proposal(style, &proposal);
    if options.dry_run {
        let text = format!("{plan}Nothing was changed (--dry-run).\n");
        return Reply::new(&json!({ "proposal": proposal, "dry_run": true }), text);
    }
    execution.note(plan.trim_end().to_owned());
    confirm(&invocation.terminal, execution, options.yes, "letting both sides be written at once")
        .await
        .map_err(|error| error.hint("--dry-run shows the plan and changes nothing"))?;
    let opened = proposal.open(&opening, execution).await?;
    Reply::new(&json!({ "proposal": proposal, "opened": opened }), output::opened(style, &opened))
}
