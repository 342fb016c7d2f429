//! What capturing and following cost the source: with the target and the follower on the same processors,
//! and with processors of its own, as on a machine of its own.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context as _, Result, bail};

use super::super::measure::{ended_sessions_processor_time, median, time};
use super::super::stage::Stage;
use super::super::table::{Row, Unit};
use super::scene::{Follower, Scene, load, pgbench};

/// How long each run takes.
const SECONDS: &str = "6";

/// What is done with the changes of a database of this name.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    None,
    Wal,
    Queue,
    /// Read from the WAL and thrown away: what no client of the WAL can better.
    Receiver,
    /// Keys written by the barest triggers into tables without an index, that nobody reads.
    Triggers,
}

const MODES: [Mode; 5] = [Mode::None, Mode::Wal, Mode::Queue, Mode::Receiver, Mode::Triggers];

/// The floors: none has a bar.
const RECEIVER: &str = "pg_recvlogical that applies nothing";
const TRIGGERS: &str = "the barest triggers, not read";

impl Mode {
    fn database(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Wal => "wal",
            Self::Queue => "queue",
            Self::Receiver => "receiver",
            Self::Triggers => "triggers",
        }
    }

    /// At least nine tenths of the throughput with the WAL feed, and eight with the queue.
    fn row(self, what: &str, ours: f64, without: f64) -> Row {
        let name = |mode: &str| format!("follow: {mode}, {what} of a transaction / without");
        let bar = |bar| Row::new(name(self.database()), ours, without, Unit::Seconds, bar);
        match self {
            Self::Wal => bar(1.0 / 0.9),
            Self::None | Self::Queue => bar(1.0 / 0.8),
            Self::Receiver => Row::without_bar(name(RECEIVER), ours, without, Unit::Seconds),
            Self::Triggers => Row::without_bar(name(TRIGGERS), ours, without, Unit::Seconds),
        }
    }

    /// Makes the databases, and what captures.
    fn set_up(self, scene: &Scene<'_>) -> Result<()> {
        let database = self.database();
        scene.databases(database, 10, 1000)?;
        match self {
            Self::None => Ok(()),
            Self::Wal | Self::Queue => scene.set_up(database, database),
            Self::Receiver => {
                let tables = TABLES.map(|(table, _)| table).join(", ");
                scene.source.sql(database, &format!("CREATE PUBLICATION changes FOR TABLE {tables}"))?;
                let slot = "SELECT pg_create_logical_replication_slot('receiver', 'pgoutput')";
                scene.source.sql(database, slot).map(|_| ())
            }
            Self::Triggers => TABLES.iter().try_for_each(|(table, key)| {
                let capture = format!(
                    "CREATE TABLE {table}_keys (key int);
                     CREATE FUNCTION {table}_capture() RETURNS trigger LANGUAGE plpgsql AS
                         'BEGIN INSERT INTO {table}_keys SELECT {key} FROM changed; RETURN NULL; END';
                     CREATE TRIGGER capture AFTER UPDATE ON {table} REFERENCING NEW TABLE AS changed
                         FOR EACH STATEMENT EXECUTE FUNCTION {table}_capture()"
                );
                scene.source.sql(database, &capture).map(|_| ())
            }),
        }
    }

    /// Starts who reads the changes; those of triggers that nobody reads are thrown away first.
    fn start(self, scene: &Scene<'_>) -> Result<Option<Follower>> {
        let database = self.database();
        match self {
            Self::None => Ok(None),
            Self::Wal | Self::Queue => {
                let follower = scene.follow(database, database)?;
                scene.settle(database, &follower)?;
                Ok(Some(follower))
            }
            Self::Receiver => {
                let mut receive = Command::new(scene.source.server.program("pg_recvlogical"));
                receive.arg("--dbname").arg(scene.source.server.url(database));
                receive.args(["--slot", "receiver", "--start", "--no-loop", "--file", "/dev/null"]);
                for option in ["proto_version=2", "streaming=on", "publication_names=changes"] {
                    receive.args(["--option", option]);
                }
                scene.start(receive, database).map(Some)
            }
            Self::Triggers => {
                let keys = TABLES.map(|(table, _)| format!("{table}_keys")).join(", ");
                scene.source.sql(database, &format!("TRUNCATE {keys}"))?;
                Ok(None)
            }
        }
    }
}

/// The captured tables of pgbench, and their keys.
const TABLES: [(&str, &str); 3] =
    [("pgbench_accounts", "aid"), ("pgbench_branches", "bid"), ("pgbench_tellers", "tid")];

/// Milliseconds, and of processor time, that a transaction took.
#[derive(Default)]
struct Figures {
    elapsed: Vec<f64>,
    processor: Vec<f64>,
}

/// Where the source and pgbench run, and where the target and the follower do, as `taskset` lists them.
struct Processors {
    source: String,
    target: String,
}

/// pgbench with 8 clients, in turns.
pub(in super::super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    Scene::play(stage.program, stage.psql.server.bin_dir(), |scene| {
        for mode in MODES {
            mode.set_up(scene)?;
            run(scene, mode, None)?;
        }
        let mut rows = in_turns(scene, stage.runs, "", None)?;
        if let Some(processors) = halves() {
            for (server, processors) in
                [(&scene.source, &processors.source), (&scene.target, &processors.target)]
            {
                let postmaster = server.server.pid().context("the server's process is not known")?;
                let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"))?;
                confine(&postmaster.to_string(), processors)?;
                children.split_whitespace().try_for_each(|child| confine(child, processors))?;
            }
            rows.extend(in_turns(scene, stage.runs, " with processors of its own", Some(&processors))?);
        }
        Ok(rows)
    })
}

/// What each feed costs, compared with none.
fn in_turns(scene: &Scene<'_>, runs: usize, how: &str, apart: Option<&Processors>) -> Result<Vec<Row>> {
    let mut figures: [Figures; MODES.len()] = Default::default();
    for _ in 0..runs.max(1) {
        for (mode, figures) in MODES.into_iter().zip(&mut figures) {
            let (elapsed, processor) = run(scene, mode, apart)?;
            figures.elapsed.push(elapsed);
            figures.processor.push(processor);
        }
    }
    let [none, captured @ ..] =
        figures.map(|mut figures| (median(&mut figures.elapsed), median(&mut figures.processor)));
    eprintln!("  load {:.1}", load());
    let mut rows = Vec::new();
    for (mode, figures) in MODES[1..].iter().zip(captured) {
        rows.push(mode.row(&format!("time{how}"), figures.0, none.0));
        rows.push(mode.row(&format!("processor time{how}"), figures.1, none.1));
    }
    Ok(rows)
}

/// The first half of the processors for the source, the others for the target; nothing where there is but one.
fn halves() -> Option<Processors> {
    let number = available_parallelism().ok()?.get();
    let half = number / 2;
    (half > 0)
        .then(|| Processors { source: format!("0-{}", half - 1), target: format!("{half}-{}", number - 1) })
}

/// Has a process, and whatever it starts from now on, run on these processors only.
fn confine(process: &str, processors: &str) -> Result<()> {
    let mut taskset = Command::new("taskset");
    taskset.args(["--all-tasks", "--cpu-list", "--pid", processors, process]);
    time(&mut taskset).map(|_| ())
}

/// Seconds of a transaction, and of the sessions' processor time.
fn run(scene: &Scene<'_>, mode: Mode, apart: Option<&Processors>) -> Result<(f64, f64)> {
    let database = mode.database();
    let reader = mode.start(scene)?;
    if let (Some(reader), Some(processors)) = (&reader, apart) {
        confine(&reader.pid().to_string(), &processors.target)?;
    }
    scene.source.sql(database, "CHECKPOINT")?;
    let postmaster = scene.source.server.pid().context("the server's process is not known")?;
    // A session counts only once the postmaster has waited for it.
    let settled = || {
        scene.source.sql("postgres", "SELECT pg_sleep(0.3)")?;
        ended_sessions_processor_time(postmaster)
    };
    let before = settled()?;
    let mut command = pgbench(&scene.source, database);
    command.args(["--no-vacuum", "--client", "8", "--jobs", "2", "--time", SECONDS]);
    let pgbench = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(processors) = apart {
        confine(&pgbench.id().to_string(), &processors.source)?;
    }
    let output = pgbench.wait_with_output()?;
    if !output.status.success() {
        bail!("pgbench failed ({})", output.status);
    }
    let processor = settled()?.saturating_sub(before).as_secs_f64();
    if let Some(reader) = reader {
        if mode != Mode::Receiver {
            let number = scene.beat(database)?;
            scene.wait_for_beat(database, &number)?;
        }
        reader.stop()?;
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let figure =
        |prefix: &str| said.lines().find_map(|line| line.strip_prefix(prefix)?.split([' ', '/']).next());
    let tps: f64 = figure("tps = ").context("pgbench gives no tps")?.parse()?;
    let transactions: f64 =
        figure("number of transactions actually processed: ").context("pgbench gives no number")?.parse()?;
    eprintln!("  {database}: {tps:.0} tps, {:.0} µs of processor each", processor / transactions * 1e6);
    Ok((1.0 / tps, processor / transactions))
}
