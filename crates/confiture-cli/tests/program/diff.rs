//! `migrate diff`, with and without files.

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
