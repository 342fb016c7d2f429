//! `migrate diff`, with and without files.

use local_postgres::testing::Database;

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
