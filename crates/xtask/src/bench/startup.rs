//! A program that is typed often starts at once.

use std::process::Command;

use anyhow::{Result, bail};

use super::measure::{in_turns, time};
use super::stage::Stage;
use super::table::{Row, Unit};
use crate::command::output;

const LIMIT_SECONDS: f64 = 0.015;

/// `confiture --version` against 15 ms; `true` takes the same turns and shows what starting any process costs here.
pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    if output(Command::new(stage.program).arg("--version"))?.is_empty() {
        bail!("the program does not say its version");
    }
    let (ours, nothing) = in_turns(
        stage.runs.max(20),
        || time(Command::new(stage.program).arg("--version")),
        || time(&mut Command::new("true")),
    )?;
    let name = format!("startup: --version (`true`: {:.1} ms) / 15 ms", nothing * 1000.0);
    Ok(vec![Row::new(name, ours, LIMIT_SECONDS, Unit::Seconds, 1.0)])
}
