//! `confiture server`.

use confiture::postgres::Session;
use confiture::project::Project;
use confiture::sql::Sql;
use confiture::{Error, ErrorKind, Result};
use local_postgres::{Options, Server as Local};
use serde_json::json;

use crate::database::{on_server, refuse_long_name, server_error, server_folder};
use crate::invocation::Invocation;
use crate::output::Reply;
use crate::runtime;

/// Runs the local PostgreSQL server of this project, which other commands call `embedded`.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Server {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Starts the server and lets it run on; its first start makes its data folder, .confiture/server.
    Start {
        /// For tests: never wait for the disk, now and whenever it starts. A crash of this machine destroys all its databases.
        #[arg(long)]
        not_durable: bool,
    },
    /// Stops the server; its data stays.
    Stop,
    /// Says whether the server runs, and where.
    Status,
    /// Prints the URL of a database of the running server.
    Url {
        /// The database.
        #[arg(default_value = confiture::project::EMBEDDED_DATABASE)]
        database: String,
    },
}

impl Server {
    /// The command as JSON output names it.
    pub(crate) fn name(&self) -> &'static str {
        match self.command {
            Command::Start { .. } => "server start",
            Command::Stop => "server stop",
            Command::Status => "server status",
            Command::Url { .. } => "server url",
        }
    }

    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let project = Project::open(&invocation.surroundings())?;
        runtime::run(invocation, async |_| {
            let running = Local::find(server_folder(&project)).await.map_err(server_error)?;
            match self.command {
                Command::Start { not_durable } => start(&project, running.is_some(), not_durable).await,
                Command::Stop => stop(running).await,
                Command::Status => status(running.as_ref()),
                Command::Url { database } => url(running.as_ref(), &database),
            }
        })
    }
}

async fn start(project: &Project, was_running: bool, not_durable: bool) -> Result<Reply> {
    let server = Local::keep(server_folder(project), Options::default()).await.map_err(server_error)?;
    let server = server.keep_running().await.map_err(server_error)?;
    if not_durable {
        let session = Session::connect(&on_server(&server, "postgres")).await?;
        // Each alone: ALTER SYSTEM stands in no transaction, and several statements at once are one.
        for statement in [
            "ALTER SYSTEM SET fsync = off",
            "ALTER SYSTEM SET full_page_writes = off",
            "ALTER SYSTEM SET synchronous_commit = off",
            "SELECT pg_catalog.pg_reload_conf()",
        ] {
            session.batch(&Sql::literal(statement)).await?;
        }
    }
    let says = if was_running { "The server runs already" } else { "The server runs" };
    let text = format!("{says}: {}\nStop it with `confiture server stop`.", describe(&server));
    Reply::new(&facts(Some(&server)), text)
}

async fn stop(running: Option<Local>) -> Result<Reply> {
    let text = match running {
        Some(server) => {
            server.stop().await.map_err(server_error)?;
            "The server has stopped; its data stays."
        }
        None => "The server does not run.",
    };
    Reply::new(&facts(None), text)
}

fn status(running: Option<&Local>) -> Result<Reply> {
    let text = match running {
        Some(server) => format!("The server runs: {}", describe(server)),
        None => "The server does not run.".to_owned(),
    };
    Reply::new(&facts(running), text)
}

fn url(running: Option<&Local>, database: &str) -> Result<Reply> {
    refuse_long_name(database)?;
    let server = running.ok_or_else(|| {
        Error::new(ErrorKind::Connect, "the server does not run")
            .hint("start it with `confiture server start`")
    })?;
    let url = server.url(database);
    Reply::new(&json!({ "url": url }), url)
}

fn describe(server: &Local) -> String {
    let pid = server.pid().map_or(String::new(), |pid| format!(", pid {pid}"));
    format!(
        "PostgreSQL {}, socket in {}, port {}{pid}",
        server.binaries().version(),
        server.socket_dir().display(),
        server.port()
    )
}

fn facts(running: Option<&Local>) -> serde_json::Value {
    match running {
        None => json!({ "running": false }),
        Some(server) => json!({
            "running": true,
            "version": server.binaries().version().to_string(),
            "url": server.url(confiture::project::EMBEDDED_DATABASE),
            "socket_dir": server.socket_dir(),
            "port": server.port(),
            "pid": server.pid(),
            "folder": server.folder(),
        }),
    }
}
