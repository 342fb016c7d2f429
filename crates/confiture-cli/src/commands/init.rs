//! `confiture init`.

use std::path::PathBuf;

use confiture::{Error, Result};

use crate::invocation::Invocation;
use crate::output::Reply;

/// Makes a project's folders and a first schema; keeps every file that is there.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// The project's folder; made where it does not exist.
    #[arg(default_value = ".", hide_default_value = true, value_hint = clap::ValueHint::DirPath)]
    path: PathBuf,

    /// Only a schema folder, here (relative to the project's folder).
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    schema_dir: Option<PathBuf>,
}

impl Init {
    /// Does it.
    pub(crate) fn run(self, _invocation: &Invocation) -> Result<Reply> {
        Err(Error::unexpected("waits for the library"))
    }
}
