//! `confiture migrate schema-to-schema bidirectional`.

use std::path::PathBuf;

use clap::ValueHint;
use confiture::event::Execution;
use confiture::schema_to_schema::cutover::{Bidirectional, Policy, both_ways, is_bidirectional};
use confiture::schema_to_schema::{Options, Until};
use confiture::sql::Identifier;
use confiture::{Error, Result};

use super::flags::Which;
use super::options::{BothOptions, SchemaToSchemaOptions, Step};
use crate::confirm::confirm;
use crate::invocation::Invocation;
use crate::output::{Reply, bidirectional as output};

/// Opens the new side to writes, beside the old one, and carries changes both ways.
///
/// For a time in which both versions of the application are at work. The migration must follow already, and both sides are
/// compared first. What both sides change is settled by --conflicts, and written with both rows into confiture.conflict. Ctrl-C stops
/// carrying, and nothing else: both sides go on taking writes, and the same command goes on. It ends with `cutover`, which
/// fences the old side, or with `rollback`, which fences the new one.
#[derive(Debug, clap::Args)]
pub(super) struct BothWays {
    #[command(flatten)]
    which: Which,

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
        options.both = Some(BothOptions { policy, accept_losses: self.accept_losses, until });
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
    if !is_bidirectional(&told).await? {
        let question = format!(
            "opening {} to writes, beside {}, with sequences of which each side draws every other number",
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
