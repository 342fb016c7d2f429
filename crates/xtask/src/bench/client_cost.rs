//! What the program itself costs while the servers work: processor time and memory.

use anyhow::Result;

use super::measure::{cost, median};
use super::stage::{BARE, Stage};
use super::table::{Row, Unit};

const MEMORY_LIMIT_MEBIBYTES: f64 = 64.0;

/// Of the wall time, how much processor time the program used: more than a quarter of one core, and it is the program
/// that is waited for.
const PROCESSOR_SHARE: f64 = 0.25;

/// Memory must not grow with the data: run it with `--scale 10000000` too.
pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let (mut processor, mut wall, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..stage.runs.max(1) {
        stage.reset_target(BARE)?;
        let cost = cost(&mut stage.migration(["--strategy", "copy", "--yes"]))?;
        stage.check_target()?;
        processor.push(cost.processor.as_secs_f64());
        wall.push(cost.wall.as_secs_f64());
        peak = peak.max(cost.peak_mebibytes);
    }
    let [processor, wall] = [median(&mut processor), median(&mut wall)];
    Ok(vec![
        Row::new("client-cost: processor time / wall time", processor, wall, Unit::Seconds, PROCESSOR_SHARE),
        Row::new("client-cost: peak memory / 64 MiB", peak, MEMORY_LIMIT_MEBIBYTES, Unit::Mebibytes, 1.0),
    ])
}
