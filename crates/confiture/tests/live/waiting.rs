//! Keys that wait for their table: in pieces, beside indexes that refuse what is only half there; and changes that nobody
//! captured, because somebody broke what captures them.

use std::sync::Arc;
use std::time::Duration;

use confiture::event::{Event, Execution, Observer};
use confiture::schema_to_schema::{FeedKind, Until};
use tokio_util::sync::CancellationToken;

use crate::first::follow;
use crate::world::{World, psql};

const OLD: &str = "
CREATE TABLE seats (id int PRIMARY KEY, place int NOT NULL UNIQUE);
INSERT INTO seats SELECT i, i FROM generate_series(1, 3000) i;
ANALYZE;";

/// The view needs the primary key, and partitions keep their indexes: both stay on during the load.
const NEW: &str = "
CREATE TABLE seats (id int PRIMARY KEY, place int NOT NULL UNIQUE);
CREATE VIEW ones AS SELECT id, place, count(*) FROM seats GROUP BY id;";

const MAPPING: &str = "tables: { seats: { from: seats s } }";

/// Rows exchange their unique values with rows that other pieces hold, so that no piece fits in alone.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_that_exchange_unique_values() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    let execution = Execution::unattended();
    follow(options.clone(), FeedKind::Queue, Until::CaughtUp, &execution, None).await.unwrap();
    // As if indexes were still to be built: the next batch lets its keys wait, those after it take them in pieces.
    psql(&world.new, "UPDATE confiture.table_state SET state = 'indexing'").await;
    let rotate = "UPDATE seats SET place = -place; UPDATE seats SET place = 1 + (-place * 7 + 11) % 3000";
    psql(&world.old, &rotate.replace("* 7 + 11", "+ 1500")).await;
    let report = follow(options, FeedKind::Queue, Until::CaughtUp, &execution, None).await.unwrap();
    assert!(report.verification.unwrap().ok);
    world.assert_same("SELECT id, place FROM seats", "SELECT id, place FROM seats").await;
}

/// Remembers warnings.
#[derive(Default)]
struct Warnings(std::sync::Mutex<Vec<String>>);

impl Observer for Warnings {
    fn observe(&self, event: &Event) {
        if let Event::Warning { message } = event {
            self.0.lock().unwrap().push(message.clone());
        }
    }
}

/// A trigger that was disabled for a while has missed changes: that is noticed, said, mended, and all rows are read again.
#[tokio::test(flavor = "multi_thread")]
async fn a_capture_that_somebody_broke() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    let execution = Execution::unattended();
    follow(options.clone(), FeedKind::Queue, Until::CaughtUp, &execution, None).await.unwrap();
    psql(
        &world.old,
        "ALTER TABLE seats DISABLE TRIGGER USER; DELETE FROM seats WHERE id <= 10; UPDATE seats SET place = 99999 WHERE id = 11",
    )
    .await;
    let warnings = Arc::new(Warnings::default());
    let watched = Execution::new(Arc::clone(&warnings) as _, CancellationToken::new());
    let again = follow(options, FeedKind::Queue, Until::CaughtUp, &watched, None);
    let report = tokio::time::timeout(Duration::from_secs(60), again).await.unwrap().unwrap();
    assert!(report.verification.unwrap().ok);
    world.assert_same("SELECT id, place FROM seats", "SELECT id, place FROM seats").await;
    let said = warnings.0.lock().unwrap().join("\n");
    assert!(said.contains("changes may have been missed: seats"), "{said}");
    // And changes are captured again.
    psql(&world.old, "INSERT INTO seats VALUES (5000, 5000)").await;
    let options = world.options(MAPPING).await;
    follow(options, FeedKind::Queue, Until::CaughtUp, &execution, None).await.unwrap();
    world.assert_same("SELECT id FROM seats", "SELECT id FROM seats").await;
}
