//! `confiture init`.

use local_postgres::testing::{Database, Witness};

use crate::support::{Project, Said};

/// `20260101120000_first` as `VERSION_first`.
fn without_version(said: Said) -> Said {
    let text = said.stdout.split_inclusive('\n').map(|line| match line.split_once("/migrations/") {
        Some((folder, file)) => {
            format!("{folder}/migrations/VERSION{}", file.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => line.to_owned(),
    });
    Said { stdout: text.collect(), ..said }
}

#[test]
fn a_new_project_says_what_it_made_and_what_comes_next() {
    let project = Project::new();
    insta::assert_snapshot!(without_version(project.call(&["init", "shop"])), @"
    status 0
    --- stdout
      created  shop/db/schema/00_common/extensions.sql
      created  shop/db/schema/00_common/types.sql
      created  shop/db/schema/10_tables/10_users.sql
      created  shop/db/schema/10_tables/20_posts.sql
      created  shop/db/schema/15_functions/display_name.sql
      created  shop/db/schema/20_views/user_stats.sql
      created  shop/db/schema/30_functions/calculate_score.sql
      created  shop/db/environments/local.yaml
      created  shop/db/environments/test.yaml
      created  shop/db/environments/production.yaml
      created  shop/confiture.yaml
      created  shop/db/migrations/VERSION_first.up.sql
      created  shop/db/migrations/VERSION_first.down.sql
      extended shop/.gitignore

    Next: cd shop, edit db/schema, then `confiture build --env local`.
    --- stderr
    ");
    insta::assert_snapshot!(project.call(&["init", "shop"]), @"
    status 0
    --- stdout
      kept     11 files as they were
    Everything is there already.
    --- stderr
    ");
}

/// The quick start of the README, in its words.
#[tokio::test]
async fn the_quick_start_from_the_first_schema_to_the_second_migration() {
    let database = Database::create().await.expect("a database");
    let project = Project::new();
    let call = |line: &str| {
        let mut command = project.command(&line.split(' ').collect::<Vec<_>>());
        command.env("LOCAL_DATABASE_URL", database.url());
        let said = project.finish(command);
        assert_eq!(said.status, 0, "{line}: {said}");
        said
    };
    call("init");
    call("build --env local");
    let users = project.path().join("db/schema/10_tables/10_users.sql");
    let text = std::fs::read_to_string(&users).expect("the example");
    std::fs::write(
        &users,
        text.replace("last_name text not null,", "last_name text not null,\n    bio text,"),
    )
    .expect("a file");
    let wrote = call("migrate diff --generate --name add_bio");
    assert!(wrote.stdout.contains("_add_bio.up.sql: 1 step\n"), "{wrote}");
    let up = call("migrate up -c local.yaml");
    assert!(up.stdout.contains("1 migration applied"), "{up}");
    call("migrate validate");
    call("migrate status -c local --check");
    call("drift --env local");
    call("build --env local --drop-existing --yes");
    let up = call("migrate up -c local.yaml");
    assert!(up.stdout.starts_with("Nothing to do"), "{up}");

    // Each database has its own history: that of the old one is not moved.
    let shop_new = Database::create().await.expect("a database");
    call(&format!("build --database-url {}", shop_new.url()));
    let moved =
        call(&format!("migrate schema-to-schema --from local --to {} --yes --format json", shop_new.url()));
    assert!(moved.stdout.contains("users") && !moved.stdout.contains("confiture_migrations"), "{moved}");
}

#[test]
fn only_a_schema_folder() {
    let project = Project::new();
    let said = project.call(&["init", "--schema-dir", "db/new_schema"]);
    assert_eq!(said.status, 0);
    assert!(project.path().join("db/new_schema/10_tables").is_dir());
    assert!(!project.path().join("db/environments").exists(), "{said}");
}

#[test]
fn the_result_is_there_for_programs() {
    let project = Project::new();
    let json = project.call(&["-C", ".", "init", "--format", "json"]).json();
    assert_eq!((&json["ok"], &json["command"]), (&true.into(), &"init".into()));
    let created = json["result"]["created"].as_array().expect("a list");
    for path in created {
        assert!(project.path().join(path.as_str().expect("a path")).exists(), "{path}");
    }
    assert!(created.iter().any(|path| path == "db/environments/local.yaml"));
}

#[test]
fn a_file_in_the_way_is_one_clear_error() {
    let project = Project::new();
    project.write("db", "");
    let said = project.call(&["init"]);
    assert_eq!(said.status, 5);
    insta::assert_snapshot!(said.stderr, @"
    error: cannot create the folder db/schema/00_common: it is not a folder
    hint: there is a file where a folder should be: move it away, or choose another folder
    ");
}

/// Runs a script by psql.
fn psql(database: &Database<'_>, script: &str) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), script).expect("a file");
    let mut psql = std::process::Command::new(database.server().program("psql"));
    psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", &database.url(), "-f"]).arg(file.path());
    let output = psql.output().expect("psql starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const RICH: &str =
    concat!(include_str!("../../../confiture/tests/catalog/rich.sql"), include_str!("from_database.sql"));

/// The oracle is `pg_dump`: what is built from the files is what the files were made of.
#[tokio::test]
async fn a_live_schema_becomes_files_that_build_the_same() {
    let (live, rebuilt) =
        (Database::create().await.expect("a database"), Database::create().await.expect("a database"));
    psql(&live, RICH);
    for flags in [&["--with-owners", "--with-privileges"][..], &[]] {
        let project = Project::new();
        let said = project.call(&[&["init", "--from-database", &live.url(), "-q"], flags].concat());
        if Witness::of(live.server()) == Witness::Catalog {
            assert!(said.stderr.contains("no pg_dump of version"), "{said}");
            return;
        }
        assert_eq!(said.status, 0, "{said}");
        let built =
            project.call(&["build", "--env", &rebuilt.url(), "--drop-existing", "--yes", "--no-cache"]);
        assert_eq!(built.status, 0, "{built}");
        if flags.is_empty() {
            // Without owners and privileges, only these may differ.
            continue;
        }
        let (expected, found) = (live.schema(""), rebuilt.schema(""));
        assert!(expected == found, "{}", first_difference(&expected, &found));
    }
}

fn first_difference(one: &str, other: &str) -> String {
    let mut pairs = one.lines().zip(other.lines());
    pairs.find(|(one, other)| one != other).map_or_else(String::new, |(one, other)| format!("{one}\n{other}"))
}

#[tokio::test]
async fn a_schema_that_is_there_is_not_mixed_with_a_live_one() {
    let live = Database::create().await.expect("a database");
    psql(&live, "create table users (id bigint primary key);");
    let project = Project::new();
    project.write("db/schema/a.sql", "select 1;");
    let said = project.call(&["init", "--from-database", &live.url()]);
    insta::assert_snapshot!(said, @"
    status 8
    --- stdout
    --- stderr
    error: db/schema holds a schema already: db/schema/a.sql
    hint: name another folder with --schema-dir, or move these files away
    ");
    let json = project.call(&[
        "init",
        "--schema-dir",
        "db/live",
        "--from-database",
        &live.url(),
        "--format",
        "json",
    ]);
    if Witness::of(live.server()) != Witness::Catalog {
        assert_eq!(json.json()["result"]["created"][0], "db/live/10_tables/users.sql", "{json}");
    }
}

#[tokio::test]
async fn passwords_are_only_written_where_they_are_asked_for() {
    let live = Database::create().await.expect("a database");
    psql(
        &live,
        "create foreign data wrapper w; create server s foreign data wrapper w;
         create user mapping for public server s options (\"user\" 'me', password 'hunter2secret');",
    );
    for (flag, kept) in [(&[][..], false), (&["--secrets"][..], true)] {
        let project = Project::new();
        let said = project.call(&[&["init", "--from-database", &live.url()], flag].concat());
        if Witness::of(live.server()) == Witness::Catalog {
            return;
        }
        let file = project.path().join("db/schema/00_common/40_foreign_servers.sql");
        let file = std::fs::read_dir(file.parent().expect("a folder")).expect("a folder");
        let text: String =
            file.map(|one| std::fs::read_to_string(one.expect("a file").path()).expect("text")).collect();
        assert_eq!(text.contains("hunter2secret"), kept, "{text}");
        assert_eq!(text.contains("-- Its password is left out."), !kept, "{text}");
        assert_eq!(said.stdout.contains("note: passwords are left out"), !kept, "{said}");
        assert!(text.contains("'me'"), "{text}");
    }
}

#[tokio::test]
async fn tables_whose_names_are_dots_have_files() {
    let live = Database::create().await.expect("a database");
    psql(&live, "create table \".\" (id int); create table \"..\" (id int);");
    let project = Project::new();
    let said = project.call(&["init", "--from-database", &live.url()]);
    if Witness::of(live.server()) == Witness::Catalog {
        return;
    }
    assert!(said.stdout.contains("10_tables/_.sql"), "{said}");
    let rebuilt = Database::create().await.expect("a database");
    let built = project.call(&["build", "--env", &rebuilt.url(), "--no-cache"]);
    assert_eq!(built.status, 0, "{built}");
    assert_eq!(live.schema(""), rebuilt.schema(""));
}

/// What Confiture keeps in a database is no part of its schema.
#[tokio::test]
async fn the_history_of_migrations_is_no_table_of_the_schema() {
    let live = Database::create().await.expect("a database");
    let project = Project::new();
    project.write("db/migrations/001_a.up.sql", "create table a (id int);");
    assert_eq!(project.call(&["migrate", "up", "-c", &live.url(), "-q"]).status, 0);
    let new = Project::new();
    let said = new.call(&["init", "--from-database", &live.url()]);
    assert_eq!(said.status, 0, "{said}");
    assert!(new.path().join("db/schema/10_tables/a.sql").exists());
    assert!(!new.path().join("db/schema/10_tables/confiture_migrations.sql").exists(), "{said}");
}

/// A team that comes from another tool: the files, its migrations and the database say the same at once.
#[tokio::test]
async fn the_ledger_of_another_tool_is_no_table_of_the_schema() {
    let live = Database::create().await.expect("a database");
    psql(
        &live,
        "create table a (id int);
         create table _sqlx_migrations (version bigint primary key, description text not null, installed_on timestamptz not null default now(),
             success boolean not null, checksum bytea not null, execution_time bigint not null);
         insert into _sqlx_migrations values (1, 'a', now(), true, sha384('create table a (id int);'), 1);",
    );
    let project = Project::new();
    let said = project.call(&["init", "--from-database", &live.url()]);
    if Witness::of(live.server()) == Witness::Catalog {
        return;
    }
    let note = "note: public._sqlx_migrations is left out: `confiture migrate baseline --adopt` reads what it says is applied";
    assert!(said.stdout.contains(note), "{said}");
    project.write("db/migrations/1_a.sql", "create table a (id int);");
    for command in [
        &["migrate", "baseline", "--adopt", "-c", &live.url()][..],
        &["migrate", "validate", "-c", &live.url()],
        &["drift", "--env", &live.url()],
    ] {
        let said = project.call(command);
        assert_eq!(said.status, 0, "{command:?} {said}");
    }
}

#[tokio::test]
async fn an_empty_database_has_an_empty_folder() {
    let live = Database::create().await.expect("a database");
    let project = Project::new();
    assert_eq!(project.call(&["init", "--from-database", &live.url()]).status, 0);
    let said = project.call(&["drift", "--env", &live.url()]);
    assert!(said.stderr.contains("put CREATE statements into .sql files there"), "{said}");
}
