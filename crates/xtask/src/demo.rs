//! `cargo xtask demo`: the program's own demo, from a fresh clone.

use std::path::Path;

use anyhow::Result;

use crate::command::{self, cargo};
use crate::install;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to `confiture demo`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    install::postgresql()?;
    let mut demo =
        cargo(["run", "--release", "--quiet", "--package", "confiture-cli", "--bin", "confiture", "--"]);
    command::run(demo.arg("demo").args(&arguments.arguments).current_dir(root))?;
    Ok(())
}
