//! Every kind of statement, and the keys that it leaves.

use std::time::{Duration, Instant};

use confiture::postgres::feed::{ChangeFeed, WalFeed};
use confiture::sql::Sql;

use super::fixture::{PATIENCE, Source, set, until, value};

#[tokio::test]
async fn every_statement_leaves_its_keys() {
    let source =
        Source::new("CREATE TABLE t (id int PRIMARY KEY, note text); CREATE TABLE other (id int)").await;
    source.run("INSERT INTO t SELECT n, 'x' FROM generate_series(1, 9) AS n").await;
    let mut feed = source.feed(&["t"]).await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&[]), "what was there before is no change");
    for (statement, keys) in [
        ("INSERT INTO t VALUES (10, 'y'), (11, NULL)", &["(10)", "(11)"][..]),
        ("UPDATE t SET note = 'z' WHERE id < 3", &["(1)", "(2)"]),
        ("UPDATE t SET id = id + 100 WHERE id = 3", &["(3)", "(103)"]),
        ("DELETE FROM t WHERE id = 4", &["(4)"]),
        (
            "INSERT INTO t VALUES (5, 'a'), (20, 'b') ON CONFLICT (id) DO UPDATE SET note = excluded.note",
            &["(20)", "(5)"],
        ),
        ("INSERT INTO other VALUES (1)", &[]),
        (
            "BEGIN; INSERT INTO t VALUES (40, ''); SAVEPOINT s; INSERT INTO t VALUES (41, ''); ROLLBACK TO s; COMMIT",
            &["(40)"],
        ),
        ("BEGIN; INSERT INTO t VALUES (50, ''); ROLLBACK", &[]),
        ("BEGIN; UPDATE t SET note = 'p' WHERE id = 6; PREPARE TRANSACTION 'statements'", &[]),
        ("COMMIT PREPARED 'statements'", &["(6)"]),
        ("BEGIN; DELETE FROM t WHERE id = 7; PREPARE TRANSACTION 'statements'", &[]),
        ("ROLLBACK PREPARED 'statements'", &[]),
        ("TRUNCATE t", &["whole"]),
    ] {
        for part in statement.split("; ") {
            source.run(part).await;
        }
        assert_eq!(source.keys(&mut feed, "t").await, set(keys), "{statement}");
        feed.confirm().await.unwrap();
    }
    let changes = source.changes(&mut feed).await;
    assert_eq!((changes.row_changes, changes.carried), (0, 0));
}

#[tokio::test]
async fn what_was_not_confirmed_is_given_again() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut feed = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1)").await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)"]));
    source.run("INSERT INTO t VALUES (2)").await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)", "(2)"]), "the batch failed");
    drop(feed);
    let mut feed = source.open(&["t"]).await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)", "(2)"]), "the process died");
    feed.confirm().await.unwrap();
    assert_eq!(source.keys(&mut feed, "t").await, set(&[]));
}

/// More than the server keeps of a transaction before it sends it.
const LARGE: &str = "INSERT INTO t SELECT generate_series(1000, 5999)";

#[tokio::test]
async fn a_large_transaction_comes_before_it_ends() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut feed = source.feed(&["t"]).await;
    let other = source.another().await;
    for (end, keys) in [("ROLLBACK", 0), ("SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; COMMIT", 5000)] {
        other.batch(&Sql::literal("BEGIN")).await.unwrap();
        other.batch(&Sql::literal(LARGE)).await.unwrap();
        let streamed = "SELECT (coalesce(sum(stream_bytes), 0) > 0)::text FROM pg_stat_replication_slots \
                        JOIN pg_replication_slots USING (slot_name) WHERE database = current_database()";
        source.run("INSERT INTO t VALUES (1)").await;
        let changes = source.changes(&mut feed).await;
        assert_eq!(changes.keys[0].len(), 1, "what has not ended is seen by no one");
        assert!(changes.carried > 0, "nothing came before it ended");
        feed.confirm().await.unwrap();
        let begun = Instant::now();
        feed.wait(Duration::from_millis(300)).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(300), "what has not ended is nothing new");
        other.batch(&Sql::literal(end)).await.unwrap();
        source.run("DELETE FROM t WHERE id = 1").await;
        let changes = source.changes(&mut feed).await;
        assert_eq!(changes.keys[0].len(), keys + 1, "{end}");
        assert_eq!(changes.carried, 0);
        feed.confirm().await.unwrap();
        until(&source.session, streamed).await;
    }
}

#[tokio::test]
async fn dying_amid_a_large_transaction_loses_nothing() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut feed = source.feed(&["t"]).await;
    let other = source.another().await;
    other.batch(&Sql::literal("BEGIN")).await.unwrap();
    other.batch(&Sql::literal(LARGE)).await.unwrap();
    assert!(source.changes(&mut feed).await.carried > 0);
    source.confirm(&mut feed).await;
    drop(feed);
    let mut feed = source.open(&["t"]).await;
    other.batch(&Sql::literal("COMMIT")).await.unwrap();
    assert_eq!(source.changes(&mut feed).await.keys[0].len(), 5000);
    assert_eq!(value(&source.session, "SELECT count(*)::text FROM t").await, "5000");
    drop(feed);
    let mut feed = source.open(&["t"]).await;
    tokio::time::timeout(PATIENCE, feed.wait(Duration::from_secs(600))).await.unwrap().unwrap();
    assert_eq!(source.changes(&mut feed).await.keys[0].len(), 5000, "it was not confirmed");
}

#[tokio::test]
async fn what_carries_changes_here_is_left_out_however_large_it_is() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut feed = source.feed(&["t"]).await;
    let other = source.another().await;
    other.batch(&Sql::literal("BEGIN")).await.unwrap();
    other.batch(&WalFeed::leave_out(feed.slot())).await.unwrap();
    for ids in ["1000, 5999", "6000, 9999"] {
        let insert = format!("INSERT INTO t SELECT generate_series({ids}); SAVEPOINT s");
        other.batch(&Sql::from_user(&insert)).await.unwrap();
        source.run("DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1)").await;
        assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)"]));
        feed.confirm().await.unwrap();
    }
    other.batch(&Sql::literal("COMMIT")).await.unwrap();
    assert_eq!(source.keys(&mut feed, "t").await, set(&[]));
}
