//! A library that grew, moved to the schema that it should have had: everything that a real database has, judged by psql and
//! `pg_dump`.

use std::time::Duration;

use confiture::config::mapping::Strategy;
use confiture::event::Execution;
use confiture::schema_to_schema::{FeedKind, clean_up};
use confiture::sql::Identifier;

use crate::oracle::Same;
use crate::running::{Running, assert_exact};
use crate::world::{World, assert_same, dump, migrate, psql, verify};

const OLD: &str = include_str!("library/old.sql");
const NEW: &str = include_str!("library/new.sql");
const MAPPING: &str = include_str!("library/mapping.yaml");

/// What each table is to hold, said once more by hand.
const SAME: [(&str, &str); 16] = [
    ("SELECT code::text, name FROM app.country", "SELECT code, name FROM countries"),
    ("SELECT t.*, c.name FROM app.town t, app.country c WHERE c.code = t.country", "TABLE towns"),
    (
        "SELECT id, town, head, to_char(opens, 'HH24:MI:SS') || '-' || closes FROM app.branch",
        "TABLE branches",
    ),
    (
        "SELECT id, branch, boss, substring(full_name FROM '^\\S+'), salary::numeric FROM app.staff",
        "TABLE staff",
    ),
    ("SELECT id, full_name, born, phones, left(full_name, 1) FROM app.reader", "TABLE readers"),
    ("SELECT id, email, (home).street FROM app.reader WHERE email IS NOT NULL", "TABLE contacts"),
    ("TABLE app.author", "TABLE authors"),
    ("SELECT id, title, isbn, search, (price * 100)::bigint FROM app.work", "TABLE works"),
    ("SELECT author, work, coalesce(role, 'other') FROM app.work_author", "TABLE work_authors"),
    (
        "SELECT c.id, work, branch, state, cover, title FROM app.copy c JOIN app.work w ON w.id = c.work",
        "TABLE copies",
    ),
    ("SELECT * FROM app.loan", "TABLE loans"),
    ("SELECT id, reader, amount FROM app.fine WHERE NOT paid", "TABLE fines"),
    ("TABLE app.wish", "TABLE wishes"),
    ("SELECT name, value, value ->> 'deep' FROM app.setting", "TABLE settings"),
    ("TABLE app.visit", "TABLE visits"),
    ("TABLE app.shelf", "TABLE shelves"),
];

fn same() -> Vec<Same> {
    SAME.iter().map(|(given, held)| Same { given: (*given).into(), held: (*held).into() }).collect()
}

/// What the application does meanwhile.
const WRITES: &str = "
    UPDATE app.country SET name = 'Suisse' WHERE code = 'CH';
    UPDATE app.work SET title = 'Retitled ' || id, blurb = repeat('new ', 3000) WHERE id % 10 = 0;
    UPDATE app.copy SET state = 'lost' WHERE id % 13 = 0;
    INSERT INTO app.reader (full_name, email, phones) SELECT 'New ' || i, 'new' || i || '@x', '{}' FROM generate_series(1, 20) i;
    UPDATE app.reader SET phones = '{}' WHERE phones IS NULL;
    UPDATE app.loan SET at = at + 400 WHERE id % 17 = 0;
    DELETE FROM app.loan WHERE id % 19 = 0;
    DELETE FROM app.wish WHERE rank = 3;
    UPDATE app.fine SET paid = NOT paid WHERE amount > 20;
    UPDATE app.shelf SET \"Row\" = \"Row\" + 100 WHERE branch = 4;
    TRUNCATE app.setting;
    INSERT INTO app.setting VALUES ('only', '{\"deep\": 7}');";

#[tokio::test(flavor = "multi_thread")]
async fn it_is_copied() {
    for strategy in [Strategy::Copy, Strategy::Fdw] {
        let world = World::new(OLD, NEW).await;
        let before = dump(&world.new).await;
        let mut options = world.options(MAPPING).await;
        options.strategy = Some(strategy);
        let report = migrate(options.clone()).await.unwrap();
        assert!(report.violated.is_empty(), "{report:?}");
        for (given, held) in SAME {
            assert_same(&world.old, given, &world.new, held).await;
        }
        if strategy != Strategy::Fdw {
            assert_whole(&before, &dump(&world.new).await);
        }
        assert!(verify(options).await.ok);
        // Sequences go on behind what is there.
        psql(&world.new, "INSERT INTO towns (country, name) VALUES ('CH', 'new'); INSERT INTO readers (display_name, phones) VALUES ('new', '{}')").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_followed() {
    for feed in [FeedKind::Queue, FeedKind::Wal] {
        let world = World::new(OLD, NEW).await;
        let before = dump(&world.new).await;
        let options = world.options(MAPPING).await;
        let run = Running::start(&options, feed, Duration::from_secs(30), Some(same())).await;
        run.until(|| run.said.has("planned")).await;
        psql(&world.old, "UPDATE app.loan SET back = now() WHERE id % 7 = 0; DELETE FROM app.loan WHERE id % 11 = 0; UPDATE app.reader SET full_name = upper(full_name) WHERE id < 100").await;
        run.compared(1).await;
        psql(&world.old, WRITES).await;
        run.compared(2).await;
        run.stop().await.unwrap();
        assert_exact(&world, &options, &same()).await;
        let (schema, execution) = (Identifier::new("old_schema"), Execution::unattended());
        clean_up(
            Some(&options.source),
            &options.target,
            &schema,
            confiture::schema_to_schema::Cleaning::default(),
            &execution,
        )
        .await
        .unwrap();
        assert_whole(&before, &dump(&world.new).await);
    }
}

/// Indexes, keys, foreign keys and triggers are as they were.
fn assert_whole(before: &str, after: &str) {
    let lost: Vec<&str> = before.lines().filter(|line| !after.contains(line)).collect();
    let new: Vec<&str> = after.lines().filter(|line| !before.contains(line)).collect();
    assert!(lost.is_empty() && new.is_empty(), "{lost:#?} {new:#?}");
    assert_eq!(before.len(), after.len());
}
