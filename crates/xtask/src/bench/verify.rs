//! Verifying everything costs less than copying it.

use anyhow::{Result, bail};

use super::measure::{in_turns, time};
use super::stage::{INDEXED, Stage, TARGET};
use super::table::{Row, Unit};

/// Verifies the target that a pipe has filled; the peer is that pipe.
pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    stage.timed_pipe(INDEXED)?;
    let (ours, peer) =
        in_turns(stage.runs, || time(&mut stage.migration(["--verify"])), || stage.timed_pipe(INDEXED))?;
    stage.psql.sql(TARGET, "UPDATE account SET abalance = abalance + 1 WHERE aid = 1")?;
    if time(&mut stage.migration(["--verify"])).is_ok() {
        bail!("the program finds nothing wrong with a target in which a row was changed");
    }
    Ok(vec![Row::new("verify / psql COPY | psql COPY (same indexes)", ours, peer, Unit::Seconds, 1.0)])
}
