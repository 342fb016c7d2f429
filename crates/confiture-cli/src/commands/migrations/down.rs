//! `confiture migrate down`.

use confiture::Result;
use confiture::migrate::{DownOptions, Extent};
use confiture::project::Project;
use serde_json::json;

use super::whereabouts::{Patience, Whereabouts};
use super::{InterruptedStep, show, version};
use crate::confirm::confirm;
use crate::invocation::Invocation;
use crate::output::Reply;
use crate::runtime;

/// Reverts the last migration, or several.
///
/// On a database that is marked as production it asks first, and everywhere where a file says that it loses data.
#[derive(Debug, clap::Args)]
pub(crate) struct Down {
    #[command(flatten)]
    whereabouts: Whereabouts,

    #[command(flatten)]
    patience: Patience,

    /// How many are reverted.
    #[arg(short, long, value_name = "NUMBER", conflicts_with = "to", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,

    /// Revert everything above this version; 0 reverts everything.
    #[arg(long, value_name = "VERSION", visible_alias = "target")]
    to: Option<String>,

    /// Only say what would be done, with every statement: nothing is written to the database.
    #[arg(long, visible_alias = "plan")]
    dry_run: bool,

    /// What became of a statement that was running when an earlier run ended, where nobody can find out.
    #[arg(long, value_name = "FATE")]
    interrupted_step: Option<InterruptedStep>,

    /// Answer the confirmation with yes.
    #[arg(short, long)]
    yes: bool,
}

impl Down {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let project = Project::open(&invocation.surroundings())?;
        let extent = match &self.to {
            Some(to) => Extent::To(version(to)?),
            None => Extent::Steps(self.steps.unwrap_or(1) as usize),
        };
        let options = DownOptions { extent, interrupted: self.interrupted_step.map(Into::into) };
        runtime::run_in_turn(invocation, async |execution| {
            let found = self.whereabouts.find(&project, Some(&self.patience)).await?;
            let database = found.database.connection.to_string();
            let style = invocation.terminal.stdout;
            let plan = found.migrator.plan_down(&options).await?;
            if self.dry_run {
                let mut text = show::plan(style, &plan, &database, true);
                text.push_str("Nothing was changed.\n");
                return Reply::new(&json!({ "dry_run": true, "plan": plan }), text);
            }
            let production = found.database.settings.production.value;
            if let Some(loss) = plan.asks(production).filter(|_| !plan.is_empty()) {
                let loss = format!("{loss} on {database}");
                confirm(&invocation.terminal, &execution, self.yes, &loss)
                    .await
                    .map_err(|error| error.hint("--dry-run shows every statement and changes nothing"))?;
            }
            let report = found.migrator.down(&options, &execution).await?;
            Reply::new(&report, show::report(style, &report, &database))
        })
    }
}
