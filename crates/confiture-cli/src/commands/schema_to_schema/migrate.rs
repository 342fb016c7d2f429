//! `confiture migrate schema-to-schema migrate`.

use confiture::Result;

use super::flags::{Changes, Copying};
use super::options::{SchemaToSchemaOptions, Step};

/// Copies the tables, then compares both sides.
///
/// A run that was interrupted goes on where it stopped.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    copying: Copying,

    #[command(flatten)]
    changes: Changes,
}

impl Migrate {
    pub(super) fn options(self) -> Result<SchemaToSchemaOptions> {
        let mut options = SchemaToSchemaOptions::new(Step::Migrate);
        self.copying.fill(&mut options)?;
        self.changes.fill(&mut options)?;
        Ok(options)
    }
}
