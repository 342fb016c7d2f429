//! `confiture completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;
use confiture::{Error, Result};
use serde_json::json;

use crate::args::Cli;
use crate::output::Reply;

/// Prints a shell's completion script.
///
/// For bash, `confiture completions bash > /etc/bash_completion.d/confiture`; for zsh and fish likewise, in a folder
/// of their search path.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// The script is the result.
    pub(crate) fn run(self) -> Result<Reply> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "confiture", &mut script);
        let script = String::from_utf8(script)
            .map_err(|error| Error::unexpected("the completion script is not text").because(error))?;
        Reply::new(&json!({ "shell": self.shell.to_string(), "script": script }), script)
    }
}
