//! Faults are put into the algorithm, one at a time: each must be noticed, and without one nothing is.
//!
//! Each runs in a process of its own, as the fault is one of the process.

use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, thread};

use confiture::postgres::Session;
use confiture::schema_to_schema::mutation::{self, Mutation};
use confiture::schema_to_schema::{FeedKind, Options, failpoint};
use confiture::sql::Sql;
use local_postgres::Server;
use local_postgres::testing::Database;

use crate::crash::Life;
use crate::oracle::Same;
use crate::running::{MAPPING, NEW, OLD, Running, assert_exact, follow_exact_by, same};
use crate::wire::Application;
use crate::world::{World, WorldOn, psql};

const CHILD: &str = "CONFITURE_TEST_MUTANT";

/// Where a fault would show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    /// Three writers, and every batch compared.
    Writers,
    /// Rows of every batch change once more before they are read.
    Later,
    /// Rows move while they are copied.
    Moving,
    /// A transaction is in the WAL and nobody sees it yet.
    Carried,
    /// A table is rewritten after the snapshot was taken.
    Rewritten,
}

#[test]
fn the_mutant() {
    // Without the variable this is a test of itself: that it would run at all.
    let Ok(what) = env::var(CHILD) else {
        assert!(env::current_exe().unwrap().exists());
        return;
    };
    let (scene, fault) = what.split_once(' ').unwrap();
    if let Some(fault) = Mutation::ALL.into_iter().find(|one| format!("{one:?}") == fault) {
        mutation::choose(fault);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match scene {
            "Writers" => writers().await,
            "Later" => later().await,
            "Moving" => moving().await,
            "Carried" => carried().await,
            _ => rewritten().await,
        }
    });
}

async fn play(scene: Scene, fault: Option<Mutation>) -> Output {
    let fault = fault.map_or_else(|| "none".to_owned(), |fault| format!("{fault:?}"));
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "mutants::the_mutant", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{scene:?} {fault}"))
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Words of whoever notices: the oracle's, those of a comparison, and the server's where a key is built.
const NOTICED: [&str; 3] = ["source Some", "source None", "two rows have the same key"];

async fn is_noticed(scene: Scene, fault: Mutation) {
    let output = play(scene, Some(fault)).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{fault:?} survived {scene:?}");
    let by_whom =
        NOTICED.iter().any(|words| said.contains(words)) || said.contains("assertion `left == right`");
    assert!(by_whom, "{fault:?} in {scene:?} was not noticed by the oracle: {said}");
}

async fn nothing_is_noticed(scene: Scene) {
    let output = play(scene, None).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{scene:?}: {said}");
}

#[tokio::test]
async fn without_a_fault_nothing_is_noticed_beside_writers() {
    nothing_is_noticed(Scene::Writers).await;
}

#[tokio::test]
async fn without_a_fault_nothing_is_noticed_of_later_changes() {
    nothing_is_noticed(Scene::Later).await;
}

#[tokio::test]
async fn without_a_fault_nothing_is_noticed_of_moving_rows() {
    nothing_is_noticed(Scene::Moving).await;
}

#[tokio::test]
async fn without_a_fault_nothing_is_noticed_of_a_carried_commit() {
    nothing_is_noticed(Scene::Carried).await;
}

#[tokio::test]
async fn without_a_fault_nothing_is_noticed_of_a_rewritten_table() {
    nothing_is_noticed(Scene::Rewritten).await;
}

#[tokio::test]
async fn no_split() {
    is_noticed(Scene::Carried, Mutation::NoSplit).await;
}

#[tokio::test]
async fn confirming_a_carried_commit() {
    is_noticed(Scene::Carried, Mutation::ConfirmCarried).await;
}

#[tokio::test]
async fn no_marker() {
    is_noticed(Scene::Writers, Mutation::NoMarker).await;
}

#[tokio::test]
async fn rows_read_outside_the_snapshot() {
    is_noticed(Scene::Later, Mutation::ReadOutsideSnapshot).await;
}

#[tokio::test]
async fn missing_rows_kept() {
    is_noticed(Scene::Writers, Mutation::KeepMissing).await;
}

#[tokio::test]
async fn changes_during_the_copy_forgotten() {
    is_noticed(Scene::Moving, Mutation::ForgetDeferred).await;
}

#[tokio::test]
async fn moved_rows_kept() {
    is_noticed(Scene::Moving, Mutation::KeepMoved).await;
}

#[tokio::test]
async fn a_rewritten_table_read() {
    is_noticed(Scene::Rewritten, Mutation::BlindToRewrites).await;
}

/// The feed is told of the batch, the process dies, and the target never had it.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn confirming_before_the_commit() {
    for fault in [None, Some(Mutation::ConfirmEarly)] {
        let life = Life::new(FeedKind::Wal, false).await;
        life.assert_exact("the beginning").await;
        let changes = "UPDATE app.t0 SET name = 'lost' WHERE id < 50; DELETE FROM app.t1 WHERE ref < 10";
        psql(life.old(), changes).await;
        life.die_erring("batch: recorded, not committed", fault).await;
        let exact = tokio::spawn(async move { life.assert_exact("the mutant").await }).await;
        assert_eq!(exact.is_err(), fault.is_some(), "{fault:?}");
    }
}

async fn writers() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    let applications: Vec<_> = (0..3).map(|_| Application::start(&options.source)).collect();
    let run = Running::start(&options, FeedKind::Wal, Duration::ZERO, Some(same())).await;
    for _ in 0..40 {
        run.compared(1).await;
    }
    for application in applications {
        application.end().await;
    }
    run.stop().await.unwrap();
    assert_exact(&world, &options, &same()).await;
}

/// Runs statements in the middle of something, as often as the number says that is returned, from within a failpoint.
fn when_reached(
    at: &'static str,
    database: &Database<'_>,
    statements: &[&'static str],
) -> &'static AtomicUsize {
    static LEFT: AtomicUsize = AtomicUsize::new(0);
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let (program, url) = (database.server().program("psql"), database.url());
    let statements = statements.to_vec();
    failpoint::on_reached(Box::new(move |name| {
        // Whoever else gets to a failpoint waits until it is done.
        let _alone = ONE_AT_A_TIME.lock().unwrap();
        let less = |left: usize| left.checked_sub(1);
        if name == at && LEFT.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            let arguments = statements.iter().flat_map(|statement| ["-c", statement]);
            let done =
                Command::new(&program).args(["-X", "-q", "-d", &url]).args(arguments).status().unwrap();
            assert!(done.success());
        }
    }));
    &LEFT
}

async fn moving() {
    // Full pages: what is updated moves to the end of the table.
    let old = "CREATE SCHEMA app; CREATE TABLE app.t (id bigint PRIMARY KEY, name text);
        INSERT INTO app.t SELECT i, repeat('x', 700) FROM generate_series(1, 30000) i; ANALYZE app.t;";
    let new = "CREATE SCHEMA new; CREATE TABLE new.t (id bigint PRIMARY KEY, name text);";
    let world = World::new(old, new).await;
    let options = world.options("tables:\n  new.t: { from: app.t }").await;
    let options = Options { parallel: Some(2), ..options };
    let moves = [
        "UPDATE app.t SET name = name || ' moved' WHERE id <= 300",
        "DELETE FROM app.t WHERE id BETWEEN 301 AND 400",
        "UPDATE app.t SET id = id + 1000000 WHERE id BETWEEN 401 AND 450",
    ];
    when_reached("chunk committed", &world.old, &moves).store(1, Ordering::SeqCst);
    let same = [Same { given: "SELECT * FROM app.t".into(), held: "SELECT * FROM new.t".into() }];
    for feed in [FeedKind::Wal] {
        follow_exact_by(&options, feed, &same).await;
    }
    assert_exact(&world, &options, &same).await;
}

async fn later() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    follow_exact_by(&options, FeedKind::Queue, &same()).await;
    let change = ["UPDATE app.people SET name = clock_timestamp() WHERE id < 10"];
    when_reached("batch: changes told", &world.old, &change).store(20, Ordering::SeqCst);
    let run = Running::start(&options, FeedKind::Queue, Duration::ZERO, Some(same())).await;
    run.compared(20).await;
    run.stop().await.unwrap();
    assert_exact(&world, &options, &same()).await;
}

/// Lets go of commits that wait, also where a fault is noticed meanwhile: the server drops no database before.
struct LetsGo<'a>(&'a Server);

impl Drop for LetsGo<'_> {
    fn drop(&mut self) {
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        let mut psql = Command::new(self.0.program("psql"));
        let done = psql.args(["-Xq", "-d", &self.0.url("postgres"), "-c", cancel]).output().unwrap();
        assert!(done.status.success() || thread::panicking(), "{done:?}");
    }
}

async fn carried() {
    let mut options = local_postgres::testing::options();
    let more = [("synchronous_standby_names", "nobody"), ("synchronous_commit", "local")];
    options.settings.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let server = Server::throwaway(options).await.unwrap();
    let world = WorldOn::on(&server, &server, OLD, NEW).await;
    let _lets_go = LetsGo(&server);
    let options = world.options(MAPPING).await;
    follow_exact_by(&options, FeedKind::Wal, &same()).await;
    let run = Running::start(&options, FeedKind::Wal, Duration::ZERO, Some(same())).await;
    run.compared(1).await;
    // Its commit is in the WAL, and waits for a standby that never comes.
    let waiting = Session::connect(&options.source).await.unwrap();
    let commit = tokio::spawn(async move {
        let update = "SET synchronous_commit = on; UPDATE app.people SET name = 'carried' WHERE id < 20";
        waiting.batch(&Sql::literal(update)).await
    });
    let waits =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()";
    while psql(&world.old, waits).await.trim() != "1" {
        thread::sleep(Duration::from_millis(10));
    }
    for n in 0..3 {
        psql(&world.old, &format!("UPDATE app.people SET name = 'other {n}' WHERE id BETWEEN 100 AND 120"))
            .await;
        run.compared(2).await;
    }
    run.stop().await.unwrap();
    let run = Running::start(&options, FeedKind::Wal, Duration::ZERO, Some(same())).await;
    run.compared(1).await;
    psql(&world.old, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()").await;
    commit.await.unwrap().unwrap();
    run.compared(2).await;
    run.stop().await.unwrap();
    for same in same() {
        crate::world::assert_same(&world.old, &same.given, &world.new, &same.held).await;
    }
}

async fn rewritten() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    follow_exact_by(&options, FeedKind::Wal, &same()).await;
    let rewrite = ["ALTER TABLE app.people ALTER nick TYPE text USING nick || ' rewritten'"];
    let armed = when_reached("batch: rows about to be read", &world.old, &rewrite);
    let run = Running::start(&options, FeedKind::Wal, Duration::ZERO, None).await;
    run.until(|| run.said.has("planned")).await;
    armed.store(1, Ordering::SeqCst);
    // The rows of the next batch that has any are read after that.
    psql(&world.old, "UPDATE app.people SET name = name || '!'").await;
    let error = run.fails().await;
    assert!(error.message().contains("altered"), "{error:?}");
    // Nothing of the target was lost: every row that is gone is gone from the source too.
    let gone =
        "SELECT count(*) FROM generate_series(1, 9000) i WHERE NOT EXISTS (SELECT FROM {} WHERE id = i)";
    let count = |of: &str| gone.replace("{}", of);
    let given: i64 = psql(&world.old, &count("app.people")).await.trim().parse().unwrap();
    let held: i64 = psql(&world.new, &count("new.users")).await.trim().parse().unwrap();
    assert!(held <= given, "source None target: {held} rows are gone, and {given} of the source");
    assert_exact(&world, &options, &same()).await;
}
