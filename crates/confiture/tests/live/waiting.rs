//! Keys that wait for their table: in pieces, beside indexes that refuse what is only half there; and changes that nobody
//! captured, because somebody broke what captures them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use confiture::config::Connection;
use confiture::event::{Event, Execution, Observer};
use confiture::postgres::Session;
use confiture::schema_to_schema::{BatchReport, FeedKind, Options, Until, Witness};
use confiture::sql::Sql;
use futures_util::future::BoxFuture;
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

/// Stops the run after its first batch.
struct OneBatch(CancellationToken);

impl Observer for OneBatch {
    fn observe(&self, event: &Event) {
        if let Event::BatchApplied { .. } = event {
            self.0.cancel();
        }
    }
}

/// Two tables of which each row is to take the value of another one, half of the table away.
struct Rooms {
    world: World,
    options: Options,
}

const HALF_ROUND: &str =
    "UPDATE {table} SET place = -place; UPDATE {table} SET place = 1 + (-place + 1500) % 3000";

impl Rooms {
    /// Both follow.
    async fn new() -> Self {
        let both =
            |script: &str| format!("{script}\n{}", script.replace("seats", "desks").replace("ones", "twos"));
        let world = World::new(&both(OLD), &both(NEW)).await;
        let mapping = "tables: { desks: { from: desks d }, seats: { from: seats s } }";
        let options = world.options(mapping).await;
        let rooms = Self { world, options };
        rooms.follow().await;
        rooms
    }

    /// Sets how far tables are, as if indexes of theirs were still to be built, or had just been.
    async fn set(&self, state: &str, tables: &[&str]) {
        let tables = tables.join("', '");
        psql(
            &self.world.new,
            &format!("UPDATE confiture.table_state SET state = '{state}' WHERE table_name IN ('{tables}')"),
        )
        .await;
    }

    /// Changes rows of these tables, whose keys one batch lets wait.
    async fn let_wait(&self, statements: &str, tables: &[&str]) {
        self.set("indexing", tables).await;
        for table in tables {
            psql(&self.world.old, &statements.replace("{table}", table)).await;
        }
        let interrupt = CancellationToken::new();
        let execution = Execution::new(Arc::new(OneBatch(interrupt.clone())), interrupt);
        let until = Until::Interrupted;
        follow(self.options.clone(), FeedKind::Queue, until, &execution, None).await.unwrap();
    }

    /// Follows until both tables are equal.
    async fn follow(&self) {
        self.follow_with(None).await;
    }

    async fn follow_with(&self, witness: Option<Arc<dyn Witness>>) {
        let (execution, until) = (Execution::unattended(), Until::CaughtUp);
        let report = follow(self.options.clone(), FeedKind::Queue, until, &execution, witness).await.unwrap();
        assert!(report.verification.unwrap().ok);
        for table in ["seats", "desks"] {
            let rows = format!("SELECT id, place FROM {table}");
            self.world.assert_same(&rows, &rows).await;
        }
    }

    /// Keys that wait for a table, and whether all of its rows do.
    async fn waiting(&self, table: &str) -> String {
        let query = format!(
            "SELECT count(key), count(*) > count(key) FROM confiture.deferred WHERE table_name = '{table}'"
        );
        psql(&self.world.new, &query).await.trim().to_owned()
    }
}

/// Rows of two tables wait at once, and neither table's first piece fits in alone.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_of_two_tables_that_exchange_unique_values() {
    let rooms = Rooms::new().await;
    rooms.let_wait(HALF_ROUND, &["desks", "seats"]).await;
    rooms.set("catching_up", &["desks", "seats"]).await;
    assert_eq!([rooms.waiting("desks").await, rooms.waiting("seats").await], ["3000|f", "3000|f"]);
    rooms.follow().await;
}

/// Runs statements on the source once a batch has frozen it, the first time.
struct Meanwhile(Mutex<Option<(Connection, String)>>);

impl Witness for Meanwhile {
    fn freeze<'a>(&'a self, _exported: &'a str) -> BoxFuture<'a, confiture::Result<()>> {
        let meanwhile = self.0.lock().unwrap().take();
        Box::pin(async move {
            match meanwhile {
                Some((source, statements)) => {
                    Session::connect(&source).await?.batch(&Sql::from_user(statements)).await
                }
                None => Ok(()),
            }
        })
    }

    fn committed<'a>(
        &'a self,
        _batch: &'a BatchReport,
        _exact: bool,
    ) -> BoxFuture<'a, confiture::Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// The batch in which a table's piece does not fit in had to be made again before, because another table was emptied while its
/// rows were read.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_that_do_not_fit_into_a_batch_that_is_made_again() {
    let rooms = Rooms::new().await;
    rooms.let_wait("UPDATE {table} SET place = place + 10000", &["seats"]).await;
    rooms.set("catching_up", &["seats"]).await;
    psql(&rooms.world.old, "UPDATE desks SET place = 4000 WHERE id = 1").await;
    assert_eq!([rooms.waiting("desks").await, rooms.waiting("seats").await], ["0|f", "3000|f"]);
    // Most of those who sit there by the target's account wait.
    let meanwhile = "BEGIN; TRUNCATE desks; INSERT INTO desks VALUES (1, 1); \
                     INSERT INTO seats SELECT 3000 + i, i FROM generate_series(1, 100) AS i; COMMIT";
    let meanwhile = Mutex::new(Some((rooms.options.source.clone(), meanwhile.to_owned())));
    rooms.follow_with(Some(Arc::new(Meanwhile(meanwhile)))).await;
}

/// Behind the keys that one batch takes all rows wait: what a piece may collide with is none of the keys that are known.
#[tokio::test(flavor = "multi_thread")]
async fn all_rows_that_wait_behind_some() {
    let rooms = Rooms::new().await;
    rooms.let_wait(HALF_ROUND, &["seats"]).await;
    let again = "BEGIN; TRUNCATE {table}; INSERT INTO {table} SELECT i, 1 + (i + 700) % 3000 FROM generate_series(1, 3000) i; COMMIT";
    rooms.let_wait(again, &["seats"]).await;
    rooms.set("catching_up", &["seats"]).await;
    assert_eq!(rooms.waiting("seats").await, "3000|t");
    rooms.follow().await;
}

/// A constraint that is deferred refuses a piece at its commit, and does not say which row was in the way.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_that_a_deferred_constraint_refuses() {
    let mut rooms = Rooms::new().await;
    let role = format!("plain_{}", rooms.world.new.name());
    // Whoever may write past triggers writes past such constraints, too.
    psql(
        &rooms.world.new,
        &format!(
            "CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA public, confiture TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA confiture TO {role};
             GRANT ALL ON ALL SEQUENCES IN SCHEMA confiture TO {role}; ALTER TABLE seats OWNER TO {role}; ALTER TABLE desks OWNER TO {role};
             ALTER TABLE seats DROP CONSTRAINT seats_place_key, ADD UNIQUE (place) DEFERRABLE INITIALLY DEFERRED"
        ),
    )
    .await;
    rooms.options.target.user.clone_from(&role);
    rooms.let_wait(HALF_ROUND, &["seats"]).await;
    rooms.set("catching_up", &["seats"]).await;
    rooms.follow().await;
    psql(
        &rooms.world.new,
        &format!("REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}"),
    )
    .await;
}

/// However many tables exchange unique values within one batch, it is made again for each of them.
#[tokio::test(flavor = "multi_thread")]
async fn many_tables_that_follow_and_exchange_unique_values() {
    let every =
        |script: &str| (0..8).map(|n| script.replace("seats", &format!("seats{n}"))).collect::<String>();
    let table = "CREATE TABLE seats (id int PRIMARY KEY, place int NOT NULL UNIQUE);";
    let rows = "INSERT INTO seats SELECT i, i FROM generate_series(1, 3000) i;";
    let world = World::new(&every(&[table, rows].concat()), &every(table)).await;
    let options = world.options(&format!("tables: {{ {} }}", every("seats: { from: seats s }, "))).await;
    let execution = Execution::unattended();
    for statements in ["", &HALF_ROUND.replace("{table}", "seats")] {
        psql(&world.old, &every(&format!("{statements};"))).await;
        let report =
            follow(options.clone(), FeedKind::Queue, Until::CaughtUp, &execution, None).await.unwrap();
        assert!(report.verification.unwrap().ok);
    }
    let rows = "SELECT id, place FROM seats7";
    world.assert_same(rows, rows).await;
}

/// Remembers warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

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
