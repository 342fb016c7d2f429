//! Chores of this workspace: `cargo xtask help` lists them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "chores talk to the person who runs them")]

mod bench;
mod command;
mod demo;
mod install;
mod matrix;
mod page;
mod server;
mod soak;
mod test;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check, build and test everything, against a PostgreSQL server that lives as long as the tests
    Test(test::Arguments),
    /// Check what the compiler does not: floors, directions, sizes, names, papers
    Tidy,
    /// Build the program and run `confiture demo`
    Demo(demo::Arguments),
    /// Run the tests against several versions of PostgreSQL
    Matrix(matrix::Arguments),
    /// Look for faults of the live migration with random tables, mappings and writers, for as long as asked
    Soak(soak::Arguments),
    /// Test the monitor's page and the report in headless Chromium, and take pictures of them
    Page,
    /// Measure the program against the tools that it is compared with
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    match run(&Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: &Chore) -> anyhow::Result<()> {
    // Whatever folder the chore was called from.
    let root = &Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    match chore {
        Chore::Test(arguments) => test::run(root, arguments),
        Chore::Tidy => tidy::run(root),
        Chore::Demo(arguments) => demo::run(root, arguments),
        Chore::Matrix(arguments) => matrix::run(root, arguments),
        Chore::Soak(arguments) => soak::run(root, arguments),
        Chore::Page => page::run(root),
        Chore::Bench(arguments) => bench::run(root, arguments),
    }
}
