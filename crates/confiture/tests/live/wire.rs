//! What is between a run and its servers fails, and they themselves: it goes on by itself, or stops with one clear error and
//! goes on when the cause is gone; and ends exact.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use confiture::ErrorKind;
use confiture::config::Connection;
use confiture::postgres::Session;
use confiture::schema_to_schema::{FeedKind, Options};
use confiture::sql::Sql;
use local_postgres::Server;
use local_postgres::testing::{Database, shared_server};
use tokio::task::JoinHandle;

use crate::proxy::{Proxy, Weather};
use crate::running::{MAPPING, NEW, OLD, Running, assert_exact, same};
use crate::world::{World, WorldOn, psql};

const PATIENCE: Duration = Duration::from_secs(60);

/// An application that writes, whatever happens to its connections.
pub(crate) struct Application {
    stop: Arc<AtomicBool>,
    wrote: Arc<AtomicU64>,
    work: JoinHandle<()>,
}

impl Application {
    pub(crate) fn start(source: &Connection) -> Self {
        let (stop, wrote) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (source, told, counts) = (source.clone(), Arc::clone(&stop), Arc::clone(&wrote));
        let work = tokio::spawn(async move {
            let mut session: Option<Session> = None;
            let mut n = 0_u64;
            while !told.load(Ordering::SeqCst) {
                n += 1;
                let Some(open) = &session else {
                    session = Session::connect(&source).await.ok();
                    if let Some(session) = &session {
                        session.batch(&Sql::literal("SET application_name = 'application'")).await.ok();
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                };
                let (id, other) = (n * 7919 % 9000, 20_000 + n);
                let statement = match n % 5 {
                    0 => format!("DELETE FROM app.people WHERE id = {id}"),
                    1 => format!("INSERT INTO app.people VALUES ({other}, 'new {n}', 'n', 1)"),
                    2 => format!("UPDATE app.people SET id = {other} WHERE id = {id}"),
                    3 => format!("UPDATE app.events SET what = 'changed {n}' WHERE id = {}", id % 2000),
                    _ => format!(
                        "UPDATE app.people SET name = 'renamed {n}' WHERE id BETWEEN {id} AND {id} + 4"
                    ),
                };
                match open.batch(&Sql::from_user(statement)).await {
                    Ok(()) => _ = counts.fetch_add(1, Ordering::SeqCst),
                    Err(_) if open.is_closed() => session = None,
                    Err(_) => {}
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Self { stop, wrote, work }
    }

    /// Stops, having written a lot.
    pub(crate) async fn end(self) {
        let wrote = Arc::clone(&self.wrote);
        self.stop().await;
        assert!(wrote.load(Ordering::SeqCst) > 20);
    }

    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.work.await.unwrap();
    }
}

/// A world, a network on each side of the run, and the options through them.
async fn world() -> (World, Proxy, Proxy, Options, Options) {
    let world = World::new(OLD, NEW).await;
    let direct = world.options(MAPPING).await;
    let server = shared_server().await;
    let (source, target) = (Proxy::before(server).await, Proxy::before(server).await);
    let options = Options {
        source: source.through(&direct.source),
        target: target.through(&direct.target),
        ..direct.clone()
    };
    (world, source, target, direct, options)
}

async fn through(feed: FeedKind, weathers: &[Weather], wait: Duration) {
    let (world, source, target, direct, options) = world().await;
    let application = Application::start(&direct.source);
    let run = Running::through(&direct, &options, feed, PATIENCE, Some(same())).await;
    run.until(|| run.said.has("planned")).await;
    for (n, weather) in weathers.iter().enumerate() {
        // Also while it copies.
        if n > 1 {
            run.compared(2).await;
        }
        let bad = if n % 2 == 0 { &source } else { &target };
        bad.set(*weather);
        tokio::time::sleep(wait).await;
        if *weather == Weather::HalfOpen {
            bad.set(Weather::Cut);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bad.set(Weather::Fine);
    }
    run.compared(3).await;
    application.end().await;
    run.stop().await.unwrap();
    assert_exact(&world, &options, &same()).await;
}

async fn cut(feed: FeedKind) {
    through(feed, &[Weather::Cut; 6], Duration::from_millis(40)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_cut_by_the_queue() {
    cut(FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_cut_by_the_wal() {
    cut(FeedKind::Wal).await;
}

async fn stall_and_slow(feed: FeedKind) {
    let weathers = [Weather::Slow, Weather::Slow, Weather::Stalled, Weather::Stalled, Weather::Slow];
    through(feed, &weathers, Duration::from_millis(700)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_stalls_and_is_slow_by_the_queue() {
    stall_and_slow(FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_stalls_and_is_slow_by_the_wal() {
    stall_and_slow(FeedKind::Wal).await;
}

async fn open_one_side(feed: FeedKind) {
    through(feed, &[Weather::HalfOpen; 4], Duration::from_millis(400)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_open_on_one_side_only_by_the_queue() {
    open_one_side(FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_open_on_one_side_only_by_the_wal() {
    open_one_side(FeedKind::Wal).await;
}

/// Nobody answers for longer than the patience: one clear error, and the next run goes on.
async fn run_out_of_patience(feed: FeedKind) {
    let (world, source, _target, direct, options) = world().await;
    let application = Application::start(&direct.source);
    let run = Running::through(&direct, &options, feed, Duration::from_millis(500), Some(same())).await;
    run.compared(1).await;
    source.set(Weather::Cut);
    let error = run.fails().await;
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    let why = psql(&world.new, "SELECT stopped_because FROM confiture.follow").await;
    assert!(why.trim().len() > 10, "{why:?}");
    application.end().await;
    source.set(Weather::Fine);
    assert_exact(&world, &options, &same()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_ends_by_the_queue() {
    run_out_of_patience(FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_ends_by_the_wal() {
    run_out_of_patience(FeedKind::Wal).await;
}

/// All sessions of the run are ended by an administrator, again and again, that which sends the WAL too.
async fn terminate_backends(feed: FeedKind) {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    let application = Application::start(&options.source);
    let run = Running::start(&options, feed, PATIENCE, Some(same())).await;
    run.until(|| run.said.has("planned")).await;
    for database in [&world.old, &world.new, &world.old, &world.new, &world.old] {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'confiture' AND pid <> pg_backend_pid()";
        psql(database, end).await;
        run.compared(2).await;
    }
    application.end().await;
    run.stop().await.unwrap();
    assert_exact(&world, &options, &same()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backends_are_terminated_by_the_queue() {
    terminate_backends(FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backends_are_terminated_by_the_wal() {
    terminate_backends(FeedKind::Wal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_is_dropped() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    let application = Application::start(&options.source);
    let run = Running::start(&options, FeedKind::Wal, PATIENCE, Some(same())).await;
    run.compared(1).await;
    let drop = "DO $$ DECLARE name text; BEGIN
        SELECT slot_name INTO name FROM pg_replication_slots WHERE database = current_database();
        FOR i IN 1..1000 LOOP
            PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = name;
            BEGIN PERFORM pg_drop_replication_slot(name); RETURN; EXCEPTION WHEN object_in_use THEN PERFORM pg_sleep(0.002); END;
        END LOOP; RAISE 'never free'; END $$";
    // In a transaction that has written nothing.
    crate::world::run(&world.old, world.old.name(), &[drop]);
    run.compared(4).await;
    run.until(|| run.said.has("by a new slot")).await;
    application.end().await;
    run.stop().await.unwrap();
    assert_exact(&world, &options, &same()).await;
}

/// A server of this test alone, which is stopped as by a crash and started again in the same place.
async fn crashing(which: fn(&Both) -> &std::path::Path, feed: FeedKind) {
    let both = Both::new(&[]).await;
    let (source, target) = (both.start(&both.old).await, both.start(&both.new).await);
    let world = WorldOn::on(&source, &target, OLD, NEW).await;
    let options = world.options(MAPPING).await;
    let (old, new) = (world.old.name().to_owned(), world.new.name().to_owned());
    let application = Application::start(&options.source);
    let run = Running::start(&options, feed, PATIENCE, Some(same())).await;
    run.until(|| run.said.has("planned")).await;
    let dir = which(&both);
    for n in 0..4 {
        if n > 0 {
            run.compared(2).await;
        }
        crash(dir);
        let started = both.start(dir).await;
        assert_eq!(
            started.socket_dir(),
            if dir == both.old { source.socket_dir() } else { target.socket_dir() }
        );
        // Whoever holds it keeps it running.
        std::mem::forget(started);
    }
    run.compared(3).await;
    application.end().await;
    run.stop().await.unwrap();
    let exact = crate::running::follow_exact(&options, &same()).await;
    assert!(exact.violated.is_empty());
    for same in same() {
        let rows = |server: &Server, database: &str, query: &str| {
            let output = std::process::Command::new(server.program("psql"))
                .args(["-X", "-A", "-t", "-d", &server.url(database), "-c"])
                .arg(format!("SELECT q::text FROM ({query}) AS q ORDER BY 1"))
                .output()
                .unwrap();
            assert!(output.status.success() && !output.stdout.is_empty());
            output.stdout
        };
        assert!(rows(&source, &old, &same.given) == rows(&target, &new, &same.held), "{}", same.held);
    }
    drop(world);
    for dir in [&both.old, &both.new] {
        if let Ok(Some(server)) = Server::find(dir).await {
            server.stop().await.unwrap();
        }
    }
}

/// Two servers that are kept.
struct Both {
    old: std::path::PathBuf,
    new: std::path::PathBuf,
    settings: Vec<(String, String)>,
    _folder: tempfile::TempDir,
}

impl Both {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let folder = match std::path::Path::new("/dev/shm").is_dir() {
            true => tempfile::tempdir_in("/dev/shm"),
            false => tempfile::tempdir(),
        };
        let folder = folder.unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        let own = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut settings = local_postgres::testing::options().settings;
        settings.extend(own);
        Self { old, new, settings, _folder: folder }
    }

    async fn start(&self, dir: &std::path::Path) -> Server {
        let options = local_postgres::Options {
            bin_dir: Some(shared_server().await.bin_dir().to_owned()),
            settings: self.settings.clone(),
            ..local_postgres::Options::default()
        };
        Server::keep(dir, options).await.unwrap()
    }
}

/// Stops a server as a crash does.
fn crash(dir: &std::path::Path) {
    let read = || std::fs::read_to_string(dir.join("data/postmaster.pid")).ok();
    let pid = read().and_then(|text| text.lines().next().map(str::to_owned)).unwrap();
    let quit = std::process::Command::new("kill").args(["-QUIT", &pid]).status().unwrap();
    assert!(quit.success());
    let begun = std::time::Instant::now();
    while std::process::Command::new("kill").args(["-0", &pid]).output().unwrap().status.success() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the server does not stop");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_crashes_by_the_queue() {
    crashing(|both| &both.old, FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_crashes_by_the_wal() {
    crashing(|both| &both.old, FeedKind::Wal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_crashes() {
    crashing(|both| &both.new, FeedKind::Wal).await;
}

/// While no run was there the source wrote more WAL than it keeps for a slot.
#[tokio::test(flavor = "multi_thread")]
async fn the_slot_is_invalidated() {
    let mut options = local_postgres::testing::options();
    options.bin_dir = Some(shared_server().await.bin_dir().to_owned());
    let more = [("max_slot_wal_keep_size", "1MB"), ("max_wal_size", "32MB"), ("min_wal_size", "32MB")];
    options.settings.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let server = Server::throwaway(options).await.unwrap();
    let world = WorldOn::on(&server, &server, OLD, NEW).await;
    let options = world.options(MAPPING).await;
    crate::running::follow_exact_by(&options, FeedKind::Wal, &same()).await;
    run_all(
        &world.old,
        &["UPDATE app.people SET name = 'missed' WHERE id < 100", "DELETE FROM app.people WHERE id = 200"],
    );
    for _ in 0..8 {
        run_all(
            &world.old,
            &[
                "CREATE TABLE app.x AS SELECT repeat('x', 900) FROM generate_series(1, 20000)",
                "DROP TABLE app.x",
                "SELECT pg_switch_wal()",
                "CHECKPOINT",
            ],
        );
    }
    let lost = psql(&world.old, "SELECT wal_status FROM pg_replication_slots").await;
    assert_eq!(lost.trim(), "lost");
    crate::running::follow_exact(&options, &same()).await;
    for same in same() {
        crate::world::assert_same(&world.old, &same.given, &world.new, &same.held).await;
    }
}

fn run_all(database: &Database<'_>, statements: &[&str]) {
    crate::world::run(database, database.name(), statements);
}
