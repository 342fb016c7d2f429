//! How fast changes are applied, beside a native subscription that applies the same ones.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::super::measure::{median, peak_mebibytes, time};
use super::super::stage::Stage;
use super::super::table::{Row, Unit};
use super::scene::{Scene, load, pgbench};

const SOURCE: &str = "rate";
/// The target of the subscription, on the server of the other target.
const NATIVE: &str = "rate_native";

/// One new row in each transaction.
const INSERTS: &str = "INSERT INTO event VALUES (nextval('event_number'), now(), 7, 'something happened');\n";

/// Four row changes of three tables in each transaction.
const MIXED: &str = "\\set aid random(1, 1000000)\n\\set tid random(1, 100)\n\
    BEGIN;\n\
    UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;\n\
    UPDATE pgbench_tellers SET tbalance = tbalance + 1 WHERE tid = :tid;\n\
    INSERT INTO event VALUES (nextval('event_number'), now(), 8, 'an account was changed');\n\
    UPDATE bulk SET a = a + 1 WHERE id = :aid;\n\
    COMMIT;\n";

/// Transactions of each of the small workloads, by each of four clients.
const TRANSACTIONS: u64 = 25_000;

/// What the source does while nobody follows it.
enum Work {
    Script(&'static str),
    Statement(String),
}

struct Workload {
    name: &'static str,
    work: Work,
    changes: u64,
    bar: f64,
    /// Seconds by each of [`FEEDS`].
    ours: [Vec<f64>; 2],
    native: Vec<f64>,
    /// Seconds that the walsender takes where nobody applies anything.
    floor: Vec<f64>,
    memory: f64,
}

impl Workload {
    fn new(name: &'static str, work: Work, changes: u64, bar: f64) -> Self {
        let (ours, native, floor) = Default::default();
        Self { name, work, changes, bar, ours, native, floor, memory: 0.0 }
    }

    fn rows(mut self) -> Vec<Row> {
        let native = median(&mut self.native);
        let mut rows = Vec::new();
        for (feed, ours) in FEEDS.iter().zip(&mut self.ours) {
            let ours = median(ours);
            let rate = |seconds: f64| self.changes as f64 / seconds;
            eprintln!(
                "  {}, {}: {:.0} changes/s, native {:.0}, load {:.1}",
                self.name,
                feed.name,
                rate(ours),
                rate(native),
                load()
            );
            let name = format!("follow: {}, {} / native subscription", self.name, feed.name);
            rows.push(Row::new(name, ours, native, Unit::Seconds, self.bar));
        }
        let name = format!("follow: {}, pg_recvlogical that applies nothing / native", self.name);
        rows.push(Row::without_bar(name, median(&mut self.floor), native, Unit::Seconds));
        if matches!(self.work, Work::Statement(_)) {
            let name = format!("follow: {}, its peak memory / 64 MiB", self.name);
            rows.push(Row::new(name, self.memory, 64.0, Unit::Mebibytes, 1.0));
        }
        rows
    }
}

/// Ours, and where it applies the source's changes to.
struct Feed {
    name: &'static str,
    target: &'static str,
}

const FEEDS: [Feed; 2] = [Feed { name: "wal", target: SOURCE }, Feed { name: "queue", target: "rate_queue" }];

/// Everybody catches up with the same changes of one source, in turns.
pub(in super::super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let mut workloads = workloads(stage.scale);
    Scene::play(stage.program, stage.psql.server.bin_dir(), |scene| {
        scene.databases(SOURCE, 10, stage.scale)?;
        scene.source.sql(SOURCE, "CREATE SEQUENCE event_number")?;
        subscribe(scene)?;
        scene.target_database(FEEDS[1].target, 10)?;
        // Twice: what the second one puts on the tables makes the first one look at all rows.
        for feed in FEEDS.iter().chain(&FEEDS) {
            scene.set_up_into(SOURCE, feed.target, feed.name)?;
        }
        for run in 0..stage.runs.max(1) {
            for workload in &mut workloads {
                work(scene, &workload.work)?;
                let number = scene.beat(SOURCE)?;
                everybody_catches_up(scene, workload, &number, run)?;
                eprintln!(
                    "  {}: {:.2} s, by the queue {:.2} s, native {:.2} s, pg_recvlogical {:.2} s",
                    workload.name,
                    workload.ours[0][run],
                    workload.ours[1][run],
                    workload.native[run],
                    workload.floor[run]
                );
            }
            // The next run inserts the same rows again.
            scene.source.sql(SOURCE, &format!("DELETE FROM bulk WHERE id > {}", stage.scale))?;
            scene.source.sql(SOURCE, "VACUUM bulk")?;
            let number = scene.beat(SOURCE)?;
            let mut unmeasured = Workload::new("", Work::Statement(String::new()), 0, 1.0);
            everybody_catches_up(scene, &mut unmeasured, &number, run)?;
        }
        Ok(workloads.into_iter().flat_map(Workload::rows).collect())
    })
}

fn workloads(bulk: u64) -> Vec<Workload> {
    let half = bulk / 2;
    let insert = format!(
        "INSERT INTO bulk SELECT i, 1, 'row ' || i FROM generate_series({bulk} + 1, 2 * {bulk}) AS i"
    );
    vec![
        Workload::new("small INSERTs", Work::Script(INSERTS), 4 * TRANSACTIONS, 1.0 / 3.0),
        Workload::new("small mixed changes", Work::Script(MIXED), 16 * TRANSACTIONS, 1.0),
        Workload::new(
            "one UPDATE of all rows",
            Work::Statement(format!("UPDATE bulk SET a = a + 1 WHERE id <= {bulk}")),
            bulk,
            1.0,
        ),
        Workload::new("one INSERT of as many", Work::Statement(insert), bulk, 1.0),
        Workload::new(
            "one DELETE of half as many",
            Work::Statement(format!("DELETE FROM bulk WHERE id > {bulk} + {half}")),
            half,
            1.0,
        ),
    ]
}

/// Each in its turn, and another one first in each run.
fn everybody_catches_up(scene: &Scene<'_>, workload: &mut Workload, number: &str, run: usize) -> Result<()> {
    for turn in 0..4 {
        match (turn + run) % 4 {
            2 => workload.native.push(catch_up_natively(scene, number)?.as_secs_f64()),
            3 => workload.floor.push(receive(scene)?.as_secs_f64()),
            feed => {
                let (elapsed, peak) = catch_up(scene, &FEEDS[feed], number)?;
                workload.ours[feed].push(elapsed.as_secs_f64());
                workload.memory = workload.memory.max(peak);
            }
        }
    }
    Ok(())
}

/// Has a subscription ready that holds what the source holds, and is off.
fn subscribe(scene: &Scene<'_>) -> Result<()> {
    scene.native_copy(SOURCE, NATIVE)?;
    scene.source.sql(
        SOURCE,
        "CREATE PUBLICATION native FOR TABLE pgbench_accounts, pgbench_branches, pgbench_tellers, heartbeat, event, bulk",
    )?;
    let server = scene.source.server;
    let subscription = format!(
        "CREATE SUBSCRIPTION native CONNECTION 'host={} port={} user={} dbname={SOURCE}' PUBLICATION native
         WITH (copy_data = false, create_slot = true, enabled = false, synchronous_commit = off)",
        server.socket_dir().display(),
        server.port(),
        server.user()
    );
    // A subscription that is off makes no slot by itself.
    scene.source.sql(SOURCE, "SELECT pg_create_logical_replication_slot('native', 'pgoutput')")?;
    scene.target.sql(NATIVE, &subscription.replace("create_slot = true", "create_slot = false"))?;
    scene.source.sql(SOURCE, "SELECT pg_create_logical_replication_slot('nobody', 'pgoutput')")?;
    Ok(())
}

fn work(scene: &Scene<'_>, work: &Work) -> Result<()> {
    match work {
        Work::Statement(statement) => scene.source.sql(SOURCE, statement).map(|_| ()),
        Work::Script(script) => {
            let script = scene.script("work.sql", script)?;
            let transactions = TRANSACTIONS.to_string();
            let mut pgbench = pgbench(&scene.source, SOURCE);
            pgbench.args([
                "--no-vacuum",
                "--client",
                "4",
                "--protocol",
                "prepared",
                "--transactions",
                &transactions,
            ]);
            time(pgbench.arg("--file").arg(script)).map(|_| ())
        }
    }
}

/// From the program's start until the target has all; and its peak memory.
fn catch_up(scene: &Scene<'_>, feed: &Feed, number: &str) -> Result<(Duration, f64)> {
    let start = Instant::now();
    let follower = scene.follow_into(SOURCE, feed.target, feed.name)?;
    scene.wait_for_beat(feed.target, number)?;
    let elapsed = start.elapsed();
    let peak = peak_mebibytes(follower.pid())?;
    follower.stop()?;
    let largest =
        "SELECT round(elapsed_ms) || ' ms, of which ' || round(lag_ms) || ' ms until all was delivered'
                   FROM confiture.batch ORDER BY id DESC LIMIT 3";
    let largest = format!("SELECT string_agg(b, '; ') FROM ({largest}) AS batch (b)");
    eprintln!(
        "    {}: last batches: {}; peak {peak:.0} MiB",
        feed.name,
        scene.target.sql(feed.target, &largest)?
    );
    Ok((elapsed, peak))
}

/// Reads the changes as we do and throws them away: what no client of the WAL can better.
fn receive(scene: &Scene<'_>) -> Result<Duration> {
    let end = scene.source.sql(SOURCE, "SELECT pg_current_wal_insert_lsn()")?;
    // The end is found when something comes after it.
    scene.source.sql(SOURCE, "SELECT pg_logical_emit_message(true, 'bench', '')")?;
    let mut receive = Command::new(scene.source.server.program("pg_recvlogical"));
    receive.arg("--dbname").arg(scene.source.server.url(SOURCE));
    receive.args(["--slot", "nobody", "--start", "--no-loop", "--file", "/dev/null", "--endpos", &end]);
    for option in ["proto_version=2", "streaming=on", "publication_names=native", "messages=true"] {
        receive.args(["--option", option]);
    }
    time(&mut receive)
}

/// From the subscription's start until its target has all.
fn catch_up_natively(scene: &Scene<'_>, number: &str) -> Result<Duration> {
    let start = Instant::now();
    scene.target.sql(NATIVE, "ALTER SUBSCRIPTION native ENABLE")?;
    scene.wait_for_beat(NATIVE, number)?;
    let elapsed = start.elapsed();
    scene.target.sql(NATIVE, "ALTER SUBSCRIPTION native DISABLE")?;
    let free = "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'native' AND active) LOOP
                PERFORM pg_sleep(0.01); END LOOP; END $$";
    scene.source.sql(SOURCE, free)?;
    Ok(elapsed)
}
