//! `cargo xtask test`: everything that must hold before a change lands.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use local_postgres::{Options, Server, testing};

use crate::command::{self, cargo};
use crate::{install, server, tidy};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// As a machine wants it: the lock file must be right, and every failing test is shown, not only the first
    #[arg(long)]
    ci: bool,
    /// Run only the tests whose names contain this, and none of the other checks
    filter: Option<String>,
}

pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let binaries = install::postgresql()?;
    if arguments.ci {
        install::chromium()?;
    }
    let locked: &[&str] = if arguments.ci { &["--locked"] } else { &[] };
    let mut times = Vec::new();

    if arguments.filter.is_none() {
        times.push(("fmt", command::run(cargo(["fmt", "--all", "--check"]).current_dir(root))?));
        let tidied = Instant::now();
        tidy::run(root)?;
        times.push(("tidy", tidied.elapsed()));
        let mut clippy = cargo(["clippy", "--workspace", "--all-targets"]);
        clippy.args(locked).args(["--", "-D", "warnings"]);
        times.push(("clippy", command::run(clippy.current_dir(root))?));
    }
    // Built before the server starts, so that what does not compile is said first.
    let mut build = cargo(["test", "--workspace", "--no-run", "--quiet"]);
    times.push(("build", command::run(build.args(locked).current_dir(root))?));

    let options = Options { bin_dir: Some(binaries.dir().to_owned()), ..testing::options() };
    server::with_servers(vec![options; servers()], |servers| {
        let mut first_failure = Ok(());
        for (name, mut tests) in test_commands(arguments, locked) {
            if arguments.ci {
                // The random tests of the live migration look for a minute.
                tests.env("CONFITURE_SOAK_SECONDS", "60");
                // Those of diffs, which always try the same, get further.
                tests.env("CONFITURE_SECONDS", "20");
                // Nobody who looks at a green sign is to believe that the page was tested when it was not.
                tests.env("CONFITURE_CHROMIUM", "required");
            }
            match command::run(on_servers(&mut tests, root, servers)) {
                Ok(time) => times.push((name, time)),
                Err(error) => first_failure = first_failure.and(Err(error)),
            }
        }
        first_failure
    })?;
    let version = binaries.version();
    eprintln!(
        "\nAll is well on PostgreSQL {version}, after {:.1} s: {}.",
        start.elapsed().as_secs_f64(),
        listed(&times)
    );
    Ok(())
}

/// The tests, and those in the documentation, which nextest does not run, and cargo only where no filter is named.
fn test_commands(arguments: &Arguments, locked: &[&str]) -> [(&'static str, Command); 2] {
    let doc_tests = cargo(["test", "--workspace", "--doc"]);
    [("tests", tests_command()), ("doc tests", doc_tests)].map(|(name, mut command)| {
        command.arg("--no-fail-fast").args(locked).args(&arguments.filter);
        (name, command)
    })
}

/// All tests but those of the documentation.
pub(crate) fn tests_command() -> Command {
    if has_nextest() {
        let mut tests = cargo(["nextest", "run", "--workspace", "--no-tests=warn", "--test-threads"]);
        tests.arg(at_a_time().to_string());
        tests
    } else {
        let mut tests = cargo(["test", "--workspace", "--lib", "--bins", "--tests"]);
        tests.env("RUST_TEST_THREADS", at_a_time().to_string());
        tests
    }
}

/// How many servers the tests have: one for each that runs at a time. Without nextest they are threads of one process,
/// which has one server.
pub(crate) fn servers() -> usize {
    if has_nextest() { at_a_time() } else { 1 }
}

/// How many tests run at a time: half of their time most wait, for a server or for time to pass.
fn at_a_time() -> usize {
    2 * std::thread::available_parallelism().map_or(2, usize::from)
}

fn has_nextest() -> bool {
    command::find("cargo-nextest").is_some()
}

/// A command that finds the servers of this test run, and those servers' programs first.
pub(crate) fn on_servers<'a>(command: &'a mut Command, root: &Path, servers: &[Server]) -> &'a mut Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = servers.iter().take(1).map(|server| server.bin_dir().to_owned());
    if let Ok(path) = std::env::join_paths(folders.chain(std::env::split_paths(&path))) {
        command.env("PATH", path);
    }
    let addresses: Vec<String> = servers.iter().map(Server::address).collect();
    command.env(testing::TEST_SERVER, addresses.join(" ")).current_dir(root)
}

fn listed(times: &[(&str, Duration)]) -> String {
    times
        .iter()
        .map(|(name, time)| format!("{name} {:.1} s", time.as_secs_f64()))
        .collect::<Vec<_>>()
        .join(", ")
}
