//! Servers that stop, backends that are ended, disks and connection slots that run out: one error, nothing lost, and the
//! same command continues.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use confiture::ErrorKind;
use confiture::event::{Event, Execution, Observer};
use confiture::schema_to_schema::{Migration, MigrationReport, Options, Outcome};
use local_postgres::testing::{self, Database, shared_server};
use local_postgres::{Options as ServerOptions, Server};
use tokio_util::sync::CancellationToken;

use crate::crash::{MAPPING, NEW, OLD, assert_exact};
use crate::small_disk::SmallDisk;
use crate::standby::Standby;
use crate::world::{World, WorldOn, connection, dump, psql, run};

/// Does something at one event.
struct At {
    event: fn(&Event) -> bool,
    does: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Observer for At {
    fn observe(&self, event: &Event) {
        if (self.event)(event)
            && let Some(does) = self.does.lock().unwrap().take()
        {
            does();
        }
    }
}

async fn migrate(
    options: Options,
    event: fn(&Event) -> bool,
    does: impl FnOnce() + Send + 'static,
) -> confiture::Result<MigrationReport> {
    let at = At { event, does: Mutex::new(Some(Box::new(does))) };
    let execution = Execution::new(Arc::new(at), CancellationToken::new());
    let plan = Migration::plan(options, &execution).await?;
    Arc::new(plan).migrate(&execution).await
}

fn is_moving(event: &Event) -> bool {
    matches!(event, Event::TableProgress { .. })
}

fn is_building(event: &Event) -> bool {
    matches!(event, Event::StepStarted { step } if step.starts_with("Building"))
}

fn is_taking_off(event: &Event) -> bool {
    matches!(event, Event::StepStarted { step } if step.starts_with("Taking"))
}

/// A server whose data outlives it, with the old or the new database of the example.
struct Kept {
    folder: tempfile::TempDir,
    server: &'static Server,
}

impl Kept {
    async fn new(script: &str) -> (Self, Database<'static>) {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::keep(folder.path().join("server"), ServerOptions::default()).await.unwrap();
        let server: &'static Server = Box::leak(Box::new(server));
        let database = Database::create_on(server).await.unwrap();
        psql(&database, script).await;
        (Self { folder, server }, database)
    }

    /// Stops it as a crash would.
    fn crash(&self) -> impl FnOnce() + Send + 'static {
        let pid = self.server.pid().unwrap();
        move || {
            let status = Command::new("kill").args(["-QUIT", &pid.to_string()]).status().unwrap();
            assert!(status.success());
        }
    }

    /// Starts it again, once the crash is over.
    async fn start(&self, pid: u32) -> Server {
        let process = PathBuf::from(format!("/proc/{pid}"));
        while process.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Server::keep(self.folder.path().join("server"), ServerOptions::default()).await.unwrap()
    }
}

async fn survives_a_crash_of(target: bool, event: fn(&Event) -> bool) {
    let (kept, database) = Kept::new(if target { NEW } else { OLD }).await;
    let other = Database::create().await.unwrap();
    psql(&other, if target { OLD } else { NEW }).await;
    let world =
        if target { World { old: other, new: database } } else { World { old: database, new: other } };
    let before = dump(&world.new).await;
    let pid = kept.server.pid().unwrap();
    let error = migrate(world.options(MAPPING).await, event, kept.crash()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("run th")), "{error:?}");
    let server = kept.start(pid).await;
    world.migrate(world.options(MAPPING).await).await.unwrap();
    assert_exact(&world, &before).await;
    drop(world);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_crashes_while_rows_move() {
    survives_a_crash_of(true, is_moving).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_crashes_while_indexes_are_built() {
    survives_a_crash_of(true, is_building).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_crashes_while_rows_move() {
    survives_a_crash_of(false, is_moving).await;
}

/// Ends the n-th of our backends on both servers, at `event`. Returns false where there are fewer.
async fn ends_one_backend(world: &World, n: usize, event: fn(&Event) -> bool) -> bool {
    let url = world.new.url();
    let program = world.new.server().program("psql");
    let query = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
         WHERE application_name = 'confiture' AND datname IN ('{}', '{}') ORDER BY datname, backend_start, pid OFFSET {n} LIMIT 1) AS one",
        world.old.name(),
        world.new.name()
    );
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    let mut options = world.options(MAPPING).await;
    options.restart = true;
    let result = migrate(options, event, move || {
        let output = Command::new(program).args(["-XAtq", "-d", &url, "-c", &query]).output().unwrap();
        let count = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        counted.store(count, Ordering::SeqCst);
    })
    .await;
    if let Err(error) = &result {
        assert_eq!(error.kind(), ErrorKind::Connect, "{n}: {error:?}");
    }
    result.is_err() || ended.load(Ordering::SeqCst) == 1
}

async fn ends_each_backend(event: fn(&Event) -> bool) {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    let mut ended = 0;
    while ends_one_backend(&world, ended, event).await {
        ended += 1;
    }
    assert!(ended >= 16, "{ended} backends");
    world.migrate(world.options(MAPPING).await).await.unwrap();
    assert_exact(&world, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_backend_ended_before_the_load() {
    ends_each_backend(is_taking_off).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_backend_ended_in_the_load() {
    ends_each_backend(is_moving).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_connections_are_few_workers_and_too_few_are_refused_first() {
    let settings = [("max_connections", "11"), ("superuser_reserved_connections", "0")];
    let options = ServerOptions {
        settings: settings.map(|(name, value)| (name.into(), value.into())).into(),
        ..ServerOptions::default()
    };
    let server: &'static Server = Box::leak(Box::new(Server::throwaway(options).await.unwrap()));
    let (old, new) = (Database::create().await.unwrap(), Database::create_on(server).await.unwrap());
    psql(&old, OLD).await;
    psql(&new, NEW).await;
    let world = World { old, new };
    let before = dump(&world.new).await;
    let mut hold = Vec::new();
    for _ in 0..8 {
        hold.push(confiture::postgres::Session::connect(&connection(&world.new)).await.unwrap());
    }
    let error = world.migrate(world.options(MAPPING).await).await.unwrap_err();
    assert_eq!((error.kind(), error.sqlstate_code()), (ErrorKind::Connect, Some("53300")), "{error:?}");
    assert!(error.message().contains("no connection left"), "{error:?}");
    hold.clear();
    // They end when the server notices.
    while psql_may_fail(
        &world.new,
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'confiture'",
    )
    .await
    .as_deref()
        != Some("0")
    {}
    assert_eq!(dump(&world.new).await, before);
    assert_eq!(psql(&world.new, "SELECT to_regnamespace('confiture')").await.trim(), "");
    let report = world.migrate(world.options(MAPPING).await).await.unwrap();
    assert!(report.tables.iter().all(|table| table.outcome == Outcome::Copied));
    assert_exact_alone(&world, &before).await;
}

async fn psql_may_fail(database: &Database<'_>, query: &str) -> Option<String> {
    let output = tokio::process::Command::new(database.server().program("psql"))
        .args(["-XAtq", "-d", &database.url(), "-c", query])
        .output()
        .await
        .unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// As `assert_exact`, with one worker: verification has no more connections either.
async fn assert_exact_alone(world: &World, before: &str) {
    assert_eq!(dump(&world.new).await, before);
    world.assert_same("SELECT id, upper(name), false FROM app.people", "SELECT * FROM people").await;
    let mut options = world.options(MAPPING).await;
    options.parallel = Some(1);
    assert!(world.verify(options).await.ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_the_same_command_continues_with_more_room() {
    let Some(disk) = SmallDisk::mount(1) else {
        return;
    };
    let tablespace = format!("small_{}", std::process::id());
    let world = World::new(OLD, "SELECT").await;
    run(&world.new, world.new.name(), &[&disk.tablespace(&tablespace)]);
    psql(&world.new, &format!("{NEW} ALTER TABLE people SET TABLESPACE {tablespace}")).await;
    let before = dump(&world.new).await;
    let error = world.migrate(world.options(MAPPING).await).await.unwrap_err();
    assert_eq!((error.kind(), error.sqlstate_code()), (ErrorKind::Server, Some("53100")), "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("disk is full")), "{error:?}");
    disk.grow(60);
    world.migrate(world.options(MAPPING).await).await.unwrap();
    assert_exact(&world, &before).await;
    psql(&world.new, "ALTER TABLE people SET TABLESPACE pg_default").await;
    run(&world.new, world.new.name(), &[&format!("DROP TABLESPACE {tablespace}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_standby_is_a_source() {
    let shared = shared_server().await;
    // Its own server: the copy would take along the tablespaces of other tests.
    let bin_dir = Some(shared.bin_dir().to_owned());
    let server = Server::throwaway(ServerOptions { bin_dir, ..testing::options() }).await.unwrap();
    let primary = Database::create_on(&server).await.unwrap();
    psql(&primary, OLD).await;
    let standby = Standby::copy(&server);
    standby.start();
    let new = Database::create_on(&server).await.unwrap();
    psql(&new, NEW).await;
    let world = WorldOn { old: primary, new };
    let before = dump(&world.new).await;
    let mut options = world.options(MAPPING).await;
    options.source.endpoints[0].host = standby.socket_dir();
    let result = world.migrate(options).await;
    standby.stop();
    result.unwrap();
    assert_exact(&world, &before).await;
}
