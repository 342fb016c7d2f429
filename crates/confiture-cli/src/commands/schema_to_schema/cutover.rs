//! `confiture migrate schema-to-schema cutover` and `rollback`.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use confiture::Result;
use confiture::config::{Hook, Hooks, Moment};
use confiture::schema_to_schema::cutover::SwitchKind;

use super::flags::{Asked, Which};
use super::options::{SchemaToSchemaOptions, Step, SwitchOptions};
use crate::args::time;

/// Leads the application to the new side, while its writes wait for some milliseconds.
///
/// Both sides are compared first, and the way back is made ready. Then writers are locked out, the last changes cross, the
/// application is led over, and the old side is fenced: from that commit on the new side takes writes. Whatever fails before, or
/// takes longer than --max-stall, leaves everything as it was. Afterwards changes are carried back, so that `rollback` loses
/// nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Cutover {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    how: Switch,

    /// Go although a rollback would not bring everything back; the plan says what.
    #[arg(long)]
    accept_losses: bool,

    /// Go without a way back: the old side is fenced, and nothing is carried to it. A rollback would lose what is written since.
    #[arg(long, conflicts_with = "accept_losses")]
    no_way_back: bool,
}

/// Leads the application back to the old side; before a cutover, gives the migration up.
///
/// After a cutover this is a cutover the other way round: everything written since is on the old side, and nothing is lost.
/// Before one, it lists what was made, and removes it: the old side is as it was.
#[derive(Debug, clap::Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    how: Switch,
}

/// How to switch.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Switch")]
struct Switch {
    #[command(flatten)]
    asked: Asked,

    /// How long to go on trying where somebody holds a lock; each try waits for 300 ms at most.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "60s")]
    patience: Duration,

    /// By how many steps the sequences of the side that takes writes begin ahead.
    #[arg(long, value_name = "STEPS", default_value_t = 1000)]
    sequence_gap: u32,

    /// Do everything up to the fence, and predict how long writes would wait. Switches nothing.
    #[arg(long)]
    dry_run: bool,

    /// Answer the confirmation with yes.
    #[arg(short, long)]
    yes: bool,

    /// Append what happens to this file, a line of JSON for each event.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    events: Option<PathBuf>,

    /// The admin console of a PgBouncer, as `postgresql://admin@host:6432/pgbouncer`: clients behind it wait, and see no error.
    #[arg(long, value_name = "URL", requires = "pgbouncer_database")]
    pgbouncer: Option<String>,

    /// The database, as PgBouncer's clients name it.
    #[arg(long, value_name = "NAME", requires = "pgbouncer")]
    pgbouncer_database: Option<String>,

    /// PgBouncer's configuration file, whose entry is led to the other side; not needed in one database.
    #[arg(long, value_name = "FILE", requires = "pgbouncer", value_hint = ValueHint::FilePath)]
    pgbouncer_config: Option<PathBuf>,

    /// A command at a moment of it, as `fenced=./lead-over.sh`; repeatable. Moments: pre_fence, fenced, switched, rolled_back.
    #[arg(long, value_name = "MOMENT=COMMAND", value_parser = hook)]
    hook: Vec<Hook>,

    /// Wait on standard input for the end of another process that switches, and bring to its end what that leaves.
    #[arg(long, hide = true)]
    stand_by: bool,
}

/// `fenced=./lead-over.sh`
fn hook(text: &str) -> Result<Hook, String> {
    let moments = || Moment::ALL.into_iter().filter(|moment| moment.is_of_cutover());
    let (name, command) = text.split_once('=').ok_or("a moment, `=`, and a command")?;
    let moment = moments().find(|moment| moment.key() == name).ok_or_else(|| {
        let known: Vec<_> = moments().map(Moment::key).collect();
        format!("`{name}` is no moment: there are {}", known.join(", "))
    })?;
    Ok(Hook::command(moment, command))
}

impl Switch {
    fn fill(self, kind: SwitchKind, options: &mut SchemaToSchemaOptions) {
        self.asked.fill(options);
        options.dry_run = self.dry_run;
        options.yes = self.yes;
        options.events = self.events;
        let pgbouncer = self.pgbouncer.zip(self.pgbouncer_database);
        options.switch = Some(SwitchOptions {
            kind,
            accept_losses: false,
            patience: self.patience,
            sequence_gap: self.sequence_gap,
            pgbouncer: pgbouncer.map(|(console, database)| (console, database, self.pgbouncer_config)),
            hooks: self.hook.into_iter().fold(Hooks::default(), Hooks::with),
            stand_by: self.stand_by,
        });
    }
}

impl Cutover {
    pub(super) fn options(self) -> Result<SchemaToSchemaOptions> {
        let mut options = SchemaToSchemaOptions::new(Step::Switch);
        self.which.fill(&mut options);
        self.how.fill(SwitchKind::Cutover, &mut options);
        options.no_way_back = self.no_way_back;
        if let Some(switch) = &mut options.switch {
            switch.accept_losses = self.accept_losses;
        }
        Ok(options)
    }
}

impl Rollback {
    pub(super) fn options(self) -> Result<SchemaToSchemaOptions> {
        let mut options = SchemaToSchemaOptions::new(Step::Switch);
        self.which.fill(&mut options);
        self.how.fill(SwitchKind::Rollback, &mut options);
        Ok(options)
    }
}
