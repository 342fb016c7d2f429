//! `confiture migrate schema-to-schema status`.

use super::flags::Ends;
use super::options::{SchemaToSchemaOptions, Step};

/// Says how far a migration is: phase, rows, lag, what waits, what the source keeps for it, who is at work.
///
/// Changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Status {
    #[command(flatten)]
    ends: Ends,

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
        self.ends.fill(&mut options);
        options.watch = self.watch;
        options.trail = self.events;
        options
    }
}
