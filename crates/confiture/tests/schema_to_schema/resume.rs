//! A run that was cut short, and what happened before the next one.

use confiture::ErrorKind;
use confiture::config::mapping::TableName;
use confiture::schema_to_schema::{MigrationReport, Outcome};

use crate::crash::{MAPPING, NEW, OLD, assert_exact, child};
use crate::world::{World, dump, psql, run};

/// A world in which the process died when some chunks of `people` were there.
async fn cut_short() -> (World, String) {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    let mut command = child(&world.old, &world.new, Some(("chunk committed", 4)));
    let died = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(died.status.code().is_none());
    (world, before)
}

fn outcome(report: &MigrationReport, table: &str) -> Outcome {
    report.tables.iter().find(|one| one.table.name.as_str() == table).unwrap().outcome
}

async fn after(change: &str) -> MigrationReport {
    let (world, before) = cut_short().await;
    run(&world.old, world.old.name(), &[change]);
    let report = world.migrate(world.options(MAPPING).await).await.unwrap();
    assert_exact(&world, &before).await;
    let snapshot = report.snapshot.clone().unwrap();
    assert!(report.tables.iter().all(|table| table.snapshot == snapshot), "{report:#?}");
    report
}

#[tokio::test]
async fn rows_changed_removed_or_added_at_the_source_are_seen() {
    for change in [
        "UPDATE app.people SET name = 'another' WHERE id IN (1, 14000, 28000)",
        "DELETE FROM app.pets WHERE id > 400; DELETE FROM app.people WHERE id % 1000 = 0",
        "TRUNCATE app.people, app.pets; INSERT INTO app.people VALUES (7, 'x'); INSERT INTO app.pets VALUES (1, 7, 'y')",
    ] {
        assert_eq!(outcome(&after(change).await, "people"), Outcome::CopiedAgain, "{change}");
    }
    let inserted =
        after("INSERT INTO app.people (name) SELECT 'new ' || i FROM generate_series(1, 3000) AS i").await;
    assert!(matches!(outcome(&inserted, "people"), Outcome::Continued | Outcome::CopiedAgain));
}

#[tokio::test]
async fn rows_that_moved_to_other_pages_are_copied_again() {
    after("VACUUM FULL app.people").await;
    after("UPDATE app.people SET name = name WHERE id < 20000").await;
}

#[tokio::test]
async fn a_table_that_was_full_is_proven_or_copied_again_with_the_others() {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    let mut command = child(&world.old, &world.new, Some(("sequences advanced", 1)));
    let died = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(died.status.code().is_none());
    psql(&world.old, "UPDATE app.kinds SET kind = 'bird' WHERE kind = 'dog'").await;
    let report = world.migrate(world.options(MAPPING).await).await.unwrap();
    assert_eq!(outcome(&report, "kinds"), Outcome::CopiedAgain);
    assert_eq!(outcome(&report, "people"), Outcome::Continued);
    assert_eq!(report.tables[0].rows, 28000);
    let snapshot = report.snapshot.clone().unwrap();
    assert!(report.tables.iter().all(|table| table.snapshot == snapshot));
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn rows_that_someone_else_wrote_are_not_removed() {
    for change in [
        "UPDATE people SET name = 'theirs' WHERE id = (SELECT min(id) FROM people)",
        "DELETE FROM people WHERE id = (SELECT min(id) FROM people)",
        "INSERT INTO people OVERRIDING SYSTEM VALUE VALUES (99999, 'theirs')",
    ] {
        let (world, before) = cut_short().await;
        psql(&world.new, change).await;
        let count = psql(&world.new, "SELECT count(*), sum(hashtext(people::text)) FROM people").await;
        let error = world.migrate(world.options(MAPPING).await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{change}: {error:?}");
        assert!(error.hints().iter().any(|hint| hint.contains("--restart")), "{error:?}");
        let now = psql(&world.new, "SELECT count(*), sum(hashtext(people::text)) FROM people").await;
        assert_eq!(now, count, "{change}");
        let mut options = world.options(MAPPING).await;
        options.restart = true;
        world.migrate(options).await.unwrap();
        assert_exact(&world, &before).await;
    }
}

#[tokio::test]
async fn another_mapping_says_restart_and_restart_copies_from_the_first_row() {
    let (world, before) = cut_short().await;
    let edited = MAPPING.replace("upper(p.name)", "lower(p.name)");
    let error = world.migrate(world.options(&edited).await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert!(error.message().contains("another mapping"), "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("--restart")), "{error:?}");
    let mut options = world.options(&edited).await;
    options.restart = true;
    let report = world.migrate(options).await.unwrap();
    assert!(report.tables.iter().all(|table| table.outcome == Outcome::Copied), "{report:#?}");
    world.assert_same("SELECT id, lower(name), false FROM app.people", "SELECT * FROM people").await;
    assert_eq!(dump(&world.new).await, before);
}

#[tokio::test]
async fn truncate_takes_over_what_an_interrupted_run_left() {
    let (world, before) = cut_short().await;
    let mut options = world.options(MAPPING).await;
    options.truncate = true;
    world.migrate(options).await.unwrap();
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn what_was_half_put_back_is_whole_when_the_table_is_copied_again() {
    let comments = "COMMENT ON CONSTRAINT people_pkey ON people IS 'key'; COMMENT ON INDEX people_name IS 'name';
        ALTER TABLE people CLUSTER ON people_pkey; ALTER TABLE kinds REPLICA IDENTITY USING INDEX kinds_pkey;";
    let world = World::new(OLD, &format!("{NEW}{comments}")).await;
    let before = dump(&world.new).await;
    for n in [1, 2, 3, 5, 7] {
        let mut command = child(&world.old, &world.new, Some(("one statement put back", n)));
        let died = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(died.status.code().is_none(), "{n}: {died:?}");
        // Every table is to be copied again.
        let change = "UPDATE app.people SET name = name || '.'; UPDATE app.pets SET name = name || '.'; UPDATE app.kinds SET kind = kind || '.'";
        psql(&world.old, change).await;
    }
    world.migrate(world.options(MAPPING).await).await.unwrap();
    assert_exact(&world, &before).await;
}

fn named(name: &str) -> Vec<TableName> {
    vec![TableName { schema: None, name: name.into() }]
}

#[tokio::test]
async fn tables_one_after_another_each_of_its_own_snapshot() {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    for name in ["kinds", "people", "pets"] {
        let mut options = world.options(MAPPING).await;
        options.tables = named(name);
        let report = world.migrate(options).await.unwrap();
        assert_eq!((report.tables.len(), report.already_done), (1, false));
        assert!(report.violated.is_empty());
        assert_eq!(dump(&world.new).await, before, "after {name}");
        psql(&world.old, "CREATE TABLE IF NOT EXISTS app.other (); ANALYZE app.kinds").await;
    }
    let all = world.migrate(world.options(MAPPING).await).await.unwrap();
    assert!(all.already_done && all.snapshot.is_none());
    let mut snapshots: Vec<_> = all.tables.iter().map(|table| &table.snapshot).collect();
    snapshots.dedup();
    assert_eq!(snapshots.len(), 3, "{snapshots:?}");
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn a_finished_table_stays_until_restart() {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    world.migrate(world.options(MAPPING).await).await.unwrap();
    psql(&world.old, "INSERT INTO app.kinds VALUES ('bird')").await;
    assert!(world.migrate(world.options(MAPPING).await).await.unwrap().already_done);
    let mut options = world.options(MAPPING).await;
    (options.tables, options.restart) = (named("kinds"), true);
    world.migrate(options).await.unwrap();
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn a_subset_leaves_what_another_run_began_for_that_run() {
    let (world, before) = cut_short().await;
    let mut options = world.options(MAPPING).await;
    options.tables = named("pets");
    world.migrate(options).await.unwrap();
    assert_ne!(psql(&world.new, "SELECT count(*) FROM confiture.journal").await.trim(), "0");
    world.migrate(world.options(MAPPING).await).await.unwrap();
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn a_table_emptied_by_a_crash_of_the_server_is_copied_again() {
    let (world, before) = cut_short().await;
    psql(&world.new, "TRUNCATE people").await;
    world.migrate(world.options(MAPPING).await).await.unwrap();
    assert_exact(&world, &before).await;
}
