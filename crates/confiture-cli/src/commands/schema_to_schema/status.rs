//! `confiture migrate schema-to-schema status`.

use super::flags::Selection;
use super::options::{SchemaToSchemaOptions, Step};

/// Says how far a migration is: phase, rows, lag, what waits, what the source keeps for it, who is at work.
///
/// Changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Status {
    #[command(flatten)]
    migration: Selection,

    /// Show it again every second, until Ctrl-C.
    #[arg(long)]
    watch: bool,

    /// Show so many lines of the audit trail: who did what, when.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    events: u32,
}

impl Status {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        let mut options = SchemaToSchemaOptions::new(Step::Status);
        self.migration.fill(&mut options);
        options.watch = self.watch;
        options.trail = self.events;
        options
    }
}
