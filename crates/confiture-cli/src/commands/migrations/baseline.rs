//! `confiture migrate baseline`.

use std::fmt::Write as _;

use confiture::Result;
use confiture::project::Project;

use super::version;
use super::whereabouts::Whereabouts;
use crate::confirm::confirm;
use crate::invocation::Invocation;
use crate::output::numbers::count;
use crate::output::{Reply, sentence};
use crate::runtime;

/// Marks migrations as applied without running them: for a database that has what they make.
#[derive(Debug, clap::Args)]
pub(crate) struct Baseline {
    /// The last version that counts as applied; all, where none is named.
    #[arg(value_name = "VERSION", conflicts_with = "adopt")]
    version: Option<String>,

    #[command(flatten)]
    whereabouts: Whereabouts,

    /// Take over what another tool has recorded: dbmate, golang-migrate, sqlx, refinery, Flyway, the Python original.
    /// Its ledger is found by itself, or named, and stays as it is.
    #[arg(long, value_name = "TABLE", num_args = 0..=1)]
    adopt: Option<Option<String>>,

    /// Answer the confirmation with yes.
    #[arg(short, long)]
    yes: bool,
}

impl Baseline {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let project = Project::open(&invocation.surroundings())?;
        let to = self.version.as_deref().map(version).transpose()?;
        runtime::run_in_turn(invocation, async |execution| {
            let found = self.whereabouts.find(&project, None).await?;
            if found.database.settings.production.value {
                let what = format!(
                    "recording migrations of {} as applied without running them, on a database that is marked as production",
                    found.database.connection
                );
                confirm(&invocation.terminal, &execution, self.yes, &what).await?;
            }
            let baseline = match &self.adopt {
                Some(table) => found.migrator.adopt(table.as_deref(), &execution).await?,
                None => found.migrator.baseline(to.as_ref(), &execution).await?,
            };
            let mut text = String::new();
            for note in &baseline.notes {
                let _ = writeln!(text, "{}", sentence(note));
            }
            let from = match (&baseline.adopted_from, baseline.tool) {
                (Some(ledger), Some(tool)) => format!(", taken over from {ledger} ({tool})"),
                _ => String::new(),
            };
            let already = if baseline.already > 0 {
                format!("; {} did before", baseline.already)
            } else {
                String::new()
            };
            let verb = if baseline.migrations.len() == 1 { "counts" } else { "count" };
            let _ = writeln!(
                text,
                "{} {verb} as applied now{from}{already}",
                count(baseline.migrations.len(), "migration")
            );
            Reply::new(&baseline, text)
        })
    }
}
