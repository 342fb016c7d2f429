//! `confiture migrate schema-to-schema setup`.

use confiture::Result;

use super::flags::{How, Which};
use super::options::{SchemaToSchemaOptions, Step};

/// Records the source in the target, without its password, and makes foreign tables for what goes through FDW.
///
/// Later steps then need `--target` alone.
#[derive(Debug, clap::Args)]
pub(super) struct Setup {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    how: How,
}

impl Setup {
    pub(super) fn options(self) -> Result<SchemaToSchemaOptions> {
        let mut options = SchemaToSchemaOptions::new(Step::Setup);
        self.which.fill(&mut options);
        self.how.fill(&mut options)?;
        Ok(options)
    }
}
