//! More keys of a table change during every comparison than are written down of one that nobody compares: it is known to be
//! equal all the same, so that a cutover is possible.

use std::sync::Arc;

use confiture::event::Execution;
use confiture::postgres::Session;
use confiture::schema_to_schema::cutover::{Switching, cut_over};
use confiture::schema_to_schema::{FeedKind, Options, TableStatus, VerificationReport, status};
use confiture::sql::Sql;

use crate::verification::{CHANGED, COMPLETE, Running};
use crate::world::{World, psql};

const OLD: &str = "
CREATE SCHEMA app;
CREATE TABLE app.things (id text, part int, n int NOT NULL, PRIMARY KEY (id, part));
CREATE TABLE app.many (id bigint PRIMARY KEY, n int NOT NULL);
INSERT INTO app.things SELECT 'thing, ' || i, i % 3, 0 FROM generate_series(1, 3000) i;
INSERT INTO app.many SELECT i, 0 FROM generate_series(1, 3000) i;
ANALYZE;";

const NEW: &str = "
CREATE SCHEMA new;
CREATE TABLE new.things (id text, part int, n int NOT NULL, PRIMARY KEY (id, part));
CREATE TABLE new.many (id bigint PRIMARY KEY, n int NOT NULL);";

/// A comparison ends with a question that is answered when the test lets it.
const MAPPING: &str = "
tables: { new.things: { from: app.things }, new.many: { from: app.many } }
validations:
  - { name: waits, sql: select 1 from pg_advisory_xact_lock_shared(7), expect: 1 }
";

/// Compares, and changes so many keys of both tables before the comparison can end. Returns what it found.
async fn compare_while(
    running: Arc<Running>,
    (world, options): (&World, &Options),
    keys: [u32; 2],
    turn: i32,
) -> VerificationReport {
    let session = Session::connect(&options.target).await.unwrap();
    session.batch(&Sql::literal("SELECT pg_advisory_lock(7)")).await.unwrap();
    let verifying = tokio::spawn({
        let (running, verifying) = (Arc::clone(&running), if turn == 0 { COMPLETE } else { CHANGED });
        async move { running.verify(verifying).await }
    });
    let waits =
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted)";
    running.until(&session, &Sql::literal(waits)).await;
    // In several batches.
    for half in 0..2 {
        for (table, keys) in ["things", "many"].into_iter().zip(keys) {
            let number = 1 + 10 * turn + half;
            let change = format!(
                "UPDATE app.{table} SET n = {number} WHERE ctid IN (SELECT ctid FROM app.{table} ORDER BY id LIMIT {keys})"
            );
            psql(&world.old, &change).await;
            let is_there = format!("SELECT count(*) >= {keys} FROM new.{table} WHERE n = {number}");
            running.until(&session, &Sql::from_user(is_there)).await;
        }
    }
    session.batch(&Sql::literal("SELECT pg_advisory_unlock(7)")).await.unwrap();
    verifying.await.unwrap()
}

async fn outrun(feed: FeedKind) {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    let running = Arc::new(Running::start(&options, feed, CHANGED).await);
    // In tests, 1,000 keys are written down of a table; and 750 of one of so many rows are compared, if so many changed.
    let mut by_keys = Vec::new();
    for (turn, keys) in [[1400, 2900], [700, 2900], [600, 1100], [1500, 300], [0, 0]].into_iter().enumerate()
    {
        let turn = i32::try_from(turn).unwrap();
        let found = compare_while(Arc::clone(&running), (&world, &options), keys, turn).await;
        assert!(found.ok, "{found:#?}");
        by_keys.push(found.tables.iter().map(|table| table.keys).collect::<Vec<_>>());
        let known = status(None, &options.target).await.unwrap();
        let touched = |table: &TableStatus| table.coverage.as_ref().map(|known| known.touched_keys);
        let touched: Vec<_> = known.tables.iter().map(touched).collect();
        assert!(touched.iter().all(Option::is_some), "after {turn}: {touched:?}");
    }
    // Those that were touched during the comparison before, each once; all rows where they are too many for that.
    let expected = [[None, None], [None, None], [Some(700), None], [Some(600), None], [None, Some(300)]];
    assert_eq!(by_keys, expected.map(|keys| keys.to_vec()));
    let switched = cut_over(options.clone(), &Switching::default(), &Execution::unattended()).await.unwrap();
    assert!(switched.switched, "{switched:#?}");
    world.assert_same("SELECT * FROM app.things", "SELECT * FROM new.things").await;
    world.assert_same("SELECT * FROM app.many", "SELECT * FROM new.many").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_known_to_be_equal_by_the_queue() {
    outrun(FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_known_to_be_equal_by_the_wal() {
    outrun(FeedKind::Wal).await;
}
