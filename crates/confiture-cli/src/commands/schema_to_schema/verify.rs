//! `confiture migrate schema-to-schema verify`.

use confiture::schema_to_schema::Verifying;

use super::flags::Which;
use super::options::{SchemaToSchemaOptions, Step};

/// Compares both sides, every row and value: counts, contents, foreign keys, and the mapping's validations.
///
/// Exit status 7 where anything differs. Changes nothing, unless told to repair.
///
/// A target that follows its source is compared as one batch has left both sides, by the run that is at work, while writes
/// go on; and of a table that was found equal before, only the rows that changed since. Those that somebody else wrote to the
/// target by hand are not among them: --full compares all rows again.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    which: Which,

    /// Workers in all.
    #[arg(long, value_name = "WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: Option<u16>,

    /// All rows, also those that did not change since they were found equal.
    #[arg(long)]
    full: bool,

    /// Read rows that differ again, write them, and compare again; for a target that follows its source.
    #[arg(long)]
    repair: bool,

    /// Show the rows that differ, values and all.
    #[arg(long)]
    show_values: bool,
}

impl Verify {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        let mut options = SchemaToSchemaOptions::new(Step::Verify);
        self.which.fill(&mut options);
        options.verify = true;
        options.parallel = self.parallel;
        options.show_values = self.show_values;
        options.verifying = Verifying { every: None, complete: self.full, repair: self.repair };
        options
    }
}
