//! Rows that the new schema does not take: a clear error without values, and a way forward.

use std::time::Duration;

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::schema_to_schema::{Migration, Options};

use crate::crash::{MAPPING, NEW, OLD, assert_exact};
use crate::world::{World, dump, plan, psql};

async fn fails(new: &str, mapping: &str, sqlstate: &str, words: &str) -> (World, String) {
    let world = World::new(OLD, &format!("{NEW}{new}")).await;
    let before = dump(&world.new).await;
    // As if there were too many rows to look at them before.
    let options = Options { probe: Duration::ZERO, ..world.options(mapping).await };
    let error = world.migrate(options).await.unwrap_err();
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

/// Plans `mapping` between two tables `t`, and returns what is refused: place, message.
async fn refused(old: &str, new: &str, mapping: &str) -> String {
    let world = World::new(old, new).await;
    let plan = Migration::plan(world.options(mapping).await, &Execution::unattended()).await;
    let error = plan.err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    let place = error.place().map(|place| format!("{}:{}: ", place.line, place.column)).unwrap_or_default();
    format!("{place}{}", error.message())
}

const T: &str = "CREATE TABLE t (id bigint PRIMARY KEY, a text, n numeric, big bigint, mood text);
INSERT INTO t VALUES (1, 'secret one   ', 1, 1, 'calm'), (2, 'secret two', 99.994, 2, 'calm'), (3, NULL, 'NaN', 3, 'calm');";

#[tokio::test]
async fn rows_that_cannot_fit_are_counted_when_the_plan_is_made() {
    let all = "others: same-name";
    let not_null = "CREATE TABLE t (id bigint PRIMARY KEY, a text NOT NULL)";
    insta::assert_snapshot!(refused(T, not_null, all).await, @"t.a is NOT NULL, and the mapping gives no value for it in 1 row");
    let mapped = "tables:\n  t:\n    from: t\n    columns:\n      a: CASE WHEN t.id = 1 THEN t.a END";
    insta::assert_snapshot!(refused(T, not_null, mapped).await, @"5:10: t.a is NOT NULL, and the mapping gives no value for it in 2 rows");
    let short = "CREATE TABLE t (id bigint PRIMARY KEY, a varchar(9))";
    insta::assert_snapshot!(refused(T, short, all).await, @"t.a is character varying(9), which is too small for the value of 2 rows");
    let number = "CREATE TABLE t (id bigint PRIMARY KEY, n numeric(3, 1))";
    insta::assert_snapshot!(refused(&T.replace("99.994", "99.95"), number, all).await, @"t.n is numeric(3,1), which is too small for the value of 1 row");
    let int = "CREATE TABLE t (id bigint PRIMARY KEY, big integer)";
    insta::assert_snapshot!(refused(&T.replace("1, 1,", "1, 4294967296,"), int, all).await, @"t.big is integer, which is too small for the value of 1 row");
    let check = "CREATE TABLE t (id bigint PRIMARY KEY, a text, mood text, CONSTRAINT calm CHECK (length(a) < 11 OR mood <> 'calm'))";
    insta::assert_snapshot!(refused(T, check, all).await, @"t: its constraint calm refuses 1 row");
}

#[tokio::test]
async fn rows_that_fit_by_the_rules_of_assignment_pass() {
    // Blanks at the end that are too many go; a number is rounded; NaN has no size; what is not written down is left out.
    let new = "CREATE FUNCTION odd(v text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
        CREATE TABLE t (id bigint PRIMARY KEY CHECK (id > 0), a varchar(10) CHECK (a <> '' AND odd(a)), n numeric(4, 2), big integer NOT NULL);";
    let world = World::new(T, new).await;
    world.migrate(world.options("others: same-name").await).await.unwrap();
    assert!(world.verify(world.options("others: same-name").await).await.ok);
    let filtered = World::new(T, "CREATE TABLE t (id bigint PRIMARY KEY, a text NOT NULL)").await;
    let mapping = "tables:\n  t:\n    from: t\n    where: t.a IS NOT NULL";
    filtered.migrate(filtered.options(mapping).await).await.unwrap();
}

/// The copy would say it too, but the plan does not wait for it.
#[tokio::test]
async fn what_takes_too_long_is_left_to_the_copy_and_said() {
    let slow = "CREATE FUNCTION slow(v text) RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(0.2); RETURN v; END $$;
        INSERT INTO t SELECT i, 'x' FROM generate_series(10, 40) i;";
    let world =
        World::new(&format!("{T}{slow}"), "CREATE TABLE t (id bigint PRIMARY KEY, a text NOT NULL)").await;
    let mapping = "tables:\n  t:\n    from: t\n    columns:\n      a: slow(t.a)";
    let options = Options { probe: Duration::from_millis(300), ..world.options(mapping).await };
    let plan = plan(options).await;
    assert!(
        plan.tables[0].remarks.iter().any(|remark| remark.message.contains("takes too long")),
        "{plan:#?}"
    );
}
