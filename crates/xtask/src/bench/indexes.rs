//! The same table, into a target that has a key and two indexes.

use anyhow::Result;

use super::measure::{in_turns, time};
use super::stage::{BARE, INDEXED, KEY_AND_INDEXES, Stage, TARGET};
use super::table::{Row, Unit};

/// Beside the pipe into the indexed table, and beside what the manual advises: to load first and build the indexes
/// afterwards, by hand.
pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let ours = || stage.timed_migration(INDEXED, ["--strategy", "copy", "--no-verify", "--yes"]);
    let by_hand = || {
        let loaded = stage.timed_pipe(BARE)?;
        Ok(loaded + time(stage.psql.on(TARGET).args(["--command", KEY_AND_INDEXES]))?)
    };
    let (first, indexed) = in_turns(stage.runs, ours, || stage.timed_pipe(INDEXED))?;
    let (second, afterwards) = in_turns(stage.runs, ours, by_hand)?;
    Ok(vec![
        Row::new("indexes / psql pipe into the indexed table", first, indexed, Unit::Seconds, 0.7),
        Row::new("indexes / psql pipe, then CREATE INDEX", second, afterwards, Unit::Seconds, 1.0),
    ])
}
