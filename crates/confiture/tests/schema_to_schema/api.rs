//! The library's own way in: a table at a time, analysis, the scaffold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use confiture::config::Mapping;
use confiture::event::{Event, Execution, Observer};
use confiture::schema_to_schema::{Basis, Migration, Options, Route, SchemaToSchemaMigrator, scaffold};

use crate::world::{World, connection, psql};

const OLD: &str = "
CREATE TABLE users (id bigint PRIMARY KEY, full_name text, email text, created_at timestamptz DEFAULT now());
CREATE TABLE posts (id bigint PRIMARY KEY, user_id bigint REFERENCES users, title text);
INSERT INTO users SELECT i, 'n' || i, 'e' || i FROM generate_series(1, 5000) AS i;
INSERT INTO posts SELECT i, 1 + i % 5000, 't' || i FROM generate_series(1, 7000) AS i;";
const NEW: &str = "
CREATE TABLE users (id bigint PRIMARY KEY, display_name text, email text, created_at timestamptz);
CREATE TABLE posts (id bigint PRIMARY KEY, user_id bigint REFERENCES users, title text, slug text NOT NULL DEFAULT '');";

#[tokio::test]
async fn a_table_at_a_time_through_foreign_tables_and_through_copy() {
    let world = World::new(OLD, NEW).await;
    let (old, new) = (connection(&world.old), connection(&world.new));
    let mut migrator = SchemaToSchemaMigrator::new(old, new, "old_schema");
    migrator.setup_fdw().await.unwrap();
    migrator.setup_fdw().await.unwrap();
    let columns = [("id", "id"), ("full_name", "display_name"), ("email", "email")];
    assert_eq!(migrator.migrate_table("users", "users", &columns).await.unwrap(), 5000);
    let columns = [("id", "id"), ("user_id", "user_id"), ("title", "title")];
    assert_eq!(migrator.migrate_table_copy("posts", "posts", &columns).await.unwrap(), 7000);
    world.assert_same("SELECT id, full_name, email, NULL FROM users", "SELECT * FROM users").await;
    world.assert_same("SELECT id, user_id, title, '' FROM posts", "SELECT * FROM posts").await;

    let found = migrator.verify_migration(&["users", "posts"]).await.unwrap();
    assert!(found.values().all(|table| table.matches && table.difference == 0), "{found:?}");
    psql(&world.new, "DELETE FROM posts WHERE id > 6997").await;
    let found = migrator.verify_migration(&["posts"]).await.unwrap();
    assert_eq!((found["posts"].matches, found["posts"].difference), (false, -3));

    migrator.cleanup_fdw().await.unwrap();
    migrator.cleanup_fdw().await.unwrap();
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('old_schema', 'confiture')";
    assert_eq!(psql(&world.new, left).await.trim(), "0");
    assert_eq!(psql(&world.new, "SELECT count(*) FROM pg_foreign_server").await.trim(), "0");
}

/// Rows that verification has compared, by table, as it tells on the way.
#[derive(Default)]
struct Compared {
    planned: Mutex<Vec<(String, u64)>>,
    rows: Mutex<BTreeMap<String, Vec<u64>>>,
}

impl Observer for Compared {
    fn observe(&self, event: &Event) {
        match event {
            Event::TablesPlanned { tables } => {
                self.planned
                    .lock()
                    .unwrap()
                    .extend(tables.iter().map(|table| (table.table.short(), table.rows)));
            }
            Event::TableProgress { table, rows, .. } => {
                self.rows.lock().unwrap().entry(table.short()).or_default().push(*rows);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn verification_tells_how_many_rows_are_compared() {
    // Few rows a page: several ranges.
    let wide = "CREATE TABLE wide (id bigint PRIMARY KEY, fill text) WITH (fillfactor = 10)";
    let world = World::new(
        &format!(
            "{wide}; INSERT INTO wide SELECT i, repeat('x', 500) FROM generate_series(1, 5001) AS i; ANALYZE"
        ),
        wide,
    )
    .await;
    let options = world.options("others: same-name").await;
    world.migrate(options.clone()).await.unwrap();
    let compared = Arc::new(Compared::default());
    let execution = Execution::new(compared.clone(), tokio_util::sync::CancellationToken::new());
    let migration = Migration::plan(options, &execution).await.unwrap();
    assert!(migration.verify(&execution).await.unwrap().ok);
    assert_eq!(*compared.planned.lock().unwrap(), [("wide".to_owned(), 5001)]);
    let rows = &compared.rows.lock().unwrap()["wide"];
    assert_eq!(rows.iter().sum::<u64>(), 5001);
    assert!(rows.len() > 4, "not only at the end: {rows:?}");
}

#[tokio::test]
async fn estimates_follow_the_configured_throughput_and_else_a_measured_one() {
    let world = World::new(OLD, NEW).await;
    psql(&world.old, "ANALYZE").await;
    let execution = Execution::unattended();
    let mapping = "strategy_config: { copy_throughput: 1_000 }\nfdw_tables: { users: { columns: { full_name: display_name } } }";
    let mut migration = Migration::plan(world.options(mapping).await, &execution).await.unwrap();
    let throughput = migration.estimate(&Execution::unattended()).await.unwrap();
    assert_eq!((throughput.copy_basis, throughput.fdw_basis), (Basis::Configured, Basis::Assumed));
    let plan = migration.as_plan();
    assert_eq!((plan.tables[0].route, plan.tables[0].rows), (Route::Fdw, 5000));
    assert_eq!(plan.tables[0].estimated_seconds, Some(0.01));
    assert_eq!(plan.tables[1].estimated_seconds, Some(7.0));

    let mut migration = Migration::plan(world.options("others: same-name").await, &execution).await.unwrap();
    assert_eq!(migration.estimate(&Execution::unattended()).await.unwrap().copy_basis, Basis::Measured);
    assert!(
        migration
            .as_plan()
            .tables
            .iter()
            .all(|table| table.estimated_seconds.is_some_and(|seconds| seconds > 0.0))
    );
    let left = "SELECT count(*) FROM pg_class WHERE relname = 'confiture_calibration'";
    assert_eq!(psql(&world.new, left).await.trim(), "0", "calibrating leaves nothing");
}

#[tokio::test]
async fn the_scaffold_is_a_mapping_and_asks_what_it_cannot_know() {
    let world = World::new(OLD, NEW).await;
    let text = scaffold(&connection(&world.old), &connection(&world.new)).await.unwrap();
    assert!(
        text.contains("display_name: null   # OPEN: text, left to its default; candidates: full_name"),
        "{text}"
    );
    let mapping = Mapping::parse(&text, std::path::Path::new("scaffold.yaml")).unwrap();
    assert_eq!(mapping.tables.len(), 2);
    let options = Options::new(connection(&world.old), connection(&world.new), mapping);
    world.migrate(options).await.unwrap();
    world.assert_same("SELECT id, NULL, email, created_at FROM users", "SELECT * FROM users").await;
}
