//! Disks that become full: the run stops with one clear error, and the same command goes on when there is room.

use std::time::Duration;

use confiture::ErrorKind;
use confiture::schema_to_schema::{FeedKind, Options};
use local_postgres::testing::{self, Database, shared_server};
use local_postgres::{Options as ServerOptions, Server};

use crate::running::{MAPPING, NEW, OLD, Running, assert_exact, same};
use crate::small_disk::SmallDisk;
use crate::world::{WorldOn, psql, run};

const PATIENCE: Duration = Duration::from_secs(30);

/// A server of its own, as a tablespace is everybody's.
async fn server() -> Server {
    let bin_dir = Some(shared_server().await.bin_dir().to_owned());
    Server::throwaway(ServerOptions { bin_dir, ..testing::options() }).await.unwrap()
}

/// Runs `old` and `new`, the tables of the one or the other on the small disk.
async fn world<'server>(
    server: &'server Server,
    disk: &SmallDisk,
    side: &str,
) -> (WorldOn<'server>, Options) {
    let world = WorldOn {
        old: Database::create_on(server).await.unwrap(),
        new: Database::create_on(server).await.unwrap(),
    };
    // A tablespace has a folder for each version; each test has its own server.
    run(&world.old, world.old.name(), &[&disk.tablespace("small")]);
    let database = if side == "source" { &world.old } else { &world.new };
    psql(database, &format!("ALTER DATABASE {} SET default_tablespace = small", database.name())).await;
    psql(&world.old, OLD).await;
    psql(&world.new, NEW).await;
    let options = world.options(MAPPING).await;
    (world, options)
}

fn assert_full(error: &confiture::Error) {
    assert_eq!((error.kind(), error.sqlstate_code()), (ErrorKind::Server, Some("53100")), "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("disk is full")), "{error:?}");
}

async fn the_target_has_no_room(feed: FeedKind) {
    let Some(disk) = SmallDisk::mount(1) else { return };
    let server = server().await;
    let (world, options) = world(&server, &disk, "target").await;
    // While it is copied.
    let copying = Running::start(&options, feed, PATIENCE, None).await;
    assert_full(&copying.fails().await);
    psql(&world.old, "UPDATE app.people SET name = 'meanwhile' WHERE id % 10 = 0; DELETE FROM app.people WHERE id % 10 = 1").await;
    // And again: nothing has become worse.
    assert_full(&Running::start(&options, feed, PATIENCE, None).await.fails().await);
    disk.grow(12);
    let following = Running::start(&options, feed, PATIENCE, Some(same())).await;
    following.compared(2).await;
    // While it follows: more than there is room for.
    psql(&world.old, "INSERT INTO app.people SELECT i, repeat('much ', 200), 'n', 1 FROM generate_series(100001, 120000) i").await;
    assert_full(&following.fails().await);
    psql(
        &world.old,
        "UPDATE app.people SET nick = 'later' WHERE id % 7 = 0; DELETE FROM app.people WHERE id = 100005",
    )
    .await;
    disk.grow(200);
    assert_exact(&world, &options, &same()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_has_no_room_by_the_queue() {
    the_target_has_no_room(FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_has_no_room_by_the_wal() {
    the_target_has_no_room(FeedKind::Wal).await;
}

/// Nobody can write any more, and nothing that was written is lost; what the queue holds is applied, and makes room again.
async fn the_source_has_no_room(feed: FeedKind) {
    let Some(disk) = SmallDisk::mount(16) else { return };
    let server = server().await;
    let (world, options) = world(&server, &disk, "source").await;
    let following = Running::start(&options, feed, PATIENCE, Some(same())).await;
    following.compared(2).await;
    let fill = "INSERT INTO app.people SELECT i, repeat('much ', 100), 'n', 1 FROM generate_series({from}, {from} + 999) i";
    let mut refused = 0;
    for block in 0..60 {
        let statement = fill.replace("{from}", &(100_000 + block * 1000).to_string());
        let statement = format!(
            "DO $$ BEGIN {statement}; EXCEPTION WHEN disk_full THEN CREATE TABLE app.refused () TABLESPACE pg_default; END $$"
        );
        psql(&world.old, &statement).await;
        if psql(&world.old, "SELECT to_regclass('app.refused') IS NOT NULL").await.trim() == "t" {
            psql(&world.old, "DROP TABLE app.refused").await;
            refused += 1;
        }
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3, "the disk was never full");
    // It stops with that error or goes on: what it lacks room for is the queue's next segment.
    match following.stop().await {
        Ok(_) => {}
        Err(error) => assert_full(&error),
    }
    disk.grow(100);
    psql(&world.old, "UPDATE app.people SET name = 'room again' WHERE id % 3 = 0").await;
    assert_exact(&world, &options, &same()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_has_no_room_by_the_queue() {
    the_source_has_no_room(FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_has_no_room_by_the_wal() {
    the_source_has_no_room(FeedKind::Wal).await;
}
