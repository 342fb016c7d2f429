//! `confiture migrate schema-to-schema setup`.

use confiture::sql::Identifier;

use super::flags::Ends;
use super::names;
use super::options::{SchemaToSchemaOptions, Step};

/// Connects the target to the source over FDW and records the source there, without its password.
///
/// Later steps then need `--target` alone.
#[derive(Debug, clap::Args)]
pub(super) struct Setup {
    #[command(flatten)]
    ends: Ends,

    /// The schema of the foreign tables on the target [default: old_schema].
    #[arg(long, value_name = "SCHEMA", value_parser = names::identifier)]
    foreign_schema: Option<Identifier>,

    /// Rows that one fetch over FDW brings.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    fetch_size: Option<u32>,
}

impl Setup {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        let mut options = SchemaToSchemaOptions::new(Step::Setup);
        self.ends.fill(&mut options);
        options.foreign_schema = self.foreign_schema;
        options.fetch_size = self.fetch_size;
        options
    }
}
