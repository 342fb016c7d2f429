//! One large table, beside `psql | psql`.

use anyhow::Result;

use super::measure::in_turns;
use super::stage::{BARE, Stage};
use super::table::{Row, Unit};

/// The whole command with one worker, which also plans and analyses the table, against the bare pipe, which does neither.
pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let (ours, peer) = in_turns(
        stage.runs,
        || stage.timed_migration(BARE, ["--strategy", "copy", "--parallel", "1", "--no-verify", "--yes"]),
        || stage.timed_pipe(BARE),
    )?;
    Ok(vec![Row::new("copy / psql COPY | psql COPY (binary)", ours, peer, Unit::Seconds, 1.0)])
}
