//! The list before a cutover: each point fails for its own reason, and passes once that is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use confiture::event::Execution;
use confiture::postgres::Session;
use confiture::schema_to_schema::{
    Check, CheckOutcome, FeedKind, Following, Migration, Options, Standard, Until, Verifying, confirmable,
    read_checklist,
};
use confiture::sql::Sql;

use crate::running::Running;
use crate::world::{World, connection, psql};

const OLD: &str = "
CREATE SCHEMA legacy;
CREATE TABLE legacy.people (id serial PRIMARY KEY, name text NOT NULL, age int);
CREATE TABLE legacy.orders (id int PRIMARY KEY, person int NOT NULL REFERENCES legacy.people, cents int);
INSERT INTO legacy.people (name, age) SELECT 'name ' || i, i FROM generate_series(1, 50) i;
INSERT INTO legacy.orders SELECT i, 1 + i % 50, i FROM generate_series(1, 100) i;
ANALYZE;";

const NEW: &str = "
CREATE SCHEMA app;
CREATE TABLE app.people (id serial PRIMARY KEY, first_name text NOT NULL, age int);
CREATE INDEX people_by_name ON app.people (first_name);
CREATE TABLE app.orders (id int PRIMARY KEY, person int NOT NULL REFERENCES app.people, cents int);";

const MAPPING: &str = "
tables:
  app.people:
    from: legacy.people p
    columns: { first_name: p.name }
  app.orders: { from: legacy.orders }
";

struct Scene {
    world: World,
    options: Options,
    standard: Standard,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new(OLD, NEW).await;
        let options = world.options(MAPPING).await;
        Self { world, options, standard: Standard::default() }
    }

    async fn migration(&self) -> Arc<Migration> {
        Arc::new(Box::pin(Migration::plan(self.options.clone(), &Execution::unattended())).await.unwrap())
    }

    async fn all(&self) -> Vec<Check> {
        Box::pin(read_checklist(self.migration().await.as_ref(), &self.standard)).await.unwrap()
    }

    async fn check(&self, id: &str) -> Check {
        self.all().await.into_iter().find(|check| check.id == id).unwrap_or_else(|| panic!("no {id}"))
    }

    /// It fails, and says this.
    async fn fails(&self, id: &str, says: &str) {
        let check = self.check(id).await;
        assert_eq!(check.outcome, CheckOutcome::Fail, "{check:?}");
        assert!(check.evidence.contains(says), "{check:?}");
        assert!(check.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{check:?}");
    }

    async fn passes(&self, id: &str) {
        let check = self.check(id).await;
        assert_eq!(check.outcome, CheckOutcome::Pass, "{check:?}");
    }

    async fn follow(&self, verify: bool) {
        let following = Following { until: Until::CaughtUp, verify, ..Following::default() };
        Box::pin(self.migration().await.follow(&following, &Execution::unattended())).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_follows_is_not_behind_and_was_compared() {
    let scene = Scene::new().await;
    for (id, says) in [
        ("following", "follows no source"),
        ("lag", "nothing is measured"),
        ("verified", "nothing was compared"),
        ("capture", "nothing is captured"),
    ] {
        scene.fails(id, says).await;
    }
    scene.follow(false).await;
    scene.passes("following").await;
    scene.fails("lag", "no run is at work").await;
    scene.fails("verified", "not known to be equal: app.people, app.orders").await;
    scene.passes("capture").await;
    let other = MAPPING.replace("first_name: p.name", "first_name: upper(p.name)");
    let other = Scene { options: scene.world.options(&other).await, standard: Standard::default(), ..scene };
    other.fails("following", "another mapping").await;
    let scene = Scene { options: other.world.options(MAPPING).await, ..other };

    let run = Running::start(&scene.options, FeedKind::Wal, Duration::from_secs(30), None).await;
    run.until(|| run.said.has("planned")).await;
    let since = Instant::now();
    while scene.check("lag").await.outcome != CheckOutcome::Pass {
        assert!(since.elapsed() < Duration::from_secs(60), "{:?}", scene.check("lag").await);
    }
    let strict = Standard { max_lag: Duration::ZERO, ..Standard::default() };
    let check = Box::pin(read_checklist(&*scene.migration().await, &strict)).await.unwrap();
    assert!(check.iter().any(|check| check.id == "lag" && check.outcome == CheckOutcome::Fail), "{check:?}");
    psql(&scene.world.new, "UPDATE confiture.control SET paused = true").await;
    scene.fails("lag", "paused").await;
    psql(&scene.world.new, "UPDATE confiture.control SET paused = false").await;
    scene.passes("lag").await;

    let execution = Execution::unattended();
    let compare = async |verifying| {
        Box::pin(scene.migration().await.verify_following(verifying, &execution)).await.unwrap()
    };
    assert!(compare(Verifying::default()).await.ok);
    scene.passes("verified").await;
    // Somebody writes to the target by hand.
    psql(&scene.world.new, "UPDATE app.people SET age = -1 WHERE id = 3").await;
    let complete = Verifying { complete: true, ..Verifying::default() };
    assert!(!compare(complete).await.ok);
    scene.fails("verified", "app.people differs").await;
    assert!(compare(Verifying { repair: true, ..complete }).await.ok);
    scene.passes("verified").await;
    let fresh = Standard { verified_within: Some(Duration::ZERO), ..Standard::default() };
    let fresh = Scene { standard: fresh, ..scene };
    fresh.fails("verified", "found equal").await;
    let scene = Scene { standard: Standard::default(), ..fresh };

    let publication = psql(&scene.world.old, "SELECT quote_ident(pubname) FROM pg_publication").await;
    run.stop().await.unwrap();
    psql(&scene.world.old, &format!("ALTER PUBLICATION {} DROP TABLE legacy.orders", publication.trim()))
        .await;
    scene.fails("capture", "no longer published").await;
    scene.follow(false).await;
    scene.passes("capture").await;
    psql(&scene.world.new, "UPDATE confiture.follow SET stopped_because = 'the disk is full'").await;
    scene.fails("capture", "the disk is full").await;
    psql(
        &scene.world.new,
        "UPDATE confiture.table_state SET state = 'catching_up' WHERE table_name = 'orders'",
    )
    .await;
    scene.fails("following", "not yet: app.orders").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_tables_are_complete() {
    let scene = Scene::new().await;
    scene.follow(true).await;
    for id in ["foreign-keys", "indexes", "left-off", "sequences"] {
        scene.passes(id).await;
    }
    let new = &scene.world.new;
    psql(
        new,
        "ALTER TABLE app.orders ADD CONSTRAINT again FOREIGN KEY (person) REFERENCES app.people NOT VALID",
    )
    .await;
    scene.fails("foreign-keys", "not validated: again of app.orders").await;
    psql(new, "ALTER TABLE app.orders VALIDATE CONSTRAINT again").await;
    scene.passes("foreign-keys").await;
    // As CREATE INDEX CONCURRENTLY leaves it where it fails.
    psql(new, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'app.people_by_name'::regclass")
        .await;
    scene.fails("indexes", "app.people_by_name").await;
    psql(new, "REINDEX INDEX app.people_by_name").await;
    scene.passes("indexes").await;
    psql(new, "INSERT INTO confiture.journal (table_schema, table_name, kind, name, restore) VALUES ('app', 'people', 'index', 'gone', ARRAY['CREATE INDEX gone ON app.people (age)'])").await;
    scene.fails("left-off", "gone of app.people").await;
    psql(new, "UPDATE confiture.journal SET kind = 'trigger'").await;
    let waits = scene.check("left-off").await;
    assert!(
        waits.outcome == CheckOutcome::Pass && waits.evidence.contains("put back at the cutover"),
        "{waits:?}"
    );
    psql(new, "DELETE FROM confiture.journal; ALTER SEQUENCE app.people_id_seq MAXVALUE 900").await;
    scene.fails("sequences", "app.people_id_seq").await;
    psql(new, "ALTER SEQUENCE app.people_id_seq NO MAXVALUE").await;
    scene.passes("sequences").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_holds_a_table_for_longer_than_writes_may_wait() {
    let scene = Scene {
        standard: Standard { max_stall: Duration::ZERO, ..Standard::default() },
        ..Scene::new().await
    };
    scene.passes("writers").await;
    scene.passes("prepared").await;
    let writer = Session::connect(&connection(&scene.world.old)).await.unwrap();
    // Readers are in nobody's way.
    writer.batch(&Sql::literal("BEGIN; SELECT count(*) FROM legacy.people")).await.unwrap();
    scene.passes("writers").await;
    writer.batch(&Sql::literal("UPDATE legacy.people SET age = 0 WHERE id = 1")).await.unwrap();
    scene.fails("writers", "holds legacy.people").await;
    assert!(scene.check("writers").await.evidence.contains(&format!("pid {}", writer.backend_pid())));
    let patient = Scene { standard: Standard::default(), ..scene };
    patient.passes("writers").await;
    let scene = Scene { standard: Standard { max_stall: Duration::ZERO, ..Standard::default() }, ..patient };
    let name = format!("left behind {}", scene.world.old.name());
    writer.batch(&Sql::from_user(format!("PREPARE TRANSACTION '{name}'"))).await.unwrap();
    scene.passes("writers").await;
    scene.fails("prepared", &name).await;
    writer.batch(&Sql::from_user(format!("ROLLBACK PREPARED '{name}'"))).await.unwrap();
    scene.passes("prepared").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_of_the_old_tables_may_use_the_new_ones() {
    let scene = Scene::new().await;
    scene.passes("grants").await;
    let (old, new) = (&scene.world.old, &scene.world.new);
    let role = format!("shop_{}", old.name());
    psql(old, &format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA legacy TO {role}; GRANT SELECT, INSERT ON legacy.people TO {role}; GRANT UPDATE (cents) ON legacy.orders TO {role}")).await;
    for what in [
        "USAGE ON SCHEMA app",
        "INSERT ON app.people",
        "SELECT ON app.people",
        "UPDATE ON app.orders",
        "USAGE ON SEQUENCE app.people_id_seq",
    ] {
        scene.fails("grants", &format!("{role} lacks {what}")).await;
        let hint = scene.check("grants").await.hint.unwrap();
        assert!(hint.contains(&format!("GRANT {what} TO {role}")), "{hint}");
        let grant = if what.starts_with("UPDATE") { "UPDATE (cents) ON app.orders" } else { what };
        psql(new, &format!("GRANT {grant} TO {role}")).await;
    }
    scene.passes("grants").await;
    psql(old, "GRANT DELETE ON legacy.orders TO PUBLIC").await;
    scene.fails("grants", "public lacks USAGE ON SCHEMA app").await;
    psql(new, "GRANT USAGE ON SCHEMA app TO PUBLIC; GRANT DELETE ON app.orders TO PUBLIC").await;
    scene.passes("grants").await;
    for database in [old, new] {
        psql(database, &format!("DROP OWNED BY {role}")).await;
    }
    psql(old, &format!("DROP ROLE {role}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_way_back_and_people_have_said_what_they_know() {
    let scene = Scene::new().await;
    scene.passes("way-back").await;
    scene.passes("losses").await;
    let lossy = MAPPING.replace("first_name: p.name", "first_name: upper(p.name)");
    let lossy = Scene { options: scene.world.options(&lossy).await, ..scene };
    // NOT NULL without a default: without an expression, nothing new could come back.
    lossy.fails("way-back", "mapping.yaml:5:28 legacy.people.name: it is NOT NULL").await;
    psql(&lossy.world.old, "ALTER TABLE legacy.people ALTER name DROP NOT NULL").await;
    lossy.passes("way-back").await;
    let asked = lossy.check("losses").await;
    assert_eq!(asked.outcome, CheckOutcome::Ask, "{asked:?}");
    assert!(asked.hint.unwrap().contains("reverse: { name:"));
    let mut scene = Scene { options: lossy.world.options(MAPPING).await, ..lossy };
    let wrong = MAPPING.replace(
        "columns: { first_name: p.name }",
        "columns: { first_name: p.name }\n    reverse: { age: \"age + nowhere\" }",
    );
    let wrong = Scene { options: scene.world.options(&wrong).await, ..scene };
    wrong.fails("way-back", "mapping.yaml:6:28: age: column \"nowhere\" does not exist").await;
    scene = Scene { options: wrong.world.options(MAPPING).await, ..wrong };
    scene.standard.way_back_ready = Some(Err("its slot is gone".into()));
    assert_eq!(scene.check("way-back").await.evidence, "its slot is gone");
    scene.standard.way_back_ready = Some(Ok("armed, nothing waits".into()));
    scene.passes("way-back").await;
    let asked = scene.all().await.into_iter().filter(|check| check.outcome == CheckOutcome::Ask);
    let asked: Vec<&str> = asked.map(|check| check.id).collect();
    assert_eq!(asked, ["backup", "application", "team", "rollback-plan"]);
    assert!(asked.iter().all(|id| confirmable().contains(id)));
    scene.standard.confirmed = asked.iter().map(|id| (*id).to_owned()).collect();
    for id in asked {
        scene.passes(id).await;
    }
}
