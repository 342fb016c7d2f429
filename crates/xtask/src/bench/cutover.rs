//! How long clients wait at a cutover, beside what any switch would cost them: a lock on one table, or a pause of PgBouncer.

use std::fs;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use local_postgres::{PgBouncer, PgBouncerOptions};
use recording_clients::{Clients, Options, Whereabouts};
use tokio::runtime::Runtime;

use super::follow::Scene;
use super::stage::Stage;
use super::table::{Row, Unit};

const DATABASE: &str = "cutover";

/// Five times over and five times back.
const SWITCHES: i64 = 10;

/// Writes a second, of eight clients.
const RATE: u32 = 1000;

/// The same on both sides.
const WRITE: &str = "INSERT INTO bulk (id, a, b) VALUES ($1, $2, 'written')";

/// Nobody should wait for longer, at the median.
const BAR: f64 = 1.0;

/// Clients that are connected to the servers and through PgBouncer.
pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let runtime = Runtime::new()?;
    let direct = Scene::play(stage.program, stage.psql.server.bin_dir(), |scene| direct(scene, &runtime))?;
    let mut rows = vec![direct];
    rows.push(match PgBouncer::program() {
        Some(_) => Scene::play(stage.program, stage.psql.server.bin_dir(), |scene| pooled(scene, &runtime))?,
        None => Row::not_run("cutover through PgBouncer: longest stall", "there is no PgBouncer"),
    });
    Ok(rows)
}

fn direct(scene: &Scene<'_>, runtime: &Runtime) -> Result<Row> {
    prepare(scene)?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    for (name, side) in [("where", &scene.source), ("rollback", &scene.source), ("cutover", &scene.target)] {
        fs::write(path(name), format!("{}\n{WRITE}\n", side.server.url(DATABASE)))?;
    }
    let place = Whereabouts::File(path("where"));
    let shown = folder.path().display();
    // In one step, so that nobody reads half of it.
    let hook = format!(
        "fenced=cp '{shown}'/$CONFITURE_EVENT_KIND '{shown}'/next && mv '{shown}'/next '{shown}'/where"
    );
    let ours = stalls(runtime, &place, 0, |round| switch(scene, round, &["--hook", &hook]))?;
    let lock = "BEGIN; LOCK TABLE bulk, event, heartbeat IN SHARE ROW EXCLUSIVE MODE; COMMIT";
    let floor = stalls(runtime, &place, SWITCHES, |_| scene.source.sql(DATABASE, lock).map(drop))?;
    Ok(row("cutover, direct", &ours, &floor))
}

fn pooled(scene: &Scene<'_>, runtime: &Runtime) -> Result<Row> {
    prepare(scene)?;
    let options = PgBouncerOptions {
        databases: vec![("app".into(), PgBouncer::leads_to(scene.source.server, DATABASE))],
        ..PgBouncerOptions::default()
    };
    let pooler = runtime.block_on(PgBouncer::start(options))?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("where");
    fs::write(&file, format!("{}\n{WRITE}\n", pooler.url("app")))?;
    let place = Whereabouts::File(file);
    let (console, ini) = (pooler.admin_url(), pooler.ini().display().to_string());
    let flags = ["--pgbouncer", &console, "--pgbouncer-database", "app", "--pgbouncer-config", &ini];
    let ours = stalls(runtime, &place, 0, |round| switch(scene, round, &flags))?;
    let pause = |_| {
        let mut psql = std::process::Command::new(&scene.source.program);
        psql.args(["-X", "-q", "-d", &console, "-c", "PAUSE app", "-c", "RESUME app"]);
        run(&mut psql)
    };
    let floor = stalls(runtime, &place, SWITCHES, pause)?;
    Ok(row("cutover, through PgBouncer", &ours, &floor))
}

fn prepare(scene: &Scene<'_>) -> Result<()> {
    scene.databases(DATABASE, 1, 1000)?;
    scene.set_up(DATABASE, "queue")
}

/// There at even rounds, back at odd ones.
fn switch(scene: &Scene<'_>, round: i64, flags: &[&str]) -> Result<()> {
    let mut command = match round % 2 {
        0 => scene.step("cutover", DATABASE, DATABASE),
        _ => scene.step("rollback", DATABASE, DATABASE),
    };
    if round % 2 == 0 {
        command.arg("--accept-losses");
    }
    run(command.args(["--yes", "--quiet"]).args(flags))
}

fn run(command: &mut std::process::Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().context("cannot run it")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The longest time that one client waited for one write, at each of so many times that `work` is done.
fn stalls(
    runtime: &Runtime,
    place: &Whereabouts,
    before: i64,
    work: impl Fn(i64) -> Result<()>,
) -> Result<Vec<f64>> {
    // Clients are a hundred times further from each other.
    const FAR: i64 = 10_000_000;
    let mut stalls = Vec::new();
    for round in 0..SWITCHES {
        let options = Options { first_id: (1 + before + round) * FAR, rate: RATE, ..Options::default() };
        let clients = runtime.block_on(async {
            let clients = Clients::start(options, place.clone());
            clients.until_acknowledged(500).await;
            clients
        });
        work(round)?;
        let record = runtime.block_on(async {
            clients.until_acknowledged(500).await;
            clients.stop().await
        });
        stalls.push(record.longest_stall().context("nobody wrote")?.duration.as_secs_f64());
    }
    stalls.sort_by(f64::total_cmp);
    Ok(stalls)
}

fn row(name: &str, ours: &[f64], floor: &[f64]) -> Row {
    let shown = |all: &[f64]| -> Vec<String> { all.iter().map(|one| format!("{:.0}", one * 1e3)).collect() };
    eprintln!(
        "  {name}: longest stalls in ms: {}; floor: {}; load {:.1}",
        shown(ours).join(" "),
        shown(floor).join(" "),
        super::follow::load()
    );
    let [ours, floor] = [ours, floor].map(|all| all[all.len() / 2]);
    Row::new(format!("{name}: longest stall, p50 of ten"), ours, floor, Unit::Seconds, BAR / floor)
}
