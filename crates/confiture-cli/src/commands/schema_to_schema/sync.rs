//! `confiture migrate schema-to-schema sync`.

use std::time::Duration;

use confiture::Result;
use confiture::schema_to_schema::{Capture, Until};

use super::flags::{CaptureName, Copying};
use super::options::{Follow, SchemaToSchemaOptions, Step};
use crate::args::time;

/// Copies what is not there and follows the source, change by change, while the application keeps writing.
///
/// Every batch leaves the target equal to the source in a snapshot. Ctrl-C stops cleanly; the same command goes on.
#[derive(Debug, clap::Args)]
pub(super) struct Sync {
    #[command(flatten)]
    copying: Copying,

    /// Where changes come from.
    #[arg(long, value_enum, value_name = "FEED", default_value = "auto")]
    capture: CaptureName,

    /// Stop once the target equals the source; changes go on being captured.
    #[arg(long)]
    until_caught_up: bool,

    /// Compare what changed again and again, this long after the last time, as `10m`.
    #[arg(long, value_name = "TIME", value_parser = time)]
    verify_every: Option<Duration>,
}

impl Sync {
    pub(super) fn options(self) -> Result<SchemaToSchemaOptions> {
        let mut options = SchemaToSchemaOptions::new(Step::Sync);
        self.copying.fill(&mut options)?;
        let capture: Option<Capture> = self.capture.capture();
        let capture = capture.ok_or_else(|| {
            confiture::Error::usage("sync follows changes, and --capture none captures none")
                .hint("to copy once, say `confiture migrate schema-to-schema migrate`")
        })?;
        options.verifying.every = self.verify_every;
        let until = if self.until_caught_up { Until::CaughtUp } else { Until::Interrupted };
        options.follow = Some(Follow { capture, until });
        Ok(options)
    }
}
