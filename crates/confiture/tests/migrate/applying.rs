//! `up`: in order, each in one transaction with its record, in steps where it must be.

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::migrate::{Migration, UpOptions, Work};
use confiture::postgres::Session;
use confiture::sql::sql;

use crate::ground::{Ground, Heard, names, version};

const THREE: &[(&str, &str)] = &[
    ("001_users.up.sql", "CREATE TABLE users (id int PRIMARY KEY, name text);"),
    ("001_users.down.sql", "DROP TABLE users;"),
    ("002_rows.up.sql", "COPY users FROM stdin;\n1\tAda\n2\tGrace;\n\\.\nINSERT INTO users VALUES (3, 'x');"),
    ("002_rows.down.sql", "DELETE FROM users;"),
    ("003_bio.up.sql", "BEGIN;\nALTER TABLE users ADD COLUMN bio text;\nCOMMIT;"),
    ("003_bio.down.sql", "ALTER TABLE users DROP COLUMN bio;"),
];

#[tokio::test]
async fn what_is_pending_is_applied_once() {
    let ground = Ground::new(THREE).await;
    assert_eq!(ground.standing().await, "001 Pending; 002 Pending; 003 Pending");
    let target = UpOptions { target: Some(version("2")), ..UpOptions::default() };
    let report = ground.migrator().up(&target, &Execution::unattended()).await.unwrap();
    assert_eq!(names(&report), ["001", "002"]);
    assert_eq!(ground.psql("SELECT count(*), max(name) FROM users"), "3|x");
    assert_eq!(ground.apply().await, ["003"]);
    assert_eq!(ground.apply().await, [""; 0]);
    assert_eq!(ground.standing().await, "001 Applied; 002 Applied; 003 Applied");
    let recorded = "SELECT version, name, state, applied_by, execution_ms > 0, applied_at > now() - interval '1 minute', tool \
                    FROM confiture_migrations ORDER BY id";
    let tool = concat!("confiture ", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        ground.psql(recorded),
        format!(
            "001|users|applied|postgres|t|t|{tool}\n002|rows|applied|postgres|t|t|{tool}\n003|bio|applied|postgres|t|t|{tool}"
        )
    );
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_and_says_where() {
    let ground = Ground::new(&[
        ("001_a.up.sql", "CREATE TABLE a (id int);"),
        ("002_b.up.sql", "CREATE TABLE b (id int);\n\nALTER TABLE\n  missing ADD COLUMN x int;"),
        ("003_c.up.sql", "CREATE TABLE c (id int);"),
    ])
    .await;
    let error = ground.up().await.unwrap_err();
    insta::assert_snapshot!(ground.shown(&error), @r#"
    002_b.up.sql:3:1: relation "missing" does not exist
      hint: check the spelling, the schema, and search_path
      hint: what a migration uses must have been made by one before it, or higher up in its file
      hint: 001_a was applied before, and stays so
    "#);
    assert_eq!(error.excerpt_of().unwrap().text, "ALTER TABLE\n  missing ADD COLUMN x int;");
    assert_eq!(
        ground.psql("SELECT to_regclass('a'), to_regclass('b'), count(*) FROM confiture_migrations"),
        "a||1"
    );
    ground.write(&[("002_b.up.sql", "CREATE TABLE b (id int);")]);
    assert_eq!(ground.apply().await, ["002", "003"]);
}

#[tokio::test]
async fn a_deferred_constraint_fails_at_the_commit_and_nothing_stays() {
    let ground = Ground::new(&[(
        "1_a.up.sql",
        "CREATE TABLE a (id int PRIMARY KEY, b int REFERENCES a DEFERRABLE INITIALLY DEFERRED); INSERT INTO a VALUES (1, 2);",
    )])
    .await;
    let error = ground.up().await.unwrap_err();
    assert!(error.message().starts_with("at the commit of 1_a: "), "{error:?}");
    assert_eq!(ground.standing().await, "1 Pending");
    assert_eq!(ground.psql("SELECT to_regclass('a') IS NULL"), "t");
}

#[tokio::test]
async fn what_cannot_be_in_a_transaction_is_found_and_run_in_steps() {
    let ground = Ground::new(&[(
        "001_mixed.up.sql",
        "SET search_path = app;\nCREATE SCHEMA app; CREATE TABLE t (a int); INSERT INTO t VALUES (1);\n\
         CREATE INDEX CONCURRENTLY t_a ON t (a);\nVACUUM t;\nALTER TABLE t ADD COLUMN b int;\nREINDEX TABLE CONCURRENTLY t;",
    )])
    .await;
    let plan = ground.migrator().plan_up(&UpOptions::default()).await.unwrap();
    let steps: Vec<_> = plan.migrations[0].statements.iter().map(|one| (one.step, one.alone)).collect();
    assert_eq!(
        steps,
        [(1, false), (1, false), (1, false), (1, false), (2, true), (3, true), (4, false), (5, true)]
    );
    let report = ground.up().await.unwrap();
    assert!(!report.migrations[0].in_transaction);
    assert_eq!(ground.psql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'app.t_a'::regclass"), "t");
    assert_eq!(ground.standing().await, "001 Applied");
}

#[tokio::test]
async fn a_file_that_asks_for_it_may_commit_in_between() {
    let ground = Ground::new(&[
        (
            "001_p.up.sql",
            "CREATE TABLE log (at xid); CREATE TYPE mood AS ENUM ('sad');\n\
             CREATE PROCEDURE batch() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..3 LOOP \
             INSERT INTO log VALUES (pg_current_xact_id()::xid); COMMIT; END LOOP; END $$;",
        ),
        (
            "002_run.up.sql",
            "-- confiture: no-transaction\nCALL batch();\nALTER TYPE mood ADD VALUE 'ok';\nCREATE TABLE m (m mood DEFAULT 'ok');",
        ),
    ])
    .await;
    assert_eq!(ground.apply().await, ["001", "002"]);
    assert_eq!(ground.psql("SELECT count(DISTINCT at::text) FROM log"), "3");
}

#[tokio::test]
async fn what_one_file_sets_the_next_does_not_see_and_a_role_may_be_taken() {
    let ground = Ground::new(&[
        ("1_a.up.sql", "SET search_path = ''; SELECT pg_catalog.set_config('work_mem', '1MB', false);"),
        ("2_b.up.sql", "CREATE TABLE b AS SELECT current_setting('work_mem') <> '1MB' AS fresh;"),
        ("3_c.up.sql", "CREATE ROLE migrate_owner; GRANT CREATE ON SCHEMA public TO migrate_owner; SET ROLE migrate_owner; CREATE TABLE c ();"),
        (
            "4_d.up.sql",
            "SET ROLE migrate_owner; CREATE TABLE d (a int); CREATE INDEX CONCURRENTLY d_a ON d (a); CREATE TABLE e ();",
        ),
    ])
    .await;
    assert_eq!(ground.apply().await, ["1", "2", "3", "4"]);
    assert_eq!(ground.psql("SELECT fresh FROM b"), "t");
    let owners = "SELECT string_agg(tableowner, ',' ORDER BY tablename) FROM pg_tables WHERE tablename IN ('c', 'd', 'e')";
    assert_eq!(ground.psql(owners), "migrate_owner,migrate_owner,migrate_owner");
    ground.psql("DROP OWNED BY migrate_owner; DROP ROLE migrate_owner");
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let ground = Ground::new(THREE).await;
    let before = ground.psql("SELECT pg_current_wal_insert_lsn() IS NOT NULL, count(*) FROM pg_class");
    let plan = ground.migrator().plan_up(&UpOptions::default()).await.unwrap();
    assert_eq!(plan.migrations.len(), 3);
    assert_eq!(plan.migrations[2].statements[0].lock, Some("ACCESS EXCLUSIVE"));
    assert_eq!(ground.psql("SELECT pg_current_wal_insert_lsn() IS NOT NULL, count(*) FROM pg_class"), before);
}

#[tokio::test]
async fn weird_names_everywhere() {
    let mut ground = Ground::new(&[(
        "1_we'ird \"näme.up.sql",
        "CREATE SCHEMA \"Op s\"; CREATE TABLE \"T\"\"'\" (\"A\" int); CREATE INDEX CONCURRENTLY \"I'\" ON \"T\"\"'\" (\"A\");",
    )])
    .await;
    ground.psql("CREATE SCHEMA \"Hi\"\"story\"");
    ground.options.history_table =
        confiture::config::mapping::TableName { schema: Some("Hi\"story".into()), name: "ta'ble\\".into() };
    assert_eq!(ground.apply().await, ["1"]);
    assert_eq!(ground.psql("SELECT name FROM \"Hi\"\"story\".\"ta'ble\\\""), "we'ird \"näme");
    assert_eq!(ground.apply().await, [""; 0]);
}

#[tokio::test]
async fn migrations_in_rust_take_their_place() {
    struct Fill;
    impl Migration for Fill {
        fn version(&self) -> &str {
            "002"
        }
        fn name(&self) -> &str {
            "fill"
        }
        fn up<'a>(&'a self, session: &'a Session) -> Work<'a> {
            Box::pin(async move {
                for number in 1..=3_i32 {
                    session.execute(&sql!("INSERT INTO t VALUES ($1)"), &[&number]).await?;
                }
                Ok(())
            })
        }
        fn down<'a>(&'a self, session: &'a Session) -> Option<Work<'a>> {
            Some(Box::pin(async move { session.batch(&sql!("DELETE FROM t")).await }))
        }
    }
    let ground = Ground::new(&[
        ("001_t.up.sql", "CREATE TABLE t (n int);"),
        ("003_u.up.sql", "ALTER TABLE t ADD CHECK (n < 10);"),
        ("003_u.down.sql", "ALTER TABLE t DROP CONSTRAINT t_n_check;"),
    ])
    .await;
    let migrator = ground.migrator().with(Fill);
    let report = migrator.up(&UpOptions::default(), &Execution::unattended()).await.unwrap();
    assert_eq!(names(&report), ["001", "002", "003"]);
    assert_eq!(ground.psql("SELECT count(*) FROM t"), "3");
    let options =
        confiture::migrate::DownOptions { extent: confiture::migrate::Extent::Steps(2), interrupted: None };
    assert_eq!(names(&migrator.down(&options, &Execution::unattended()).await.unwrap()), ["003", "002"]);
    assert_eq!(ground.psql("SELECT count(*) FROM t"), "0");
}

/// A role that owns nothing but its schema, and a database where it may do nothing else.
#[tokio::test]
async fn an_ordinary_role_is_enough() {
    let ground = Ground::new(&[
        ("1_a.up.sql", "CREATE TABLE a (id int); CREATE INDEX CONCURRENTLY a_id ON a (id);"),
        ("1_a.down.sql", "DROP TABLE a;"),
    ])
    .await;
    let role = format!("role_{}", ground.database.name());
    ground.psql(&format!("CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM public"));
    let connection = confiture::config::Connection { user: role.clone(), ..ground.connection() };
    let folder = confiture::migrate::read_folder(ground.folder.path()).unwrap();
    let migrator = confiture::migrate::Migrator::new(connection, folder, ground.options.clone());
    let up = async || migrator.up(&UpOptions::default(), &Execution::unattended()).await;
    let error = up().await.unwrap_err();
    assert_eq!(error.sqlstate_code(), Some("42501"));
    assert!(error.message().starts_with("making the history table public.confiture_migrations"), "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains("history_table")), "{error:?}");
    ground.psql(&format!("CREATE SCHEMA {role} AUTHORIZATION {role}"));
    up().await.unwrap();
    assert_eq!(ground.psql(&format!("SELECT state FROM {role}.confiture_migrations")), "applied");
    migrator.down(&confiture::migrate::DownOptions::default(), &Execution::unattended()).await.unwrap();
    ground.psql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[tokio::test]
async fn what_the_server_warns_of_is_said() {
    let mut ground = Ground::new(&[
        (
            "1_a.up.sql",
            "CREATE TABLE a (); CREATE ROLE warned; GRANT SELECT ON a TO warned; SET ROLE warned;\n\
             GRANT SELECT ON a TO warned;\nRESET ROLE; DROP OWNED BY warned; DROP ROLE warned;",
        ),
        ("2_b.up.sql", "DO $$ BEGIN RAISE WARNING 'the row %', 42; RAISE NOTICE 'not this'; END $$;"),
    ])
    .await;
    let report = ground.up().await.unwrap();
    assert_eq!(
        report.notes,
        ["1_a: the server warns: no privileges were granted for \"a\"", "2_b: the server warns: the row …",]
    );
    // Also where there is no report, and what a hook is told.
    ground.write(&[("3_c.up.sql", "DO $$ BEGIN RAISE WARNING 'half done'; END $$; SELECT missing;")]);
    ground.options.hooks = crate::hooks::hooks(
        "hooks:\n  before_up: { sql: \"DO $$ BEGIN RAISE WARNING 'a hook did it'; END $$\" }\n",
    );
    let heard = Heard::default();
    ground.migrator().up(&UpOptions::default(), &heard.execution()).await.unwrap_err();
    for said in ["the hook before_up: the server warns: a hook did it", "3_c: the server warns: half done"] {
        assert!(heard.all().contains(said), "{}", heard.all());
    }
    // Nothing was begun there that would have to be rolled back.
    ground.write(&[("3_c.up.sql", "VACUUM missing;")]);
    ground.migrator().up(&UpOptions::default(), &heard.execution()).await.unwrap_err();
    assert!(!heard.all().contains("no transaction"), "{}", heard.all());
}

#[tokio::test]
async fn a_connection_that_is_lost_leaves_no_doubt_about_what_is_there() {
    let ground =
        Ground::new(&[("1_a.up.sql", "CREATE TABLE a (); SELECT pg_terminate_backend(pg_backend_pid());")])
            .await;
    let error = ground.up().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let said = "1_a is there as a whole or not at all: `confiture migrate status` says which, and the same command goes on";
    assert!(error.hints().iter().any(|hint| hint == said), "{error:?}");
    assert_eq!(ground.standing().await, "1 Pending");
}

#[tokio::test]
async fn text_that_flyway_would_fill_in_is_not_run_as_it_stands() {
    let ground = Ground::new(&[
        ("V1__a.sql", "CREATE TABLE a (b text DEFAULT '$ {c} ${} ${d e}');"),
        ("V2__b.sql", "SELECT 1;\nCREATE TABLE b (b text DEFAULT '${env}');"),
    ])
    .await;
    let error = ground.up().await.unwrap_err();
    assert_eq!(
        ground.shown(&error),
        "V2__b.sql:2:1: Flyway would put a value in the place of ${env}, and Confiture does not\n  \
         hint: write the value; where the text is meant as it stands, call the file V….up.sql"
    );
    assert_eq!(ground.standing().await, "1 Pending; 2 Pending");
    std::fs::rename(ground.folder.path().join("V2__b.sql"), ground.folder.path().join("V2__b.up.sql"))
        .unwrap();
    assert_eq!(ground.apply().await, ["1", "2"]);
}
