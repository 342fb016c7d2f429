//! The whole way, with writers at work: copied, caught up, followed, exact after every batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use confiture::event::Execution;
use confiture::postgres::Session;
use confiture::schema_to_schema::{
    Capture, FeedKind, FollowReport, Following, Migration, Options, Phase, Until, Witness,
};
use confiture::sql::Sql;
use tokio_util::sync::CancellationToken;

use crate::oracle::{Oracle, Same};
use crate::world::{World, assert_same};
use local_postgres::testing::Database;

const OLD: &str = "
CREATE SCHEMA app;
CREATE TABLE app.people (
    id bigserial PRIMARY KEY, name text NOT NULL, email text UNIQUE, bio text, seen timestamptz DEFAULT now());
CREATE TABLE app.orders (
    id bigserial PRIMARY KEY, person bigint NOT NULL REFERENCES app.people ON DELETE CASCADE, cents int, note text);
INSERT INTO app.people (name, email, bio)
    SELECT 'person ' || i, 'p' || i || '@x', CASE WHEN i % 3 = 0 THEN repeat('bio ', 500) END FROM generate_series(1, 600) i;
INSERT INTO app.orders (person, cents) SELECT 1 + i % 600, i FROM generate_series(1, 2000) i;
ANALYZE;";

const NEW: &str = "
CREATE SCHEMA new;
CREATE TABLE new.users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, display_name text NOT NULL, email text UNIQUE,
    seen timestamptz, initial text GENERATED ALWAYS AS (left(display_name, 1)) STORED);
CREATE TABLE new.profiles (user_id bigint PRIMARY KEY REFERENCES new.users ON DELETE CASCADE, bio text NOT NULL);
CREATE TABLE new.orders (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES new.users, amount numeric(12,2), customer text);
CREATE INDEX ON new.orders (user_id);";

const MAPPING: &str = r#"
tables:
  new.users: { from: app.people p, columns: { display_name: upper(p.name) } }
  new.profiles: { from: app.people p, where: p.bio is not null, columns: { user_id: p.id, bio: p.bio } }
  new.orders:
    from: app.orders o join app.people p on p.id = o.person
    columns: { id: o.id, user_id: o.person, amount: o.cents / 100.0, customer: p.name }
    depends:
      - { table: app.people, driving: "select o.id from app.orders o where o.person = any($keys)" }
"#;

fn same() -> Vec<Same> {
    let same = |given: &str, held: &str| Same { given: given.into(), held: held.into() };
    vec![
        same(
            "SELECT id, upper(name), email, seen, left(upper(name), 1) FROM app.people",
            "SELECT id, display_name, email, seen, initial FROM new.users",
        ),
        same("SELECT id, bio FROM app.people WHERE bio IS NOT NULL", "SELECT user_id, bio FROM new.profiles"),
        same(
            "SELECT o.id, person, round(cents / 100.0, 2), p.name FROM app.orders o JOIN app.people p ON p.id = person",
            "SELECT id, user_id, amount, customer FROM new.orders",
        ),
    ]
}

/// Statements of an application; `n` says which.
fn statement(n: u64) -> String {
    let id = 1 + (n * 7919) % 600;
    let other = 1 + (n * 104_729) % 600;
    match n % 12 {
        0 => format!("INSERT INTO app.people (name, email) VALUES ('new {n}', 'n{n}@x')"),
        1 => format!("UPDATE app.people SET name = 'renamed {n}' WHERE id = {id}"),
        2 => format!("DELETE FROM app.people WHERE id = {id}"),
        3 => format!("UPDATE app.people SET bio = CASE WHEN bio IS NULL THEN repeat('b{n}', 1000) END WHERE id = {id}"),
        4 => format!("INSERT INTO app.orders (person, cents) SELECT id, {n} FROM app.people WHERE id BETWEEN {id} AND {id} + 20"),
        5 => format!("UPDATE app.orders SET cents = cents + 1 WHERE id BETWEEN {id} AND {id} + 5"),
        6 => format!("UPDATE app.orders SET id = id + 1000000 * {n} WHERE id = {id}"),
        // Two rows exchange a unique value.
        7 => format!(
            "UPDATE app.people SET email = NULL WHERE id = {id} RETURNING 1;
             UPDATE app.people SET email = (SELECT 'swap{n}@' || email FROM app.people WHERE id = {other}) WHERE id = {id}"
        ),
        8 => format!(
            "BEGIN; SAVEPOINT s; DELETE FROM app.people WHERE id = {id}; ROLLBACK TO s;
             UPDATE app.people SET name = name WHERE id = {other}; COMMIT"
        ),
        9 => format!("BEGIN; UPDATE app.people SET name = 'never' WHERE id = {id}; ROLLBACK"),
        10 => format!("DELETE FROM app.orders WHERE id = {id}"),
        _ => format!("UPDATE app.people SET id = {} WHERE id = {id} AND NOT EXISTS (SELECT FROM app.orders WHERE person = {id})", 10_000_000 + n),
    }
}

async fn write(options: Options, first: u64, stop: Arc<AtomicBool>) -> u64 {
    let session = Session::connect(&options.source).await.unwrap();
    let mut n = first;
    while !stop.load(Ordering::SeqCst) {
        // A deadlock or a duplicate with another writer is the application's business.
        if session.batch(&Sql::from_user(statement(n))).await.is_err() {
            session.batch(&Sql::literal("ROLLBACK")).await.unwrap();
        }
        n += 4;
        // An application, not a flood: the data must not outgrow whoever compares it.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    n
}

pub(crate) async fn follow(
    options: Options,
    feed: FeedKind,
    until: Until,
    execution: &Execution,
    witness: Option<Arc<dyn Witness>>,
) -> confiture::Result<FollowReport> {
    let migration = Arc::new(Migration::plan(options, execution).await?);
    let following = Following {
        capture: Capture::Only(feed),
        until,
        patience: Duration::ZERO,
        verify: true,
        witness,
        ..Following::default()
    };
    migration.follow(&following, execution).await
}

async fn with_writers(old: &Database<'_>, new: &Database<'_>, feed: FeedKind, options: Options) {
    let oracle = Arc::new(Oracle::new(&options.source, &options.target, same()).await);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..4).map(|first| tokio::spawn(write(options.clone(), first, Arc::clone(&stop)))).collect();
    let interrupt = CancellationToken::new();
    let execution = Execution::new(Arc::new(()), interrupt.clone());
    let following = {
        let (options, oracle) = (options.clone(), Arc::clone(&oracle));
        tokio::spawn(async move { follow(options, feed, Until::Interrupted, &execution, Some(oracle)).await })
    };
    while oracle.compared.load(Ordering::SeqCst) < 25 && !following.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    interrupt.cancel();
    let report = following.await.unwrap().unwrap();
    oracle.assert_exact(25);
    assert_eq!(report.phase, Phase::Following);
    // Compared while the writers were at work.
    if let Some(verification) = &report.verification {
        assert!(verification.ok, "{verification:?}");
    }
    // And once more, after all writers have gone.
    let execution = Execution::unattended();
    let report = follow(options, feed, Until::CaughtUp, &execution, None).await.unwrap();
    assert!(report.violated.is_empty() && !report.foreign_keys_wait, "{report:?}");
    assert!(report.verification.as_ref().is_some_and(|found| found.ok), "{report:?}");
    for same in same() {
        assert_same(old, &same.given, new, &same.held).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_by_the_queue() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    with_writers(&world.old, &world.new, FeedKind::Queue, options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_by_the_wal() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    with_writers(&world.old, &world.new, FeedKind::Wal, options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_database() {
    let world = World::new(OLD, "").await;
    crate::world::psql(&world.old, NEW).await;
    let options = world.options(MAPPING).await;
    let options = Options { target: options.source.clone(), ..options };
    with_writers(&world.old, &world.old, FeedKind::Queue, options).await;
}
