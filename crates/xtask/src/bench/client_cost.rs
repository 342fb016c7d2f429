//! What the program itself costs while the servers work: processor time and memory.

use anyhow::Result;

use super::measure::{cost, median};
use super::stage::{BARE, Stage};
use super::table::{Row, Unit};

const MEMORY_LIMIT_MEBIBYTES: f64 = 64.0;

/// Of all the processor time that a migration takes, the servers' included.
const PROCESSOR_SHARE: f64 = 0.25;

/// Memory must not grow with the data: run it with `--scale 10000000` too.
pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let (mut processor, mut whole, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..stage.runs.max(1) {
        stage.reset_target(BARE)?;
        let before = stage.server_processor_time()?;
        let cost = cost(&mut stage.migration(["--strategy", "copy", "--no-verify", "--yes"]))?;
        let server = stage.server_processor_time()?.saturating_sub(before);
        stage.check_target()?;
        processor.push(cost.processor.as_secs_f64());
        whole.push((cost.processor + server).as_secs_f64());
        peak = peak.max(cost.peak_mebibytes);
    }
    let [processor, whole] = [median(&mut processor), median(&mut whole)];
    Ok(vec![
        Row::new("client-cost: its processor time / all", processor, whole, Unit::Seconds, PROCESSOR_SHARE),
        Row::new("client-cost: peak memory / 64 MiB", peak, MEMORY_LIMIT_MEBIBYTES, Unit::Mebibytes, 1.0),
    ])
}
