//! `confiture migrate up` and its kin, as a person calls them.

use std::process::Command;

use local_postgres::testing::Database;

use crate::support::Project;

fn psql(database: &Database<'_>, sql: &str) -> String {
    let output = Command::new(database.server().program("psql"))
        .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql, &database.url()])
        .output()
        .expect("psql starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
}

/// The environments of the seeds, and two migrations.
fn shop(database: &Database<'_>) -> Project {
    let project = Project::new();
    let environment = format!("database_url: {}\n", database.url());
    project.write("db/environments/local.yaml", &environment);
    project.write("db/environments/production.yaml", &format!("{environment}production: true\n"));
    project.write("db/migrations/001_users.up.sql", "CREATE TABLE users (id int, full_name text);\n");
    project.write("db/migrations/001_users.down.sql", "DROP TABLE users;\n");
    project.write("db/migrations/002_add_user_bio.up.sql", "ALTER TABLE users ADD COLUMN bio text;\n");
    project.write(
        "db/migrations/002_add_user_bio.down.sql",
        "-- confiture: loses-data every bio\nALTER TABLE users DROP COLUMN bio;\n",
    );
    project
}

/// Both are applied, and the table has rows.
async fn shop_in_use() -> (Database<'static>, Project) {
    let database = Database::create().await.expect("a database");
    let project = shop(&database);
    assert_eq!(project.call(&["migrate", "up", "-e", "local", "-q"]).status, 0);
    psql(&database, "insert into users select n, n from generate_series(1, 30000) n; analyze users");
    (database, project)
}

#[tokio::test]
async fn every_form_of_the_seeds() {
    let database = Database::create().await.expect("a database");
    let project = shop(&database);
    let up = project.call(&["migrate", "up", "--config", "db/environments/production.yaml"]);
    let names = [(database.name(), "DATABASE"), (database.server().socket_dir().to_str().unwrap(), "SOCKET")];
    insta::assert_snapshot!(up.steady(&names), @"
    status 0
    --- stdout
    ✅ applied 001_users (TIME)
    ✅ applied 002_add_user_bio (TIME)
    2 migrations applied to postgres@SOCKET:5432/DATABASE in TIME
    --- stderr
    Applying 001_users...
    Applying 002_add_user_bio...
    ");
    let asked = project.call(&["migrate", "down", "-c", "local.yaml"]);
    assert_eq!(asked.status, 8, "{asked}");
    assert!(asked.stderr.contains("002_add_user_bio loses every bio"), "{asked}");
    assert_eq!(project.call(&["migrate", "down", "-c", "local.yaml", "-y", "-q"]).status, 0);
    // Without a loss nobody asks, but on production.
    let production = project.call(&["migrate", "down", "-c", "production.yaml"]);
    assert_eq!(production.status, 8, "{production}");
    assert_eq!(project.call(&["migrate", "down", "-c", "local.yaml", "-q"]).status, 0);
    assert_eq!(psql(&database, "select to_regclass('users') is null"), "t");
    for name in ["add_email_index", "add_verified_column", "big_refactor"] {
        assert_eq!(project.call(&["migrate", "generate", name]).status, 0);
    }
    let files = std::fs::read_dir(project.path().join("db/migrations")).expect("the folder");
    let files: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(files.contains(&"005_big_refactor.down.sql".to_owned()), "{files:?}");
    let mut plain = project.command(&["migrate", "up", "--target", "002"]);
    plain.env("DATABASE_URL", database.url());
    assert_eq!(project.finish(plain).status, 0);
}

#[tokio::test]
async fn status_and_check() {
    let database = Database::create().await.expect("a database");
    let project = shop(&database);
    let names = [(database.name(), "DATABASE"), (database.server().socket_dir().to_str().unwrap(), "SOCKET")];
    assert_eq!(project.call(&["migrate", "up", "-e", "local", "--target", "1", "-q"]).status, 0);
    psql(&database, "update confiture_migrations set applied_at = '2026-01-02 03:04:05Z'");
    let said = project.call(&["migrate", "status", "-e", "local", "--check"]);
    insta::assert_snapshot!(said.steady(&names), @"
    status 7
    --- stdout
    ✅ 001_users         applied      2026-01-02 03:04:05 UTC by postgres
       002_add_user_bio  pending
    postgres@SOCKET:5432/DATABASE: 1 applied, 1 pending; recorded in public.confiture_migrations
    --- stderr
    error: not all migrations are applied: 1 pending
    hint: `confiture migrate up` applies what is pending
    ");
    assert_eq!(project.call(&["migrate", "status", "-e", "local"]).status, 0);
    assert_eq!(project.call(&["migrate", "up", "-e", "local", "-q"]).status, 0);
    project.write("db/migrations/001_users.up.sql", "CREATE TABLE users (id bigint, full_name text);\n");
    let changed = project.call(&["migrate", "status", "-e", "local", "--check"]);
    assert_eq!(changed.status, 7, "{changed}");
    assert!(!changed.stderr.contains("applies what is pending"), "{changed}");
}

#[tokio::test]
async fn an_error_shows_the_users_line() {
    let database = Database::create().await.expect("a database");
    let project = shop(&database);
    project.write("db/migrations/003_wrong.up.sql", "ALTER TABLE users\n  ADD COLUMN bio text;\n");
    let said = project.call(&["migrate", "up", "-e", "local", "-q"]);
    insta::assert_snapshot!(said, @r#"
    status 4
    --- stdout
    --- stderr
    error: column "bio" of relation "users" already exists
     --> db/migrations/003_wrong.up.sql:1:1
      |
    1 | / ALTER TABLE users
    2 | |   ADD COLUMN bio text;
      | |_____________________^
    hint: 2 migrations were applied before, 001_users to 002_add_user_bio, and stay so
    "#);
    assert_eq!(psql(&database, "select count(*) from confiture_migrations"), "2");
}

#[tokio::test]
async fn destroying_rows_on_production_is_asked_about_and_a_plan_shows_it() {
    let database = Database::create().await.expect("a database");
    let project = shop(&database);
    project.write(
        "db/migrations/003_drop.up.sql",
        "DROP TABLE users;\nCREATE TABLE u (a int);\nCREATE INDEX CONCURRENTLY u_a ON u (a);\n",
    );
    let names = [(database.name(), "DATABASE"), (database.server().socket_dir().to_str().unwrap(), "SOCKET")];
    let plan = project.call(&["migrate", "up", "-e", "production", "--plan"]);
    insta::assert_snapshot!(plan.steady(&names), @"
    status 0
    --- stdout
    001_users (1 statement, one transaction)
      CREATE TABLE users (id int, full_name text)
      warning: db/migrations/001_users.up.sql:1:1: users has no primary key [table-without-primary-key]
        fix: add a primary key
    002_add_user_bio (1 statement, one transaction)
      ALTER TABLE users ADD COLUMN bio text  -- ACCESS EXCLUSIVE lock
    003_drop (3 statements, 2 steps)
      DROP TABLE users  -- ACCESS EXCLUSIVE lock, destroys rows
      CREATE TABLE u (a int)
      CREATE INDEX CONCURRENTLY u_a ON u (a)  -- SHARE UPDATE EXCLUSIVE lock, outside of a transaction
      error: db/migrations/003_drop.up.sql:1:1: what users holds is lost, and who still names it fails [drop-table]
        fix: first release an application that does not name it; then drop it, and allow this with the reason
      warning: db/migrations/003_drop.up.sql:2:1: u has no primary key [table-without-primary-key]
        fix: add a primary key
    3 migrations to apply to postgres@SOCKET:5432/DATABASE
    Nothing was changed.
    --- stderr
    ");
    let asked = project.call(&["migrate", "up", "-e", "production"]);
    assert_eq!(asked.status, 8, "{asked}");
    assert!(asked.stderr.contains("003_drop has DROP TABLE (db/migrations/003_drop.up.sql:1:1)"), "{asked}");
    assert_eq!(psql(&database, "select count(*) from pg_class where relname = 'confiture_migrations'"), "0");
    assert_eq!(project.call(&["migrate", "up", "-e", "production", "-y", "-q"]).status, 0);
}

/// On a server of the program's own, which ends with it.
#[tokio::test]
async fn a_rehearsal_says_what_is_locked_and_changes_nothing() {
    let (database, project) = shop_in_use().await;
    project.write("db/migrations/003_wide.up.sql", "ALTER TABLE users ALTER id TYPE bigint;\n");
    project.write("db/migrations/003_wide.down.sql", "ALTER TABLE users ALTER id TYPE text;\n");
    let names = [(database.name(), "DATABASE"), (database.server().socket_dir().to_str().unwrap(), "SOCKET")];
    let before = database.schema("");
    let said = project.call(&["migrate", "up", "-e", "production", "--rehearse", "--no-lint", "-q"]);
    insta::assert_snapshot!(said.steady(&names), @"
    status 0
    --- stdout
    003_wide (1 statement, one transaction)
      ALTER TABLE users ALTER id TYPE bigint
        locks public.users (about 30000 rows, 1 MB): ACCESS EXCLUSIVE, nobody reads or writes while every row is written anew
    Rehearsed on a copy of the schema, without rows: what rows would refuse was not seen.
    The way back does not lead back: column public.users.id differs: ALTER TABLE public.users ALTER COLUMN id TYPE integer USING id::integer.
    1 migration to apply to postgres@SOCKET:5432/DATABASE
    Nothing was changed.
    --- stderr
    ");
    assert_eq!(database.schema(""), before);
    let alone = project.call(&["migrate", "up", "-e", "local", "--scratch-url", &database.url()]);
    assert_eq!(alone.status, 2, "{alone}");
}

#[test]
fn the_embedded_server_needs_no_database_beforehand() {
    let project = Project::new();
    project.write("db/migrations/001_a.up.sql", "CREATE TABLE a (id int);\n");
    let said = project.call(&["migrate", "up", "--env", "embedded", "-q"]);
    assert_eq!(said.status, 0, "{said}");
    let again = project.call(&["migrate", "status", "--env", "embedded", "--check"]);
    assert_eq!(again.status, 0, "{again}");
}

/// What would keep an application waiting is said; on production it needs a yes, or a reason in the file.
#[tokio::test]
async fn what_lint_says_is_asked_about_on_production() {
    let (_database, project) = shop_in_use().await;
    project.write("db/migrations/003_index.up.sql", "CREATE INDEX users_id ON users (id);\n");
    project.write("db/migrations/003_index.down.sql", "DROP INDEX users_id;\n");
    let plan = project.call(&["migrate", "up", "-e", "production", "--plan"]);
    assert!(
        plan.stdout.contains("  error: db/migrations/003_index.up.sql:1:1: ")
            && plan.stdout.contains("users has about 30000 rows")
            && plan.stdout.contains("    fix: "),
        "{plan}"
    );
    let asked = project.call(&["migrate", "up", "-e", "production"]);
    assert_eq!(asked.status, 8, "{asked}");
    assert!(asked.stderr.contains("(db/migrations/003_index.up.sql:1:1)"), "{asked}");
    let checked = project.call(&["migrate", "validate", "-e", "production", "--no-run"]);
    assert_eq!(checked.status, 7, "{checked}");
    assert!(checked.stdout.contains("(create-index) [lint]"), "{checked}");
    let checked = project.call(&["migrate", "validate", "-e", "production", "--no-run", "--no-lint"]);
    assert_eq!(checked.status, 0, "{checked}");
    // Elsewhere it is only said, before it is done.
    let local = project.call(&["migrate", "up", "-e", "local"]);
    assert_eq!(local.status, 0, "{local}");
    assert!(
        local.stderr.contains("003_index.up.sql:1:1: ") && local.stderr.contains("[create-index]"),
        "{local}"
    );
    assert_eq!(project.call(&["migrate", "down", "-e", "local", "-q"]).status, 0);
    project.write(
        "db/migrations/003_index.up.sql",
        "-- confiture: allow create-index because nobody writes at night\nCREATE INDEX users_id ON users (id);\n",
    );
    assert_eq!(project.call(&["migrate", "up", "-e", "production", "-q"]).status, 0);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_no_empty_one() {
    let database = Database::create().await.expect("a database");
    let project = Project::new();
    project.write("db/environments/local.yaml", &format!("database_url: {}\n", database.url()));
    for command in
        [&["up"][..], &["up", "--dry-run"], &["status"], &["validate"], &["baseline"], &["down"], &["redo"]]
    {
        for more in [&[][..], &["--migrations-dir", "nope"]] {
            let said = project.call(&[&["migrate"], command, &["-c", "local"], more].concat());
            assert!(said.status == 5 && said.stderr.contains("does not exist"), "{command:?}: {said}");
        }
    }
    assert_eq!(psql(&database, "select to_regclass('confiture_migrations') is null"), "t");
    std::fs::create_dir(project.path().join("db/migrations")).expect("a folder");
    for command in ["up", "status", "validate", "baseline", "down", "redo"] {
        let said = project.call(&["migrate", command, "-c", "local"]);
        assert_eq!(said.status, 0, "{command}: {said}");
    }
}

#[tokio::test]
async fn passwords_in_migrations_are_not_shown() {
    let database = Database::create().await.expect("a database");
    let project = Project::new();
    project.write("db/environments/local.yaml", &format!("database_url: {}\n", database.url()));
    let role = "SELECT 1;\nCREATE ROLE\n  postgres LOGIN PASSWORD 'hunter2';\n";
    project.write("db/migrations/001_role.up.sql", role);
    project.write("db/migrations/002_role.up.sql", "CREATE ROLE a PASSWORD 'hunter2' LOGIN;\n");
    for arguments in
        [&["--plan"][..], &["--plan", "--format", "json"], &[], &["--format", "json"], &["--verbose"]]
    {
        let said = project.call(&[&["migrate", "up", "-c", "local"], arguments].concat());
        assert!(
            !said.stdout.contains("hunter2") && !said.stderr.contains("hunter2"),
            "{arguments:?}: {said}"
        );
        assert_eq!(said.status, if arguments.contains(&"--plan") { 0 } else { 4 }, "{said}");
    }
    let plan = project.call(&["migrate", "up", "-c", "local", "--plan"]);
    assert!(plan.stdout.contains("CREATE ROLE a PASSWORD '***' LOGIN"), "{plan}");
    let failed = project.call(&["migrate", "up", "-c", "local"]);
    assert!(failed.stderr.contains("postgres LOGIN PASSWORD '***'"), "{failed}");
}

#[tokio::test]
async fn a_hook_that_says_no_has_a_status_of_its_own() {
    let database = Database::create().await.expect("a database");
    let project = shop(&database);
    let with = |hooks: &str| {
        project.write("confiture.yaml", &format!("hooks:\n  timeout: 1s\n{hooks}"));
        project.call(&["migrate", "up", "-c", "local", "--format", "json"])
    };
    for command in ["exit 3", "sleep 60", "/nowhere/to/be/found"] {
        let said = with(&format!("  before_up: {command}\n"));
        assert_eq!(
            (said.status, &said.json()["error"]["code"]),
            (9, &"hook_failed".into()),
            "{command}: {said}"
        );
    }
    let said = with("  before_up:\n    - sql: select nothing from nowhere\n");
    let place = &said.json()["error"]["place"];
    assert_eq!(
        (said.status, &place["file"], &place["line"]),
        (4, &"confiture.yaml".into(), &4.into()),
        "{said}"
    );
    let said = project.call(&["migrate", "up", "-c", "local"]);
    assert!(said.stderr.contains("confiture.yaml:4:"), "{said}");

    // Whoever is told of a failure is told what has failed.
    project.write("db/migrations/002_add_user_bio.up.sql", "create tabel x;\n");
    with("  on_failure: cat > event.json\n");
    let event = std::fs::read_to_string(project.path().join("event.json")).expect("an event");
    let event: serde_json::Value = serde_json::from_str(&event).expect("JSON");
    assert_eq!(
        (&event["migration"]["version"], &event["done"]),
        (&"002".into(), &serde_json::json!(["001"])),
        "{event}"
    );
}

#[tokio::test]
async fn a_way_back_that_does_nothing_is_found() {
    let database = Database::create().await.expect("a database");
    let project = shop(&database);
    project.write("db/migrations/002_add_user_bio.down.sql", "SELECT 1;\n");
    let said = project.call(&["migrate", "validate", "--scratch-url", &database.url()]);
    let expected = "its way back does not lead back: column public.users.bio stays behind; so it cannot be applied again";
    assert!(said.status == 7 && said.stdout.contains(expected), "{said}");
}

#[tokio::test]
async fn a_squash_looks_at_the_database_that_is_named() {
    let database = Database::create().await.expect("a database");
    let project = shop(&database);
    let squash = |more: &[&str]| {
        project.call(&[&["migrate", "squash", "--scratch-url", &database.url(), "-y"], more].concat())
    };
    assert_eq!(project.call(&["migrate", "up", "-c", "local", "--target", "001"]).status, 0);
    let refused = squash(&["-c", "local"]);
    assert!(refused.status == 8 && refused.stderr.contains("has 1 of the 2 migrations"), "{refused}");
    assert!(project.path().join("db/migrations/001_users.up.sql").exists());
    assert_eq!(project.call(&["migrate", "up", "-c", "local"]).status, 0);
    let squashed = squash(&["-c", "local"]);
    assert_eq!(squashed.status, 0, "{squashed}");
    assert_eq!(project.call(&["migrate", "status", "-c", "local", "--check"]).status, 0);
}

#[test]
fn a_full_disk_leaves_no_half_of_a_migration() {
    let project = Project::new();
    project.write("db/migrations/001_a.up.sql", "SELECT 1;");
    // No file may have a byte: what a full disk says, for one program alone.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" migrate generate b"]);
    command.arg(env!("CARGO_BIN_EXE_confiture")).current_dir(project.path());
    let said = project.finish(command);
    assert_eq!(said.status, 5, "{said}");
    assert!(said.stderr.contains("cannot write db/migrations/002_b.up.sql"), "{said}");
    assert!(!project.path().join("db/migrations/002_b.up.sql").exists());
}

/// Files that were edited, built, and only then followed by a migration: the database has it already.
#[tokio::test]
async fn what_a_built_database_has_already_is_taken_over_by_baseline() {
    let database = Database::create().await.expect("a database");
    let project = Project::new();
    project.write("db/environments/local.yaml", &format!("database_url: {}\n", database.url()));
    project.write("db/schema/a.sql", "create table a (id int, nick text);\n");
    project.write("db/migrations/001_a.up.sql", "create table a (id int);\n");
    project.write("db/migrations/002_later.up.sql", "-- Write the way up here.\n");
    let built = project.call(&["build", "--env", "local"]);
    // What is still to be written is in no schema.
    assert!(built.stdout.contains("1 migration counts as applied"), "{built}");
    project.write("db/migrations/002_later.up.sql", "alter table a add column nick text;\n");
    let said = project.call(&["migrate", "up", "-c", "local"]);
    assert_eq!(said.status, 4, "{said}");
    assert!(said.stderr.contains("`confiture migrate baseline VERSION` records it"), "{said}");
    assert_eq!(project.call(&["migrate", "baseline", "2", "-c", "local"]).status, 0);
    assert_eq!(project.call(&["migrate", "status", "--check", "-c", "local"]).status, 0);
}

#[tokio::test]
async fn a_build_says_which_migration_cannot_be_read() {
    let database = Database::create().await.expect("a database");
    let project = Project::new();
    project.write("db/environments/local.yaml", &format!("database_url: {}\n", database.url()));
    project.write("db/schema/a.sql", "create table a (id int);\n");
    project.write("db/migrations/001_a.up.sql", "select 'a;\n");
    let said = project.call(&["build", "--env", "local"]);
    assert_eq!(said.status, 0, "{said}");
    assert!(said.stderr.contains("db/migrations/001_a.up.sql:1:8: this string is never closed"), "{said}");
}
