//! `confiture migrate schema-to-schema cleanup`.

use std::time::Duration;

use confiture::schema_to_schema::Cleaning;
use confiture::sql::Identifier;

use super::flags::Selection;
use super::names;
use super::options::{SchemaToSchemaOptions, Step};

/// Takes away what was made beside the rows: foreign tables, foreign server, records, and what captures changes on the source.
///
/// Rows stay, and so does everything that Confiture did not make.
///
/// Doing it twice is no error.
#[derive(Debug, clap::Args)]
pub(super) struct Cleanup {
    #[command(flatten)]
    migration: Selection,

    /// The schema of the foreign tables on the target [default: old_schema].
    #[arg(long, value_name = "SCHEMA", value_parser = names::identifier)]
    foreign_schema: Option<Identifier>,

    /// Give up the migration: what it copied is removed from the target.
    #[arg(long)]
    abandon: bool,

    /// After a cutover: drop the old tables, and nothing but them.
    #[arg(long)]
    drop_old: bool,

    /// With --drop-old: not before so many days after the cutover.
    #[arg(long, value_name = "DAYS", requires = "drop_old")]
    keep_old: Option<u32>,

    /// Answer the confirmation, which a production database and --abandon ask for, with yes.
    #[arg(short, long)]
    yes: bool,
}

impl Cleanup {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        let mut options = SchemaToSchemaOptions::new(Step::Cleanup);
        self.migration.fill(&mut options);
        options.foreign_schema = self.foreign_schema;
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let (abandon, drop_old) = (self.abandon, self.drop_old);
        options.cleaning = Cleaning { abandon, drop_old, keep_old: self.keep_old.map(|days| days * DAY) };
        options.yes = self.yes;
        options
    }
}
