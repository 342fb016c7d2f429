//! The same table, into a target that has a key and two indexes.

use anyhow::Result;

use super::measure::{in_turns, time};
use super::stage::{BARE, INDEXED, KEY_AND_INDEXES, Stage, TARGET};
use super::table::{Row, Unit};

/// The peer does what its manual advises: it loads first and builds the indexes afterwards.
pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let by_hand = || {
        let loaded = stage.timed_pipe(BARE)?;
        Ok(loaded + time(stage.psql.on(TARGET).args(["--command", KEY_AND_INDEXES]))?)
    };
    let (ours, peer) =
        in_turns(stage.runs, || stage.timed_migration(INDEXED, ["--strategy", "copy", "--yes"]), by_hand)?;
    Ok(vec![Row::new("indexes / psql pipe, then CREATE INDEX", ours, peer, Unit::Seconds, 1.0)])
}
