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
