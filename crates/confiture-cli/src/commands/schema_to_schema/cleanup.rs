//! `confiture migrate schema-to-schema cleanup`.

use confiture::sql::Identifier;

use super::flags::Ends;
use super::names;
use super::options::{SchemaToSchemaOptions, Step};

/// Takes away what `setup` made on the target: foreign tables, foreign server, records. Rows stay.
///
/// Doing it twice is no error.
#[derive(Debug, clap::Args)]
pub(super) struct Cleanup {
    #[command(flatten)]
    ends: Ends,

    /// The schema of the foreign tables on the target [default: old_schema].
    #[arg(long, value_name = "SCHEMA", value_parser = names::identifier)]
    foreign_schema: Option<Identifier>,

    /// Answer the confirmation, which only a production database asks for, with yes.
    #[arg(short, long)]
    yes: bool,
}

impl Cleanup {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        let mut options = SchemaToSchemaOptions::new(Step::Cleanup);
        self.ends.fill(&mut options);
        options.foreign_schema = self.foreign_schema;
        options.yes = self.yes;
        options
    }
}
