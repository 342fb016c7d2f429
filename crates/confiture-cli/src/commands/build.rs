//! `confiture build`.

use std::path::PathBuf;

use confiture::{Error, Result};

use crate::invocation::Invocation;
use crate::output::Reply;

/// Builds an empty database, or one SQL file, from the DDL files.
///
/// Every `.sql` file of the schema folders is executed in one transaction, in the order of its path. Without a
/// database's name, `--output` alone writes the file and touches no database.
#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// The database: an environment's name, an environment file, a PostgreSQL URL or DSN, or `embedded`.
    #[arg(short, long, value_name = "ENVIRONMENT")]
    pub(crate) env: Option<String>,

    /// The database, as a PostgreSQL URL or DSN.
    #[arg(long, value_name = "URL", conflicts_with = "env")]
    pub(crate) database_url: Option<String>,

    /// From the DDL files and not from the migrations; this is what `build` always does.
    #[arg(long)]
    pub(crate) from_ddl: bool,

    /// Write the whole schema to this file.
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// A folder of DDL files, instead of the environment's; may be repeated.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) schema_dir: Vec<PathBuf>,

    /// Drop the database first, with everything in it.
    #[arg(long)]
    pub(crate) drop_existing: bool,

    /// Execute the files even where a template database of the same files is at hand.
    #[arg(long)]
    pub(crate) no_cache: bool,

    /// Answer the confirmation with yes.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

impl Build {
    /// Does it.
    pub(crate) fn run(self, _invocation: &Invocation) -> Result<Reply> {
        Err(Error::unexpected("waits for the library"))
    }
}
