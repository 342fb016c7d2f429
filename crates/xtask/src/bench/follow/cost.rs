//! What capturing and following cost the source.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use super::super::measure::{ended_sessions_processor_time, median};
use super::super::stage::Stage;
use super::super::table::{Row, Unit};
use super::scene::{Scene, load, pgbench};

/// How long each run takes.
const SECONDS: &str = "8";

/// A database for each: not captured, and by each feed.
const MODES: [&str; 3] = ["none", "wal", "queue"];

/// At least nine tenths of the throughput with the WAL feed, and eight with the queue.
const BARS: [f64; 3] = [1.0, 1.0 / 0.9, 1.0 / 0.8];

/// Milliseconds, and of processor time, that a transaction took.
#[derive(Default)]
struct Figures {
    elapsed: Vec<f64>,
    processor: Vec<f64>,
}

/// pgbench with 8 clients, in turns.
pub(in super::super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    Scene::play(stage.program, stage.psql.server.bin_dir(), |scene| {
        let mut figures: [Figures; 3] = Default::default();
        for mode in MODES {
            scene.databases(mode, 10, 1000)?;
            if mode != "none" {
                scene.set_up(mode, mode)?;
            }
            run(scene, mode)?;
        }
        for _ in 0..stage.runs.max(1) {
            for (mode, figures) in MODES.into_iter().zip(&mut figures) {
                let (elapsed, processor) = run(scene, mode)?;
                figures.elapsed.push(elapsed);
                figures.processor.push(processor);
            }
        }
        let [none, wal, queue] =
            figures.map(|mut figures| (median(&mut figures.elapsed), median(&mut figures.processor)));
        eprintln!("  load {:.1}", load());
        let mut rows = Vec::new();
        for (index, feed) in [(1, wal), (2, queue)] {
            let (mode, bar) = (MODES[index], BARS[index]);
            let name = |what: &str| format!("follow: {mode}, {what} of a transaction / without");
            rows.push(Row::new(name("time"), feed.0, none.0, Unit::Seconds, bar));
            rows.push(Row::new(name("processor time"), feed.1, none.1, Unit::Seconds, bar));
        }
        Ok(rows)
    })
}

/// Seconds of a transaction, and of the sessions' processor time.
fn run(scene: &Scene<'_>, mode: &str) -> Result<(f64, f64)> {
    let follower = match mode {
        "none" => None,
        feed => {
            let follower = scene.follow(mode, feed)?;
            scene.settle(mode, &follower)?;
            Some(follower)
        }
    };
    scene.source.sql(mode, "CHECKPOINT")?;
    let postmaster = scene.source.server.pid().context("the server's process is not known")?;
    // A session counts only once the postmaster has waited for it.
    let settled = || {
        scene.source.sql("postgres", "SELECT pg_sleep(0.3)")?;
        ended_sessions_processor_time(postmaster)
    };
    let before = settled()?;
    let mut command = pgbench(&scene.source, mode);
    command.args(["--no-vacuum", "--client", "8", "--jobs", "2", "--time", SECONDS]);
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("pgbench failed ({})", output.status);
    }
    let processor = settled()?.saturating_sub(before).as_secs_f64();
    if let Some(follower) = follower {
        let number = scene.beat(mode)?;
        scene.wait_for_beat(mode, &number)?;
        follower.stop()?;
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let figure =
        |prefix: &str| said.lines().find_map(|line| line.strip_prefix(prefix)?.split([' ', '/']).next());
    let tps: f64 = figure("tps = ").context("pgbench gives no tps")?.parse()?;
    let transactions: f64 =
        figure("number of transactions actually processed: ").context("pgbench gives no number")?.parse()?;
    eprintln!("  {mode}: {tps:.0} tps, {:.0} µs of processor each", processor / transactions * 1e6);
    Ok((1.0 / tps, processor / transactions))
}
