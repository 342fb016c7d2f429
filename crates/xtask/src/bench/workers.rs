//! Four workers beside one.

use anyhow::Result;

use super::measure::in_turns;
use super::stage::{BARE, Stage};
use super::table::{Row, Unit};

/// The rows alone, and the whole command, whose planning and final ANALYZE no worker shortens. On four cores one worker
/// already keeps two servers' processes and itself busy, so four cannot be four times as fast.
pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let arguments = |workers| ["--strategy", "copy", "--parallel", workers, "--no-verify", "--yes"];
    let stream =
        |workers| stage.timed_stream(&[arguments(workers).as_slice(), &["--format", "json"]].concat());
    let (four_streams, one_stream) = in_turns(stage.runs, || stream("4"), || stream("1"))?;
    let with = |workers| stage.timed_migration(BARE, arguments(workers));
    let (four, one) = in_turns(stage.runs, || with("4"), || with("1"))?;
    Ok(vec![
        Row::new("workers: 4 / 1, rows alone", four_streams, one_stream, Unit::Seconds, 1.0 / 1.8),
        Row::new("workers: 4 / 1, the command", four, one, Unit::Seconds, 1.0 / 1.8),
    ])
}
