//! `confiture build` against a real server; `psql -1 -f` and `pg_dump` are the oracles.

#[path = "build/errors.rs"]
mod errors;
#[path = "build/ground.rs"]
mod ground;
#[path = "build/need.rs"]
mod need;
#[path = "build/replacing.rs"]
mod replacing;
#[path = "build/template.rs"]
mod template;

use confiture::build::{BuildOptions, Target, Way};
use ground::Ground;

/// Something of everything, in an order that only holds alphabetically.
const TREE: &[(&str, &str)] = &[
    (
        "00_common/types.sql",
        "\u{feff}CREATE EXTENSION IF NOT EXISTS pg_trgm;\r\nCREATE TYPE mood AS ENUM ('sad', 'ok');\r\n",
    ),
    (
        "10_tables/a_users.sql",
        "CREATE TABLE users (id int PRIMARY KEY, name text, mood mood, born date DEFAULT '2001-02-03')",
    ),
    (
        "10_tables/b_\u{e9}.sql",
        "CREATE SCHEMA app;\nSET search_path = app, public;\nCREATE TABLE \"We ird\" (id int REFERENCES users, at timestamptz DEFAULT '2020-01-01 00:00');\n",
    ),
    (
        "10_tables/c_rows.sql",
        "COPY public.users (id, name) FROM stdin;\n1\tAda;\n2\t\\N\n\\.\nINSERT INTO \"We ird\" VALUES (1);\nRESET search_path;\n",
    ),
    (
        "20_views.sql",
        "CREATE VIEW v AS SELECT count(*) FROM users; /* ; */ COMMENT ON VIEW v IS 'it''s; a view';",
    ),
    (
        "30_functions.sql",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $body$ BEGIN RETURN 1; END $body$;\nCREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;\nBEGIN; CREATE INDEX users_name ON users (name); COMMIT;\n",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_build_makes_what_psql_makes() {
    let ground = Ground::new(TREE).await;
    let text = ground.builder().build().unwrap();
    ground.psql("postgres", "CREATE DATABASE by_psql");
    ground.psql_file("by_psql", &text);

    for (database, cache) in
        [("directly", false), ("through_template", true), ("by_clone", true), ("qu\"o te;'", true)]
    {
        let options = BuildOptions { cache, ..BuildOptions::default() };
        let report = ground.build(database, options).await.unwrap();
        assert!(report.created);
        assert_eq!(report.cloned, database == "by_clone" || database.contains('"'), "{database}");
        assert_eq!(report.template.is_some(), cache);
        assert_eq!(ground.dump(database), ground.dump("by_psql"), "{database}");
    }
    assert_eq!(
        ground.psql("by_clone", "SELECT string_agg(coalesce(name, '-'), ',' ORDER BY id) FROM users"),
        "Ada;,-"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_filled_in_place() {
    let ground = Ground::new(TREE).await;
    ground.psql("postgres", "CREATE DATABASE mine");
    ground.psql("mine", "CREATE EXTENSION citext; COMMENT ON DATABASE mine IS 'mine'");
    let plan = ground.builder().plan(&ground.connection("mine"), BuildOptions::default()).await.unwrap();
    assert_eq!((&plan.target, &plan.way), (&Target::Empty, &Way::InPlace));
    let report = plan.execute(&confiture::event::Execution::unattended()).await.unwrap();
    assert_eq!((report.created, report.cloned, report.statements), (false, false, 14));
    assert_eq!(report.notes.len(), 2, "BEGIN and COMMIT are left out: {:?}", report.notes);
    assert_eq!(
        ground.psql(
            "mine",
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'mine'"
        ),
        "mine"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_outside_of_the_transaction_are_said_and_run() {
    let ground = Ground::new(&[
        ("1.sql", "CREATE TABLE t (a int);"),
        ("2.sql", "CREATE INDEX CONCURRENTLY i ON t (a);\nVACUUM t;"),
        ("3.sql", "CREATE TABLE u (a int);"),
    ])
    .await;
    let report = ground.build("d", BuildOptions::default()).await.unwrap();
    let said: Vec<_> = report.outside_transaction.iter().map(|one| (one.statement, one.place.line)).collect();
    assert_eq!(said, [("CREATE INDEX CONCURRENTLY", 1), ("VACUUM", 2)]);
    assert_eq!(ground.psql("d", "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"), "t");
    assert_eq!(ground.psql("d", "SELECT to_regclass('u')"), "u");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_createdb_builds_in_what_is_there() {
    let ground = Ground::new(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    ground.psql("postgres", "CREATE ROLE builder LOGIN");
    let missing = ground.build_as("builder", "theirs", BuildOptions::default()).await.unwrap_err();
    assert_eq!(
        missing.message(),
        "the database theirs cannot be created: the role builder may not create databases"
    );
    assert!(missing.hints()[0].contains("CREATE DATABASE theirs OWNER builder"));
    ground.psql("postgres", "CREATE DATABASE theirs OWNER builder");
    let report = ground.build_as("builder", "theirs", BuildOptions::default()).await.unwrap();
    assert_eq!(report.not_cached.as_deref(), Some("the database was there already"));
    assert_eq!(ground.psql("theirs", "SELECT tableowner FROM pg_tables WHERE tablename = 't'"), "builder");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_database_postgres_will_do() {
    let ground = Ground::new(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    ground.psql("template1", "DROP DATABASE postgres");
    for (name, cloned) in [("a", false), ("b", true)] {
        assert_eq!(ground.build(name, BuildOptions::default()).await.unwrap().cloned, cloned);
        assert_eq!(ground.psql(name, "SELECT to_regclass('t')"), "t");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_the_database_itself_is_reached_it_is_filled() {
    let ground = Ground::new(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    ground.psql("postgres", "CREATE ROLE tenant LOGIN");
    ground.psql("postgres", "CREATE DATABASE mine OWNER tenant");
    ground.psql("postgres", "REVOKE CONNECT ON DATABASE postgres, template1 FROM public");
    let report = ground.build_as("tenant", "mine", BuildOptions::default()).await.unwrap();
    assert!(report.notes[0].starts_with("only mine itself could be reached"), "{:?}", report.notes);
    assert_eq!(ground.psql("mine", "SELECT to_regclass('t')"), "t");
}
