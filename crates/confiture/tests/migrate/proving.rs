//! Rehearsals and squashes in scratch databases.

use confiture::config::Connection;
use confiture::event::Execution;
use confiture::migrate::{Difference, Finding, Part, plan_squash, read_digest, read_folder, rehearse};
use confiture::postgres::Session;
use confiture::sql::QualifiedName;

use local_postgres::testing::Database;

use crate::ground::{Ground, version};

fn shop() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            "001_a.up.sql",
            "SET search_path = app; CREATE SCHEMA app; CREATE TABLE a (id int PRIMARY KEY, n text);",
        ),
        ("001_a.down.sql", "DROP SCHEMA app CASCADE;"),
        (
            "002_b.up.sql",
            "CREATE TABLE b (a int REFERENCES app.a); COPY b FROM stdin;\n\\N\n\\.\nCREATE INDEX CONCURRENTLY b_a ON b (a);",
        ),
        ("002_b.down.sql", "DROP TABLE b;"),
        ("003_c.up.sql", "-- a view\nCREATE VIEW c AS SELECT * FROM b;\nCOMMENT ON VIEW c IS 'it''s;';"),
        ("003_c.down.sql", "DROP VIEW c;"),
    ]
}

async fn findings(ground: &Ground) -> Vec<String> {
    let folder = read_folder(ground.folder.path()).unwrap();
    let rehearsal = rehearse(&ground.connection(), &folder, &Execution::unattended()).await.unwrap();
    Finding::of_rehearsal(&rehearsal)
        .iter()
        .map(|finding| {
            format!("{} {}: {}", finding.migration.as_deref().unwrap(), finding.code, finding.message)
        })
        .collect()
}

fn scratch_databases(ground: &Ground) -> String {
    ground.psql("SELECT count(*) FROM pg_database WHERE datname LIKE 'confiture\\_scratch\\_%'")
}

#[tokio::test]
async fn ways_back_that_lead_back_are_told_from_those_that_do_not() {
    let ground = Ground::new(&shop()).await;
    assert_eq!(findings(&ground).await, [""; 0]);
    ground.write(&[("003_c.down.sql", "DROP VIEW c; CREATE TABLE left_over (); DROP INDEX b_a;")]);
    let folder = read_folder(ground.folder.path()).unwrap();
    let error = rehearse(&ground.connection(), &folder, &Execution::unattended()).await;
    let rehearsal = error.unwrap();
    let last = &rehearsal.migrations[2];
    assert_eq!(
        last.after_down,
        [
            Difference::OnlyFirst("index public.b_a".into()),
            Difference::OnlySecond("table public.left_over".into()),
        ]
    );
    assert_eq!(Finding::of_rehearsal(&rehearsal)[0].code, "down_differs");
    assert_eq!(
        ground.psql("SELECT to_regclass('confiture_migrations') IS NULL"),
        "t",
        "nothing here was touched"
    );
}

/// Of each state only what was made is read, where nothing else has changed. Here everything is changed that other objects show.
const CHANGES: [(&str, &str); 22] = [
    (
        "CREATE SCHEMA app; CREATE TABLE app.a (id int PRIMARY KEY, n text); COMMENT ON TABLE app.a IS 'x'",
        "DROP SCHEMA app CASCADE",
    ),
    ("CREATE VIEW app.v AS SELECT a.n, a.id FROM app.a", "DROP VIEW app.v"),
    ("CREATE INDEX a_n ON app.a (n)", "DROP INDEX app.a_n"),
    ("ALTER TABLE app.a RENAME n TO m", "ALTER TABLE app.a RENAME m TO n"),
    ("ALTER TABLE app.a RENAME TO b", "ALTER TABLE app.b RENAME TO a"),
    ("CREATE TABLE app.c (b int REFERENCES app.b, at timestamptz DEFAULT now())", "DROP TABLE app.c"),
    ("CREATE TABLE app.d (b int REFERENCES app.b)", "DROP TABLE app.d"),
    (
        "CREATE TYPE app.mood AS ENUM ('x', 'z'); CREATE TABLE app.e (m app.mood DEFAULT 'x')",
        "DROP TABLE app.e; DROP TYPE app.mood",
    ),
    ("-- confiture: no-transaction\nALTER TYPE app.mood ADD VALUE 'y' BEFORE 'z'", ""),
    ("ALTER TYPE app.mood RENAME TO temper", "ALTER TYPE app.temper RENAME TO mood"),
    ("CREATE TABLE app.p (); CREATE TABLE app.q ()", "DROP TABLE app.p, app.q"),
    ("ALTER TABLE app.q INHERIT app.p", "ALTER TABLE app.q NO INHERIT app.p"),
    (
        "CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "DROP FUNCTION app.f()",
    ),
    (
        "CREATE TRIGGER t BEFORE INSERT ON app.c FOR EACH ROW EXECUTE FUNCTION app.f()",
        "DROP TRIGGER t ON app.c",
    ),
    (
        "CREATE TRIGGER u BEFORE INSERT ON app.c FOR EACH ROW EXECUTE FUNCTION app.f()",
        "DROP TRIGGER u ON app.c",
    ),
    ("ALTER FUNCTION app.f RENAME TO g", "ALTER FUNCTION app.g RENAME TO f"),
    ("COMMENT ON COLUMN app.c.at IS 'when'", "COMMENT ON COLUMN app.c.at IS NULL"),
    ("CREATE POLICY p ON app.c USING (b > 0)", "DROP POLICY p ON app.c"),
    ("ALTER SCHEMA app RENAME TO apps", "ALTER SCHEMA apps RENAME TO app"),
    ("DROP TABLE apps.d", "CREATE TABLE apps.d (b int REFERENCES apps.b)"),
    ("CREATE EXTENSION citext; CREATE TABLE apps.x (c citext)", "DROP TABLE apps.x; DROP EXTENSION citext"),
    ("INSERT INTO apps.b VALUES (1, 'x')", "DELETE FROM apps.b"),
];

fn numbered(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let both = changes.iter().enumerate().flat_map(|(at, (up, down))| {
        let name = |way: &str| format!("{:03}_x.{way}.sql", at + 1);
        let down = (!down.is_empty()).then(|| (name("down"), (*down).to_owned()));
        [(name("up"), (*up).to_owned())].into_iter().chain(down)
    });
    both.collect()
}

#[tokio::test]
async fn a_state_that_was_read_in_part_is_what_is_there() {
    let files = numbered(&CHANGES);
    for count in 1..=CHANGES.len() {
        let ground = Ground::new(&[]).await;
        let upto = |(name, _): &&(String, String)| name[..3].parse::<usize>().unwrap() <= count;
        for (name, text) in files.iter().filter(upto) {
            ground.write(&[(name, text)]);
        }
        let folder = read_folder(ground.folder.path()).unwrap();
        let rehearsal = rehearse(&ground.connection(), &folder, &Execution::unattended()).await.unwrap();
        assert_eq!(Finding::of_rehearsal(&rehearsal).len(), 0, "{:?}", rehearsal.migrations);
        ground.apply().await;
        let session = Session::connect(&ground.connection()).await.unwrap();
        let history = QualifiedName::new("public", "confiture_migrations");
        let there = read_digest(&session, Some(&history)).await.unwrap();
        assert_eq!(there.differences(&rehearsal.result), [], "after {count}");
    }
}

#[tokio::test]
async fn a_way_back_that_leads_elsewhere_is_found_wherever_it_leads() {
    let wrong = [
        (4, "ALTER TABLE app.a RENAME m TO o", "column app.a.n is gone"),
        (6, "SELECT 1", "so it cannot be applied again"),
        (12, "SELECT 1", "table app.q is another"),
        (
            14,
            "DROP TRIGGER t ON app.c; COMMENT ON TABLE app.c IS 'left'",
            "comment on table app.c stays behind",
        ),
        (17, "SELECT 1", "comment on column at of table app.c stays behind"),
        (20, "CREATE TABLE apps.d (b bigint)", "column apps.d.b is another"),
    ];
    for (number, down, said) in wrong {
        let mut changes = CHANGES;
        changes[number - 1].1 = down;
        let ground = Ground::new(&[]).await;
        for (name, text) in &numbered(&changes) {
            ground.write(&[(name, text)]);
        }
        let found = findings(&ground).await;
        let name = format!("{number:03}_x down_differs: ");
        assert!(found.iter().any(|one| one.starts_with(&name) && one.contains(said)), "{number}: {found:?}");
    }
}

#[tokio::test]
async fn what_sessions_begin_with_is_what_the_next_migration_finds() {
    let first = "CREATE SCHEMA app; DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = app, public', current_database()); END $$";
    let ground =
        Ground::new(&[("1_a.up.sql", first), ("2_b.up.sql", "CREATE TABLE app.b (); SELECT FROM b;")]).await;
    assert_eq!(findings(&ground).await, [""; 0]);
}

#[tokio::test]
async fn a_squash_is_proven_and_stands_for_its_parts() {
    let ground = Ground::new(&shop()).await;
    ground.apply().await;
    let half = Ground::new(&shop()[..4]).await;
    half.apply().await;
    let squash = plan_squash(&read_folder(ground.folder.path()).unwrap(), None, "squashed").unwrap();
    assert!(squash.reversible);
    let text = &squash.texts()[0];
    assert!(text.contains("-- confiture: squashes 001, 002, 003\n-- confiture: no-transaction\n"), "{text}");
    assert!(text.contains("RESET search_path;") && text.contains("-- a view\nCREATE VIEW c"), "{text}");
    assert_eq!(
        squash.prove(&ground.connection(), &ground.connection(), &Execution::unattended()).await.unwrap(),
        []
    );
    squash.write().unwrap();
    // Where all of it is applied, it counts as applied; a new database runs it alone; one in between is told so.
    assert_eq!(ground.standing().await, "003 Applied");
    assert_eq!(ground.apply().await, [""; 0]);
    assert_eq!(ground.standing().await, "003 Applied");
    let new = Ground::new(&[]).await;
    for file in ["003_squashed.up.sql", "003_squashed.down.sql"] {
        let text = std::fs::read_to_string(ground.folder.path().join(file)).unwrap();
        new.write(&[(file, &text)]);
        half.write(&[(file, &text)]);
    }
    for file in ["001_a", "002_b"] {
        half.remove(&format!("{file}.up.sql"));
        half.remove(&format!("{file}.down.sql"));
    }
    assert_eq!(new.apply().await, ["003"]);
    assert_eq!(new.database.schema(""), ground.database.schema(""), "pg_dump agrees");
    assert_eq!(
        half.up().await.unwrap_err().message(),
        "003_squashed takes the place of migrations of which only some are applied here"
    );
    ground.down(1).await.unwrap();
    assert_eq!(
        ground.psql(
            "SELECT to_regclass('b') IS NULL, string_agg(DISTINCT state, ',') FROM confiture_migrations"
        ),
        "t|reverted"
    );
    assert_eq!(ground.apply().await, ["003"]);
}

#[tokio::test]
async fn a_rehearsal_that_is_interrupted_waits_for_nobody() {
    let ground = Ground::new(&shop()).await;
    let token = tokio_util::sync::CancellationToken::new();
    token.cancel();
    let execution = Execution::new(std::sync::Arc::new(crate::ground::Heard::default()), token);
    let folder = read_folder(ground.folder.path()).unwrap();
    let error = rehearse(&ground.connection(), &folder, &execution).await.unwrap_err();
    assert_eq!(error.message(), "interrupted; all of this was in a scratch database");
}

#[test]
fn a_squash_asks_where_its_parts_did() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("001_a.up.sql", "CREATE TABLE a (x int, y int);"),
        ("001_a.down.sql", "DROP TABLE a;"),
        ("002_b.up.sql", "-- confiture: loses-data column a.x\nALTER TABLE a DROP COLUMN x;"),
        ("002_b.down.sql", "ALTER TABLE a ADD COLUMN x int;"),
        ("003_c.up.sql", "-- confiture: loses-data column a.y\nALTER TABLE a DROP COLUMN y;"),
        ("003_c.down.sql", "-- confiture: loses-data\nALTER TABLE a ADD COLUMN y int;"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let squash = plan_squash(&read_folder(folder.path()).unwrap(), None, "squashed").unwrap();
    squash.write().unwrap();
    let read = read_folder(folder.path()).unwrap();
    let directives = |part: &Part| part.directives.loses_data.clone();
    let one = &read.migrations[0];
    assert_eq!(directives(&one.up).as_deref(), Some("column a.x; column a.y"));
    assert_eq!(one.down.as_ref().map(directives), Some(Some(String::new())));
}

#[test]
fn a_squash_that_cannot_be_written_leaves_the_files_where_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("001_a.up.sql", "CREATE TABLE a ();"),
        ("001_a.down.sql", "DROP TABLE a;"),
        ("002_b.up.sql", "CREATE TABLE b ();"),
        ("002_b.down.sql", "DROP TABLE b;"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let squash = plan_squash(&read_folder(folder.path()).unwrap(), None, "squashed").unwrap();
    std::fs::create_dir(folder.path().join("002_squashed.down.sql")).unwrap();
    squash.write().unwrap_err();
    std::fs::remove_dir(folder.path().join("002_squashed.down.sql")).unwrap();
    let read = read_folder(folder.path()).unwrap();
    let names: Vec<_> = read.migrations.iter().map(|one| format!("{}_{}", one.version, one.name)).collect();
    assert_eq!(names, ["001_a", "002_b"]);
}

#[tokio::test]
async fn a_squash_that_would_do_something_else_is_not_written() {
    // The second file reads what the first one has set for its own session only.
    let ground = Ground::new(&[
        ("1_a.up.sql", "SELECT set_config('app.x', 'one', false);"),
        ("2_b.up.sql", "DO $$ BEGIN IF current_setting('app.x', true) = 'one' THEN CREATE TABLE wrong (); END IF; END $$;"),
    ])
    .await;
    let squash = plan_squash(&read_folder(ground.folder.path()).unwrap(), Some(&version("2")), "s").unwrap();
    let differences =
        squash.prove(&ground.connection(), &ground.connection(), &Execution::unattended()).await.unwrap();
    assert!(differences.contains(&Difference::OnlySecond("table public.wrong".into())), "{differences:?}");
    let left = scratch_databases(&ground);
    assert!(left.parse::<u32>().is_ok());
}

/// Roles belong to the server: those that nobody makes are made on one of ours, and asked for on another.
#[tokio::test]
async fn roles_that_migrations_name_are_made_on_a_server_of_ours() {
    let name = Database::create().await.unwrap();
    let (plain, stepwise) = (format!("{}_a", name.name()), format!("{}_b", name.name()));
    let first = format!("CREATE TABLE a (i int); GRANT SELECT ON a TO {plain};");
    let second =
        format!("-- confiture: no-transaction\nCREATE TABLE b (i int); GRANT SELECT ON b TO {stepwise};");
    let ground = Ground::new(&[
        ("001_a.up.sql", &first),
        ("001_a.down.sql", "DROP TABLE a;"),
        ("002_b.up.sql", &second),
        ("002_b.down.sql", "DROP TABLE b;"),
    ])
    .await;
    let folder = read_folder(ground.folder.path()).unwrap();
    let theirs = ground.connection();
    let error = rehearse(&theirs, &folder, &Execution::unattended()).await.unwrap_err();
    assert!(error.message().contains(&format!("role \"{plain}\" does not exist")), "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("roles belong to the whole server")), "{error:?}");
    let ours = Connection { own_server: true, ..theirs };
    let squash = plan_squash(&folder, None, "squashed").unwrap();
    assert_eq!(squash.prove(&ours, &ours, &Execution::unattended()).await.unwrap(), []);
    let rehearsal = rehearse(&ours, &folder, &Execution::unattended()).await.unwrap();
    assert!(Finding::of_rehearsal(&rehearsal).is_empty());
    ground.psql(&format!("DROP ROLE {plain}, {stepwise}"));
}

/// On a server of somebody else's no role stays, however it was made.
#[tokio::test]
async fn roles_that_migrations_make_go_with_the_scratch_database() {
    let name = Database::create().await.unwrap();
    let (one, other) = (format!("{}_a", name.name()), format!("{}_b", name.name()));
    let first = format!("CREATE ROLE {one}; CREATE TABLE a (i int); GRANT SELECT ON a TO {one};");
    let second = format!("DO $$ BEGIN CREATE ROLE {other} LOGIN; END $$;");
    let ground = Ground::new(&[("001_a.up.sql", &first), ("002_b.up.sql", &second)]).await;
    let folder = read_folder(ground.folder.path()).unwrap();
    for _ in 0..2 {
        rehearse(&ground.connection(), &folder, &Execution::unattended()).await.unwrap();
        assert_eq!(
            ground.psql(&format!("SELECT count(*) FROM pg_roles WHERE rolname IN ('{one}', '{other}')")),
            "0"
        );
    }
}

#[tokio::test]
async fn a_subscription_is_not_tried() {
    let text = "SELECT 1;\nCREATE SUBSCRIPTION s CONNECTION 'host=/x' PUBLICATION p WITH (connect = false);";
    let ground = Ground::new(&[("001_a.up.sql", text)]).await;
    let folder = read_folder(ground.folder.path()).unwrap();
    let error = rehearse(&ground.connection(), &folder, &Execution::unattended()).await.unwrap_err();
    assert!(ground.shown(&error).starts_with("001_a.up.sql:2:1: a subscription is not tried"), "{error:?}");
}
