//! A server is replaced by its standby, which lacks the last commits: positions mean nothing any more.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use confiture::event::Execution;
use confiture::schema_to_schema::{FeedKind, Options, Until};
use local_postgres::testing::{self, Database, shared_server};
use local_postgres::{Options as ServerOptions, Server};

use crate::first::follow;
use crate::standby::Standby;
use crate::world::{World, WorldOn, psql};

const OLD: &str = "CREATE TABLE people (id bigint PRIMARY KEY, name text);
    INSERT INTO people SELECT i, 'person ' || i FROM generate_series(1, 500) i;";
const NEW: &str = "CREATE TABLE users (id bigint PRIMARY KEY, display_name text);";
const MAPPING: &str = "tables: { users: { from: people p, columns: { display_name: p.name } } }";

/// A server, reached by a link that leads to its standby later, as a name in DNS would.
struct Replaced {
    server: Server,
    folder: tempfile::TempDir,
}

impl Replaced {
    async fn new() -> Self {
        let bin_dir = Some(shared_server().await.bin_dir().to_owned());
        let server = Server::throwaway(ServerOptions { bin_dir, ..testing::options() }).await.unwrap();
        let replaced = Self { server, folder: tempfile::tempdir().unwrap() };
        symlink(replaced.server.socket_dir(), replaced.link()).unwrap();
        replaced
    }

    fn link(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    fn leads_to(&self, standby: &Standby<'_>) {
        std::fs::remove_file(self.link()).unwrap();
        symlink(standby.socket_dir(), self.link()).unwrap();
    }

    /// A standby that has all that was committed, and gets nothing any more.
    fn standby(&self) -> Standby<'_> {
        let standby = Standby::copy(&self.server);
        standby.start();
        let there =
            self.psql(&self.server.socket_dir().display().to_string(), "SELECT pg_current_wal_flush_lsn()");
        let is_there = format!("SELECT pg_last_wal_replay_lsn() >= '{there}'");
        while self.psql(&standby.socket_dir(), &is_there) != "t" {
            std::thread::yield_now();
        }
        standby.stop();
        standby
    }

    fn psql(&self, folder: &str, script: &str) -> String {
        psql_in(&self.server, folder, "postgres", script)
    }
}

fn psql_in(server: &Server, folder: &str, database: &str, script: &str) -> String {
    let url = format!("host={folder} port={} user=postgres dbname={database}", server.port());
    let mut command = Command::new(server.program("psql"));
    let output = command.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-c", script, &url]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn caught_up(options: Options) {
    let execution = Execution::unattended();
    let report = follow(options, FeedKind::Queue, Until::CaughtUp, &execution, None).await.unwrap();
    assert!(report.verification.is_some_and(|found| found.ok));
}

const SUM: &str = "SELECT count(*), sum(hashtext(t::text)) FROM";
const SAYS_SO: &str = "SELECT count(*) FROM confiture.event WHERE what LIKE 'all rows are read again: the %'";

/// The target has rows of commits that the source has lost, and the source's transactions have their numbers again.
#[tokio::test(flavor = "multi_thread")]
async fn the_source_is_replaced_by_a_standby_that_lacks_commits() {
    let replaced = Replaced::new().await;
    let (old, new) =
        (Database::create_on(&replaced.server).await.unwrap(), Database::create().await.unwrap());
    let world = WorldOn { old, new };
    psql(&world.old, OLD).await;
    psql(&world.new, NEW).await;
    let mut options = world.options(MAPPING).await;
    options.source.endpoints[0].host = replaced.link().to_str().unwrap().to_owned();
    caught_up(options.clone()).await;
    let standby = replaced.standby();
    psql(&world.old, "UPDATE people SET name = 'lost' WHERE id <= 20; DELETE FROM people WHERE id > 490")
        .await;
    for n in 1000..1040 {
        psql(&world.old, &format!("INSERT INTO people VALUES ({n}, 'lost')")).await;
    }
    caught_up(options.clone()).await;
    let lost = "SELECT count(*) FROM users WHERE display_name = 'lost'";
    assert_eq!(psql(&world.new, lost).await.trim(), "60");

    standby.start_alone();
    standby.promote();
    replaced.leads_to(&standby);
    let there = |script: &str| psql_in(&replaced.server, &standby.socket_dir(), world.old.name(), script);
    there("INSERT INTO people VALUES (2000, 'after')");
    caught_up(options.clone()).await;
    assert_eq!(psql(&world.new, SAYS_SO).await.trim(), "1");
    assert_eq!(there(&format!("{SUM} people t")), psql(&world.new, &format!("{SUM} users t")).await.trim());
    // And once only.
    caught_up(options).await;
    assert_eq!(psql(&world.new, SAYS_SO).await.trim(), "1");
    standby.stop();
}

/// The source has forgotten what the target had confirmed, and then lost.
#[tokio::test(flavor = "multi_thread")]
async fn the_target_is_replaced_by_a_standby_that_lacks_batches() {
    let replaced = Replaced::new().await;
    let (old, new) =
        (Database::create().await.unwrap(), Database::create_on(&replaced.server).await.unwrap());
    let world = WorldOn { old, new };
    psql(&world.old, OLD).await;
    psql(&world.new, NEW).await;
    let mut options = world.options(MAPPING).await;
    options.target.endpoints[0].host = replaced.link().to_str().unwrap().to_owned();
    caught_up(options.clone()).await;
    let standby = replaced.standby();
    psql(&world.old, "UPDATE people SET name = 'new' WHERE id <= 20; DELETE FROM people WHERE id > 490")
        .await;
    caught_up(options.clone()).await;
    // What a rotated segment held is gone.
    let queue =
        psql(&world.old, "SELECT 'confiture.' || relname FROM pg_class WHERE relname ~ '^queue_.*_[01]$'")
            .await;
    for segment in queue.lines() {
        psql(&world.old, &format!("TRUNCATE {segment}")).await;
    }

    standby.start_alone();
    standby.promote();
    replaced.leads_to(&standby);
    let there = |script: &str| psql_in(&replaced.server, &standby.socket_dir(), world.new.name(), script);
    assert_eq!(
        there("SELECT count(*) FROM users WHERE display_name = 'new'"),
        "0",
        "the standby lacks the batch"
    );
    caught_up(options).await;
    assert_eq!(there(SAYS_SO), "1");
    assert_eq!(there(&format!("{SUM} users t")), psql(&world.old, &format!("{SUM} people t")).await.trim());
    standby.stop();
}

/// A backup restored in place keeps cluster and timeline, where no WAL was replayed past it; its transactions begin earlier.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_knows_of_the_servers_is_compared() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    caught_up(options.clone()).await;
    let right = "UPDATE users SET display_name = 'person 7' WHERE id = 7";
    for (lie, count) in [
        ("source_server = '7/' || split_part(source_server, '/', 2) || '/1'", "1"),
        ("target_server = split_part(target_server, '/', 1) || '/0000FFFF/1'", "2"),
        ("source_server = '?/?/' || (1::bigint << 40)", "3"),
        ("source_server = '?/?/1', target_server = '?/?/1'", "3"),
    ] {
        let wrong = "UPDATE users SET display_name = 'wrong' WHERE id = 7";
        psql(&world.new, &format!("{wrong}; UPDATE confiture.follow SET {lie}")).await;
        if lie.starts_with("source_server = '?/?/1'") {
            // Nothing is known that could differ, so nothing is read again.
            psql(&world.new, right).await;
        }
        caught_up(options.clone()).await;
        assert_eq!(psql(&world.new, SAYS_SO).await.trim(), count, "{lie}");
        assert_eq!(psql(&world.new, "SELECT display_name FROM users WHERE id = 7").await.trim(), "person 7");
    }
}
