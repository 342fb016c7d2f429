//! Segments take turns while the application writes: nothing is missed, nothing is early, nothing grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use confiture::postgres::feed::{ChangeFeed as _, KeySet, SnapshotImage};
use confiture::sql::{Literal, sql};
use local_postgres::testing::Database;

use super::source::{Source, raw, session_of};

/// Each transaction says in `log` which keys it wrote: the oracle.
const LOGGED: &str = "
CREATE TABLE t (id bigint PRIMARY KEY, v int DEFAULT 0);
INSERT INTO t SELECT generate_series(1, 40000);
CREATE TABLE log (first bigint, last bigint, transaction xid8 DEFAULT pg_current_xact_id());";

/// Writes ranges of its own keys until told to stop; every third transaction stays open for a while, some roll back.
async fn write(database: &Database<'_>, writer: u64, stop: Arc<AtomicBool>) {
    let session = session_of(database).await;
    let mut random = writer * 7919 + 1;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    while !stop.load(Ordering::Relaxed) {
        let statements = 1 + next(3);
        session.batch(&raw("BEGIN")).await.unwrap();
        for _ in 0..statements {
            let first = writer * 10_000 + 1 + next(8000);
            let last = first + next(1500);
            let both = format!(
                "UPDATE t SET v = v + 1 WHERE id BETWEEN {first} AND {last}; INSERT INTO log VALUES ({first}, {last})"
            );
            session.batch(&raw(&both)).await.unwrap();
        }
        // Work of the server's, as an application has between its statements.
        let idle = format!("SELECT count(*) FROM generate_series(1, {})", 1 + next(3) * next(3) * 100_000);
        session.batch(&raw(&idle)).await.unwrap();
        session.batch(&raw(if next(10) == 0 { "ROLLBACK" } else { "COMMIT" })).await.unwrap();
    }
}

/// The batch's keys, and whether they are exactly those of the transactions that this snapshot sees and `since` does not.
async fn assert_exact(source: &Source, keys: &KeySet, since: Option<&SnapshotImage>) {
    let given = keys.queries(&source.tables[0].key, 1_000_000);
    let given = given.into_iter().next().unwrap_or_else(|| raw("SELECT 0 WHERE false"));
    let is_new = match since {
        Some(since) => {
            sql!("NOT pg_visible_in_snapshot(transaction, {}::pg_snapshot)", Literal(&since.to_string()))
        }
        None => raw("true"),
    };
    let compare = sql!(
        "WITH given AS ({}), wanted AS (SELECT DISTINCT generate_series(first, last) FROM log WHERE {})
         SELECT (SELECT count(*) FROM (TABLE given EXCEPT TABLE wanted) AS early),
                (SELECT count(*) FROM (TABLE wanted EXCEPT TABLE given) AS missed)",
        given,
        is_new
    );
    let row = source.reader.query_one(&compare, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (0, 0), "too many, too few");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_batch_has_exactly_its_keys_while_segments_take_turns() {
    let source = Source::capturing(LOGGED, &[("t", &["id"])]).await;
    let mut feed = source.open(None).await;
    let stop = Arc::new(AtomicBool::new(false));
    let filenode = format!("SELECT pg_relation_filenode('confiture.queue_{}_0')::text", source.tables[0].oid);
    let (mut emptied, mut last_file) = (0, source.text(&filenode).await);
    let (mut largest, mut rows, mut batches) = (0, 0, 0);
    let work = async {
        let started = Instant::now();
        while emptied < 5 || batches < 60 {
            assert!(
                started.elapsed() < Duration::from_secs(100),
                "emptied {emptied} times in {batches} batches"
            );
            let since = feed.since().cloned();
            source.reader.batch(&raw("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await.unwrap();
            let row = source.reader.query_one(&raw("SELECT pg_current_snapshot()::text"), &[]).await.unwrap();
            let snapshot: SnapshotImage = row.get::<_, &str>(0).parse().unwrap();
            let changes = feed.changes(&source.reader, &snapshot).await.unwrap();
            assert_exact(&source, &changes.keys[0], since.as_ref()).await;
            source.reader.batch(&raw("COMMIT")).await.unwrap();
            batches += 1;
            match batches % 7 {
                // The batch failed; or the process died.
                3 => {}
                5 => feed = source.open(since).await,
                _ => {
                    rows += changes.row_changes;
                    feed.confirm().await.unwrap();
                }
            }
            let (first, second) = source.sizes().await;
            largest = largest.max(first + second);
            let file = source.text(&filenode).await;
            emptied += u32::from(file != last_file);
            last_file = file;
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(
        work,
        write(&source.database, 0, stop.clone()),
        write(&source.database, 1, stop.clone()),
        write(&source.database, 2, stop.clone())
    );
    // 50 bytes and more for each row, if all were still there.
    assert!(rows > 200_000, "{rows} rows");
    assert!(largest < 12 << 20, "{largest} bytes at most, for {rows} rows");
}

#[tokio::test]
async fn a_transaction_that_stays_open_keeps_a_segment_and_is_named() {
    let source = Source::capturing(LOGGED, &[("t", &["id"])]).await;
    let mut feed = source.open(None).await;
    let holder = session_of(&source.database).await;
    holder.batch(&raw("BEGIN; UPDATE t SET v = 1 WHERE id = 1")).await.unwrap();
    for _ in 0..4 {
        source.run("UPDATE t SET v = v + 1 WHERE id > 1").await;
        source.next(&mut feed).await;
    }
    // Both are full now, and the first is not emptied, whatever the feed does.
    while source.sizes().await.1 < 3 << 20 {
        source.run("UPDATE t SET v = v + 1 WHERE id > 1").await;
        source.next(&mut feed).await;
    }
    let state = feed.state().await.unwrap();
    let (first, second) = source.sizes().await;
    assert!(first > 0 && second > 0 && state.retained_bytes > (first + second).cast_unsigned(), "{state:?}");
    let pid = format!("until pid {} ", holder.backend_pid());
    assert!(state.warnings.iter().any(|warning| warning.contains(&pid)), "{state:?}");
    holder.batch(&raw("COMMIT")).await.unwrap();
    assert_eq!(source.next(&mut feed).await, "1");
    let started = Instant::now();
    while source.sizes().await.0 > 0 {
        feed.wait(Duration::from_millis(20)).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(60), "never emptied");
    }
    // It is not written to; the other is, and is emptied once the turn has come.
    source.run("UPDATE t SET v = v + 1").await;
    assert_eq!(source.changes(&mut feed).await.keys[0].len(), 40_000);
    assert!(feed.state().await.unwrap().warnings.is_empty());
}

#[tokio::test]
async fn waiting_ends_with_a_change_and_otherwise_when_told() {
    let source = Source::capturing(LOGGED, &[("t", &["id"])]).await;
    let mut feed = source.open(None).await;
    feed.wait(Duration::from_millis(50)).await.unwrap();
    let started = Instant::now();
    source.run("UPDATE t SET v = 1 WHERE id = 1").await;
    feed.wait(Duration::from_secs(300)).await.unwrap();
    assert_eq!(source.changes(&mut feed).await.keys[0].len(), 1);
    // It is still news, for nothing was confirmed.
    feed.wait(Duration::from_secs(300)).await.unwrap();
    feed.confirm().await.unwrap();
    let writer = session_of(&source.database).await;
    let (waited, ()) = tokio::join!(feed.wait(Duration::from_secs(300)), async {
        writer.batch(&raw("UPDATE t SET v = 1 WHERE id = 2")).await.unwrap();
    });
    waited.unwrap();
    assert_eq!(source.next(&mut feed).await, "2");
    assert!(started.elapsed() < Duration::from_secs(200));
    let sizes = source.sizes().await;
    feed.wait(Duration::from_millis(50)).await.unwrap();
    assert_eq!(source.sizes().await, sizes);
}

#[tokio::test]
async fn what_is_more_than_a_set_holds_is_the_whole_table() {
    let script = "CREATE TABLE t (id text PRIMARY KEY, v int)";
    let source = Source::capturing(script, &[("t", &["id"])]).await;
    let mut feed = source.open(None).await;
    source
        .run("INSERT INTO t SELECT repeat(md5(i::text), 16) || i FROM generate_series(1, 120000) AS i")
        .await;
    let changes = source.changes(&mut feed).await;
    feed.confirm().await.unwrap();
    assert!(changes.keys[0].is_whole());
    assert!(changes.row_changes < 120_000, "reading ended early");
    source.run("UPDATE t SET v = 1 WHERE id = (SELECT min(id) FROM t)").await;
    let changes = source.changes(&mut feed).await;
    assert_eq!((changes.keys[0].len(), changes.row_changes), (1, 1));
}

#[tokio::test]
async fn a_queue_that_is_gone_is_an_error() {
    let source = Source::capturing(LOGGED, &[("t", &["id"])]).await;
    let mut feed = source.open(None).await;
    let oid = source.tables[0].oid;
    source.run(&format!("DROP TABLE confiture.queue_{oid}_1")).await;
    let error = feed.wait(Duration::ZERO).await.unwrap_err();
    assert!(error.message().contains("the queue of public.t is gone"), "{error:?}");
}
