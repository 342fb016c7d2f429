//! `confiture server`.

use confiture::{Error, Result};

use crate::invocation::Invocation;
use crate::output::Reply;

/// Runs the local PostgreSQL server of this project, `embedded` on the command line.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Server {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Starts the server and lets it run; starts it anew where none is there yet.
    Start,
    /// Stops the server; its data stays.
    Stop,
    /// Says whether the server runs.
    Status,
    /// Prints the server's URL.
    Url {
        /// The database.
        #[arg(default_value = "postgres")]
        database: String,
    },
}

impl Server {
    /// The command as JSON output names it.
    pub(crate) fn name(&self) -> &'static str {
        match self.command {
            Command::Start => "server start",
            Command::Stop => "server stop",
            Command::Status => "server status",
            Command::Url { .. } => "server url",
        }
    }

    /// Does it.
    pub(crate) fn run(self, _invocation: &Invocation) -> Result<Reply> {
        Err(Error::unexpected("waits for the library"))
    }
}
