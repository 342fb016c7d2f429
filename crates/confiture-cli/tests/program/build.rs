//! `confiture build`, on a real server.

use local_postgres::testing::Database;

use crate::support::Project;

/// A project of two tables whose environment `local` is `url`.
fn shop(url: &str) -> Project {
    let project = Project::new();
    project.write("db/schema/10_users.sql", "create table users (id bigint primary key);\n");
    project.write("db/schema/20_posts.sql", "create table posts (user_id bigint references users);\n");
    project.write("db/environments/local.yaml", &format!("database_url: {url}\n"));
    project
}

async fn database() -> Database<'static> {
    Database::create().await.expect("a database")
}

/// What `psql` says.
fn psql(database: &Database<'_>, sql: &str) -> String {
    let psql = database.server().program("psql");
    let output = std::process::Command::new(psql).args(["-XAtc", sql, &database.url()]).output();
    String::from_utf8(output.expect("psql starts").stdout).expect("UTF-8").trim().to_owned()
}

#[tokio::test]
async fn an_empty_database_gets_the_schema() {
    let database = database().await;
    let said = shop(&database.url()).call(&["build", "--env", "local", "--from-ddl"]);
    insta::assert_snapshot!(said.steady(&[(database.name(), "DATABASE")]), @"
    status 0
    --- stdout
    Built: DATABASE (2 statements from 2 files) in TIME
    --- stderr
    Running 2 statements of 2 files...
    ");
    assert_eq!(psql(&database, "select count(*) from pg_tables where schemaname = 'public'"), "2");
}

#[tokio::test]
async fn a_database_with_something_in_it_is_refused_and_replaced_only_with_a_yes() {
    let database = database().await;
    let project = shop(&database.url());
    assert_eq!(project.call(&["build", "--env", "local"]).status, 0);
    psql(&database, "insert into users values (1)");

    let refused = project.call(&["build", "--env", "local"]);
    assert_eq!(refused.status, 8, "{refused}");
    let unasked = project.call(&["build", "--env", "local", "--drop-existing"]);
    insta::assert_snapshot!(unasked.steady(&[(database.name(), "DATABASE")]), @"
    status 8
    --- stdout
    --- stderr
    error: The database DATABASE is dropped: table users, table posts, all rows, and the database's own settings and privileges: that needs a confirmation, and there is no terminal to ask on
    hint: add --yes to agree
    ");
    assert_eq!(psql(&database, "select count(*) from users"), "1");

    let replaced = project.call(&["build", "--env", "local", "--drop-existing", "--yes", "--no-cache"]);
    assert_eq!(replaced.status, 0, "{replaced}");
    assert_eq!(psql(&database, "select count(*) from users"), "0");
}

#[tokio::test]
async fn what_the_server_refuses_is_shown_at_its_place() {
    let database = database().await;
    let project = shop(&database.url());
    project.write("db/schema/30_likes.sql", "create table likes (\n  user_id bigint references user\n);\n");
    let said = project.call(&["build", "--env", "local"]);
    insta::assert_snapshot!(said.steady(&[(database.name(), "DATABASE")]), @r#"
    status 4
    --- stdout
    --- stderr
    Running 3 statements of 3 files...
    error: syntax error at or near "user"
     --> db/schema/30_likes.sql:2:29
      |
    2 |   user_id bigint references user
      |                             ^^^^
    "#);
    let json = project.call(&["build", "--env", "local", "--format", "json"]).json();
    assert_eq!(json["error"]["place"]["file"], "db/schema/30_likes.sql");
    assert_eq!(
        (&json["error"]["place"]["line"], &json["error"]["code"]),
        (&2.into(), &"server_refused".into())
    );
}

#[tokio::test]
async fn from_a_folder_inside_the_project_it_is_the_same() {
    let database = database().await;
    let project = shop(&database.url());
    project.write("web/index.html", "");
    let said = project.call(&["-C", "web", "build", "--env", "local"]);
    assert_eq!(said.status, 0, "{said}");
    let named = project.call(&["-C", "web", "build", "-o", "all.sql", "--schema-dir", "../db/schema"]);
    assert_eq!(named.status, 0, "{named}");
    assert!(project.path().join("web/all.sql").exists());
}

#[test]
fn an_output_file_needs_no_database() {
    let project = shop("postgresql://nobody@nowhere.invalid/x");
    let said = project.call(&["build", "--env", "local", "--output", "db/generated/schema.sql"]);
    insta::assert_snapshot!(said, @"
    status 0
    --- stdout
    Wrote db/generated/schema.sql: 2 statements from 2 files
    --- stderr
    ");
    let sql = std::fs::read_to_string(project.path().join("db/generated/schema.sql")).expect("the file");
    assert!(sql.contains("create table users") && sql.contains("create table posts"));
}

#[test]
fn a_server_that_is_not_there_is_exit_status_3() {
    let said = shop("postgresql://me@127.0.0.1:1/x?connect_timeout=2").call(&["build", "--env", "local"]);
    assert_eq!(said.status, 3, "{said}");
    assert_eq!(said.stderr.matches("error: ").count(), 1, "{said}");
}

#[test]
fn an_environment_that_is_not_there_says_which_are() {
    insta::assert_snapshot!(shop("postgresql:///x").call(&["build", "--env", "locla"]), @"
    status 5
    --- stdout
    --- stderr
    error: --env: there is no environment `locla`
    hint: did you mean `local`?
    hint: the environments in db/environments are: local
    ");
}

/// The local server starts on the way and ends with the program.
#[test]
fn embedded_needs_no_server() {
    let project = Project::new();
    assert_eq!(project.call(&["init"]).status, 0);
    let said = project.call(&["build", "--env", "embedded"]);
    assert_eq!(said.status, 0, "{said}");
    assert_eq!(project.call(&["server", "status"]).stdout, "The server does not run.\n");
}
