//! The troubles that people look up: each is said with what to do next.

use local_postgres::{Options, Server, testing};

use crate::schema_to_schema::{Shop, psql};
use crate::support::Project;

const ENDS: &str = "--from production --to production_new --mapping db/mapping.yaml --yes -q";

#[tokio::test]
async fn a_column_that_does_not_exist_is_named_with_its_neighbour() {
    let shop = Shop::new().await;
    let mapping = |text: &str| shop.project.write("db/mapping.yaml", text);
    mapping("tables:\n  users:\n    from: users u\n    columns:\n      display_name: u.fullname\n");
    insta::assert_snapshot!(shop.call(ENDS), @"
    status 5
    --- stdout
    --- stderr
    error: the source table users has no column fullname
    --> db/mapping.yaml:5:21
    hint: did you mean full_name?
    ");
    mapping("tables:\n  users:\n    from: users u\n    columns:\n      displayname: u.full_name\n");
    insta::assert_snapshot!(shop.call(ENDS), @"
    status 5
    --- stdout
    --- stderr
    error: the target table users has no column displayname
    --> db/mapping.yaml:5:7
    hint: did you mean display_name?
    ");
}

/// Not where the expression begins, but where the server points in it, also in a block of several lines.
#[tokio::test]
async fn an_error_inside_an_expression_is_at_its_place() {
    let shop = Shop::new().await;
    let mapping = |text: &str| shop.project.write("db/mapping.yaml", text);
    mapping(
        "tables:\n  users:\n    from: users u\n    columns:\n      display_name: \"'é' || loewer(u.full_name)\"\n",
    );
    let said = shop.call(ENDS);
    assert!(said.stderr.contains("\n--> db/mapping.yaml:5:29\n"), "{said}");
    mapping(
        "tables:\n  users:\n    from: users u\n    columns:\n      display_name: |\n        upper(\n          u.fullname)\n",
    );
    let said = shop.call(ENDS);
    assert!(said.stderr.contains("\n--> db/mapping.yaml:7:11\n"), "{said}");
    mapping(
        "tables:\n  users:\n    from: users u\n    where: u.id > 1 and u.nmae is not null\n    columns:\n      display_name: u.full_name\n",
    );
    let said = shop.call(ENDS);
    assert!(said.stderr.contains("\n--> db/mapping.yaml:4:25\n"), "{said}");
}

#[tokio::test]
async fn a_table_that_a_flag_misspells_is_understood() {
    let shop = Shop::new().await;
    for flag in ["--tables", "--fdw-tables", "--copy-tables"] {
        let said = shop.call(&format!("{ENDS} {flag} psots"));
        assert_eq!(said.status, 5, "{said}");
        assert!(said.stderr.contains("hint: did you mean"), "{flag}: {said}");
        assert!(said.stderr.contains("posts"), "{flag}: {said}");
    }
}

/// A foreign table has all columns of its source, so their types must be there.
#[tokio::test]
async fn a_table_whose_types_a_foreign_table_cannot_have_goes_by_copy() {
    let shop = Shop::new().await;
    psql(
        &shop.old,
        "create type mood as enum ('calm'); alter table posts add column mood mood default 'calm'",
    );
    let said = shop.call(&format!("{ENDS} --strategy fdw --format json"));
    assert_eq!(said.status, 0, "{said}");
    let result = &said.json()["result"];
    let route = |index: usize| result["migration"]["tables"][index]["route"].clone();
    assert_eq!((route(0), route(1)), ("fdw".into(), "copy".into()));
    let dry = shop
        .call("--from production --to production_new --mapping db/mapping.yaml --strategy fdw --dry-run -q");
    assert!(
        dry.stdout
            .contains("a foreign table would need the type public.mood, which the target does not have"),
        "{dry}"
    );
}

#[tokio::test]
async fn columns_that_do_not_match_are_found_before_anything_is_copied() {
    let shop = Shop::new().await;
    psql(&shop.new, "alter table posts add column kind text not null");
    insta::assert_snapshot!(shop.call(ENDS), @"
    status 5
    --- stdout
    --- stderr
    error: posts.kind is NOT NULL, has no default, and nothing fills it
    hint: map it under `columns`: `kind: <column or expression>`
    ");
    let unmapped = "--from production --to production_new --tables users --yes -q";
    psql(&shop.old, "alter table users rename to people");
    insta::assert_snapshot!(shop.call(unmapped), @"
    status 5
    --- stdout
    --- stderr
    error: nothing maps to the target table users
    hint: name it in the mapping (--mapping), with the source table that it comes `from`
    ");
    psql(&shop.old, "alter table people rename to users");
    psql(
        &shop.new,
        "alter table posts drop column kind; alter table posts alter column title type integer using null",
    );
    insta::assert_snapshot!(shop.call(ENDS), @r#"
    status 5
    --- stdout
    --- stderr
    error: posts: title is integer, and PostgreSQL does not assign text to it
    hint: if every value reads as integer, say so: `title: "(posts.title)::integer"`
    "#);
    assert_eq!(psql(&shop.new, "select count(*) from users"), "0");
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let shop = Shop::new().await;
    let said = shop.call("--from postgresql://app@127.0.0.1:1/shop --to production_new --yes -q");
    insta::assert_snapshot!(said, @"
    status 3
    --- stdout
    --- stderr
    error: cannot connect to app@127.0.0.1:1/shop: the connection was refused
    hint: check that the server runs and listens on this port (listen_addresses, port)
    ");
    let said = shop.call("--from postgresql://app@nowhere.invalid/shop --to production_new --yes -q");
    assert_eq!(said.status, 3, "{said}");
    assert!(said.stderr.contains("hint: "), "{said}");
}

/// The rows that were added later are missing, and nothing else is wrong: this is what a part looks like too.
#[tokio::test]
async fn a_row_count_that_does_not_match() {
    let shop = Shop::new().await;
    assert_eq!(shop.call(ENDS).status, 0);
    psql(&shop.old, "insert into posts values (5001, 1, 'new')");
    let verify = "verify --from production --to production_new --mapping db/mapping.yaml -q";
    insta::assert_snapshot!(shop.call(verify), @"
    status 7
    --- stdout
    ✅ users: 1,234 (old) = 1,234 (new)
    ❌ posts: 5,001 (old) ≠ 5,000 (new)
       1 missing
       missing id=5001
    ✅ Foreign key integrity verified
    Compared in TIME.
    --- stderr
    error: verification failed: 1 table
    hint: do not cut over; --show-values shows what differs, and a run with --truncate copies anew
    hint: where only a part was copied, compare with the same --where and --tables
    ");
    let again = shop.call(&format!("{ENDS} --truncate"));
    assert_eq!(again.status, 0, "{again}");
}

#[tokio::test]
async fn what_fdw_needs_is_said_with_the_other_way() {
    let shop = Shop::new().await;
    let role = format!("{}_role", shop.new.name());
    psql(
        &shop.new,
        &format!("create role {role} login; grant all on database {} to {role}", shop.new.name()),
    );
    psql(&shop.new, &format!("grant all on schema public to {role}"));
    psql(&shop.new, &format!("alter table users owner to {role}; alter table posts owner to {role}"));
    let to = shop.new.url().replace("postgres@", &format!("{role}@"));
    let line = format!("--from production --to {to} --mapping db/mapping.yaml --strategy fdw --yes -q");
    let said = || shop.call(&line).to_string().replace(&role.replace(shop.new.name(), "NEW"), "ROLE");
    insta::assert_snapshot!(said(), @r#"
    status 4
    --- stdout
    --- stderr
    error: the extension postgres_fdw is not installed in the target: permission denied to create extension "postgres_fdw"
    hint: Must be superuser to create this extension.
    hint: connect as the owner of the object, or have its owner GRANT the privilege to this role
    hint: have a superuser run: CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO …
    hint: or move every table with COPY: --strategy copy
    "#);
    psql(&shop.new, "create extension postgres_fdw");
    insta::assert_snapshot!(said(), @"
    status 4
    --- stdout
    --- stderr
    error: setting up foreign tables in the target's schema old_schema: permission denied for foreign-data wrapper postgres_fdw
    hint: connect as the owner of the object, or have its owner GRANT the privilege to this role
    hint: GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw to this role, or use --strategy copy
    ");
    psql(&shop.new, &format!("grant usage on foreign data wrapper postgres_fdw to {role}"));
    // The words of PostgreSQL 15 and before.
    let said = said().replace("password or GSSAPI delegated credentials required", "password is required");
    insta::assert_snapshot!(said, @"
    status 4
    --- stdout
    --- stderr
    error: setting up foreign tables in the target's schema old_schema: password is required
    hint: a role that is no superuser can use postgres_fdw only with a password for the source: give the source one, or use --strategy copy
    ");
    psql(&shop.new, &format!("drop owned by {role}; drop role {role}"));
}

/// The source wants a password, which the target does not remember: it is looked for again where it always is.
#[tokio::test]
async fn a_password_is_found_again_and_kept_nowhere() {
    let options = Options { password: Some("s3cret!".to_owned()), tcp_port: Some(0), ..testing::options() };
    let guarded = Server::throwaway(options).await.expect("a server");
    let shop = Shop::new().await;
    let source = std::process::Command::new(guarded.program("psql"))
        .args([
            "-Xqc",
            "create table users (id bigint primary key, full_name text); insert into users values (1, 'Ada')",
        ])
        .arg(guarded.url("postgres"))
        .status();
    assert!(source.expect("psql starts").success());
    shop.project.write(
        "db/mapping.yaml",
        "tables:\n  users:\n    from: users u\n    columns:\n      display_name: u.full_name\n",
    );
    let address = format!("127.0.0.1:{}", guarded.port());
    let call = |line: &str, variable: (&str, &str)| {
        let words =
            format!("migrate schema-to-schema {line} --to production_new --mapping db/mapping.yaml -q");
        let mut command = shop.project.command(&words.split_whitespace().collect::<Vec<_>>());
        command.env(variable.0, variable.1);
        shop.project.finish(command)
    };
    let nothing = ("NOTHING", "");
    let setup = call(&format!("setup --from postgresql://postgres:s3cret%21@{address}/postgres"), nothing);
    assert_eq!(setup.status, 0, "{setup}");
    let server = shop.new.server();
    let kept = testing::Witness::of(server).whole(server, shop.new.name());
    assert!(kept.contains(&guarded.port().to_string()) && !kept.contains("s3cret"), "{kept}");

    let said = call("migrate --yes", nothing);
    insta::assert_snapshot!(said.to_string().replace(&address, "ADDRESS"), @r#"
    status 3
    --- stdout
    --- stderr
    error: cannot connect to postgres@ADDRESS/postgres: the server asks for the password of role "postgres", and none is given
    hint: set PGPASSWORD, write a line into ~/.pgpass, or name a password_file in the environment file
    "#);
    let wrong = call("migrate --yes", ("PGPASSWORD", "s3krit"));
    assert_eq!(wrong.status, 3, "{wrong}");
    let moved = call("migrate --yes", ("PGPASSWORD", "s3cret!"));
    assert_eq!(moved.status, 0, "{moved}");
    shop.project.write("pgpass", "127.0.0.1:*:*:postgres:s3cret!\n");
    let passfile = shop.project.path().join("pgpass");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&passfile, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    }
    let verified = call("verify", ("PGPASSFILE", passfile.to_str().expect("UTF-8")));
    assert_eq!(verified.status, 0, "{verified}");
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    // What is no file is written to, and stays what it is.
    let project = Project::new();
    project.write("db/schema/a.sql", "select 1;\n");
    let said = project.call(&["build", "--output", "/dev/stdout"]);
    assert!(said.stdout.contains("select 1;"), "{said}");
    let mut full = project.command(&["completions", "bash"]);
    full.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full"));
    let status = full.status().expect("it starts");
    assert_eq!(status.code(), Some(1));
}
