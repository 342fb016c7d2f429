//! Whatever breaks, no change is lost, and the error says what to do.

use std::process::Command;
use std::time::{Duration, Instant};

use confiture::ErrorKind;
use confiture::postgres::Session;
use confiture::postgres::feed::wal::SlotLost;
use confiture::postgres::feed::{ChangeFeed, WalFeed};
use local_postgres::Server;
use local_postgres::testing::{Database, options};

use super::fixture::{PATIENCE, Source, set, until};

const DDL: &str = "CREATE TABLE t (id int PRIMARY KEY, note text)";

async fn error_of(source: &Source<'_>, feed: &mut WalFeed) -> confiture::Error {
    source.try_changes(feed).await.expect_err("the feed goes on")
}

async fn server(settings: &[(&str, &str)]) -> Server {
    let mut options = options();
    options.settings.extend(settings.iter().map(|(name, value)| ((*name).into(), (*value).into())));
    Server::throwaway(options).await.unwrap()
}

#[tokio::test]
async fn a_walsender_that_is_ended_is_a_lost_connection() {
    let source = Source::new(DDL).await;
    let mut feed = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1)").await;
    source.changes(&mut feed).await;
    let ended = format!(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{}'",
        feed.slot()
    );
    source.run(&ended).await;
    let error = error_of(&source, &mut feed).await;
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(SlotLost::of(&error).is_none() && !error.hints().is_empty());
    assert_eq!(error_of(&source, &mut feed).await.kind(), ErrorKind::Connect, "and so it stays");
    assert!(feed.wait(PATIENCE).await.is_err());
    let mut feed = source.open(&["t"]).await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)"]));
}

#[tokio::test]
async fn a_slot_that_somebody_dropped_is_lost() {
    let source = Source::new(DDL).await;
    let mut feed = source.feed(&["t"]).await;
    let name = feed.slot().as_str().to_owned();
    source
        .run(&format!(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{name}'"
        ))
        .await;
    until(
        &source.session,
        &format!("SELECT (NOT active)::text FROM pg_replication_slots WHERE slot_name = '{name}'"),
    )
    .await;
    source.run(&format!("SELECT pg_drop_replication_slot('{name}')")).await;
    let error = error_of(&source, &mut feed).await;
    assert_eq!(SlotLost::of(&error).unwrap().slot, name);
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    let tables = source.tables(&["t"]).await;
    let error = WalFeed::open(&source.connection, &tables, &name, &name).await.err().unwrap();
    assert!(SlotLost::of(&error).is_some() && error.message().contains("somebody dropped it"), "{error}");
    // As the caller would: a new one.
    let mut feed = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1)").await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)"]));
}

#[tokio::test]
async fn a_slot_without_its_wal_is_lost() {
    let server =
        server(&[("max_slot_wal_keep_size", "32MB"), ("min_wal_size", "32MB"), ("max_wal_size", "32MB")])
            .await;
    let source = Source::in_database(Database::create_on(&server).await.unwrap(), DDL).await;
    let tables = source.tables(&["t"]).await;
    let obstacles = WalFeed::obstacles(&source.session, &tables).await.unwrap();
    assert!(obstacles.iter().any(|one| one.message.contains("max_slot_wal_keep_size") && !one.fatal));
    let mut feed = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1)").await;
    // Given, and not confirmed: the server must keep it.
    source.changes(&mut feed).await;
    let before = feed.state().await.unwrap();
    let mut warned = before.warnings;
    // A few MB at a time: the server looks what it may remove whenever `max_wal_size` is reached.
    for _ in 0..60 {
        source.run("INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(2, 3000) AS n").await;
        source.run("DELETE FROM t WHERE id > 1").await;
        match feed.state().await {
            Ok(state) => warned.extend(state.warnings),
            Err(_) => break,
        }
        source.run("CHECKPOINT").await;
    }
    assert!(!warned.is_empty(), "it was not foreseen");
    let error = error_of(&source, &mut feed).await;
    assert!(SlotLost::of(&error).is_some() && error.message().contains("max_slot_wal_keep_size"), "{error}");
    let name = feed.slot().clone();
    let error = WalFeed::open(&source.connection, &tables, name.as_str(), name.as_str()).await.err().unwrap();
    assert!(SlotLost::of(&error).is_some(), "{error}");
    WalFeed::drop_slot_and_publication(&source.session, &name, &name).await.unwrap();
}

#[tokio::test]
async fn a_server_that_crashes_forgets_nothing() {
    let server = server(&[("synchronous_commit", "on")]).await;
    let mut source = Source::in_database(Database::create_on(&server).await.unwrap(), DDL).await;
    let mut feed = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1)").await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)"]));
    source.confirm(&mut feed).await;
    source.run("INSERT INTO t VALUES (2)").await;
    source.changes(&mut feed).await;
    // One process that dies takes all others with it, and the server recovers.
    let session = source.another().await;
    let victim = session.backend_pid().to_string();
    assert!(Command::new("kill").args(["-9", &victim]).status().unwrap().success());
    assert_eq!(feed.wait(PATIENCE).await.unwrap_err().kind(), ErrorKind::Connect);
    drop(feed);
    let begun = Instant::now();
    source.session = loop {
        match Session::connect(&source.connection).await {
            Ok(session) => break session,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let mut feed = source.open(&["t"]).await;
    // What was confirmed just before may be forgotten along with the slot's position; the rest may not.
    assert!(source.keys(&mut feed, "t").await.contains("(2)"));
}

#[tokio::test]
async fn a_server_can_be_stopped_while_a_batch_is_not_confirmed() {
    let server = server(&[]).await;
    let source = Source::in_database(Database::create_on(&server).await.unwrap(), DDL).await;
    let mut feed = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1)").await;
    source.changes(&mut feed).await;
    let pid = server.pid().unwrap();
    // Fast shutdown: it waits for walsenders whose clients have not flushed all.
    assert!(Command::new("kill").args(["-INT", &pid.to_string()]).status().unwrap().success());
    let begun = Instant::now();
    while server.pid() == Some(pid) {
        assert!(begun.elapsed() < Duration::from_secs(20), "the feed keeps the server from stopping");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(feed.wait(PATIENCE).await.is_err());
}

#[tokio::test]
async fn an_idle_feed_lets_go_of_the_wal_of_others() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)").await;
    let mut feed = source.feed(&["t"]).await;
    let elsewhere = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    elsewhere.run("INSERT INTO t SELECT generate_series(1, 1000)").await;
    source.run("INSERT INTO other SELECT generate_series(1, 1000)").await;
    let reached = source.value("SELECT pg_current_wal_lsn()::text").await;
    let let_go = format!(
        "SELECT (confirmed_flush_lsn >= '{reached}')::text FROM pg_replication_slots WHERE slot_name = '{}'",
        feed.slot()
    );
    until(&source.session, &let_go).await;
    // What is owed to us is kept, whatever else is written.
    source.run("INSERT INTO t VALUES (1)").await;
    source.changes(&mut feed).await;
    source.run("INSERT INTO other SELECT generate_series(1, 1000)").await;
    drop(feed);
    let mut feed = source.open(&["t"]).await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)"]));
}

#[tokio::test]
async fn waiting_ends_when_something_comes() {
    let source = Source::new(DDL).await;
    let mut feed = source.feed(&["t"]).await;
    let begun = Instant::now();
    feed.wait(Duration::from_millis(50)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(50), "nothing came");
    let session = source.another().await;
    let write = tokio::spawn(async move {
        session.batch(&confiture::sql::Sql::literal("INSERT INTO t VALUES (1)")).await.unwrap();
    });
    feed.wait(Duration::from_secs(600)).await.unwrap();
    write.await.unwrap();
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)"]));
    let state = feed.state().await.unwrap();
    assert!(state.warnings.is_empty());
}

#[tokio::test]
async fn only_what_is_ours_is_dropped() {
    let source = Source::new(DDL).await;
    let feed = source.feed(&["t"]).await;
    let name = feed.slot().clone();
    // Also while it is being read, and again when it is gone.
    for _ in 0..2 {
        WalFeed::drop_slot_and_publication(&source.session, &name, &name).await.unwrap();
    }
    let left = format!("SELECT count(*)::text FROM pg_replication_slots WHERE slot_name = '{name}'");
    assert_eq!(source.value(&left).await, "0");
    source.run(&format!("CREATE PUBLICATION {name} FOR TABLE t")).await;
    let error = WalFeed::drop_slot_and_publication(&source.session, &name, &name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    source.run(&format!("DROP PUBLICATION {name}")).await;
    source.run(&format!("SELECT pg_create_physical_replication_slot('{name}')")).await;
    let error = WalFeed::drop_slot_and_publication(&source.session, &name, &name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    source.run(&format!("SELECT pg_drop_replication_slot('{name}')")).await;
}
