//! `confiture migrate schema-to-schema migrate`.

use confiture::Result;

use super::flags::{Changes, Ends, How, Run, Which};
use super::options::{SchemaToSchemaOptions, Step};

/// Copies the tables, then compares both sides.
///
/// A run that was interrupted goes on where it stopped.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    ends: Ends,

    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    how: How,

    #[command(flatten)]
    run: Run,

    #[command(flatten)]
    changes: Changes,

    /// Compare both sides after the copy; this is the default.
    #[arg(long)]
    verify: bool,
}

impl Migrate {
    pub(super) fn options(self) -> Result<SchemaToSchemaOptions> {
        let mut options = SchemaToSchemaOptions::new(Step::Migrate);
        self.ends.fill(&mut options);
        self.which.fill(&mut options);
        self.how.fill(&mut options)?;
        self.run.fill(&mut options);
        self.changes.fill(&mut options)?;
        options.verify |= self.verify;
        Ok(options)
    }
}
