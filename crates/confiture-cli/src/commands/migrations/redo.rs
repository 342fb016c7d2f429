//! `confiture migrate redo`.

use confiture::Result;
use confiture::migrate::{DownOptions, Extent};
use confiture::project::Project;

use super::show;
use super::whereabouts::{Patience, Whereabouts};
use crate::confirm::confirm;
use crate::invocation::Invocation;
use crate::output::Reply;
use crate::runtime;

/// Reverts the last migration and applies it again, as its files are now.
#[derive(Debug, clap::Args)]
pub(crate) struct Redo {
    #[command(flatten)]
    whereabouts: Whereabouts,

    #[command(flatten)]
    patience: Patience,

    /// How many.
    #[arg(short, long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,

    /// Answer the confirmation with yes.
    #[arg(short, long)]
    yes: bool,
}

impl Redo {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let project = Project::open(&invocation.surroundings())?;
        let steps = self.steps as usize;
        runtime::run_in_turn(invocation, async |execution| {
            let found = self.whereabouts.find(&project, Some(&self.patience)).await?;
            let database = found.database.connection.to_string();
            let options = DownOptions { extent: Extent::Steps(steps), interrupted: None };
            let plan = found.migrator.plan_down(&options).await?;
            if let Some(loss) =
                plan.asks(found.database.settings.production.value).filter(|_| !plan.is_empty())
            {
                let loss = format!("{loss} on {database}");
                confirm(&invocation.terminal, &execution, self.yes, &loss).await?;
            }
            let report = found.migrator.redo(steps, &execution).await?;
            Reply::new(&report, show::report(invocation.terminal.stdout, &report, &database))
        })
    }
}
