//! `confiture migrate schema-to-schema`: everything in one go, or its steps one at a time.

mod analyze;
mod bidirectional;
mod checklist;
mod cleanup;
mod cutover;
mod ends;
mod flags;
mod following;
mod immediate;
mod mapping_file;
mod migrate;
mod migrate_table;
mod monitor;
mod names;
mod options;
mod report;
mod run;
mod scaffold;
#[cfg(test)]
mod seed_forms;
mod setup;
mod standing_by;
mod status;
mod switching;
mod sync;
mod tell;
mod verify;
mod watching;

use confiture::{Error, Result};

use self::flags::{Changes, How, Run, Which};
use self::options::{SchemaToSchemaOptions, Step};
use crate::invocation::Invocation;
use crate::output::Reply;

/// Moves a database to a new schema: plan, confirmation, copy and verification in one go, or one step at a time.
///
/// The source is only read. Without a mapping, tables and columns of the same name map to each other, and the plan
/// says so.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SchemaToSchema {
    #[command(subcommand)]
    step: Option<Steps>,

    #[command(flatten)]
    everything: Everything,
}

/// The flags of the command without a step.
#[derive(Debug, clap::Args)]
struct Everything {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    how: How,

    #[command(flatten)]
    run: Run,

    #[command(flatten)]
    changes: Changes,

    /// Compare both sides. With a flag that asks for a copy, after it (which is the default); else it is all that is done.
    #[arg(long)]
    verify: bool,

    /// Refused: an added column needs no second schema.
    #[arg(long, hide = true, value_name = "COLUMN", num_args = 0..=1)]
    add_column: Option<Option<String>>,
}

#[derive(Debug, clap::Subcommand)]
enum Steps {
    Setup(setup::Setup),
    Analyze(analyze::Analyze),
    Migrate(migrate::Migrate),
    MigrateTable(migrate_table::MigrateTable),
    Sync(sync::Sync),
    Bidirectional(bidirectional::BothWays),
    Cutover(cutover::Cutover),
    Rollback(cutover::Rollback),
    Status(status::Status),
    Monitor(monitor::Monitor),
    Report(report::Report),
    Pause(tell::Pause),
    Resume(tell::Resume),
    Throttle(tell::Throttle),
    Verify(verify::Verify),
    Checklist(checklist::Checklist),
    Runbook(checklist::Runbook),
    Cleanup(cleanup::Cleanup),
}

impl SchemaToSchema {
    /// The command as JSON output names it.
    pub(crate) fn name(&self) -> &'static str {
        match &self.step {
            None => "migrate schema-to-schema",
            Some(Steps::Setup(_)) => "migrate schema-to-schema setup",
            Some(Steps::Analyze(_)) => "migrate schema-to-schema analyze",
            Some(Steps::Migrate(_)) => "migrate schema-to-schema migrate",
            Some(Steps::MigrateTable(_)) => "migrate schema-to-schema migrate-table",
            Some(Steps::Sync(_)) => "migrate schema-to-schema sync",
            Some(Steps::Bidirectional(_)) => "migrate schema-to-schema bidirectional",
            Some(Steps::Cutover(_)) => "migrate schema-to-schema cutover",
            Some(Steps::Rollback(_)) => "migrate schema-to-schema rollback",
            Some(Steps::Status(_)) => "migrate schema-to-schema status",
            Some(Steps::Monitor(_)) => "migrate schema-to-schema monitor",
            Some(Steps::Report(_)) => "migrate schema-to-schema report",
            Some(Steps::Pause(_)) => "migrate schema-to-schema pause",
            Some(Steps::Resume(_)) => "migrate schema-to-schema resume",
            Some(Steps::Throttle(_)) => "migrate schema-to-schema throttle",
            Some(Steps::Verify(_)) => "migrate schema-to-schema verify",
            Some(Steps::Checklist(_)) => "migrate schema-to-schema checklist",
            Some(Steps::Runbook(_)) => "migrate schema-to-schema runbook",
            Some(Steps::Cleanup(_)) => "migrate schema-to-schema cleanup",
        }
    }

    /// What the call asks for.
    pub(crate) fn options(self) -> Result<SchemaToSchemaOptions> {
        match self.step {
            None => self.everything.options(),
            Some(Steps::Setup(setup)) => setup.options(),
            Some(Steps::Analyze(analyze)) => analyze.options(),
            Some(Steps::Migrate(migrate)) => migrate.options(),
            Some(Steps::MigrateTable(table)) => table.options(),
            Some(Steps::Sync(sync)) => sync.options(),
            Some(Steps::Bidirectional(both)) => both.options(),
            Some(Steps::Cutover(cutover)) => cutover.options(),
            Some(Steps::Rollback(rollback)) => rollback.options(),
            Some(Steps::Status(status)) => Ok(status.options()),
            Some(Steps::Monitor(monitor)) => Ok(monitor.options()),
            Some(Steps::Report(report)) => Ok(report.options()),
            Some(Steps::Pause(pause)) => Ok(pause.options()),
            Some(Steps::Resume(resume)) => Ok(resume.options()),
            Some(Steps::Throttle(throttle)) => Ok(throttle.options()),
            Some(Steps::Verify(verify)) => Ok(verify.options()),
            Some(Steps::Checklist(checklist)) => Ok(checklist.options()),
            Some(Steps::Runbook(runbook)) => Ok(runbook.options()),
            Some(Steps::Cleanup(cleanup)) => Ok(cleanup.options()),
        }
    }

    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        run::run(invocation, &self.options()?)
    }
}

impl Everything {
    fn options(self) -> Result<SchemaToSchemaOptions> {
        if self.add_column.is_some() {
            return Err(Error::usage("--add-column: one column more needs no second schema")
                .hint("add it to the DDL files, then `confiture migrate diff --generate --name NAME` writes the migration"));
        }
        let only_verify =
            self.verify && !self.how.is_asked() && !self.run.is_asked() && !self.changes.is_asked();
        let mut options =
            SchemaToSchemaOptions::new(if only_verify { Step::Verify } else { Step::Everything });
        self.which.fill(&mut options);
        self.how.fill(&mut options)?;
        self.run.fill(&mut options);
        self.changes.fill(&mut options)?;
        Ok(options)
    }
}
