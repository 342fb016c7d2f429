//! `cargo xtask soak`: random tables, mappings and writers against the live migration, for as long as asked.

mod idle;

use std::path::Path;

use anyhow::Result;
use local_postgres::{Options, testing};

use crate::command::{self, cargo};
use crate::test::on_servers;
use crate::{install, server};

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    scene: Option<Scene>,
    /// How long each of the tests looks
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// The seed to begin with, to have a failure again; else one that no run had
    #[arg(long)]
    seed: Option<u64>,
}

/// Something else than random changes.
#[derive(clap::Subcommand)]
enum Scene {
    /// Nothing changes: no WAL is kept, no snapshot is held, and memory does not grow
    Idle(idle::Arguments),
}

pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    if let Some(Scene::Idle(arguments)) = &arguments.scene {
        return idle::run(root, arguments);
    }
    let binaries = install::postgresql()?;
    let options = Options { bin_dir: Some(binaries.dir().to_owned()), ..testing::options() };
    server::with_servers([options], |servers| {
        // In processes of their own: one measures its memory.
        for filter in ["property::", "idle::"] {
            let mut tests = cargo(["test", "--package", "confiture", "--test", "live", "--"]);
            tests.args([filter, "--nocapture"]);
            tests.env("CONFITURE_SOAK_SECONDS", arguments.seconds.to_string());
            if let Some(seed) = arguments.seed {
                tests.env("CONFITURE_SOAK_SEED", seed.to_string());
            }
            command::run(on_servers(&mut tests, root, servers))?;
        }
        Ok(())
    })
}
