//! Migrations from every version to every other, with `psql` as the judge.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use local_postgres::Server;

use crate::command::output;
use crate::server::Psql;

const TABLES: &str = include_str!("pair_tables.sql");
const ROWS: &str = include_str!("pair_rows.sql");
const STRATEGIES: &[&str] = &["copy", "fdw"];
const COMPARED: &[&str] = &["account", "event"];

/// What came of one pair.
pub(super) struct Pair {
    from: u32,
    to: u32,
    strategy: &'static str,
    pub(super) outcome: Result<()>,
    time: Duration,
}

pub(super) fn run(program: &Path, psql: &Path, servers: &[Server]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for from in servers {
        for to in servers.iter().filter(|to| to.port() != from.port() || to.socket_dir() != from.socket_dir())
        {
            for strategy in STRATEGIES {
                let start = Instant::now();
                let [source, target] = [from, to].map(|server| Psql { program: psql.to_owned(), server });
                let outcome = migrate(program, &source, &target, strategy);
                let [from, to] = [from, to].map(|server| server.binaries().version().major);
                pairs.push(Pair { from, to, strategy, outcome, time: start.elapsed() });
            }
        }
    }
    pairs
}

fn migrate(program: &Path, source: &Psql<'_>, target: &Psql<'_>, strategy: &str) -> Result<()> {
    source.database_from("pair_source", "template0")?;
    target.database_from("pair_target", "template0")?;
    source.sql("pair_source", TABLES)?;
    source.sql("pair_source", ROWS)?;
    target.sql("pair_target", TABLES)?;
    let [from, to] = [source.server.url("pair_source"), target.server.url("pair_target")];
    let mut confiture = Command::new(program);
    confiture.args([
        "migrate",
        "schema-to-schema",
        "--from",
        &from,
        "--to",
        &to,
        "--strategy",
        strategy,
        "--yes",
    ]);
    output(&mut confiture)?;
    for table in COMPARED {
        let rows = format!("COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT");
        let [expected, found] = [source.sql("pair_source", &rows), target.sql("pair_target", &rows)];
        let (expected, found) = (expected?, found.context("the target cannot be read")?);
        if expected.is_empty() || expected != found {
            bail!("{table} differs: {} rows became {}", expected.lines().count(), found.lines().count());
        }
    }
    Ok(())
}

pub(super) fn print(pairs: &[Pair]) {
    if pairs.is_empty() {
        return;
    }
    println!("\n{:<6} {:<6} {:<8} {:>8}  rows", "from", "to", "strategy", "time");
    for pair in pairs {
        let outcome = match &pair.outcome {
            Ok(()) => "equal".to_owned(),
            Err(error) => format!("FAILED: {error:#}"),
        };
        let time = pair.time.as_secs_f64();
        println!("{:<6} {:<6} {:<8} {time:>6.1} s  {outcome}", pair.from, pair.to, pair.strategy);
    }
}
