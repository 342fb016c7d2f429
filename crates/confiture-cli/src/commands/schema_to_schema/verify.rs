//! `confiture migrate schema-to-schema verify`.

use super::flags::{Ends, Which};
use super::options::{SchemaToSchemaOptions, Step};

/// Compares both sides, every row and value: counts, contents, foreign keys, and the mapping's validations.
///
/// Changes nothing. Exit status 7 where anything differs.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    ends: Ends,

    #[command(flatten)]
    which: Which,

    /// Workers in all.
    #[arg(long, value_name = "WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: Option<u16>,

    /// Show the rows that differ, values and all.
    #[arg(long)]
    show_values: bool,
}

impl Verify {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        let mut options = SchemaToSchemaOptions::new(Step::Verify);
        self.ends.fill(&mut options);
        self.which.fill(&mut options);
        options.verify = true;
        options.parallel = self.parallel;
        options.show_values = self.show_values;
        options
    }
}
