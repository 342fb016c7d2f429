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
    server::with_servers([options], |servers| {
        let mut first_failure = Ok(());
        for (name, mut tests) in test_commands(arguments, locked) {
            if arguments.ci {
                // The random tests of the live migration look for two minutes.
                tests.env("CONFITURE_SOAK_SECONDS", "120");
                // Nobody who looks at a green sign is to believe that the page was tested when it was not.
                tests.env("CONFITURE_CHROMIUM", "required");
            }
            match command::run(on_server(&mut tests, root, &servers[0])) {
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
    let tests = if command::find("cargo-nextest").is_some() {
        cargo(["nextest", "run", "--workspace", "--no-tests=warn"])
    } else {
        cargo(["test", "--workspace", "--lib", "--bins", "--tests"])
    };
    let doc_tests = cargo(["test", "--workspace", "--doc"]);
    [("tests", tests), ("doc tests", doc_tests)].map(|(name, mut command)| {
        command.arg("--no-fail-fast").args(locked).args(&arguments.filter);
        (name, command)
    })
}

/// A command that finds the server of this test run, and that server's programs first.
pub(crate) fn on_server<'a>(command: &'a mut Command, root: &Path, server: &Server) -> &'a mut Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(server.bin_dir().to_owned()).chain(std::env::split_paths(&path));
    if let Ok(path) = std::env::join_paths(folders) {
        command.env("PATH", path);
    }
    command.env(testing::TEST_SERVER, server.address()).current_dir(root)
}

fn listed(times: &[(&str, Duration)]) -> String {
    times
        .iter()
        .map(|(name, time)| format!("{name} {:.1} s", time.as_secs_f64()))
        .collect::<Vec<_>>()
        .join(", ")
}
