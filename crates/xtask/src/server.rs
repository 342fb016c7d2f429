//! A PostgreSQL server for as long as a chore needs one.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, anyhow};
use local_postgres::{Options, Server};

use crate::command::{note_interrupts, output};

/// Runs `work` with a throwaway server for each of `options`; they stop when it ends, also on Ctrl-C.
pub(crate) fn with_servers<T>(
    options: impl IntoIterator<Item = Options>,
    work: impl FnOnce(&[Server]) -> Result<T>,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let _entered = runtime.enter();
    runtime.spawn(note_interrupts());
    let starting: Vec<_> =
        options.into_iter().map(|options| runtime.spawn(Server::throwaway(options))).collect();
    let mut servers = Vec::new();
    for started in starting {
        servers.push(runtime.block_on(started)?.map_err(|error| anyhow!("{error:?}"))?);
    }
    let result = work(&servers);
    drop(servers);
    result
}

/// A server and the `psql` that talks to it.
pub(crate) struct Psql<'a> {
    pub(crate) program: PathBuf,
    pub(crate) server: &'a Server,
}

impl Psql<'_> {
    /// `psql` on a database: reads no start-up file, stops at the first error.
    pub(crate) fn on(&self, database: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]);
        command.arg("--dbname").arg(self.server.url(database));
        command
    }

    /// Runs SQL and gives what it returns.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> Result<String> {
        output(self.on(database).arg("--command").arg(sql)).map(|answer| answer.trim().to_owned())
    }

    /// A database of that name as a copy of `template`, whatever was there before.
    pub(crate) fn database_from(&self, name: &str, template: &str) -> Result<()> {
        self.sql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"))?;
        Ok(())
    }
}
