//! What every benchmark needs: the program, a server, and a table to move.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use local_postgres::Server;

use super::measure::{ended_sessions_processor_time, time, time_pipe};
use crate::server::Psql;

/// A database whose `account` is full, with its key and its indexes.
pub(super) const SOURCE: &str = "bench_source";
/// A database whose `account` is empty, keyless and without indexes.
pub(super) const BARE: &str = "bench_bare";
/// A database whose `account` is empty, with its key and its indexes.
pub(super) const INDEXED: &str = "bench_indexed";
/// Where a run writes: made anew from one of the others.
pub(super) const TARGET: &str = "bench_target";

/// The shape of pgbench's accounts.
const TABLE: &str = "CREATE TABLE account (aid bigint NOT NULL, bid int, abalance int, filler char(84))";

/// What a table in use has on top.
pub(super) const KEY_AND_INDEXES: &str = "ALTER TABLE account ADD PRIMARY KEY (aid);
    CREATE INDEX account_bid ON account (bid);
    CREATE INDEX account_abalance ON account (abalance, bid);";

/// The program, and a server with the source on it.
pub(super) struct Stage<'a> {
    pub(super) program: &'a Path,
    pub(super) psql: Psql<'a>,
    pub(super) runs: usize,
    /// Rows of the table, and of every bulk change.
    pub(super) scale: u64,
}

impl<'a> Stage<'a> {
    /// Generates a source of `scale` rows, and the empty targets.
    pub(super) fn new(program: &'a Path, server: &'a Server, scale: u64, runs: usize) -> Result<Self> {
        let stage = Self { program, psql: Psql { program: server.program("psql"), server }, runs, scale };
        for database in [SOURCE, BARE, INDEXED] {
            stage.psql.database_from(database, "template0")?;
            stage.psql.sql(database, TABLE)?;
        }
        let rows = format!(
            "INSERT INTO account SELECT i, i % 100, (i * 7919::bigint) % 100000, 'row ' || i FROM generate_series(1, {scale}) AS i"
        );
        stage.psql.sql(SOURCE, &rows)?;
        stage.psql.sql(SOURCE, KEY_AND_INDEXES)?;
        stage.psql.sql(SOURCE, "VACUUM (ANALYZE, FREEZE) account")?;
        stage.psql.sql(INDEXED, KEY_AND_INDEXES)?;
        stage.psql.sql("postgres", "CHECKPOINT")?;
        Ok(stage)
    }

    /// A fresh target, and nothing left to write from the run before.
    pub(super) fn reset_target(&self, template: &str) -> Result<()> {
        self.psql.database_from(TARGET, template)?;
        self.psql.sql("postgres", "CHECKPOINT")?;
        Ok(())
    }

    /// The program, with the arguments of a migration from the source to the target.
    pub(super) fn migration<const N: usize>(&self, more: [&str; N]) -> Command {
        let mut command = Command::new(self.program);
        command.args(["migrate", "schema-to-schema", "--quiet"]);
        command.arg("--from").arg(self.psql.server.url(SOURCE));
        command.arg("--to").arg(self.psql.server.url(TARGET));
        command.args(more);
        command
    }

    /// A migration into a fresh target, timed.
    pub(super) fn timed_migration<const N: usize>(
        &self,
        template: &str,
        more: [&str; N],
    ) -> Result<Duration> {
        self.reset_target(template)?;
        let elapsed = time(&mut self.migration(more))?;
        self.check_target()?;
        Ok(elapsed)
    }

    /// A migration into a fresh target; gives what its report says the rows took.
    pub(super) fn timed_stream(&self, more: &[&str]) -> Result<Duration> {
        self.reset_target(BARE)?;
        let output = self.migration([]).args(more).output().context("cannot run the program")?;
        self.check_target()?;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).context("no JSON report")?;
        let elapsed = report["result"]["migration"]["tables"][0]["elapsed_ms"].as_f64();
        let elapsed = elapsed.context("the report does not say how long the table took")?;
        Ok(Duration::from_secs_f64(elapsed / 1e3))
    }

    /// Processor time of all sessions that have ended; a short wait lets the last ones end.
    pub(super) fn server_processor_time(&self) -> Result<Duration> {
        let others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        while self.psql.sql("postgres", others)?.trim() != "0" {}
        // A session is gone from the view before its process is, and counts only once the postmaster has waited for it.
        self.psql.sql("postgres", "SELECT pg_sleep(0.3)")?;
        let postmaster = self.psql.server.pid().context("the server's process is not known")?;
        ended_sessions_processor_time(postmaster)
    }

    /// A program that copies nothing is fast.
    pub(super) fn check_target(&self) -> Result<()> {
        let count = "SELECT count(*) FROM account";
        let [expected, found] = [self.psql.sql(SOURCE, count)?, self.psql.sql(TARGET, count)?];
        if expected != found {
            bail!("the program reports success, and {found} of {expected} rows are there");
        }
        Ok(())
    }

    /// What a person would type: `psql` to `psql` in binary, timed.
    pub(super) fn timed_pipe(&self, template: &str) -> Result<Duration> {
        self.reset_target(template)?;
        self.pipe()
    }

    /// `psql` to `psql` into the target as it is.
    pub(super) fn pipe(&self) -> Result<Duration> {
        time_pipe(
            self.psql.on(SOURCE).args(["--command", "COPY account TO STDOUT (FORMAT binary)"]),
            self.psql.on(TARGET).args(["--command", "COPY account FROM STDIN (FORMAT binary)"]),
        )
    }
}
