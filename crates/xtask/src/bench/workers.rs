//! Four workers beside one.

use anyhow::Result;

use super::measure::in_turns;
use super::stage::{BARE, Stage};
use super::table::{Row, Unit};

/// On four cores the server needs some of them itself.
pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let with = |workers| {
        stage.timed_migration(BARE, ["--strategy", "copy", "--parallel", workers, "--no-verify", "--yes"])
    };
    let (four, one) = in_turns(stage.runs, || with("4"), || with("1"))?;
    Ok(vec![Row::new("workers: 4 / 1", four, one, Unit::Seconds, 1.0 / 1.8)])
}
