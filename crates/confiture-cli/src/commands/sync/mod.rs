//! `confiture sync`: production copied to staging with personal data masked, and the commands around it.

mod flags;
mod key;
mod run;

use std::path::PathBuf;

use clap::ValueHint;
use confiture::Result;
use confiture::config::sync_rules::ColumnName;

use self::flags::SyncFlags;
use crate::invocation::Invocation;
use crate::output::Reply;

/// Copies tables to another database with personal data masked: all or nothing, and only what is classified.
///
/// Every column of every table has a rule (`keep` is one) in db/sync_config.yaml, or the run stops before the target is
/// touched. The target changes in one transaction, after a search for originals that would have slipped through. Stopped at
/// any point, it is as it was.
#[derive(Debug, clap::Args)]
pub(crate) struct Sync {
    #[command(subcommand)]
    step: Option<Step>,

    #[command(flatten)]
    flags: SyncFlags,
}

#[derive(Debug, clap::Subcommand)]
enum Step {
    /// Show what a sync would do: every column's rule, the exact SELECT for the source, and some masked rows.
    Plan,
    /// Write a first rules file by looking at the source: every column, by its name, type and values.
    Suggest(Suggest),
    /// Compare a database with the manifest of the sync that filled it.
    Verify(Verify),
    /// Say how well rows hide among each other: k-anonymity over columns that others may know.
    ///
    /// With --to alone of what is there, with --from alone of the originals, with both of what a sync would bring.
    Risk(Risk),
}

/// The flags of `suggest`.
#[derive(Debug, clap::Args)]
struct Suggest {
    /// Write the rules into this file, which must not exist; without it they go to stdout.
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

/// The flags of `verify`.
#[derive(Debug, clap::Args)]
struct Verify {
    /// Compare each row too, by its hash, and not the number of rows alone. Always on; kept for clarity.
    #[arg(long, hide = true)]
    rows: bool,
}

/// The flags of `risk`.
#[derive(Debug, clap::Args)]
struct Risk {
    /// The table and the columns that somebody may know: `users:dob,zip,gender`.
    #[arg(long, value_name = "TABLE:COLUMNS", required = true)]
    quasi: String,

    /// How many rows must be alike.
    #[arg(long, value_name = "K", default_value_t = 5)]
    k: u32,

    /// A column whose values nobody should learn: its diversity in each group is counted.
    #[arg(long, value_name = "COLUMN")]
    sensitive: Option<String>,
}

impl Sync {
    /// The command as JSON output names it.
    pub(crate) fn name(&self) -> &'static str {
        match self.step {
            None => "sync",
            Some(Step::Plan) => "sync plan",
            Some(Step::Suggest(_)) => "sync suggest",
            Some(Step::Verify(_)) => "sync verify",
            Some(Step::Risk(_)) => "sync risk",
        }
    }

    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let flags = &self.flags;
        match &self.step {
            None if flags.repair => run::repair(invocation, flags),
            None if flags.dry_run => run::plan(invocation, flags),
            None => run::sync(invocation, flags),
            Some(Step::Plan) => run::plan(invocation, flags),
            Some(Step::Suggest(suggest)) => run::suggest(invocation, flags, suggest.output.as_deref()),
            Some(Step::Verify(_)) => run::verify(invocation, flags),
            Some(Step::Risk(risk)) => run::risk(invocation, flags, risk),
        }
    }
}

/// `users.email,app.users.phone`.
fn column_names(text: &str) -> Result<Vec<ColumnName>, String> {
    text.split(',')
        .map(|name| ColumnName::parse(name.trim()).map_err(|error| error.message().to_owned()))
        .collect()
}
