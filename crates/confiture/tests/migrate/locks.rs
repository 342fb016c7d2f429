//! Two runs at once, and transactions that are in the way.

use std::time::{Duration, Instant};

use confiture::ErrorKind;
use confiture::config::Connection;
use confiture::migrate::UpOptions;
use confiture::postgres::{AdvisoryLock, Session};
use confiture::sql::Sql;

use crate::ground::{Ground, Heard, names};

async fn session(connection: &Connection) -> Session {
    Session::connect(connection).await.unwrap()
}

pub(crate) async fn wait_for(ground: &Ground, condition: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while ground.psql(condition) != "t" {
        assert!(Instant::now() < until, "never: {condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_one_works_and_the_other_says_who() {
    let ground = Ground::new(&[("1_a.up.sql", "SELECT 1;")]).await;
    let other = session(&ground.connection()).await;
    let pid = other.backend_pid();
    let lock = AdvisoryLock::take_on(other).await.unwrap();
    let error = ground.up().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.message().contains(&format!("pid {pid}, role postgres")), "{error}");
    lock.release().await.unwrap();
    assert_eq!(ground.apply().await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_runs_at_once_apply_everything_once() {
    let files: Vec<(String, String)> =
        (1..=10).map(|n| (format!("{n:03}_x.up.sql"), format!("CREATE TABLE t{n} ();"))).collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let mut ground = Ground::new(&files).await;
    ground.options.wait_for_run = Duration::from_secs(60);
    let runs = (0..4).map(|_| {
        let migrator = ground.migrator();
        tokio::spawn(async move {
            migrator.up(&UpOptions::default(), &confiture::event::Execution::unattended()).await.unwrap()
        })
    });
    let mut applied = 0;
    for run in runs.collect::<Vec<_>>() {
        applied += run.await.unwrap().migrations.len();
    }
    assert_eq!(applied, 10);
}

/// An application that reads and writes all the time while a migration waits behind a long transaction: it is never kept
/// waiting for longer than `lock_timeout`, give or take what a busy machine needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_transaction_in_the_way_never_queues_the_application() {
    let mut ground = Ground::new(&[(
        "1_t.up.sql",
        "CREATE TABLE t (a int); CREATE TABLE u (a int); CREATE TABLE v (a int); INSERT INTO t VALUES (1);",
    )])
    .await;
    ground.apply().await;
    // Three locks one after the other: each wait alone is within the limit, and all of them count together.
    ground.write(&[(
        "2_t.up.sql",
        "ALTER TABLE t ADD b int; ALTER TABLE u ADD b int; ALTER TABLE v ADD b int;",
    )]);
    ground.options.lock_timeout = Duration::from_millis(200);
    ground.options.lock_attempts = 100;
    let blocker = session(&ground.connection()).await;
    blocker.batch(&Sql::literal("BEGIN; SELECT * FROM u")).await.unwrap();
    let application = session(&ground.connection()).await;
    let heard = Heard::default();
    let migrator = ground.migrator();
    let execution = heard.execution();
    let run = tokio::spawn(async move { migrator.up(&UpOptions::default(), &execution).await });
    let (mut slowest, mut calls, start) = (Duration::ZERO, 0, Instant::now());
    while start.elapsed() < Duration::from_secs(3) {
        let begun = Instant::now();
        application.batch(&Sql::literal("SELECT * FROM t; UPDATE t SET a = a + 1")).await.unwrap();
        slowest = slowest.max(begun.elapsed());
        calls += 1;
    }
    assert!(!run.is_finished());
    blocker.batch(&Sql::literal("COMMIT")).await.unwrap();
    let report = run.await.unwrap().unwrap();
    assert_eq!(names(&report), ["2"]);
    assert!(report.migrations[0].attempts > 2, "{report:?}");
    assert!(calls > 100, "{calls} calls");
    assert!(slowest >= Duration::from_millis(50), "the migration was never in the way: {slowest:?}");
    assert!(slowest < Duration::from_millis(200 + 150), "the application waited for {slowest:?}");
    let said = heard.all();
    assert!(said.contains(&format!("pid {}", blocker.backend_pid())), "{said}");
    assert!(said.contains("2_t waits for a lock on public.u, behind pid"), "{said}");
}

/// With the `lock_timeout` that everybody has, too: it is how long a migration waits where nobody queues behind it.
#[tokio::test(flavor = "multi_thread")]
async fn who_queues_behind_a_migration_waits_for_a_part_of_a_second() {
    let mut ground =
        Ground::new(&[("1_t.up.sql", "CREATE TABLE t (a int); INSERT INTO t VALUES (1);")]).await;
    ground.apply().await;
    ground.write(&[("2_t.up.sql", "ALTER TABLE t ADD b int;")]);
    ground.options.lock_attempts = 3;
    let blocker = session(&ground.connection()).await;
    blocker.batch(&Sql::literal("BEGIN; SELECT * FROM t")).await.unwrap();
    let application = session(&ground.connection()).await;
    let heard = Heard::default();
    let (migrator, execution) = (ground.migrator(), heard.execution());
    let run = tokio::spawn(async move { migrator.up(&UpOptions::default(), &execution).await });
    let mut slowest = Duration::ZERO;
    while !run.is_finished() {
        let begun = Instant::now();
        application.batch(&Sql::literal("SELECT * FROM t; UPDATE t SET a = a + 1")).await.unwrap();
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < Duration::from_millis(300 + 700), "the application waited for {slowest:?}");
    let error = run.await.unwrap().unwrap_err();
    assert!(error.hints().iter().any(|hint| hint.contains("--lock-attempts")), "{error:?}");
    assert!(heard.all().contains("got no lock, and others queued behind it (pid "), "{}", heard.all());
}

/// Rows that got no lock are tried again as everything else: what the server refuses at the start of a COPY must not be taken for
/// the answer to what comes next.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_get_no_lock_are_tried_again() {
    let mut ground = Ground::new(&[("1_t.up.sql", "CREATE TABLE t (a int);")]).await;
    ground.apply().await;
    ground.write(&[(
        "2_rows.up.sql",
        "CREATE TABLE u (a int);\nCOPY t (a) FROM stdin;\n1\n2\n\\.\nCREATE TABLE v ();\n",
    )]);
    ground.options.lock_timeout = Duration::from_millis(50);
    let blocker = session(&ground.connection()).await;
    blocker.batch(&Sql::literal("BEGIN; LOCK TABLE t")).await.unwrap();
    let heard = Heard::default();
    let (migrator, execution) = (ground.migrator(), heard.execution());
    let run = tokio::spawn(async move { migrator.up(&UpOptions::default(), &execution).await });
    while !heard.all().contains("(2 of 10)") {
        assert!(!run.is_finished(), "{}", heard.all());
        tokio::task::yield_now().await;
    }
    blocker.batch(&Sql::literal("COMMIT")).await.unwrap();
    let report = run.await.unwrap().unwrap();
    assert!(report.migrations[0].attempts > 2, "{report:?}");
    assert_eq!(ground.psql("SELECT count(*), to_regclass('u'), to_regclass('v') FROM t"), "2|u|v");
    assert_eq!(ground.standing().await, "1 Applied; 2 Applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_the_way_for_too_long_is_named() {
    let mut ground = Ground::new(&[("1_t.up.sql", "CREATE TABLE t (a int);")]).await;
    ground.apply().await;
    ground.write(&[("2_t.up.sql", "SELECT 1;\nALTER TABLE t ADD b int;")]);
    ground.options.lock_timeout = Duration::from_millis(200);
    ground.options.lock_attempts = 2;
    let blocker = session(&ground.connection()).await;
    blocker.batch(&Sql::literal("BEGIN; SELECT * FROM t")).await.unwrap();
    let error = ground.up().await.unwrap_err();
    assert!(error.message().starts_with("2_t got no lock, 2 times: "), "{error}");
    assert_eq!(error.place().unwrap().line, 2);
    let pid = format!("in the way: pid {}", blocker.backend_pid());
    assert!(error.hints().iter().any(|hint| hint.starts_with(&pid)), "{error:?}");
    assert_eq!(ground.standing().await, "1 Applied; 2 Pending");
}

/// `CREATE INDEX CONCURRENTLY` waits for old transactions, for as long as they take, and nobody queues behind it. A second run
/// that asks for the lock meanwhile must not be what it waits for.
#[tokio::test(flavor = "multi_thread")]
async fn a_concurrent_index_waits_for_an_old_transaction_and_a_second_run_does_not_deadlock() {
    let mut ground = Ground::new(&[("1_t.up.sql", "CREATE TABLE t (a int);")]).await;
    ground.apply().await;
    ground.write(&[("2_i.up.sql", "CREATE INDEX CONCURRENTLY t_a ON t (a);")]);
    ground.options.lock_timeout = Duration::from_millis(100);
    let old = session(&ground.connection()).await;
    old.batch(&Sql::literal("BEGIN; INSERT INTO t VALUES (1)")).await.unwrap();
    let heard = Heard::default();
    let (migrator, execution) = (ground.migrator(), heard.execution());
    let run = tokio::spawn(async move { migrator.up(&UpOptions::default(), &execution).await });
    wait_for(
        &ground,
        "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'virtualxid' AND NOT granted AND pid IN \
                       (SELECT pid FROM pg_stat_activity WHERE datname = current_database())",
    )
    .await;
    ground.options.wait_for_run = Duration::from_millis(500);
    assert_eq!(ground.up().await.unwrap_err().kind(), ErrorKind::Locked);
    assert!(!run.is_finished(), "it waits for as long as it takes");
    // Whoever queued behind it would wait for as long.
    let application = session(&ground.connection()).await;
    application.batch(&Sql::literal("SET lock_timeout = '10s'")).await.unwrap();
    for _ in 0..20 {
        let work = Sql::literal("SELECT * FROM t; INSERT INTO t VALUES (2); UPDATE t SET a = 3 WHERE a = 2");
        application.batch(&work).await.unwrap();
    }
    assert!(!run.is_finished());
    old.batch(&Sql::literal("COMMIT")).await.unwrap();
    assert_eq!(names(&run.await.unwrap().unwrap()), ["2"]);
    assert!(heard.all().contains(&format!("behind pid {}", old.backend_pid())), "{}", heard.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_has_left_running_is_ended() {
    let ground = Ground::new(&[("1_t.up.sql", "SELECT 1;")]).await;
    let orphan = session(&ground.connection()).await;
    AdvisoryLock::join(&orphan).await.unwrap();
    let running = orphan.clone();
    let sleeping = tokio::spawn(async move { running.batch(&Sql::literal("SELECT pg_sleep(600)")).await });
    wait_for(
        &ground,
        &format!("SELECT state = 'active' FROM pg_stat_activity WHERE pid = {}", orphan.backend_pid()),
    )
    .await;
    assert_eq!(ground.apply().await, ["1"]);
    assert!(sleeping.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_wait_and_leaves_nothing() {
    let ground = Ground::new(&[("1_t.up.sql", "CREATE TABLE t (a int);")]).await;
    ground.apply().await;
    ground.write(&[("2_t.up.sql", "ALTER TABLE t ADD b int;")]);
    let blocker = session(&ground.connection()).await;
    blocker.batch(&Sql::literal("BEGIN; SELECT * FROM t")).await.unwrap();
    let token = tokio_util::sync::CancellationToken::new();
    let execution = confiture::event::Execution::new(std::sync::Arc::new(()), token.clone());
    let migrator = ground.migrator();
    let run = tokio::spawn(async move { migrator.up(&UpOptions::default(), &execution).await });
    wait_for(&ground, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 't'::regclass")
        .await;
    token.cancel();
    let error = run.await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Interrupted, "2_t was interrupted, and is not applied")
    );
    assert_eq!(ground.standing().await, "1 Applied; 2 Pending");
}
