//! Two migrations from one source: what one has read from a queue is gone for the other, and whoever follows by the WAL is
//! left alone.

use std::sync::Arc;
use std::time::Duration;

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::schema_to_schema::{FeedKind, FollowReport, Options, Until, clean_up};
use confiture::sql::Identifier;
use local_postgres::testing::Database;

use crate::first::follow;
use crate::running::{self, Running, assert_exact, same};
use crate::world::{World, assert_same, connection, psql};

const OLD: &str = "CREATE TABLE people (id bigint PRIMARY KEY, name text);
    CREATE TABLE things (id bigint PRIMARY KEY, name text);
    INSERT INTO people SELECT i, 'person ' || i FROM generate_series(1, 50) i;
    INSERT INTO things SELECT i, 'thing ' || i FROM generate_series(1, 50) i;";
const PEOPLE: &str = "tables: { people: { from: people } }";
const THINGS: &str = "tables: { things: { from: things } }";
const GIVEN: &str = "SELECT * FROM people";

async fn caught_up(options: &Options, feed: FeedKind) -> confiture::Result<FollowReport> {
    let options = options.clone();
    let run = async move { follow(options, feed, Until::CaughtUp, &Execution::unattended(), None).await };
    // With a stack of its own.
    tokio::spawn(run).await.unwrap()
}

async fn cleaned(options: &Options) -> bool {
    let (source, execution) = (Some(&options.source), Execution::unattended());
    clean_up(
        source,
        &options.target,
        &Identifier::new("old_schema"),
        confiture::schema_to_schema::Cleaning::default(),
        &execution,
    )
    .await
    .unwrap()
    .capture
}

/// The triggers that capture a table.
async fn triggers(world: &World, table: &str) -> String {
    let count = format!("SELECT count(*) FROM pg_trigger WHERE tgrelid = '{table}'::regclass");
    psql(&world.old, &count).await.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_has_one_reader() {
    let world = World::new(OLD, OLD.split("INSERT").next().unwrap()).await;
    let second = Database::create().await.unwrap();
    psql(&second, OLD.split("INSERT").next().unwrap()).await;
    let first = world.options(PEOPLE).await;
    let other = Options { target: connection(&second), ..first.clone() };
    caught_up(&first, FeedKind::Queue).await.unwrap();

    let error = caught_up(&other, FeedKind::Queue).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe, "{error:?}");
    let said = error.to_string();
    assert!(said.contains("the queue of people is read by another migration"), "{said}");
    assert!(said.contains(world.new.name()) && error.hints().len() == 3, "{error:?}");
    // Nothing was written to either side by the one that was refused.
    assert_eq!(psql(&second, "SELECT to_regnamespace('confiture') IS NULL").await.trim(), "t");

    // Another table's queue, and another feed, are another matter.
    let things = Options { mapping: world.options(THINGS).await.mapping, ..other.clone() };
    caught_up(&things, FeedKind::Queue).await.unwrap();
    assert!(cleaned(&things).await);
    assert_eq!(
        (triggers(&world, "things").await.as_str(), triggers(&world, "people").await.as_str()),
        ("0", "5")
    );
    psql(&second, "TRUNCATE people, things").await;
    caught_up(&other, FeedKind::Wal).await.unwrap();
    psql(&world.old, "UPDATE people SET name = 'new' WHERE id < 10; DELETE FROM people WHERE id = 20").await;
    caught_up(&first, FeedKind::Queue).await.unwrap();
    caught_up(&other, FeedKind::Wal).await.unwrap();
    assert_same(&world.old, GIVEN, &world.new, GIVEN).await;
    assert_same(&world.old, GIVEN, &second, GIVEN).await;
    assert!(cleaned(&other).await);
    assert_eq!(triggers(&world, "people").await, "5");
    assert!(cleaned(&first).await);
    assert_eq!(triggers(&world, "people").await, "0");
}

/// A developer drops the new database and makes it again; the triggers on the old one stay behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_was_made_anew_lets_go_of_its_queue_by_cleanup() {
    let world = World::new(OLD, OLD.split("INSERT").next().unwrap()).await;
    let options = world.options(PEOPLE).await;
    caught_up(&options, FeedKind::Queue).await.unwrap();
    psql(&world.new, "DROP SCHEMA confiture CASCADE; TRUNCATE people").await;
    assert!(caught_up(&options, FeedKind::Queue).await.is_err());
    assert!(cleaned(&options).await);
    assert!(!cleaned(&options).await);
    caught_up(&options, FeedKind::Queue).await.unwrap();
    assert_same(&world.old, GIVEN, &world.new, GIVEN).await;

    // Or, where it is gone for good, by the statement that the error names.
    psql(&world.new, "DROP SCHEMA confiture CASCADE; TRUNCATE people").await;
    let error = caught_up(&options, FeedKind::Queue).await.unwrap_err();
    let hint = error.hints().last().unwrap().to_string();
    let statement = hint.split("on the source: ").nth(1).unwrap();
    psql(&world.old, statement).await;
    psql(&world.old, "UPDATE people SET name = 'newer' WHERE id = 1").await;
    caught_up(&options, FeedKind::Queue).await.unwrap();
    assert_same(&world.old, GIVEN, &world.new, GIVEN).await;
}

/// A database that is followed into, and followed from: the schema `confiture` has the ledger of the one and the queue of the other.
#[tokio::test(flavor = "multi_thread")]
async fn cleanup_leaves_the_queue_that_another_migration_reads_in_the_target() {
    let world = World::new(OLD, OLD.split("INSERT").next().unwrap()).await;
    let third = Database::create().await.unwrap();
    psql(&third, OLD.split("INSERT").next().unwrap()).await;
    let first = world.options(PEOPLE).await;
    caught_up(&first, FeedKind::Queue).await.unwrap();
    let onward = Options { source: first.target.clone(), target: connection(&third), ..first.clone() };
    caught_up(&onward, FeedKind::Queue).await.unwrap();
    psql(&world.old, "UPDATE people SET name = 'on and on' WHERE id = 3").await;
    caught_up(&first, FeedKind::Queue).await.unwrap();
    assert!(cleaned(&first).await);
    caught_up(&onward, FeedKind::Queue).await.unwrap();
    assert_same(&world.old, GIVEN, &third, GIVEN).await;
    assert!(cleaned(&onward).await);
    assert_eq!(psql(&world.new, "SELECT to_regnamespace('confiture') IS NULL").await.trim(), "t");
}

/// Who follows by the WAL neither stops nor reads its rows again because another one begins, or ends.
async fn nobody_notices(other: FeedKind) {
    let world = World::new(running::OLD, running::NEW).await;
    let third = Database::create().await.unwrap();
    psql(&third, running::NEW).await;
    let first = world.options(running::MAPPING).await;
    let second = Options { target: connection(&third), ..first.clone() };
    let start = async || Running::start(&first, FeedKind::Wal, Duration::ZERO, Some(same())).await;
    let go_on = async |running: &Running, name: &str| {
        psql(&world.old, &format!("UPDATE app.people SET name = '{name}' WHERE id % 9 = 0")).await;
        running.compared(1).await;
    };
    let end = async |running: Running| {
        let said = Arc::clone(&running.said);
        running.stop().await.unwrap();
        assert!(!said.has("altered") && !said.has("again"), "{:?}", said.all());
    };
    caught_up(&first, FeedKind::Wal).await.unwrap();
    let running = start().await;
    go_on(&running, "one").await;
    caught_up(&second, other).await.unwrap();
    go_on(&running, "both").await;
    end(running).await;
    let running = start().await;
    go_on(&running, "both again").await;
    assert!(cleaned(&second).await);
    go_on(&running, "one").await;
    end(running).await;
    let running = start().await;
    go_on(&running, "one again").await;
    end(running).await;
    assert_exact(&world, &first, &same()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_one_by_the_wal_goes_unnoticed() {
    nobody_notices(FeedKind::Wal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_one_by_the_queue_goes_unnoticed() {
    nobody_notices(FeedKind::Queue).await;
}
