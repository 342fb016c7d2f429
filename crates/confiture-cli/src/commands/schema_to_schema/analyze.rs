//! `confiture migrate schema-to-schema analyze`.

use std::path::PathBuf;

use confiture::Result;

use super::flags::{How, Which};
use super::options::{SchemaToSchemaOptions, Step};

/// Shows how each table would travel, why, and how long it would take. Changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Analyze {
    #[command(flatten)]
    which: Which,

    /// Write the mapping here, complete and in its canonical form.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    write_mapping: Option<PathBuf>,

    #[command(flatten)]
    how: How,
}

impl Analyze {
    pub(super) fn options(self) -> Result<SchemaToSchemaOptions> {
        let mut options = SchemaToSchemaOptions::new(Step::Analyze);
        self.which.fill(&mut options);
        self.how.fill(&mut options)?;
        options.write_mapping = self.write_mapping;
        Ok(options)
    }
}
