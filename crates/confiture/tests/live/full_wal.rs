//! The disk of the WAL becomes full: the server goes down. A run waits for it, or stops with one clear error; it goes on, exact,
//! when there is room and the server is back.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::schema_to_schema::{FeedKind, Options, Until};
use local_postgres::Server;
use local_postgres::testing::{Database, shared_server};

use crate::first::follow;
use crate::running::{MAPPING, NEW, OLD, Running, assert_exact, same};
use crate::small_disk::SmallDisk;
use crate::world::{WorldOn, psql};

/// A server whose WAL has a disk of its own, and that nobody starts again but the test.
struct Small {
    disk: SmallDisk,
    folder: tempfile::TempDir,
    bin: PathBuf,
}

impl Small {
    /// None where this process may not mount a file system.
    async fn start() -> Option<(Self, Server)> {
        let disk = SmallDisk::mount(20)?;
        let small = Self {
            disk,
            folder: tempfile::tempdir().unwrap(),
            bin: shared_server().await.bin_dir().to_owned(),
        };
        let owned = Command::new("chown").arg("postgres").arg(small.folder.path()).status().unwrap();
        assert!(owned.success());
        let (data, wal) = (small.data(), small.disk.folder().join("wal"));
        let (data, wal) = (data.to_str().unwrap(), wal.to_str().unwrap());
        let initdb = ["-D", data, "--waldir", wal, "--wal-segsize=1", "-U", "postgres", "-A", "trust", "-N"];
        assert!(small.run("initdb", &initdb));
        assert!(small.up());
        let here = small.folder.path().display();
        let address = format!("socket={here}&port=5432&bin={}", small.bin.display());
        let server = Server::attach(&address).await.unwrap();
        Some((small, server))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(self.bin.join(program));
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    fn up(&self) -> bool {
        let here = self.folder.path().display();
        let settings = format!(
            "-c unix_socket_directories={here} -c listen_addresses='' -c fsync=off -c wal_level=logical \
             -c max_connections=200 -c shared_buffers=32MB -c min_wal_size=2MB -c max_wal_size=4MB"
        );
        let (data, log) = (self.data(), self.folder.path().join("log"));
        let data = data.to_str().unwrap();
        self.run("pg_ctl", &["-D", data, "-w", "-o", &settings, "-l", log.to_str().unwrap(), "start"])
    }

    /// Writes to a table that nobody follows until the server is gone.
    fn fill(&self, database: &Database<'_>) {
        psql_fails(database, "CREATE TABLE public.waste (t text)");
        let waste = "INSERT INTO public.waste SELECT repeat(md5(i::text), 30) FROM generate_series(1, 500) i";
        for _ in 0..200 {
            if psql_fails(database, waste) {
                return;
            }
        }
        panic!("the disk was never full");
    }

    /// Makes room, and starts the server again; whoever keeps WAL besides us lets go of it.
    async fn room_again(&self, database: &Database<'_>, megabytes: u32) {
        self.disk.grow(megabytes);
        // It may have come up by itself meanwhile.
        self.run("pg_ctl", &["-D", self.data().to_str().unwrap(), "-m", "immediate", "-w", "stop"]);
        assert!(self.up(), "{}", std::fs::read_to_string(self.folder.path().join("log")).unwrap());
        psql(
            database,
            "SELECT pg_drop_replication_slot('others') FROM pg_replication_slots WHERE slot_name = 'others'",
        )
        .await;
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", self.data().to_str().unwrap(), "-m", "immediate", "stop"]);
    }
}

/// True where the statement fails.
fn psql_fails(database: &Database<'_>, statement: &str) -> bool {
    let mut psql = Command::new(database.server().program("psql"));
    psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", &database.url(), "-c", statement]);
    !psql.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

const OTHERS: &str = "SELECT pg_create_physical_replication_slot('others', true)";
const CHANGE: &str =
    "UPDATE app.people SET name = 'in between' WHERE id % 9 = 0; DELETE FROM app.people WHERE id % 100 = 7";

async fn world<'server>(old: &'server Server, new: &'server Server) -> (WorldOn<'server>, Options) {
    let world = WorldOn::on(old, new, &OLD.replace("9000", "900"), NEW).await;
    let options = world.options(MAPPING).await;
    (world, options)
}

/// Somebody else's slot keeps the WAL. One run waits, another one does not.
async fn is_outlasted(feed: FeedKind, of_source: bool) {
    let Some((small, server)) = Small::start().await else { return };
    let other = shared_server().await;
    let (world, options) = if of_source { world(&server, other).await } else { world(other, &server).await };
    let database = if of_source { &world.old } else { &world.new };
    for patience in [Duration::ZERO, Duration::from_secs(100)] {
        let running = Running::start(&options, feed, patience, Some(same())).await;
        running.until(|| running.said.has("planned")).await;
        running.compared(1).await;
        psql(database, OTHERS).await;
        small.fill(database);
        if !of_source {
            psql(&world.old, CHANGE).await;
        }
        if patience.is_zero() {
            let error = running.fails().await;
            assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
            assert!(error.hints().iter().any(|hint| hint.contains("the server's log")), "{error:?}");
            small.room_again(database, 60).await;
        } else {
            running.until(|| running.said.has("going on as soon as it can be")).await;
            small.room_again(database, 200).await;
            psql(&world.old, CHANGE).await;
            running.compared(2).await;
            running.stop().await.unwrap();
        }
        assert_exact(&world, &options, &same()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_source_by_the_wal() {
    is_outlasted(FeedKind::Wal, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_source_by_the_queue() {
    is_outlasted(FeedKind::Queue, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_target() {
    is_outlasted(FeedKind::Wal, false).await;
}

/// A follower that stays away fills the disk itself; it said so.
#[tokio::test(flavor = "multi_thread")]
async fn by_a_follower_that_stays_away() {
    let Some((small, server)) = Small::start().await else { return };
    let (world, options) = world(&server, shared_server().await).await;
    let running = Running::start(&options, FeedKind::Wal, Duration::ZERO, Some(same())).await;
    running.compared(1).await;
    assert!(running.said.has("max_slot_wal_keep_size is -1"), "{:?}", running.said.all());
    running.stop().await.unwrap();
    psql(&world.old, CHANGE).await;
    small.fill(&world.old);
    let execution = Execution::unattended();
    let gone = follow(options.clone(), FeedKind::Wal, Until::CaughtUp, &execution, None);
    let error = Box::pin(gone).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    small.room_again(&world.old, 200).await;
    assert_exact(&world, &options, &same()).await;
}
