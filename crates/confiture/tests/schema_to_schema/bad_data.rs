//! Rows that the new schema does not take: a clear error without values, and a way forward.

use confiture::ErrorKind;

use crate::crash::{MAPPING, NEW, OLD, assert_exact};
use crate::world::{World, dump, psql};

async fn fails(new: &str, mapping: &str, sqlstate: &str, words: &str) -> (World, String) {
    let world = World::new(OLD, &format!("{NEW}{new}")).await;
    let before = dump(&world.new).await;
    let error = world.migrate(world.options(mapping).await).await.unwrap_err();
    assert_eq!((error.kind(), error.sqlstate_code()), (ErrorKind::Server, Some(sqlstate)), "{error:?}");
    assert!(error.message().contains(words), "{error:?}");
    assert!(!format!("{error:?}").to_lowercase().contains("person "), "no values: {error:?}");
    (world, before)
}

/// The mapping was mended: that must be said, and then works.
async fn restart_with_another_mapping(world: &World, before: &str) {
    let error = world.migrate(world.options(MAPPING).await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert!(error.hints().iter().any(|hint| hint.contains("--restart")), "{error:?}");
    let mut options = world.options(MAPPING).await;
    options.restart = true;
    world.migrate(options).await.unwrap();
    assert_exact(world, before).await;
}

#[tokio::test]
async fn duplicates_that_the_mapping_makes() {
    let mapping = MAPPING.replace("upper(p.name)", "substring(p.name FROM 1 FOR 10)");
    let unique = "CREATE UNIQUE INDEX one_name ON people (name);";
    let (world, before) = fails(unique, &mapping, "23505", "one_name").await;
    restart_with_another_mapping(&world, &before).await;
}

#[tokio::test]
async fn duplicates_that_the_source_has_and_loses() {
    let world = World::new(OLD, &format!("{NEW} CREATE UNIQUE INDEX one_name ON people (name)")).await;
    let before = dump(&world.new).await;
    psql(&world.old, "UPDATE app.people SET name = 'same' WHERE id IN (3, 4)").await;
    for _ in 0..2 {
        let error = world.migrate(world.options(MAPPING).await).await.unwrap_err();
        assert_eq!(error.sqlstate_code(), Some("23505"), "{error:?}");
    }
    psql(&world.old, "UPDATE app.people SET name = 'other' WHERE id = 4").await;
    world.migrate(world.options(MAPPING).await).await.unwrap();
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn a_check_in_the_middle_of_a_copy() {
    let mapping = MAPPING.replace("upper(p.name)", "CASE WHEN p.id = 14000 THEN '' ELSE upper(p.name) END");
    let check = "ALTER TABLE people ADD CONSTRAINT has_name CHECK (name <> '');";
    let (world, before) = fails(check, &mapping, "23514", "people").await;
    restart_with_another_mapping(&world, &before).await;
}

#[tokio::test]
async fn a_missing_value_in_the_middle_of_a_copy() {
    let mapping = MAPPING.replace("upper(p.name)", "CASE WHEN p.id <> 14000 THEN upper(p.name) END");
    let (world, before) = fails("", &mapping, "23502", "people").await;
    restart_with_another_mapping(&world, &before).await;
}

#[tokio::test]
async fn a_domain_in_the_middle_of_a_copy() {
    let mapping = MAPPING.replace("upper(p.name)", "CASE WHEN p.id = 14000 THEN '' ELSE upper(p.name) END");
    let domain =
        "CREATE DOMAIN filled AS text CHECK (VALUE <> ''); ALTER TABLE people ALTER COLUMN name TYPE filled;";
    let (world, before) = fails(domain, &mapping, "23514", "people").await;
    restart_with_another_mapping(&world, &before).await;
}

#[tokio::test]
async fn orphans_are_reported_and_the_next_run_validates_again() {
    let world = World::new(&format!("{OLD} ALTER TABLE app.pets DROP CONSTRAINT pets_owner_fkey"), NEW).await;
    let before = dump(&world.new).await;
    psql(&world.old, "UPDATE app.pets SET owner = 99999 WHERE id = 5").await;
    for _ in 0..2 {
        let report = world.migrate(world.options(MAPPING).await).await.unwrap();
        assert_eq!(report.violated.len(), 1, "{report:#?}");
        assert_eq!(report.violated[0].name, "pets_owner_fkey");
        assert!(!report.already_done);
        let state = "SELECT convalidated FROM pg_constraint WHERE conname = 'pets_owner_fkey'";
        assert_eq!(psql(&world.new, state).await.trim(), "f");
    }
    assert!(!world.verify(world.options(MAPPING).await).await.ok);
    // Copied again while it waits to be validated, it is still violated, and still to be validated.
    let mut options = world.options(MAPPING).await;
    options.restart = true;
    assert_eq!(world.migrate(options).await.unwrap().violated.len(), 1);
    // Mended on both sides, the same command validates it.
    psql(&world.old, "UPDATE app.pets SET owner = 7 WHERE id = 5").await;
    psql(&world.new, "UPDATE pets SET owner = 7 WHERE id = 5").await;
    assert!(world.migrate(world.options(MAPPING).await).await.unwrap().violated.is_empty());
    assert_exact(&world, &before).await;
    assert!(world.migrate(world.options(MAPPING).await).await.unwrap().already_done);
}

#[tokio::test]
async fn a_violated_foreign_key_that_is_dropped_by_hand_is_settled() {
    let world = World::new(&format!("{OLD} ALTER TABLE app.pets DROP CONSTRAINT pets_owner_fkey; UPDATE app.pets SET owner = 99999 WHERE id = 5"), NEW).await;
    assert_eq!(world.migrate(world.options(MAPPING).await).await.unwrap().violated.len(), 1);
    psql(&world.new, "ALTER TABLE pets DROP CONSTRAINT pets_owner_fkey").await;
    assert!(world.migrate(world.options(MAPPING).await).await.unwrap().violated.is_empty());
    assert!(world.migrate(world.options(MAPPING).await).await.unwrap().already_done);
}
