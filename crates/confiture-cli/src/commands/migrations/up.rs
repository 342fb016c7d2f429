//! `confiture migrate up`.

use confiture::Result;
use confiture::migrate::{Plan, Planned, UpOptions};
use confiture::project::Project;
use serde_json::json;

use super::rehearsal::rehearse;
use super::whereabouts::{Patience, Whereabouts};
use super::{InterruptedStep, show, version};
use crate::confirm::confirm;
use crate::invocation::Invocation;
use crate::output::Reply;
use crate::runtime;

/// Applies the migrations that are pending.
///
/// Each is one transaction together with its record; where a statement cannot be in one, step by step, so that a run
/// that died is gone on with at the right place.
#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    #[command(flatten)]
    whereabouts: Whereabouts,

    #[command(flatten)]
    patience: Patience,

    /// The last version to apply.
    #[arg(short, long, value_name = "VERSION")]
    target: Option<String>,

    /// Only say what would be done: nothing is written to the database.
    #[arg(long)]
    dry_run: bool,

    /// As --dry-run, with every statement and the locks it takes.
    #[arg(long)]
    plan: bool,

    /// As --plan, and run it on a scratch copy of the database's schema, without its rows: says what each statement locks
    /// there, and whether the way back leads back.
    #[arg(long)]
    rehearse: bool,

    /// The server for the copy; without it, one of Confiture's own.
    #[arg(long, value_name = "URL", requires = "rehearse")]
    scratch_url: Option<String>,

    /// Also apply what is pending below the last applied one.
    #[arg(long)]
    allow_out_of_order: bool,

    /// Also apply what the ledger of another tool says is applied, where nothing was taken over from it.
    #[arg(long)]
    ignore_ledger: bool,

    /// Do not look at what is about to be applied with the rules of `confiture lint`.
    #[arg(long)]
    no_lint: bool,

    /// Record applied migrations whose files have changed as they are now; nothing of them is run.
    #[arg(long)]
    repair: bool,

    /// What became of a statement that was running when an earlier run ended, where nobody can find out.
    #[arg(long, value_name = "FATE")]
    interrupted_step: Option<InterruptedStep>,

    /// Answer the confirmation with yes.
    #[arg(short, long)]
    yes: bool,
}

impl Up {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let project = Project::open(&invocation.surroundings())?;
        let options = UpOptions {
            target: self.target.as_deref().map(version).transpose()?,
            allow_out_of_order: self.allow_out_of_order,
            repair: self.repair,
            ignore_ledger: self.ignore_ledger,
            interrupted: self.interrupted_step.map(Into::into),
        };
        runtime::run_in_turn(invocation, async |execution| {
            let mut flags = self.whereabouts.flags(Some(&self.patience));
            flags.scratch_url.clone_from(&self.scratch_url);
            let mut found = self.whereabouts.find_with(&project, &flags, Some(&self.patience)).await?;
            found.migrator.options_mut().lint = !self.no_lint;
            let database = found.database.connection.to_string();
            let style = invocation.terminal.stdout;
            if self.dry_run || self.plan || self.rehearse {
                let mut plan = found.migrator.plan_up(&options).await?;
                if self.rehearse {
                    rehearse(&project, &found, &mut plan, &execution).await?;
                }
                let detailed = self.plan || self.rehearse || invocation.terminal.verbose;
                let mut text = show::plan(style, &plan, &database, detailed);
                text.push_str("Nothing was changed.\n");
                return Reply::new(&json!({ "dry_run": true, "plan": plan }), text);
            }
            found.database.make_if_local().await?;
            let production = found.database.settings.production.value;
            let agree = async |plan: &Plan| {
                if let Some(loss) = plan.asks(production) {
                    let loss = format!("{loss} on {database}");
                    return confirm(&invocation.terminal, &execution, self.yes, &loss)
                        .await
                        .map_err(|error| error.hint("--plan shows every statement and changes nothing"));
                }
                for remark in plan.migrations.iter().flat_map(Planned::errors) {
                    execution.warn(format!("{}: {} [{}]", remark.place, remark.message, remark.rule));
                }
                Ok(())
            };
            let report = found.migrator.up_if(&options, &execution, agree).await?;
            Reply::new(&report, show::report(style, &report, &database))
        })
    }
}
