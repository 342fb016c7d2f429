//! Locks of others: another run, and whoever holds a table.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use confiture::ErrorKind;
use local_postgres::testing::Database;

use crate::crash::{MAPPING, NEW, OLD, assert_exact, child};
use crate::world::{World, dump, psql};

/// A psql that ran a script in a transaction, and holds it open.
pub(crate) struct Holder {
    psql: Child,
    pid: String,
}

impl Holder {
    pub(crate) fn new(database: &Database<'_>, script: &str) -> Self {
        let mut psql = Command::new(database.server().program("psql"))
            .args(["-X", "-q", "-A", "-t", "-d", &database.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = psql.stdin.as_mut().unwrap();
        writeln!(stdin, "BEGIN; {script}; SELECT pg_backend_pid();").unwrap();
        let mut pid = String::new();
        BufReader::new(psql.stdout.as_mut().unwrap()).read_line(&mut pid).unwrap();
        Self { psql, pid: pid.trim().to_owned() }
    }

    fn end(mut self) {
        drop(self.psql.stdin.take());
        self.psql.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

async fn refuses_and_then_works(on_old: bool, script: &str) {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    let holder = Holder::new(if on_old { &world.old } else { &world.new }, script);
    let mut options = world.options(MAPPING).await;
    options.lock_timeout = Duration::from_millis(600);
    let started = Instant::now();
    let error = world.migrate(options).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!((error.kind(), error.sqlstate_code()), (ErrorKind::Server, Some("55P03")), "{error:?}");
    assert!(error.message().contains(&format!("pid {} ", holder.pid)), "{error:?}");
    assert!(error.message().contains("people"), "{error:?}");
    holder.end();
    assert_eq!(dump(&world.new).await, before, "everything is put back");
    world.migrate(world.options(MAPPING).await).await.unwrap();
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn a_reader_of_a_target_table_is_named() {
    refuses_and_then_works(false, "LOCK people IN ACCESS SHARE MODE").await;
}

#[tokio::test]
async fn whoever_holds_a_target_table_is_named() {
    refuses_and_then_works(false, "LOCK people IN ACCESS EXCLUSIVE MODE").await;
}

#[tokio::test]
async fn whoever_holds_a_source_table_is_named() {
    refuses_and_then_works(true, "LOCK app.people IN ACCESS EXCLUSIVE MODE").await;
}

#[tokio::test]
async fn of_two_runs_one_works_and_the_other_says_who() {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    let mut options = world.options(MAPPING).await;
    options.lock_timeout = Duration::from_secs(30);
    // Held up in the middle by a reader, so that the second comes while the first is at work.
    let reader = Holder::new(&world.new, "LOCK people IN ACCESS SHARE MODE");
    let (first, second) = tokio::join!(world.migrate(options), async {
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'people'::regclass";
        while psql(&world.new, waits).await.trim() == "0" {}
        let holder = psql(&world.new, "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").await;
        let mut options = world.options(MAPPING).await;
        options.lock_timeout = Duration::from_millis(600);
        let second = world.migrate(options).await.unwrap_err();
        assert!(second.message().contains(&format!("pid {},", holder.trim())), "{second:?}");
        assert!(second.message().contains("since 20"), "{second:?}");
        reader.end();
        second
    });
    assert_eq!(second.kind(), ErrorKind::Locked);
    first.unwrap();
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn what_a_killed_run_left_running_is_waited_for_or_ended() {
    let slow = "CREATE FUNCTION slow(v text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(CASE WHEN pg_catalog.to_regclass('public.fast') IS NULL THEN 0.1 ELSE 0 END); RETURN v; END $$; CREATE INDEX slow ON people (slow(name));";
    let world = World::new(OLD, &format!("{NEW}{slow}")).await;
    let before = dump(&world.new).await;
    let mut first = child(&world.old, &world.new, None).spawn().unwrap();
    let building = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query ~ 'CREATE INDEX slow' AND application_name = 'confiture'";
    while psql(&world.new, building).await.trim() == "0" {}
    first.kill().unwrap();
    first.wait().unwrap();
    psql(&world.new, "CREATE TABLE fast ()").await;
    world.migrate(world.options(MAPPING).await).await.unwrap();
    psql(&world.new, "DROP TABLE fast").await;
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn the_source_cannot_be_emptied_under_the_snapshot() {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    let reader = Holder::new(&world.new, "LOCK people IN ACCESS SHARE MODE");
    let mut options = world.options(MAPPING).await;
    options.lock_timeout = Duration::from_secs(30);
    let (report, ()) = tokio::join!(world.migrate(options), async {
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'people'::regclass";
        while psql(&world.new, waits).await.trim() == "0" {}
        // The snapshot is taken, no row is read: whoever empties a table now must wait.
        let truncate = "DO $$ BEGIN SET LOCAL lock_timeout = '100ms'; TRUNCATE app.pets; RAISE 'emptied'; EXCEPTION WHEN lock_not_available THEN NULL; END $$";
        psql(&world.old, truncate).await;
        reader.end();
    });
    report.unwrap();
    assert_exact(&world, &before).await;
}
