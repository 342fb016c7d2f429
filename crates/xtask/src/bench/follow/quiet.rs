//! What following takes while nothing happens.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::super::measure::{memory_mebibytes, processor_time};
use super::super::stage::Stage;
use super::super::table::{Row, Unit};
use super::scene::{Scene, load};

const DATABASE: &str = "quiet";

/// How long nothing happens.
const SECONDS: u64 = 20;

/// A second of a minute, and a segment of WAL.
pub(in super::super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    Scene::play(stage.program, stage.psql.server.bin_dir(), |scene| {
        let mut rows = Vec::new();
        for feed in ["wal", "queue"] {
            scene.databases(DATABASE, 1, 1000)?;
            let follower = scene.follow(DATABASE, feed)?;
            scene.settle(DATABASE, &follower)?;
            sleep(Duration::from_secs(2));
            let before = processor_time(follower.pid())?;
            sleep(Duration::from_secs(SECONDS));
            let spent = (processor_time(follower.pid())? - before).as_secs_f64() / SECONDS as f64 * 60.0;
            let memory = memory_mebibytes(follower.pid())?;
            let retained = scene.target.sql(DATABASE, "SELECT retained_bytes FROM confiture.follow")?;
            let retained: f64 = retained.parse().context("no figure of retained WAL")?;
            follower.stop()?;
            scene.clean_up(DATABASE)?;
            eprintln!("  {feed}: load {:.1}", load());
            let name = |what: &str| format!("follow: {feed}, idle, {what}");
            rows.push(Row::new(name("its processor time a minute / 1 s"), spent, 1.0, Unit::Seconds, 1.0));
            rows.push(Row::new(name("its memory / 64 MiB"), memory, 64.0, Unit::Mebibytes, 1.0));
            rows.push(Row::new(
                name("kept on the source / 16 MiB"),
                retained / f64::from(1 << 20),
                16.0,
                Unit::Mebibytes,
                1.0,
            ));
        }
        Ok(rows)
    })
}
