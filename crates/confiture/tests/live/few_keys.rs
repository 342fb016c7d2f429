//! A few changed keys are looked up in the target's key: nobody reads the whole target for them.

use std::sync::Arc;
use std::time::Duration;

use confiture::event::Execution;
use confiture::schema_to_schema::{Capture, FeedKind, Following, Migration, Options, Until};

use crate::world::{World, assert_same, connection, psql};
use confiture::postgres::Session;
use confiture::sql::Sql;

/// Follows until the target is there; its sessions have ended then, and have told what they read.
async fn follow(options: &Options) {
    let execution = Execution::unattended();
    let migration = Arc::new(Migration::plan(options.clone(), &execution).await.unwrap());
    let following = Following {
        capture: Capture::Only(FeedKind::Queue),
        until: Until::CaughtUp,
        patience: Duration::ZERO,
        verify: false,
        ..Following::default()
    };
    migration.follow(&following, &execution).await.unwrap();
}

/// How many rows were read of the table without its index.
async fn scanned(session: &Session) -> i64 {
    // A session tells what it has read before it is gone from the list of those that are there.
    let others = Sql::literal(
        "SELECT count(*) FROM pg_catalog.pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_catalog.pg_backend_pid() AND backend_type = 'client backend'",
    );
    while session.query_one(&others, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::task::yield_now().await;
    }
    let scanned =
        Sql::literal("SELECT seq_tup_read FROM pg_catalog.pg_stat_user_tables WHERE relname = 'item'");
    session.query_one(&scanned, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn are_looked_up() {
    let table = "CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL);";
    let rows = "INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 30000) AS i; ANALYZE;";
    let world = World::new(&format!("{table}{rows}"), table).await;
    let options = world.options("tables: { item: { from: item } }").await;
    follow(&options).await;
    psql(&world.new, "ANALYZE").await;
    let session = Session::connect(&connection(&world.new)).await.unwrap();
    let before = scanned(&session).await;
    psql(
        &world.old,
        "UPDATE item SET name = 'other' WHERE id = 7; DELETE FROM item WHERE id = 8; INSERT INTO item VALUES (0, 'new')",
    )
    .await;
    follow(&options).await;
    // Whether a row is there at all may be asked; who asks for more reads 30,000.
    let read = scanned(&session).await - before;
    assert!(read < 100, "{read} rows of the target were read for three keys");
    assert_same(&world.old, "TABLE item", &world.new, "TABLE item").await;
}
