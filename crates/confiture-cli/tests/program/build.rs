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
async fn warnings_are_said_to_those_who_want_it_quiet() {
    let database = database().await;
    let project = shop(&database.url());
    project.write("db/schema/30_more.sql", "begin; do $$ begin raise warning 'look here'; end $$;");
    let said = project.call(&["build", "-c", "local", "--quiet"]);
    assert_eq!((said.status, said.stderr.as_str()), (0, "warning: the server warns: look here\n"), "{said}");
    let said = project.call(&["drift", "-c", "local", "--quiet"]);
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{said}");
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
    error: nothing was changed: dropping the database DATABASE with table users, table posts, all rows, and the database's own settings and privileges needs a yes, and there is no terminal to ask on
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
    // Among the schema files, the next build would run it; where patterns leave it out, it would not.
    let said = project.call(&["build", "--output", "db/schema/all.sql"]);
    assert_eq!((said.status, said.stderr.contains("lies in a schema folder")), (2, true), "{said}");
    let said = project.call(&["build", "--output", "db/schema/all.sql", "--exclude", "all.sql"]);
    assert_eq!(said.status, 0, "{said}");
    let said =
        project.call(&["build", "--output", "one.sql", "--include", "10_*.sql", "--exclude", "all.sql"]);
    assert!(said.stdout.contains("from 1 file"), "{said}");
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

#[tokio::test]
async fn a_folder_that_is_named_may_be_anywhere() {
    let database = database().await;
    let project = shop(&database.url());
    let elsewhere = Project::new();
    elsewhere.write("ddl/10_tags.sql", "create table tags (id bigint);\n");
    let folder = elsewhere.path().join("ddl").display().to_string();
    let said = project.call(&["build", "--env", "local", "--schema-dir", &folder]);
    assert_eq!(said.status, 0, "{said}");
    assert_eq!(said.stderr, "Running 1 statement of 1 file...\n");
    assert_eq!(psql(&database, "select to_regclass('tags') is not null"), "t");

    // From a folder below, by a path that is relative to it; nothing is run, so what the server would refuse is no
    // matter.
    project.write("web/index.html", "");
    elsewhere.write("ddl/20_wrong.sql", "create tabel x ();\n");
    let up = pathdiff(&project.path().join("web"), elsewhere.path());
    let said = project.call(&["-C", "web", "build", "-o", "x.sql", "--schema-dir", &format!("{up}/ddl")]);
    assert_eq!(said.status, 0, "{said}");
    // But a file of the project, which may be another's, leads nowhere else.
    project.write("confiture.yaml", &format!("schema_dirs: [{folder}]\n"));
    let refused = project.call(&["build", "-o", "x.sql"]);
    assert_eq!(refused.status, 5, "{refused}");
    assert!(refused.stderr.contains("lies outside of the project"), "{refused}");
    assert!(refused.stderr.contains("hint: --schema-dir may name a folder outside"), "{refused}");
}

/// The way from one folder to another, by `..`.
fn pathdiff(from: &std::path::Path, to: &std::path::Path) -> String {
    let up = from.components().skip(1).map(|_| "..").collect::<Vec<_>>().join("/");
    format!("{up}{}", to.display())
}

#[tokio::test]
async fn a_file_and_a_database_in_one_call() {
    let database = database().await;
    let project = shop(&database.url());
    let file = "db/generated/schema.sql";
    let only = project.call(&["build", "--env", "local", "--output", file]);
    assert_eq!((only.status, psql(&database, "select to_regclass('users') is null")), (0, "t".to_owned()));
    let both = project.call(&["build", "--env", "local", "--output", file, "--execute", "-q"]);
    insta::assert_snapshot!(both.steady(&[(database.name(), "DATABASE")]), @"
    status 0
    --- stdout
    Wrote db/generated/schema.sql: 2 statements from 2 files
    Built: DATABASE (2 statements from 2 files) in TIME
    --- stderr
    ");
    assert_eq!(psql(&database, "select to_regclass('users') is null"), "f");
    let json = project
        .call(&["build", "-e", "local", "-o", file, "--execute", "--drop-existing", "-y", "--format", "json"])
        .json();
    assert_eq!((&json["result"]["output"], &json["result"]["replaced"]), (&file.into(), &true.into()));
    // A file that cannot be written leaves the database as it was.
    psql(&database, "insert into users values (1)");
    let said =
        project.call(&["build", "-e", "local", "-o", "db", "--execute", "--drop-existing", "--yes", "-q"]);
    insta::assert_snapshot!(said, @"
    status 5
    --- stdout
    --- stderr
    error: cannot write db: it is a folder
    hint: name a file
    ");
    assert_eq!(psql(&database, "select count(*) from users"), "1");
}

#[test]
fn a_flag_that_a_file_does_not_hear_is_refused() {
    let project = shop("postgresql://nobody@nowhere.invalid/x");
    insta::assert_snapshot!(project.call(&["build", "--output", "x.sql", "--drop-existing"]), @"
    status 2
    --- stdout
    --- stderr
    error: --output only writes a file, so --drop-existing means nothing beside it
    hint: add --execute to build the database as well, or leave one of the two out
    ");
    assert_eq!(project.call(&["build", "--execute"]).status, 2);
}

/// Cron jobs and containers have no `USER`; the tests' calls have none either.
#[test]
fn the_user_is_known_without_a_variable() {
    let said = shop("postgresql:///x?host=/nowhere").call(&["build", "--env", "local"]);
    let user = std::process::Command::new("id").arg("-un").output().expect("id starts");
    let user = String::from_utf8(user.stdout).expect("UTF-8");
    assert_eq!(said.status, 3, "{said}");
    assert!(said.stderr.contains(&format!("cannot connect to {}@/nowhere", user.trim())), "{said}");
}

#[tokio::test]
async fn databases_by_name_are_built_at_the_same_time() {
    let database = database().await;
    let project = shop(&database.url());
    let names: Vec<String> = (0..6).map(|n| format!("{}_{n}", database.name())).collect();
    let build = |name: &str, more: &[&str]| {
        project.call(
            &[&["build", "-e", "local", "--name", name, "--drop-existing", "-y", "--format", "json"], more]
                .concat(),
        )
    };
    // The first build of all and copies of it, all at once; then all of them again, in place of the first.
    for round in 0..2 {
        std::thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| {
                    let said = build(name, &[]);
                    assert_eq!(said.status, 0, "{said}");
                    assert_eq!(said.json()["result"]["replaced"], round == 1, "{said}");
                });
            }
        });
    }
    // Somebody is connected: named, and sent away only where that is asked for.
    let mut guest = std::process::Command::new(database.server().program("psql"));
    guest.args(["-Xqd", &database.server().url(&names[0]), "-c", "listen x", "-c", "select pg_sleep(600)"]);
    let mut guest = guest.stderr(std::process::Stdio::null()).spawn().expect("psql starts");
    let connected = format!(
        "select count(*) from pg_stat_activity where datname = '{}' and query like '%pg_sleep(600)'",
        names[0]
    );
    while psql(&database, &connected) != "1" {
        std::thread::yield_now();
    }
    let refused = build(&names[0], &[]);
    assert_eq!(refused.status, 8, "{refused}");
    let said = build(&names[0], &["--disconnect"]);
    assert_eq!(said.status, 0, "{said}");
    assert!(!guest.wait().expect("psql ends").success());
    for name in &names {
        psql(&database, &format!("drop database \"{name}\""));
    }
    assert_eq!(build("", &[]).status, 2);
}

#[tokio::test]
async fn seeds_are_those_of_the_environment() {
    let database = database().await;
    let project = shop(&database.url());
    project.write("db/seeds/10_users.sql", "insert into users values (1);");
    project.write("db/seeds/local/20_more.sql", "insert into users values (2);");
    project.write("db/seeds/other/20_more.sql", "insert into users values (3);");
    let build = |more: &[&str]| {
        let said = project.call(&[&["build", "-e", "local", "--drop-existing", "-y", "-q"], more].concat());
        assert_eq!(said.status, 0, "{said}");
        psql(&database, "select coalesce(string_agg(id::text, ','), '') from users")
    };
    assert_eq!(build(&["--seed"]), "1,2");
    assert_eq!(build(&[]), "");
    project.write("confiture.yaml", "build: { seed: true, order: dependencies }\n");
    assert_eq!(build(&[]), "1,2");
    assert_eq!(build(&["--no-seed", "--order", "names"]), "");
    let said = project.call(&["build", "-e", "local", "--order", "dependancies"]);
    insta::assert_snapshot!(said, @"
    status 5
    --- stdout
    --- stderr
    error: --order: `dependancies` is not an order
    hint: did you mean `dependencies`?
    hint: write names or dependencies
    ");
}

/// A program that ends with its test.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, where the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A build that watches, and what it says until it waits.
fn watching(mut command: std::process::Command) -> (Running, impl FnMut() -> String) {
    use std::io::BufRead as _;
    let mut watch =
        Running(command.stderr(std::process::Stdio::piped()).spawn().expect("the program starts"));
    let stderr = watch.0.stderr.take().expect("it was asked for");
    let mut lines = std::io::BufReader::new(stderr).lines().map(|line| line.expect("UTF-8"));
    let until_it_waits =
        move || lines.by_ref().take_while(|line| !line.starts_with("Waiting")).collect::<Vec<_>>().join("\n");
    (watch, until_it_waits)
}

#[tokio::test]
async fn watching_builds_again_after_every_change() {
    let database = database().await;
    let project = shop(&database.url());
    let (mut watch, mut until_it_waits) = watching(project.command(&["build", "-e", "local", "--watch"]));
    until_it_waits();
    project.write("db/schema/30_tags.sql", "create table tags (id bigint");
    let said = until_it_waits();
    assert!(said.contains("30_tags.sql:1:29") && said.contains("not built"), "{said}");
    assert_eq!(psql(&database, "select to_regclass('users') is not null"), "t");
    project.write("db/schema/30_tags.sql", "create table tags (id bigint);");
    until_it_waits();
    assert_eq!(psql(&database, "select to_regclass('tags') is not null"), "t");
    let pid = watch.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    assert!(watch.0.wait().expect("it ends").success());
    let production = project.call(&["build", "-e", "production", "--watch"]);
    assert_eq!(production.status, 5, "there is none: {production}");
}

/// Where there is no database yet, the second finds what the first has made.
#[tokio::test]
async fn builds_of_one_name_replace_each_other_from_the_first_on() {
    let database = database().await;
    let project = shop(&database.url());
    let name = format!("{}_both", database.name());
    let arguments = ["build", "-c", "local", "--name", &name, "--drop-existing", "--yes", "--no-cache"];
    for _ in 0..3 {
        let said: Vec<_> = std::thread::scope(|scope| {
            let builds = [(); 3].map(|()| scope.spawn(|| project.call(&arguments)));
            builds.into_iter().map(|build| build.join().expect("a build")).collect()
        });
        assert!(said.iter().all(|said| said.status == 0), "{} {} {}", said[0], said[1], said[2]);
        psql(&database, &format!("drop database {name}"));
    }
}

#[tokio::test]
async fn a_database_of_the_files_has_their_migrations() {
    let database = database().await;
    let project = shop(&database.url());
    // Where there are no migrations, there is nothing to record, and no table for it.
    assert_eq!(project.call(&["build", "--env", "local"]).status, 0);
    assert_eq!(psql(&database, "select to_regclass('confiture_migrations') is null"), "t");

    project.write("db/migrations/001_users.up.sql", "create table users (id bigint primary key);\n");
    let posts = "create table posts (user_id bigint references users);\n";
    project.write("db/migrations/002_posts.up.sql", posts);
    project.write(
        "db/schema/90_role.sql",
        "create schema apart; set search_path = apart; set role pg_read_all_data;\n",
    );
    for order in ["names", "dependencies"] {
        for cache in ["--quiet", "--no-cache", "--quiet"] {
            let arguments = ["build", "--env", "local", "--drop-existing", "--yes", "--order", order];
            let built = project.call(&[&arguments[..], &[cache]].concat());
            assert_eq!(built.status, 0, "{order} {cache}: {built}");
            let recorded = "select string_agg(version || ' ' || state || ' ' || source, ', ' order by version) \
                 from public.confiture_migrations";
            assert_eq!(psql(&database, recorded), "001 applied build, 002 applied build", "{order} {cache}");
        }
    }
    let said = project.call(&["build", "--env", "local", "--drop-existing", "--yes"]);
    let expected =
        "  2 migrations count as applied, for the files contain them (recorded in confiture_migrations)\n";
    assert!(said.stdout.ends_with(expected), "{said}");
    assert_eq!(project.call(&["migrate", "status", "-c", "local", "--check"]).status, 0);
    let up = project.call(&["migrate", "up", "-c", "local"]);
    assert!(up.status == 0 && up.stdout.starts_with("Nothing to do"), "{up}");

    // One more migration is another record: an old template would not do.
    project.write("db/migrations/003_tags.up.sql", "create table tags ();\n");
    let again = project.call(&["build", "--env", "local", "--drop-existing", "--yes", "--format", "json"]);
    assert_eq!(again.json()["result"]["migrations"], 3, "{again}");
    assert_eq!(psql(&database, "select max(version) from confiture_migrations"), "003");

    // Of another folder, nobody knows what it contains; a migration that cannot be read does not stop a build.
    let other =
        project.call(&["build", "--env", "local", "--drop-existing", "--yes", "--schema-dir", "db/schema"]);
    assert_eq!(
        (other.status, psql(&database, "select to_regclass('confiture_migrations') is null")),
        (0, "t".to_owned())
    );
    project.write("db/migrations/R__views.sql", "create view v as select 1;\n");
    let unread = project.call(&["build", "--env", "local", "--drop-existing", "--yes"]);
    assert!(
        unread.status == 0 && unread.stderr.contains("the migrations are not recorded as applied"),
        "{unread}"
    );
}

#[tokio::test]
async fn a_history_that_cannot_be_kept_stops_the_build() {
    let database = database().await;
    let project = shop(&database.url());
    project.write("db/migrations/001_users.up.sql", "create table users (id bigint primary key);\n");
    project.write("confiture.yaml", "history_table: nowhere.done\n");
    let said = project.call(&["build", "--env", "local"]);
    assert!(said.status == 4 && said.stderr.contains("have the schema files make it"), "{said}");
    assert!(!said.stderr.contains("alphabetical order"), "{said}");
    assert_eq!(psql(&database, "select count(*) from pg_tables where schemaname = 'public'"), "0");
}

#[tokio::test]
async fn a_name_that_would_be_cut_is_refused() {
    let database = database().await;
    let project = shop(&database.url());
    let name = "t".repeat(64);
    let said = project.call(&["build", "-e", "local", "--name", &name]);
    assert_eq!(said.status, 2, "{said}");
    assert!(said.stderr.contains("has at most 63 bytes, and this one has 64"), "{said}");
    assert_eq!(project.call(&["server", "url", &name]).status, 2);
}

/// Nothing changes but the database, which somebody lets go of.
#[tokio::test]
async fn a_watching_build_goes_on_when_the_database_is_free() {
    let database = database().await;
    let project = shop(&database.url());
    let refused = project.call(&["build", "-e", "local"]);
    assert_eq!(refused.status, 0, "{refused}");
    let nobody_agrees = project.call(&["build", "-e", "local", "--watch", "--drop-existing"]);
    assert_eq!(nobody_agrees.status, 8, "it ends: {nobody_agrees}");
    let mut user = std::process::Command::new(database.server().program("psql"));
    let pipe = std::process::Stdio::piped;
    let user = user.args(["-XqAt", "-d", &database.url()]).stdin(pipe()).stdout(pipe()).spawn();
    let mut user = Running(user.expect("psql starts"));
    // It is connected once it answers.
    std::io::Write::write_all(user.0.stdin.as_mut().expect("a pipe"), b"select 1;\n").expect("it listens");
    let mut answer = [0; 1];
    std::io::Read::read_exact(user.0.stdout.as_mut().expect("a pipe"), &mut answer).expect("an answer");
    let command = project.command(&["build", "-e", "local", "--watch", "--drop-existing", "--yes"]);
    let (_watch, mut until_it_waits) = watching(command);
    let said = until_it_waits();
    assert!(said.contains("is in use") && said.contains("--disconnect"), "{said}");
    drop(user);
    let said = until_it_waits();
    assert!(said.contains("Replaced"), "{said}");
}
