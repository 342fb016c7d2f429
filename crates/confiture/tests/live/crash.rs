//! The process dies while the application writes: at every failpoint, twice in a row, and at any time. What comes after goes
//! on, and ends exact.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, process};

use confiture::config::{Connection, Endpoint, Mapping};
use confiture::event::Execution;
use confiture::schema_to_schema::mutation::{self, Mutation};
use confiture::schema_to_schema::{Capture, FeedKind, Following, Migration, Options, Until, failpoint};
use local_postgres::testing::Database;
use tokio::task::JoinHandle;

use crate::oracle::Oracle;
use crate::scene::{Key, Scene, Table};
use crate::seed::Random;
use crate::workload::Workload;
use crate::world::{World, assert_equal, psql, verify};

const CHILD: &str = "CONFITURE_TEST_FOLLOW";
const FAULT: &str = "CONFITURE_TEST_FAULT";

/// Where a run that follows passes on its way from the first command to the last index, in order.
const ON_THE_WAY: [&str; 15] = [
    "follow: ledger made",
    "follow: begun",
    "follow: changes captured",
    "taken one off",
    "follow: tables made ready",
    "follow: copying",
    "chunk sent, not recorded",
    "chunk recorded, not committed",
    "chunk committed",
    "table copied, not marked",
    "table marked copied",
    "moved rows deleted, not committed",
    "moved rows deleted",
    "one statement put back",
    "index put back",
];

/// Where every batch passes.
const IN_A_BATCH: [&str; 8] = [
    "batch: source frozen",
    "batch: changes told",
    "batch: rows staged",
    "batch: rows written",
    "batch: recorded, not committed",
    "batch: committed, not confirmed",
    "batch: confirmed",
    "batch: done",
];

/// Passed once: what comes after it is not before it again.
const ONCE: &str = "follow: copying";

/// A migration, in processes of their own.
pub(crate) struct Life {
    world: World,
    scene: Scene,
    feed: FeedKind,
    local: bool,
    options: Options,
}

impl Life {
    pub(crate) async fn new(feed: FeedKind, local: bool) -> Self {
        let scene = scene();
        let world = World::new(&scene.old, if local { "" } else { &scene.new }).await;
        if local {
            psql(&world.old, &scene.new).await;
        }
        let options = world.options(&scene.mapping).await;
        let target = if local { options.source.clone() } else { options.target.clone() };
        Self { world, scene, feed, local, options: Options { target, ..options } }
    }

    /// A process that follows until both sides are equal, or until it passes `die_at` for the n-th time.
    fn child(&self, die_at: (&str, usize)) -> Command {
        let server = self.world.old.server();
        let new = if self.local { &self.world.old } else { &self.world.new };
        let mut command = Command::new(env::current_exe().unwrap());
        let folder = server.socket_dir().to_str().unwrap();
        let (at, times) = (die_at.0, die_at.1.to_string());
        let told =
            [folder, self.world.old.name(), new.name(), self.feed.word(), at, &times, &self.scene.mapping];
        command
            .args(["--exact", "crash::the_process_that_is_killed", "--nocapture", "--test-threads=1"])
            .env(CHILD, told.join("\n"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Dies at the n-th passing of a failpoint.
    async fn die(&self, at: &'static str, times: usize) {
        let output = run(self.child((at, times))).await;
        assert!(output.status.code().is_none(), "{at} {times}: {}", shown(&output));
    }

    /// Dies there so many times in a row while others write, or less often where it gets to the end instead.
    async fn die_up_to(&self, times: usize, at: &'static str, seed: u64) -> usize {
        let writers = self.write(seed).await;
        let mut deaths = 0;
        while deaths < times {
            let output = run(self.child((at, 1))).await;
            if output.status.code().is_some() {
                assert!(output.status.success(), "{at}: {}", shown(&output));
                break;
            }
            deaths += 1;
        }
        writers.end().await;
        deaths
    }

    /// Dies there, and errs until then.
    pub(crate) async fn die_erring(&self, at: &'static str, fault: Option<Mutation>) {
        let mut command = self.child((at, 1));
        command.env(FAULT, format!("{fault:?}"));
        let output = run(command).await;
        assert!(output.status.code().is_none(), "{at}: {}", shown(&output));
    }

    /// The source.
    pub(crate) fn old(&self) -> &Database<'static> {
        &self.world.old
    }

    /// Writers who write until they are told to stop.
    async fn write(&self, seed: u64) -> Writers {
        let stop = Arc::new(AtomicBool::new(false));
        let workload = Workload::new(&self.options.source, &self.scene.tables, seed, 3).await;
        let told = Arc::clone(&stop);
        Writers { stop, work: tokio::spawn(async move { workload.run(told).await }) }
    }

    /// Goes on until both sides are equal, in this process, and looks whether they are. Nobody writes.
    pub(crate) async fn assert_exact(&self, after: &str) {
        self.assert_exact_by(Capture::Auto, after).await;
    }

    /// The same, where nothing has begun yet, by that feed.
    async fn assert_exact_by(&self, capture: Capture, after: &str) {
        let options = &self.options;
        let oracle = Arc::new(Oracle::new(&options.source, &options.target, self.scene.same.clone()).await);
        let execution = Execution::unattended();
        let following = Following {
            capture,
            until: Until::CaughtUp,
            patience: Duration::from_secs(30),
            witness: Some(Arc::clone(&oracle) as _),
            ..Following::default()
        };
        let migration = Arc::new(Migration::plan(options.clone(), &execution).await.unwrap());
        let report = migration.follow(&following, &execution).await;
        report.unwrap_or_else(|error| panic!("after {after}: {error:#?}"));
        oracle.assert_exact(1);
        let new = if self.local { &self.world.old } else { &self.world.new };
        for same in &self.scene.same {
            assert_equal(&self.world.old, &same.given, new, &same.held).await;
        }
    }
}

struct Writers {
    stop: Arc<AtomicBool>,
    work: JoinHandle<()>,
}

impl Writers {
    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.work.await.unwrap();
    }
}

/// Several chunks of one table, a key of two columns, partitions, a join, foreign keys.
fn scene() -> Scene {
    let table = |name: &str, key, rows| Table {
        name: name.into(),
        key,
        unique: false,
        partitioned: false,
        parent: None,
        rows,
    };
    let tables = [
        Table { unique: true, ..table("t0", Key::Identity, 14_000) },
        Table { parent: Some(0), ..table("t1", Key::Text, 500) },
        Table { partitioned: true, ..table("t2", Key::Composite, 300) },
    ];
    let mut scene = Scene::of(&tables, &mut Random::new(7));
    scene.old.push_str(
        "CREATE TABLE app.kinds (kind text PRIMARY KEY); INSERT INTO app.kinds VALUES ('cat'), ('dog');
         CREATE TABLE app.pets (id int PRIMARY KEY, kind text); INSERT INTO app.pets VALUES (1, 'cat'), (2, 'dog');",
    );
    scene.new.push_str(
        "CREATE TABLE new.kinds (kind text PRIMARY KEY);
         CREATE TABLE new.pets (id int PRIMARY KEY, kind text REFERENCES new.kinds ON DELETE CASCADE);
         CREATE INDEX ON new.t0 (amount); CREATE INDEX ON new.t1 (amount);",
    );
    scene.mapping.push_str("  new.kinds: { from: app.kinds }\n  new.pets: { from: app.pets }\n");
    scene
}

#[test]
fn the_process_that_is_killed() {
    // Without the variable this is a test of itself: that it would run at all.
    let Ok(what) = env::var(CHILD) else {
        assert!(env::current_exe().unwrap().exists());
        return;
    };
    let what: Vec<&str> = what.splitn(7, '\n').collect();
    let [folder, old, new, feed, at, times, mapping] = what[..] else { panic!("{what:?}") };
    let (at, times) = (at.to_owned(), times.parse::<usize>().unwrap());
    let at_is_in_a_batch = IN_A_BATCH.contains(&at.as_str());
    let (passed, dies_at) = (AtomicUsize::new(0), times);
    let fault = env::var(FAULT).ok();
    if let Some(fault) = Mutation::ALL.into_iter().find(|one| fault == Some(format!("{:?}", Some(one)))) {
        mutation::choose(fault);
    }
    failpoint::on_reached(Box::new(move |name| {
        writeln!(std::io::stdout(), "\npassed {name}").unwrap();
        if name == at && passed.fetch_add(1, Ordering::SeqCst) + 1 == dies_at {
            if fault.is_some() {
                // What was confirmed too early gets there.
                std::thread::sleep(Duration::from_millis(500));
            }
            process::abort();
        }
    }));
    let feed = if feed == "wal" { FeedKind::Wal } else { FeedKind::Queue };
    let connect = |database| Connection::new(Endpoint::new(folder, 5432), "postgres", database);
    let mapping = Mapping::parse(mapping, Path::new("mapping.yaml")).unwrap();
    let options = Options::new(connect(old), connect(new), mapping);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let execution = Execution::unattended();
    // Who is to die in a batch goes on until then; what is on the way comes before the end, or never.
    let until = if times > 0 && at_is_in_a_batch { Until::Interrupted } else { Until::CaughtUp };
    let patience = Duration::from_secs(30);
    let following = Following { capture: Capture::Only(feed), until, patience, ..Following::default() };
    runtime.block_on(async {
        let migration = Arc::new(Migration::plan(options, &execution).await.unwrap());
        migration.follow(&following, &execution).await.unwrap();
    });
}

fn shown(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a child to its end, off the async threads.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Dies everywhere on the way: no life gets further than one step, and each step ends two lives.
async fn die_on_the_way(feed: FeedKind, local: bool) {
    let mut life = Life::new(feed, local).await;
    for (seed, at) in (1..).zip(ON_THE_WAY) {
        let wanted = if at == ONCE { 1 } else { 2 };
        let mut deaths = life.die_up_to(wanted, at, seed).await;
        if deaths < wanted {
            // Tables are worked on beside each other: there was no more of this step, and the end was reached.
            life.assert_exact(at).await;
            life = Life::new(feed, local).await;
            if deaths == 0 {
                deaths = life.die_up_to(wanted, at, seed).await;
            }
        }
        assert!(deaths > 0, "{at} is never passed");
    }
    life.assert_exact_by(Capture::Only(feed), "the way").await;
    assert!(verify(life.options.clone()).await.ok);
}

/// Dies everywhere in a batch, twice in a row.
async fn die_in_a_batch(feed: FeedKind, local: bool, part: usize) {
    let life = Life::new(feed, local).await;
    life.assert_exact_by(Capture::Only(feed), "the beginning").await;
    for (seed, at) in (16..).zip(IN_A_BATCH).skip(part).step_by(2) {
        let writers = life.write(seed).await;
        life.die(at, 1).await;
        life.die(at, 1).await;
        writers.end().await;
        life.assert_exact(at).await;
    }
    assert!(verify(life.options.clone()).await.ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_on_the_way_by_the_queue() {
    die_on_the_way(FeedKind::Queue, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_in_a_batch_by_the_queue_part_1_of_2() {
    die_in_a_batch(FeedKind::Queue, false, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_in_a_batch_by_the_queue_part_2_of_2() {
    die_in_a_batch(FeedKind::Queue, false, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_on_the_way_by_the_wal() {
    die_on_the_way(FeedKind::Wal, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_in_a_batch_by_the_wal_part_1_of_2() {
    die_in_a_batch(FeedKind::Wal, false, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_in_a_batch_by_the_wal_part_2_of_2() {
    die_in_a_batch(FeedKind::Wal, false, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_on_the_way_in_one_database() {
    die_on_the_way(FeedKind::Queue, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_in_a_batch_in_one_database_part_1_of_2() {
    die_in_a_batch(FeedKind::Queue, true, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_in_a_batch_in_one_database_part_2_of_2() {
    die_in_a_batch(FeedKind::Queue, true, 1).await;
}

/// `kill -9` while writers write. Each life is a little longer than the one before, so that they end everywhere.
async fn kill_again_and_again(feed: FeedKind) {
    let life = Life::new(feed, false).await;
    let writers = life.write(99).await;
    let mut killed = 0;
    for more in 1..=14 {
        let mut child = life.child(("", 0)).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(more * 60)).await;
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
    }
    assert!(killed > 3, "killed {killed} times");
    writers.end().await;
    life.assert_exact("kill -9").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn kill_nine_again_and_again_by_the_queue() {
    kill_again_and_again(FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn kill_nine_again_and_again_by_the_wal() {
    kill_again_and_again(FeedKind::Wal).await;
}
