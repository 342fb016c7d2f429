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
}

impl Status {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        let mut options = SchemaToSchemaOptions::new(Step::Status);
        self.ends.fill(&mut options);
        options.watch = self.watch;
        options
    }
}
