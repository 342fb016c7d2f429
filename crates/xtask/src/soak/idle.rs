//! Nothing changes for as long as asked: no WAL is kept, no snapshot is held, and memory does not grow.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::bench::follow::scene::{Follower, Scene};
use crate::bench::measure::{memory_mebibytes, processor_time};
use crate::command::is_interrupted;
use crate::install;
use crate::matrix::build_program;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long nothing changes
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Watch this program instead of building one
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);

/// A follower's first moments, which do not count: caches fill.
const WARM: Duration = Duration::from_secs(20);

/// Mebibytes of WAL or of a queue that may be there at any time. Others write about one a second, and the server lets go of
/// what is behind two of its looks at open transactions, which are 15 seconds apart.
const KEPT: f64 = 64.0;

/// Mebibytes that memory may have grown in the end.
const GROWN: f64 = 2.0;

/// Seconds that a snapshot may be held: a batch's, which finds nothing.
const HELD: f64 = 1.0;

/// About a megabyte, none of it of a table that is followed.
const OTHERS: &str = "CREATE TABLE IF NOT EXISTS others (text text);
    INSERT INTO others SELECT repeat('x', 500) FROM generate_series(1, 2000); TRUNCATE others";

/// What of the follower's sessions has a snapshot: how many they are, and for how long.
const SNAPSHOTS: &str =
    "SELECT count(*) || ' ' || coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)
     FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'confiture' AND backend_type = 'client backend'
       AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)";

/// What the source keeps: WAL behind the slot, or the queue.
const RETAINED: &str =
    "SELECT round(greatest(
         (SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), min(restart_lsn)) FROM pg_replication_slots WHERE database = current_database()),
         (SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = to_regnamespace('confiture') AND relkind = 'r'),
         0) / 1048576.0, 2)";

/// One feed, and what was seen of its follower.
struct Watched {
    feed: &'static str,
    follower: Follower,
    processor: Duration,
    /// Mebibytes: when it was warm, and at each look since.
    memory: Vec<f64>,
    handles: Vec<usize>,
    kept: f64,
    looks: u32,
    held: u32,
    longest: f64,
}

pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let binaries = install::postgresql()?;
    let program = match &arguments.program {
        Some(program) => program.canonicalize().with_context(|| format!("no {}", program.display()))?,
        None => build_program(root)?,
    };
    let faults = Scene::play(&program, binaries.dir(), |scene| {
        let mut all = Vec::new();
        for feed in ["wal", "queue"] {
            scene.databases(feed, 1, 1000)?;
            let follower = scene.follow(feed, feed)?;
            scene.settle(feed, &follower)?;
            all.push(Watched::new(feed, follower));
        }
        sleep(WARM);
        for watched in &mut all {
            watched.processor = processor_time(watched.follower.pid())?;
        }
        let (begun, mut told) = (Instant::now(), Instant::now());
        let long = Duration::from_secs(arguments.minutes * 60);
        while begun.elapsed() < long && !is_interrupted() {
            sleep(LOOK);
            for watched in &mut all {
                watched.look(scene)?;
            }
            if told.elapsed() >= Duration::from_secs(60) || begun.elapsed() >= long {
                told = Instant::now();
                all.iter().for_each(|watched| watched.tell(begun.elapsed()));
            }
        }
        let mut faults = Vec::new();
        for watched in all {
            faults.extend(watched.faults());
            watched.spend(begun.elapsed())?;
            // It still follows.
            let number = scene.beat(watched.feed)?;
            scene.wait_for_beat(watched.feed, &number)?;
            watched.follower.stop()?;
        }
        Ok(faults)
    })?;
    match faults.is_empty() {
        true => Ok(()),
        false => bail!("{}", faults.join("; ")),
    }
}

impl Watched {
    fn new(feed: &'static str, follower: Follower) -> Self {
        Self {
            feed,
            follower,
            processor: Duration::ZERO,
            memory: Vec::new(),
            handles: Vec::new(),
            kept: 0.0,
            looks: 0,
            held: 0,
            longest: 0.0,
        }
    }

    fn look(&mut self, scene: &Scene<'_>) -> Result<()> {
        let (source, target, pid) = (&scene.source, &scene.target, self.follower.pid());
        if !self.follower.is_running() {
            bail!("{}: the follower has ended: {}", self.feed, self.follower.said());
        }
        source.sql(self.feed, OTHERS)?;
        self.memory.push(memory_mebibytes(pid)?);
        self.handles.push(fs::read_dir(format!("/proc/{pid}/fd"))?.count());
        self.kept =
            self.kept.max(source.sql(self.feed, RETAINED)?.parse().context("no figure of what is kept")?);
        for side in [source, target] {
            let seen = side.sql(self.feed, SNAPSHOTS)?;
            let (count, longest) = seen.split_once(' ').context("no figure of snapshots")?;
            self.looks += 1;
            self.held += u32::from(count != "0");
            self.longest = self.longest.max(longest.parse()?);
        }
        Ok(())
    }

    fn tell(&self, elapsed: Duration) {
        eprintln!(
            "{:>4} min, {:<5}: memory {:.1} MiB (at first {:.1}), {} handles ({}), at most {:.1} MiB kept on the source, \
             a snapshot at {} of {} looks, the longest {:.0} ms",
            elapsed.as_secs() / 60,
            self.feed,
            self.memory.last().copied().unwrap_or_default(),
            self.memory.first().copied().unwrap_or_default(),
            self.handles.last().copied().unwrap_or_default(),
            self.handles.first().copied().unwrap_or_default(),
            self.kept,
            self.held,
            self.looks,
            self.longest * 1e3,
        );
    }

    fn spend(&self, elapsed: Duration) -> Result<()> {
        let spent = processor_time(self.follower.pid())?.saturating_sub(self.processor);
        let a_minute = spent.as_secs_f64() / elapsed.as_secs_f64() * 60.0;
        eprintln!("{}: {:.0} ms of processor time a minute", self.feed, a_minute * 1e3);
        Ok(())
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut add = |is_fault: bool, what: String| {
            if is_fault {
                faults.push(format!("{}: {what}", self.feed));
            }
        };
        if let ([first, ..], [.., last]) = (self.memory.as_slice(), self.memory.as_slice()) {
            add(last - first > GROWN, format!("memory grew from {first:.1} MiB to {last:.1} MiB"));
        }
        if let ([first, ..], [.., last]) = (self.handles.as_slice(), self.handles.as_slice()) {
            add(last > first, format!("{first} files were open, and in the end {last}"));
        }
        add(self.kept > KEPT, format!("the source kept {:.1} MiB", self.kept));
        add(self.longest > HELD, format!("a snapshot was held for {:.1} s", self.longest));
        add(
            self.held * 5 > self.looks,
            format!("a snapshot was held at {} of {} looks", self.held, self.looks),
        );
        faults
    }
}
