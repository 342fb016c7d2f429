//! `cargo xtask bench`: the program beside the tools that it is compared with, as ratios.
//!
//! Absolute times say more about the machine than about the program. So every figure is a ratio of two medians whose
//! runs took turns, and no test asserts one.

mod build;
mod client_cost;
mod copy;
mod diff;
pub(crate) mod follow;
mod foreign;
mod indexes;
pub(crate) mod measure;
mod migrations;
mod pgcopydb;
mod stage;
mod startup;
mod sync;
mod table;
mod verify;
mod workers;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use local_postgres::Options;

use crate::matrix::build_program;
use crate::{command, install, server};
use stage::Stage;
use table::{Row, Verdict};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which benchmarks; all when none is named; `follow` is every `follow-…`
    names: Vec<String>,
    /// Rows of the generated table
    #[arg(long, default_value_t = 1_000_000)]
    scale: u64,
    /// Runs of each side
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Install the tools that are compared with (apt-get)
    #[arg(long)]
    install: bool,
    /// Measure this program instead of building one
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Also write the table as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One benchmark: a name, and what measures it.
struct Benchmark {
    name: &'static str,
    measure: fn(&Stage<'_>) -> Result<Vec<Row>>,
}

const BENCHMARKS: &[Benchmark] = &[
    Benchmark { name: "startup", measure: startup::measure },
    Benchmark { name: "copy", measure: copy::measure },
    Benchmark { name: "build", measure: build::measure },
    Benchmark { name: "diff", measure: diff::measure },
    Benchmark { name: "migrations", measure: migrations::measure },
    Benchmark { name: "indexes", measure: indexes::measure },
    Benchmark { name: "workers", measure: workers::measure },
    Benchmark { name: "pgcopydb", measure: pgcopydb::measure },
    Benchmark { name: "foreign", measure: foreign::measure },
    Benchmark { name: "verify", measure: verify::measure },
    Benchmark { name: "sync", measure: sync::measure },
    Benchmark { name: "client-cost", measure: client_cost::measure },
    Benchmark { name: "follow-rate", measure: follow::measure_rate },
    Benchmark { name: "follow-lag", measure: follow::measure_lag },
    Benchmark { name: "follow-cost", measure: follow::measure_cost },
    Benchmark { name: "follow-quiet", measure: follow::measure_quiet },
];

pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let chosen = chosen(&arguments.names)?;
    let binaries = install::postgresql()?;
    let program = match &arguments.program {
        Some(program) => {
            program.canonicalize().with_context(|| format!("there is no {}", program.display()))?
        }
        None => build_program(root)?,
    };
    if arguments.install && command::find("pgcopydb").is_none() {
        install::apt_get_install(&["pgcopydb"])?;
    }
    let options =
        Options { bin_dir: Some(binaries.dir().to_owned()), settings: settings(), ..Options::default() };
    let rows = server::with_servers([options], |servers| {
        let stage = Stage::new(&program, &servers[0], arguments.scale, arguments.runs)?;
        let mut rows = Vec::new();
        for benchmark in chosen {
            if command::is_interrupted() {
                bail!("interrupted");
            }
            eprintln!("Measuring {}", benchmark.name);
            match (benchmark.measure)(&stage) {
                Ok(measured) => rows.extend(measured),
                Err(error) => rows.push(Row::not_run(benchmark.name, format!("{error:#}"))),
            }
        }
        Ok(rows)
    })?;
    println!(
        "\nPostgreSQL {}, {} rows, medians of {} runs\n",
        binaries.version(),
        arguments.scale,
        arguments.runs
    );
    table::print(&rows);
    if let Some(file) = &arguments.json {
        fs::write(file, serde_json::to_string_pretty(&table::to_json(&rows))? + "\n")?;
    }
    let missed = rows.iter().filter(|row| row.verdict() == Verdict::Missed).count();
    println!("\n{missed} bar(s) missed");
    Ok(())
}

/// True where `name` is that of a benchmark, or of its group.
fn is_named(name: &str, benchmark: &Benchmark) -> bool {
    benchmark.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn chosen(names: &[String]) -> Result<Vec<&'static Benchmark>> {
    if let Some(unknown) = names.iter().find(|name| !BENCHMARKS.iter().any(|known| is_named(name, known))) {
        let known: Vec<_> = BENCHMARKS.iter().map(|benchmark| benchmark.name).collect();
        bail!("there is no benchmark `{unknown}`; there are {}", known.join(", "));
    }
    Ok(BENCHMARKS
        .iter()
        .filter(|known| names.is_empty() || names.iter().any(|name| is_named(name, known)))
        .collect())
}

/// Room enough that checkpoints do not decide who is faster.
fn settings() -> Vec<(String, String)> {
    [
        ("shared_buffers", "512MB"),
        ("max_wal_size", "8GB"),
        ("maintenance_work_mem", "256MB"),
        ("max_connections", "200"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_exist_is_refused() {
        assert_eq!(chosen(&[]).unwrap().len(), BENCHMARKS.len());
        assert_eq!(chosen(&["copy".to_owned()]).unwrap().len(), 1);
        assert_eq!(chosen(&["follow".to_owned()]).unwrap().len(), 4);
        assert!(chosen(&["speed".to_owned()]).is_err());
    }
}
