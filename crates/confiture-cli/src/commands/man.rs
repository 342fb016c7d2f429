//! `confiture man`.

use clap::CommandFactory as _;
use clap_mangen::Man as Page;
use confiture::{Error, Result};
use serde_json::json;

use crate::args::Cli;
use crate::output::Reply;

/// Prints the manual page: of the program, or of the command that is named.
///
/// `confiture man | man -l -` shows it; `confiture man migrate schema-to-schema > confiture-schema-to-schema.1`.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Man {
    /// The command, in the words of the command line.
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

impl Man {
    /// The page, as roff, is the result.
    pub(crate) fn run(self) -> Result<Reply> {
        let mut command = Cli::command();
        command.build();
        for word in &self.command {
            let found = command.find_subcommand(word).cloned();
            command = found.ok_or_else(|| {
                Error::usage(format!("there is no command {}", self.command.join(" ")))
                    .hint("confiture --help lists the commands")
            })?;
        }
        let mut page = Vec::new();
        Page::new(command)
            .render(&mut page)
            .map_err(|error| Error::unexpected("the manual page cannot be made").because(error))?;
        let page = String::from_utf8_lossy(&page).into_owned();
        Reply::new(&json!({ "page": page }), page)
    }
}
