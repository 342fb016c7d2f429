//! The process dies, at every failpoint and at any time: the same command again ends where a run without a death would.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, process};

use confiture::config::{Connection, Endpoint};
use confiture::event::Execution;
use confiture::failpoint;
use confiture::migrate::{DownOptions, Extent, Interrupted, Migrator, Options, UpOptions, read_folder};
use confiture::postgres::Session;
use confiture::sql::Sql;
use confiture::{ErrorKind, Result};

use crate::ground::{Ground, Heard};
use crate::locks::wait_for;

/// One transaction, then steps of every kind. An insert that runs twice, or not at all, is seen in `log`.
const FILES: &[(&str, &str)] = &[
    (
        "001_tables.up.sql",
        "CREATE TABLE log (what text); CREATE TABLE t (a int);\n\
         INSERT INTO t SELECT generate_series(1, 20000); INSERT INTO log VALUES ('001');",
    ),
    ("001_tables.down.sql", "DROP TABLE t; DROP TABLE log;"),
    (
        "002_steps.up.sql",
        "INSERT INTO log VALUES ('002 a');\nCREATE INDEX CONCURRENTLY t_a ON t (a);\nINSERT INTO log VALUES ('002 b');\n\
         VACUUM t;\nALTER TABLE t ADD COLUMN b int;\nCREATE UNIQUE INDEX CONCURRENTLY t_u ON t (a);\nINSERT INTO log VALUES ('002 c');",
    ),
    (
        "002_steps.down.sql",
        "DELETE FROM log WHERE what LIKE '002%';\nDROP INDEX CONCURRENTLY t_u;\nALTER TABLE t DROP COLUMN b;\n\
         DROP INDEX CONCURRENTLY t_a;",
    ),
    ("003_last.up.sql", "INSERT INTO log VALUES ('003');"),
    ("003_last.down.sql", "DELETE FROM log WHERE what = '003';"),
];

const UP: &str = "003 Applied|001,002 a,002 b,002 c,003|t_a t,t_u t|1";
const DOWN: &str = "003 Pending|001||0";

const CHILD: &str = "CONFITURE_TEST_MIGRATE_UP";

/// This test's executable, as a process of its own that migrates up or down. It dies at the n-th time that it passes a
/// failpoint, and prints what it passes.
fn child(ground: &Ground, direction: &str, die_at: Option<(&str, usize)>) -> Command {
    let server = ground.database.server();
    let (at, times) = die_at.unwrap_or_default();
    let what = [
        server.socket_dir().to_str().unwrap(),
        &server.port().to_string(),
        ground.database.name(),
        ground.folder.path().to_str().unwrap(),
        direction,
        at,
        &times.to_string(),
    ]
    .join("\n");
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "crash::the_process_that_is_killed", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, what).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_process_that_is_killed() {
    // Without the variable this is a test of itself: that it would run at all.
    let Ok(what) = env::var(CHILD) else {
        assert!(env::current_exe().unwrap().exists());
        return;
    };
    let what: Vec<&str> = what.split('\n').collect();
    let [socket, port, database, folder, direction, at, times] = what[..] else { panic!("{what:?}") };
    let (at, times) = (at.to_owned(), times.parse::<usize>().unwrap());
    let passed = AtomicUsize::new(0);
    failpoint::on_reached(Box::new(move |name| {
        writeln!(std::io::stdout(), "\npassed {name}").unwrap();
        if name == at && passed.fetch_add(1, Ordering::SeqCst) + 1 == times {
            process::abort();
        }
    }));
    let connection = Connection::new(Endpoint::new(socket, port.parse().unwrap()), "postgres", database);
    let migrator = Migrator::new(connection, read_folder(folder.as_ref()).unwrap(), Options::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let done: Result<_> = runtime.block_on(async {
        match direction {
            "up" => migrator.up(&UpOptions::default(), &Execution::unattended()).await,
            _ => {
                let two = Extent::To(confiture::migrate::Version::parse("001").unwrap());
                let options = DownOptions { extent: two, interrupted: None };
                migrator.down(&options, &Execution::unattended()).await
            }
        }
    });
    done.unwrap();
}

fn shown(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// The last migration's standing, the log, the indexes with their validity, whether column `b` is there.
async fn result(ground: &Ground) -> String {
    let standing = ground.standing().await;
    let rows = "SELECT (SELECT string_agg(what, ',' ORDER BY what) FROM log), \
                (SELECT coalesce(string_agg(indexrelid::regclass || ' ' || left(indisvalid::text, 1), ',' \
                 ORDER BY indexrelid::regclass::text), '') FROM pg_index WHERE indrelid = 't'::regclass), \
                (SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'b')";
    format!("{}|{}", standing.rsplit("; ").next().unwrap(), ground.psql(rows))
}

/// Dies at every passing of every failpoint that a whole run passes.
async fn die_everywhere(direction: &'static str, expected: &str) {
    let start = async || {
        let ground = Ground::new(FILES).await;
        if direction == "down" {
            ground.apply().await;
        }
        ground
    };
    let whole = start().await;
    let output = run(child(&whole, direction, None)).await;
    assert!(output.status.success(), "{}", shown(&output));
    assert_eq!(result(&whole).await, expected);
    let mut passed: BTreeMap<String, usize> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        if let Some(name) = line.strip_prefix("passed ") {
            *passed.entry(name.to_owned()).or_default() += 1;
        }
    }
    assert!(passed.len() >= 7 && passed["step begins"] >= 4, "{passed:?}");
    for (name, times) in passed {
        for n in 1..=times {
            let ground = start().await;
            let died = run(child(&ground, direction, Some((&name, n)))).await;
            assert!(died.status.code().is_none(), "{name} {n}: {}", shown(&died));
            let again = run(child(&ground, direction, None)).await;
            assert!(again.status.success(), "after {name} {n}: {}", shown(&again));
            assert_eq!(result(&ground).await, expected, "after {name} {n}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn death_at_every_failpoint_on_the_way_up() {
    die_everywhere("up", UP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn death_at_every_failpoint_on_the_way_down() {
    die_everywhere("down", DOWN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_at_any_time_again_and_again() {
    let ground = Ground::new(FILES).await;
    // Up and down in turns, and each life a little longer than the one before, so that they end everywhere on any machine.
    let (mut killed, mut direction) = (0, "up");
    for life in 0..300 {
        if killed == 15 {
            break;
        }
        let mut child = child(&ground, direction, None).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(2 + life * 3 % 61)).await;
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        // One that was through before it could be killed goes the other way next.
        if child.wait().unwrap().success() {
            direction = if direction == "up" { "down" } else { "up" };
        }
    }
    assert_eq!(killed, 15);
    let way = if direction == "up" { vec!["up"] } else { vec!["down", "up"] };
    for direction in way {
        let output = run(self::child(&ground, direction, None)).await;
        assert!(output.status.success(), "{}", shown(&output));
    }
    assert_eq!(result(&ground).await, UP);
}

/// The server goes on building when nobody waits for it any more. The next run ends that, and what it finds is an invalid index.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_an_index_is_built() {
    let ground = Ground::new(&[("1_t.up.sql", "CREATE TABLE t (a int); INSERT INTO t VALUES (1);")]).await;
    ground.apply().await;
    ground.write(&[("2_i.up.sql", "CREATE INDEX CONCURRENTLY t_a ON t (a);\nINSERT INTO t VALUES (2);")]);
    let old = Session::connect(&ground.connection()).await.unwrap();
    old.batch(&Sql::literal("BEGIN; INSERT INTO t VALUES (3)")).await.unwrap();
    let mut first = child(&ground, "up", None).spawn().unwrap();
    wait_for(&ground, "SELECT count(*) = 1 FROM pg_index WHERE NOT indisvalid").await;
    let building = "FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND datname = current_database() \
                    AND state = 'active'";
    let builder = ground.psql(&format!("SELECT pid {building}"));
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(ground.psql(&format!("SELECT pid {building}")), builder, "nobody has told the server");
    assert_eq!(ground.standing().await, "1 Applied; 2 Interrupted");

    let migrator = ground.migrator();
    let again =
        tokio::spawn(async move { migrator.up(&UpOptions::default(), &Execution::unattended()).await });
    wait_for(&ground, &format!("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = {builder}")).await;
    old.batch(&Sql::literal("COMMIT")).await.unwrap();
    again.await.unwrap().unwrap();
    assert_eq!(ground.psql("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass"), "t");
    assert_eq!(ground.psql("SELECT string_agg(a::text, ',' ORDER BY a) FROM t"), "1,2,3");
    assert_eq!(ground.psql("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "0");
}

#[tokio::test]
async fn an_invalid_index_of_a_failed_build_is_dropped_and_built_again() {
    let ground = Ground::new(&[
        ("1_t.up.sql", "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1);"),
        ("2_u.up.sql", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_u ON t (a);"),
    ])
    .await;
    let error = ground.up().await.unwrap_err();
    assert_eq!(error.sqlstate_code(), Some("23505"));
    assert!(error.hints().iter().any(|hint| hint.starts_with("0 of 1 steps of 2_u are done")), "{error:?}");
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    assert_eq!(ground.psql(invalid), "0", "what it left is gone");
    // One that somebody else's failure has left: IF NOT EXISTS would take it for an index.
    std::process::Command::new("psql")
        .args(["-Xq", "-d", &ground.database.url(), "-c", "CREATE UNIQUE INDEX CONCURRENTLY t_u ON t (a)"])
        .output()
        .unwrap();
    assert_eq!(ground.psql(invalid), "1");
    ground.psql("DELETE FROM t");
    assert_eq!(ground.standing().await, "1 Applied; 2 Interrupted");
    assert_eq!(ground.apply().await, ["2"]);
    assert_eq!(ground.psql("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_u'::regclass"), "t");
}

#[tokio::test]
async fn the_rest_of_a_migration_in_steps_may_be_mended_and_its_beginning_not() {
    let ground = Ground::new(&[(
        "1_a.up.sql",
        "-- confiture: no-transaction\nCREATE TABLE a (id int);\nCREATE TABLE b (id itn);\nCREATE TABLE c (id int);",
    )])
    .await;
    let error = ground.up().await.unwrap_err();
    assert_eq!(error.place().unwrap().line, 3, "{error:?}");
    let mended = "-- confiture: no-transaction\nCREATE TABLE a (id int);\nCREATE TABLE b (id int);";
    ground.write(&[("1_a.up.sql", &mended.replace("a (id int)", "a (id text)"))]);
    let error = ground.up().await.unwrap_err();
    assert_eq!(
        error.message(),
        "1_a has changed in what was done of it: its first 1 statements are applied already"
    );
    ground.write(&[("1_a.up.sql", mended)]);
    assert_eq!(ground.apply().await, ["1"]);
    assert_eq!(ground.standing().await, "1 Applied");
    assert_eq!(ground.psql("SELECT to_regclass('b'), to_regclass('c') IS NULL"), "b|t");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_tell_the_user_is_asked() {
    let ground = Ground::new(&[
        ("1_a.up.sql", "CREATE TABLE a (id int); CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO a VALUES (1); COMMIT; END $$;"),
        ("2_b.up.sql", "-- confiture: no-transaction\nCALL p();\nCREATE TABLE b ();"),
    ])
    .await;
    let died = run(child(&ground, "up", Some(("step recorded", 1)))).await;
    assert!(died.status.code().is_none(), "{}", shown(&died));
    let error = ground.up().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert_eq!(error.place().unwrap().line, 2);
    assert!(error.hints().iter().any(|hint| hint.contains("--interrupted-step done")), "{error:?}");
    let again = UpOptions { interrupted: Some(Interrupted::Again), ..UpOptions::default() };
    ground.migrator().up(&again, &Execution::unattended()).await.unwrap();
    assert_eq!(ground.psql("SELECT count(*), to_regclass('b') FROM a"), "1|b");
}

/// Between the last step and the record of the whole.
#[tokio::test]
async fn a_run_that_died_behind_its_last_step_only_records_it() {
    let ground = Ground::new(&[("1_a.up.sql", "-- confiture: no-transaction\nCREATE TABLE a ();")]).await;
    ground.apply().await;
    ground.psql("UPDATE confiture_migrations SET state = 'applying', step = 1");
    let heard = Heard::default();
    ground.migrator().up(&UpOptions::default(), &heard.execution()).await.unwrap();
    assert_eq!(heard.all(), "1_a: all steps were done, and only the record was missing");
    assert_eq!(ground.standing().await, "1 Applied");
}
