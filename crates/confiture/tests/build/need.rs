//! The order that is found out: `build.order: dependencies`. The oracle is the same tree with its order written down.

use std::time::Duration;

use confiture::ErrorKind;
use confiture::Result;
use confiture::build::{BuildOptions, BuildReport, SchemaBuilder, Seeds, Tree};
use confiture::config::BuildOrder;
use confiture::event::Execution;
use confiture::postgres::scratch::sweep;
use confiture::postgres::{Piece, Session, run_pieces};

use crate::ground::Ground;

async fn build_by_need(ground: &Ground, database: &str, cache: bool) -> Result<BuildReport> {
    let tree = Tree { order: BuildOrder::Dependencies, ..Tree::new(ground.root()) };
    let options = BuildOptions { cache, ..BuildOptions::default() };
    SchemaBuilder::new(tree).execute(&ground.connection(database), options, &Execution::unattended()).await
}

/// As names have it, nothing of this would run.
const TREE: &[(&str, &str)] = &[
    (
        "a_view.sql",
        "CREATE VIEW app.loud AS SELECT upper(name) AS name FROM app.users;\nCOMMENT ON VIEW app.loud IS 'x';",
    ),
    (
        "b_posts.sql",
        "SET search_path = app;\nCREATE TABLE posts (id int PRIMARY KEY, u int REFERENCES users, m mood DEFAULT first_mood());",
    ),
    ("c_rows.sql", "COPY app.users (id, name) FROM stdin;\n1\tAda\n\\.\nSELECT 1;\n"),
    (
        "d_users.sql",
        "CREATE TABLE app.users (id int PRIMARY KEY, name text, favourite int);\nALTER TABLE app.users ADD CONSTRAINT favourite FOREIGN KEY (favourite) REFERENCES app.posts;",
    ),
    (
        "e_functions.sql",
        "CREATE FUNCTION app.first_mood() RETURNS app.mood LANGUAGE sql AS $$ SELECT 'sad'::app.mood $$;\nCREATE FUNCTION app.names() RETURNS SETOF app.loud LANGUAGE sql AS $$ SELECT * FROM app.loud $$;",
    ),
    ("f_types.sql", "CREATE TYPE app.mood AS ENUM ('sad', 'ok');"),
    ("g_schema.sql", "CREATE SCHEMA app;"),
    (
        "h_index.sql",
        "CREATE INDEX CONCURRENTLY posts_u ON app.posts (u);\nCOMMENT ON INDEX app.posts_u IS 'last';",
    ),
];

/// The order is found out in a scratch database, which is in use.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_sweeps_away_where_the_order_is_found_out() {
    let ground = Ground::new(&[("a.sql", "SELECT pg_sleep(0.5);")]).await;
    let sweeps = async {
        for _ in 0..20 {
            sweep(&ground.connection("postgres")).await.unwrap();
            sweep(&ground.connection("found")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    let find = async {
        let tree = Tree { order: BuildOrder::Dependencies, ..Tree::new(ground.root()) };
        let connection = ground.connection("found");
        SchemaBuilder::new(tree).build_by_need(&connection, &Execution::unattended()).await.unwrap()
    };
    tokio::join!(find, sweeps);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_something_runs_after_it() {
    let ground = Ground::new(TREE).await;
    let report = build_by_need(&ground, "found", false).await.unwrap();
    let order: Vec<String> = report
        .order
        .iter()
        .map(|ran| format!("{} {}-{}", ran.file.trim_start_matches("db/schema/"), ran.first, ran.last))
        .collect();
    assert_eq!(
        order,
        [
            "g_schema.sql 1-1",
            "f_types.sql 1-1",
            "d_users.sql 1-1",
            "a_view.sql 1-2",
            "c_rows.sql 1-2",
            "e_functions.sql 1-2",
            "b_posts.sql 1-2",
            "d_users.sql 2-2",
        ]
    );
    assert_eq!(report.outside_transaction.len(), 1);

    // The same again, from a template, and as one text that psql runs.
    for (name, cloned) in [("template", false), ("clone", true)] {
        assert_eq!(build_by_need(&ground, name, true).await.unwrap().cloned, cloned);
        assert_eq!(ground.dump(name), ground.dump("found"), "{name}");
    }
    let tree = Tree { order: BuildOrder::Dependencies, ..Tree::new(ground.root()) };
    let text = SchemaBuilder::new(tree)
        .build_by_need(&ground.connection("postgres"), &Execution::unattended())
        .await
        .unwrap();
    ground.psql("postgres", "CREATE DATABASE by_psql");
    ground.psql_script("by_psql", &text);
    assert_eq!(ground.dump("by_psql"), ground.dump("found"), "{text}");
    // And as scripts, as a comparison of schemas takes them.
    let tree = Tree { order: BuildOrder::Dependencies, ..Tree::new(ground.root()) };
    let scripts = SchemaBuilder::new(tree)
        .files_by_need(&ground.connection("postgres"), &Execution::unattended())
        .await
        .unwrap();
    ground.psql("postgres", "CREATE DATABASE by_script");
    let session = Session::connect(&ground.connection("by_script")).await.unwrap();
    for script in &scripts {
        for statement in &script.statements {
            run_pieces(&session, &[Piece { script, statement }]).await.unwrap();
        }
    }
    assert_eq!(ground.dump("by_script"), ground.dump("found"));
    let left: Vec<_> = ground.databases().into_iter().filter(|name| name.contains("scratch")).collect();
    assert_eq!(left, [""; 0]);
}

/// Nobody can guess who makes the table, so the COPY is tried, refused, and tried again.
#[tokio::test(flavor = "multi_thread")]
async fn rows_wait_for_their_table_and_a_value_for_its_type() {
    let ground = Ground::new(&[
        ("a_rows.sql", "COPY t (id, mood) FROM stdin;\n1\tsad\n2\tok\n\\.\nSELECT 1;\n"),
        ("b_value.sql", "DO $$ BEGIN EXECUTE 'ALTER TABLE t ADD CHECK (mood IN (''sad'', ''ok''))'; END $$;"),
        ("c_table.sql", "DO $$ BEGIN EXECUTE 'CREATE TABLE t (id int, mood text)'; END $$;"),
    ])
    .await;
    let report = build_by_need(&ground, "d", false).await.unwrap();
    let order: Vec<&str> = report.order.iter().map(|ran| ran.file.trim_start_matches("db/schema/")).collect();
    assert_eq!(order, ["c_table.sql", "a_rows.sql", "b_value.sql"]);
    assert_eq!(ground.psql("d", "SELECT string_agg(id || mood, ',' ORDER BY id) FROM t"), "1sad,2ok");
}

/// Nothing says that they need each other, and yet their order matters.
#[tokio::test(flavor = "multi_thread")]
async fn what_acts_on_all_that_follows_keeps_its_place() {
    let ground = Ground::new(&[
        ("a_view.sql", "CREATE VIEW v AS SELECT * FROM t;"),
        ("b_table.sql", "CREATE TABLE t (a int);"),
        ("c_privileges.sql", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;"),
        ("d_late_view.sql", "CREATE VIEW late_view AS SELECT * FROM late;"),
        ("e_late.sql", "CREATE TABLE late (a int);"),
        ("f_trigger.sql", "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION counted();"),
        ("g_count.sql", "CREATE TABLE counts (a int);\nCREATE FUNCTION counted() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO counts VALUES (1); END $$;"),
    ])
    .await;
    build_by_need(&ground, "d", false).await.unwrap();
    let granted = "SELECT string_agg(relname || coalesce(relacl::text LIKE '%{=r%' OR relacl::text LIKE '%,=r%', false), ' ' ORDER BY relname) \
                   FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')";
    assert_eq!(ground.psql("d", granted), "countstrue latetrue late_viewtrue tfalse vfalse");
    assert_eq!(ground.psql("d", "SELECT count(*) FROM counts"), "0", "the trigger came last");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_made_is_named_and_nothing_stays() {
    let ground = Ground::new(&[
        ("a.sql", "CREATE VIEW v AS SELECT * FROM w;"),
        ("b.sql", "CREATE TABLE t (a int);\nCREATE VIEW w AS SELECT * FROM\n  nowhere;"),
    ])
    .await;
    let error = build_by_need(&ground, "d", false).await.unwrap_err();
    let place = error.place().unwrap();
    assert!(place.file.ends_with("b.sql") && (place.line, place.column) == (3, 3), "{place}");
    assert_eq!(error.message(), "relation \"nowhere\" does not exist");
    let hints = error.hints().join("\n").replace(&ground.root().display().to_string(), "ROOT");
    insta::assert_snapshot!(hints, @r#"
    check the spelling, the schema, and search_path
    no file makes it: it is misspelt, or its file is left out
    waits as well: ROOT/db/schema/a.sql:1:32: relation "w" does not exist
    "#);
    assert_eq!(ground.databases(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_need_each_other_for_ever_are_named() {
    let ground = Ground::new(&[
        ("a.sql", "CREATE VIEW v AS SELECT * FROM w;"),
        ("b.sql", "CREATE VIEW w AS SELECT * FROM v;"),
    ])
    .await;
    let error = build_by_need(&ground, "d", false).await.unwrap_err();
    assert!(error.hints()[1].starts_with("these files need each other"), "{:?}", error.hints());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_error_is_not_waited_for() {
    let ground =
        Ground::new(&[("a.sql", "CREATE TABLE t (a int);\nCREATE TABLE t (a int);"), ("b.sql", "SELECT 1")])
            .await;
    let error = build_by_need(&ground, "d", false).await.unwrap_err();
    assert_eq!((error.kind(), error.sqlstate_code()), (ErrorKind::Server, Some("42P07")));
    assert_eq!(error.place().unwrap().line, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn seeds_run_after_the_schema_and_only_those_of_the_environment() {
    let ground = Ground::new(&[
        ("z.sql", "CREATE TABLE t (a text PRIMARY KEY);"),
        ("../seeds/10_all.sql", "INSERT INTO t VALUES ('all');"),
        ("../seeds/dev/deep/20.sql", "INSERT INTO t VALUES ('dev');"),
        ("../seeds/test/20.sql", "INSERT INTO t VALUES ('test');"),
    ])
    .await;
    for (order, environment, expected) in [
        (BuildOrder::Names, Some("dev"), "all,dev"),
        (BuildOrder::Dependencies, Some("test"), "all,test"),
        (BuildOrder::Dependencies, None, "all"),
        (BuildOrder::Names, Some("nowhere"), "all"),
    ] {
        let seeds = Seeds { folder: "db/seeds".into(), environment: environment.map(str::to_owned) };
        let builder = SchemaBuilder::new(Tree { order, seeds: Some(seeds), ..Tree::new(ground.root()) });
        let name = format!("d_{order:?}_{}", environment.unwrap_or_default());
        // Twice: with seeds or without, a template is another.
        for again in [name.clone(), format!("{name}_again")] {
            let options = BuildOptions::default();
            builder.execute(&ground.connection(&again), options, &Execution::unattended()).await.unwrap();
            assert_eq!(ground.psql(&again, "SELECT string_agg(a, ',' ORDER BY a) FROM t"), expected);
        }
    }
    ground.build("without", BuildOptions::default()).await.unwrap();
    assert_eq!(ground.psql("without", "SELECT count(*) FROM t"), "0");

    ground.write("../seeds/10_all.sql", "INSERT INTO t VALUES ('all');\nINSERT INTO t VALUES ('all');");
    let seeds = Some(Seeds { folder: "db/seeds".into(), environment: None });
    let builder = SchemaBuilder::new(Tree { seeds, ..Tree::new(ground.root()) });
    let error = builder
        .execute(&ground.connection("twice"), BuildOptions::default(), &Execution::unattended())
        .await
        .unwrap_err();
    assert_eq!((error.place().unwrap().line, error.sqlstate_code()), (2, Some("23505")));
}

/// Files in the worst order: each needs the one behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_chain_resolves() {
    let files: Vec<(String, String)> = (0..120)
        .map(|n| {
            let text =
                if n == 119 { "SELECT 1 AS a".to_owned() } else { format!("SELECT a FROM v{}", n + 1) };
            (format!("{n:03}.sql"), format!("CREATE VIEW v{n} AS {text};"))
        })
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let ground = Ground::new(&files).await;
    let report = build_by_need(&ground, "d", false).await.unwrap();
    assert_eq!((report.order.len(), ground.psql("d", "SELECT a FROM v0").as_str()), (120, "1"));
}
