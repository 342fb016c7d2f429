//! `migrate diff`, with and without files.

use local_postgres::testing::Database;

use crate::schema_to_schema::psql;
use crate::support::Project;

#[test]
fn the_migration_of_the_seed_renames_and_adds() {
    let project = Project::new();
    project.write("old.sql", "CREATE TABLE users (id int PRIMARY KEY, full_name text);\n");
    project.write("new.sql", "CREATE TABLE users (id int PRIMARY KEY, display_name text, bio text);\n");
    let shown = project.call(&["migrate", "diff", "old.sql", "new.sql"]).to_string();
    assert!(shown.contains("RENAME COLUMN full_name TO display_name"), "{shown}");
    assert!(shown.contains("ADD COLUMN bio text"), "{shown}");
    assert!(!shown.contains("DROP COLUMN"), "{shown}");
    assert_eq!(shown.matches("--no-rename").count(), 1, "{shown}");
}

#[test]
fn without_files_the_migrations_are_compared_with_the_ddl() {
    let project = Project::new();
    project.write("db/migrations/001_init.up.sql", "CREATE TABLE users (id int PRIMARY KEY);\n");
    project.write("db/schema/users.sql", "CREATE TABLE users (id int PRIMARY KEY, bio text);\n");
    let wrote = project.call(&["migrate", "diff", "--generate", "--name", "Add bio"]).to_string();
    assert!(wrote.contains("db/migrations/002_add_bio.up.sql"), "{wrote}");
    let again = project.call(&["migrate", "diff"]).to_string();
    assert!(again.contains("The schemas are the same"), "{again}");
}

#[test]
fn what_takes_long_says_what_it_is_at() {
    let project = Project::new();
    project.write("old.sql", "CREATE TABLE t (a int);\n");
    project.write("new.sql", "CREATE TABLE t (a int);\nSELECT pg_sleep(3);\n");
    let said = project.call(&["migrate", "diff", "old.sql", "new.sql"]);
    assert!(said.stderr.starts_with("Comparing the schemas"), "{said}");
    assert!(!said.stdout.contains("Comparing"), "{said}");
}

/// Files are compared with each other, and not with what was written: the same would come again.
#[test]
fn what_the_last_migration_says_is_not_written_twice() {
    let project = Project::new();
    project.write("old.sql", "CREATE TABLE t (a int);\n");
    project.write("new.sql", "CREATE TABLE t (a int, b int);\n");
    let call = |name| project.call(&["migrate", "diff", "old.sql", "new.sql", "--generate", "--name", name]);
    let first = call("b");
    assert_eq!(first.status, 0, "{first}");
    let again = call("again").to_string();
    assert!(again.contains("status 5") && again.contains("_b.up.sql says the same"), "{again}");
    let files = std::fs::read_dir(project.path().join("db/migrations")).unwrap().count();
    assert_eq!(files, 2);
}

#[test]
fn a_password_is_neither_shown_nor_written_unasked() {
    let project = Project::new();
    let server = "CREATE FOREIGN DATA WRAPPER w;\nCREATE SERVER s FOREIGN DATA WRAPPER w;\n";
    let mapping = "CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (\"user\" 'me', password 'hunter2');\n";
    project.write("old.sql", server);
    project.write("new.sql", &format!("{server}{mapping}"));
    let shown = project.call(&["migrate", "diff", "old.sql", "new.sql"]).to_string();
    assert!(shown.contains("password '***'") && !shown.contains("hunter2"), "{shown}");
    let generate = ["migrate", "diff", "old.sql", "new.sql", "--generate", "--name", "mapping"];
    let refused = project.call(&generate).to_string();
    assert!(refused.contains("--secrets") && !refused.contains("Wrote"), "{refused}");
    let wrote = project.call(&[&generate[..], &["--secrets"]].concat()).to_string();
    assert!(wrote.contains("Wrote") && !wrote.contains("hunter2"), "{wrote}");
}

#[tokio::test]
async fn a_first_migration_says_what_it_is_to_databases_that_are_there() {
    let database = Database::create().await.expect("a database");
    let project = Project::new();
    project.write("db/environments/local.yaml", &format!("database_url: {}\n", database.url()));
    project.write("db/schema/users.sql", "create table users (id int primary key);\n");
    assert_eq!(project.call(&["build", "--env", "local"]).status, 0);
    let wrote = project.call(&["migrate", "diff", "--generate", "--name", "first"]);
    assert!(
        wrote.status == 0 && wrote.stdout.contains("`confiture migrate baseline` records that"),
        "{wrote}"
    );
    let refused = project.call(&["migrate", "up", "-c", "local"]);
    assert!(refused.status == 4 && refused.stderr.contains("`confiture migrate baseline`"), "{refused}");
    assert_eq!(project.call(&["migrate", "baseline", "-c", "local"]).status, 0);
    let status = project.call(&["migrate", "status", "-c", "local", "--check"]);
    assert_eq!(status.status, 0, "{status}");
}

#[test]
fn migrations_that_do_not_begin_with_nothing_are_told_so() {
    let project = Project::new();
    project.write("db/schema/users.sql", "create table users (id int primary key, bio text);\n");
    project.write("db/migrations/001_bio.up.sql", "alter table users add column bio text;\n");
    let said = project.call(&["migrate", "diff"]);
    assert!(said.status == 4 && said.stderr.contains("together they must make all that they use"), "{said}");
    // The same in the schema's own files is none of the migrations' business.
    project.write("db/migrations/001_bio.up.sql", "create table users (id int primary key);\n");
    project.write("db/schema/users.sql", "alter table posts add column bio text;\n");
    let said = project.call(&["migrate", "diff"]);
    assert!(said.status == 4 && !said.stderr.contains("together they must make"), "{said}");
}

#[test]
fn files_of_other_tools_are_a_side_by_their_ways_up() {
    let project = Project::new();
    let (table, column) = ("CREATE TABLE a (id int);", "ALTER TABLE a ADD b int;");
    let (no_table, no_column) = ("DROP TABLE a;", "ALTER TABLE a DROP b;");
    let both = |up: &str, first: &str, down: &str, second: &str| format!("{up}\n{first}\n{down}\n{second}\n");
    let goose = |first, second| both("-- +goose Up", first, "-- +goose Down", second);
    project.write("goose/00001_a.sql", &goose(table, no_table));
    project.write("goose/00002_b.sql", &goose(column, no_column));
    project.write("dbmate/1_a.sql", &both("-- migrate:up", table, "-- migrate:down", no_table));
    project.write("dbmate/2_b.sql", &both("-- migrate:up", column, "-- migrate:down", no_column));
    project.write("diesel/2026-01-01_a/up.sql", table);
    project.write("diesel/2026-01-01_a/down.sql", no_table);
    project.write("diesel/2026-01-02_b/up.sql", column);
    project.write("diesel/2026-01-02_b/down.sql", no_column);
    project.write("node/1-a-up.sql", table);
    project.write("node/1-a-down.sql", no_table);
    project.write("node/2-b-up.sql", column);
    project.write("node/2-b-down.sql", no_column);
    project.write("flyway/V2__a.sql", table);
    project.write("flyway/V10__b.sql", column);
    project.write("new.sql", "\\set ON_ERROR_STOP on\nCREATE TABLE a (id int, b int);\n");
    for old in ["goose", "dbmate", "diesel", "node", "flyway"] {
        let shown = project.call(&["migrate", "diff", old, "new.sql"]).to_string();
        assert!(shown.contains("The schemas are the same"), "{old}: {shown}");
    }
    let shown = project.call(&["migrate", "diff", "goose/00001_a.sql", "new.sql"]).to_string();
    assert!(shown.contains("ADD COLUMN b") && !shown.contains("CREATE TABLE"), "{shown}");
}

#[test]
fn a_script_does_nothing_to_other_databases() {
    let project = Project::new();
    project.write("old.sql", "CREATE TABLE a (id int);\n");
    project.write("new.sql", "CREATE TABLE a (id int);\nDROP DATABASE IF EXISTS postgres;\n");
    let shown = project.call(&["migrate", "diff", "old.sql", "new.sql"]).to_string();
    assert!(
        shown.contains("DROP DATABASE reaches beyond the schema") && shown.contains("new.sql:2:1"),
        "{shown}"
    );
}

#[test]
fn who_is_not_found_is_told_by_the_flag_that_named_it() {
    let project = Project::new();
    project.write("db/environments/local.yaml", "database_url: postgresql:///x\n");
    project.write("db/schema/a.sql", "create table a (id int);\n");
    for (arguments, with) in [
        (&["drift", "--env", "lokal"][..], "--env"),
        (&["migrate", "diff", "db/schema", "lokal"], "NEW"),
        (&["migrate", "diff", "lokal"], "OLD"),
        (&["diff", "--from", "lokal", "--to", "db/schema"], "--from"),
        (&["diff", "--from", "db/schema", "--to", "lokal"], "--to"),
    ] {
        let said = project.call(arguments);
        let line = format!("error: {with}: there is no environment `lokal`");
        assert!(said.stderr.contains(&line), "{arguments:?} {said}");
    }
}

/// A project whose history has that name.
fn with_history(database: &Database<'_>, table: &str) -> Project {
    let project = Project::new();
    project.write("confiture.yaml", &format!("history_table: '{table}'\n"));
    project.write("db/environments/local.yaml", &format!("database_url: {}\n", database.url()));
    project
}

/// A schema that no file makes stays where the history stays: alone there, or beside what has to go.
#[tokio::test]
async fn the_schema_of_the_history_is_no_drift() {
    let database = Database::create().await.expect("a database");
    let project = with_history(&database, "\"Öps\".\"History\"");
    project.write("db/schema/a.sql", "create table a (id int);\n");
    project.write("db/migrations/001_a.up.sql", "create table public.a (id int);\n");
    psql(
        &database,
        "create schema \"Öps\"; comment on schema \"Öps\" is 'ours'; grant usage on schema \"Öps\" to pg_monitor",
    );
    assert_eq!(project.call(&["migrate", "up", "-c", "local"]).status, 0);
    let said = project.call(&["drift", "--env", "local"]);
    assert_eq!(said.status, 0, "{said}");
    psql(&database, "create table \"Öps\".b ()");
    let said = project.call(&["drift", "--env", "local"]);
    assert!(said.status == 7 && said.stdout.contains("DROP TABLE \"Öps\".b"), "{said}");
    assert!(!said.stdout.contains("DROP SCHEMA"), "{said}");
}

/// The very name that docs/configuration.md has for an example.
#[tokio::test]
async fn the_history_is_no_drift_whatever_it_is_called() {
    let database = Database::create().await.expect("a database");
    let project = with_history(&database, "\"Ops\".\"History\"");
    project.write("db/schema/a.sql", "create schema \"Ops\";\n");
    assert_eq!(project.call(&["build", "--env", "local"]).status, 0);
    project.write("db/migrations/001_a.up.sql", "create table public.a (id int);\n");
    assert_eq!(project.call(&["migrate", "up", "-c", "local"]).status, 0);
    project.write("db/schema/b.sql", "create table public.a (id int);\n");
    let said = project.call(&["drift", "--env", "local"]);
    assert_eq!(said.status, 0, "{said}");
    let long = format!("history_table: {}\n", "h".repeat(64));
    project.write("confiture.yaml", &long);
    let refused = project.call(&["migrate", "status", "-c", "local"]);
    assert!(refused.status == 5 && refused.stderr.contains("63 bytes"), "{refused}");
}
