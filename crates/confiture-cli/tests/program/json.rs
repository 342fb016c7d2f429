//! What `--format json` prints is what docs/schemas says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use local_postgres::testing::Database;
use serde_json::Value;

use crate::support::{Project, Said};

const OLD: &str = "
    create table users (id bigserial primary key, full_name text not null);
    create table posts (id bigint primary key, user_id bigint not null references users);
    insert into users (full_name) values ('Ada'), ('Grace');
    insert into posts values (1, 1), (2, 2);
    analyze;
";

/// The folder of the schemas.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas/v1")
}

fn read(file: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Holds `said` against the envelope's schema and, where there is a result, that of `file`.
#[track_caller]
fn check(said: &Said, file: &str) {
    let object = said.json();
    let mut wrong = Vec::new();
    hold(&object, &read("reply.json"), "", &mut wrong);
    match object.get("result") {
        Some(result) => hold(result, &read(file), "result", &mut wrong),
        None => assert!(object.get("error").is_some(), "{said}"),
    }
    assert!(wrong.is_empty(), "{file}:\n{}\n{said}", wrong.join("\n"));
    assert_eq!(object["ok"], said.status == 0, "{said}");
}

/// Holds a value that is no reply against a schema.
#[track_caller]
pub(crate) fn holds(value: &Value, file: &str) {
    let mut wrong = Vec::new();
    hold(value, &read(file), "", &mut wrong);
    assert!(wrong.is_empty(), "{file}:\n{}\n{value:#}", wrong.join("\n"));
}

/// As much of JSON Schema as our schemas use. Stricter in one thing: a key that they do not name is wrong.
fn hold(value: &Value, schema: &Value, at: &str, wrong: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let whole = read(file);
        return hold(value, whole.pointer(pointer).expect("what is referred to"), at, wrong);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |allowed: &Value| allowed == kind || (allowed == "number" && kind == "integer");
    let allowed = &schema["type"];
    if !allowed.as_array().map_or_else(|| fits(allowed), |list| list.iter().any(fits)) {
        wrong.push(format!("{at}: {kind}, not {allowed}"));
    }
    if let Some(list) = schema["enum"].as_array().filter(|list| !list.contains(value)) {
        wrong.push(format!("{at}: {value} is none of {list:?}"));
    }
    if schema["minimum"].as_f64().is_some_and(|least| value.as_f64().is_some_and(|number| number < least)) {
        wrong.push(format!("{at}: {value} is too small"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        hold(item, &schema["items"], &format!("{at}[{index}]"), wrong);
    }
    let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object()) else {
        return;
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !object.contains_key(name.as_str().expect("a key")) {
            wrong.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, value) in object {
        match properties.get(name) {
            Some(schema) => hold(value, schema, &format!("{at}.{name}"), wrong),
            None => wrong.push(format!("{at}.{name} is not documented")),
        }
    }
}

/// The words of a schema, so that one that [`hold`] does not know is noticed.
fn words(schema: &Value, found: &mut BTreeSet<String>) {
    for (word, inner) in schema.as_object().into_iter().flatten() {
        found.insert(word.clone());
        match word.as_str() {
            "properties" => {
                inner.as_object().into_iter().flatten().for_each(|(_, inner)| words(inner, found));
            }
            "items" => words(inner, found),
            _ => {}
        }
    }
}

#[test]
fn every_schema_is_listed_and_says_no_more_than_is_checked() {
    let page = std::fs::read_to_string(folder().join("../../json.md")).expect("docs/json.md");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).expect("the folder") {
        let name = entry.expect("a file").file_name().into_string().expect("UTF-8");
        assert!(page.contains(&format!("(schemas/v1/{name})")), "{name} is not in docs/json.md");
        words(&read(&name), &mut found);
    }
    let known = "$id $ref $schema description enum items minimum properties required title type";
    let known: BTreeSet<String> = known.split(' ').map(str::to_owned).collect();
    assert_eq!(found, known);
}

#[test]
fn commands_without_a_database() {
    let project = Project::new();
    let call = |line: &str| project.call(&line.split(' ').chain(["--format", "json"]).collect::<Vec<_>>());
    check(&call("init"), "init.json");
    check(&call("build --output all.sql"), "build.json");
    check(&call("lint"), "lint.json");
    check(&call("lint --explain drop-table"), "lint.json");
    check(&call("server status"), "server.json");
    check(&call("server url"), "server-url.json");
    check(&call("completions fish"), "completions.json");
    check(&call("man"), "man.json");
    for (line, status) in [
        ("build --evn", 2),
        ("migrate", 2),
        ("build --env nowhere", 5),
        ("build --env postgresql://127.0.0.1:1/x", 3),
    ] {
        let said = call(line);
        check(&said, "");
        assert_eq!(
            (said.status, said.stdout.lines().filter(|line| *line == "{").count()),
            (status, 1),
            "{line}"
        );
    }
    project.write("db/schema/99_wrong.sql", "create table x (a text default 'open);\n");
    let wrong = call("build --output all.sql");
    check(&wrong, "");
    assert_eq!(wrong.json()["error"]["place"]["line"], 1);
}

#[tokio::test]
async fn a_build_and_a_migration() {
    let (old, new) =
        (Database::create().await.expect("a database"), Database::create().await.expect("a database"));
    let psql = |database: &Database<'_>, sql: &str| {
        let mut command = std::process::Command::new(database.server().program("psql"));
        command.args(["-Xqc", sql, "-v", "ON_ERROR_STOP=1", &database.url()]);
        assert!(command.status().expect("psql starts").success(), "{sql}");
    };
    psql(&old, OLD);
    let project = Project::new();
    project.write(
        "db/schema/10.sql",
        "create table users (id bigserial primary key, display_name text not null, nick text);
         create table posts (id bigint primary key, user_id bigint not null references users);
         vacuum users;",
    );
    project.write(
        "mapping.yaml",
        "others: same-name\ntables:\n  users:\n    from: users u\n    columns: { display_name: u.full_name }\n\
         validations:\n  - name: some\n    sql: select count(*) > 1 from users\n    expect: true\n",
    );
    let call = |words: &[&str]| project.call(&[words, &["--format", "json"]].concat());
    check(&call(&["build", "--env", &new.url(), "--no-cache"]), "build.json");
    let ends = ["--from", &old.url(), "--to", &new.url(), "--mapping", "mapping.yaml"];
    let step =
        |step: &[&str], more: &[&str]| call(&[&["migrate", "schema-to-schema"], step, &ends, more].concat());
    check(&step(&["setup"], &["--strategy", "fdw"]), "setup.json");
    check(&step(&["analyze"], &["--write-mapping", "full.yaml"]), "analyze.json");
    check(&step(&[], &["--dry-run"]), "analyze.json");
    check(&step(&["migrate"], &[]), "");
    let moved = step(&["migrate"], &["--yes"]);
    check(&moved, "migration.json");
    assert_eq!(moved.status, 0, "{moved}");
    check(&step(&["migrate"], &["--yes"]), "migration.json");
    psql(&new, "update users set display_name = 'x' where id = 1; delete from posts where id = 2");
    let differing = step(&["verify"], &["--show-values"]);
    check(&differing, "verification.json");
    assert_eq!(differing.status, 7, "{differing}");
    check(&call(&["migrate", "schema-to-schema", "cleanup", "--to", &new.url()]), "cleanup.json");
}

#[tokio::test]
async fn incremental_migrations() {
    let (one, other) =
        (Database::create().await.expect("a database"), Database::create().await.expect("a database"));
    let project = Project::new();
    let call = |words: &[&str]| project.call(&[words, &["--format", "json"]].concat());
    let on =
        |word: &str, more: &[&str]| call(&[&["migrate", word, "--database-url", &one.url()], more].concat());
    check(&call(&["migrate", "generate", "first"]), "migrate-generated.json");
    check(&on("up", &[]), "");
    std::fs::remove_dir_all(project.path().join("db/migrations")).expect("the folder");
    project.write("db/migrations/1_a.up.sql", "create table a (id int);");
    project.write("db/migrations/1_a.down.sql", "drop table a;");
    project.write(
        "db/migrations/2_b.up.sql",
        "create index concurrently a_id on a (id); drop table if exists x;",
    );
    project.write("db/migrations/2_b.down.sql", "drop index a_id; create table wrong ();");
    check(&on("up", &["--plan"]), "migrate-run.json");
    check(&on("status", &["--check"]), "migrate-status.json");
    check(&on("up", &["--target", "1"]), "migrate-run.json");
    check(&on("up", &["--rehearse"]), "migrate-run.json");
    check(&on("up", &[]), "migrate-run.json");
    check(&on("redo", &[]), "migrate-run.json");
    project.write("db/migrations/1_a.up.sql", "create table a (id bigint);");
    let changed = on("up", &[]);
    check(&changed, "");
    assert_eq!((changed.status, changed.json()["error"]["place"]["line"].as_u64()), (5, Some(1)));
    check(&on("status", &[]), "migrate-status.json");
    let wrong = on("validate", &["--scratch-url", &other.url()]);
    check(&wrong, "migrate-validation.json");
    assert_eq!(wrong.status, 7, "{wrong}");
    check(&on("validate", &["--no-run"]), "migrate-validation.json");
    check(&on("down", &["--dry-run"]), "migrate-run.json");
    let baseline = call(&["migrate", "baseline", "--database-url", &other.url()]);
    check(&baseline, "migrate-baseline.json");
    project.write("db/migrations/2_b.down.sql", "drop index a_id;");
    let squash = call(&["migrate", "squash", "--scratch-url", &other.url(), "--yes"]);
    check(&squash, "migrate-squash.json");
    assert_eq!(squash.status, 0, "{squash}");
    check(&on("squash", &["--dry-run"]), "");
}

#[tokio::test]
async fn differences() {
    let database = Database::create().await.expect("a database");
    let project = Project::new();
    project.write("db/migrations/001_a.up.sql", "create table a (id int not null, note text);");
    project.write("db/schema/a.sql", "create table a (id bigint primary key);");
    project.write("db/environments/local.yaml", &format!("database_url: {}\n", database.url()));
    assert_eq!(project.call(&["migrate", "up", "-c", "local"]).status, 0);
    let call = |words: &[&str]| project.call(&[words, &["--format", "json"]].concat());
    for words in [&["migrate", "diff"][..], &["diff", "--from", "local", "--to", "db/schema"]] {
        let said = call(words);
        check(&said, "diff.json");
        assert!(said.stdout.contains("data_loss") && said.stdout.contains("ACCESS EXCLUSIVE"), "{said}");
    }
    let drift = call(&["drift", "--env", "local"]);
    check(&drift, "diff.json");
    assert_eq!(drift.status, 7, "{drift}");
    check(&call(&["migrate", "diff", "--generate", "--name", "b"]), "migrate-diff-generated.json");
    check(&call(&["migrate", "diff", "--generate", "--name", "c"]), "migrate-diff-generated.json");
}

#[tokio::test]
async fn a_sync() {
    let (old, new) =
        (Database::create().await.expect("a database"), Database::create().await.expect("a database"));
    crate::schema_to_schema::psql(&old, OLD);
    crate::schema_to_schema::psql(&new, OLD);
    let project = Project::new();
    let (from, to) = (old.url(), new.url());
    let call = |words: &[&str]| {
        project.call(
            &[&["sync"], words, &["--from", &from, "--to", &to, "--ephemeral-key", "--format", "json"]]
                .concat(),
        )
    };
    check(&call(&["--yes"]), "");
    check(&call(&["suggest"]), "sync-suggest.json");
    check(&call(&["suggest", "--output", "db/sync_config.yaml"]), "sync-suggest.json");
    check(&call(&["plan"]), "sync-plan.json");
    let synced = call(&["--yes"]);
    check(&synced, "sync.json");
    assert_eq!(synced.status, 0, "{synced}");
    check(&call(&["verify"]), "sync-verify.json");
    check(&call(&["risk", "--quasi", "posts:user_id"]), "sync-risk.json");
    check(&call(&["--repair"]), "sync-repair.json");
}

#[tokio::test]
async fn a_migration_that_follows() {
    let shop = crate::schema_to_schema::Shop::new().await;
    let ends = "--from production --to production_new --mapping db/mapping.yaml --format json";
    let call = |line: &str| shop.call(&format!("{line} --format json"));
    let first = shop.call(&format!("sync {ends} --yes --until-caught-up"));
    check(&first, "schema-to-schema-sync.json");
    assert_eq!(first.status, 0, "{first}");
    check(
        &shop.call(&format!("migrate {ends} --yes --capture auto --no-verify")),
        "schema-to-schema-sync.json",
    );
    check(&call("status --to production_new"), "status.json");
    for line in ["pause", "throttle --rows 5 --bytes 1000", "status", "resume", "throttle"] {
        let file = if line == "status" { "status.json" } else { "tell.json" };
        check(&call(&format!("{line} --to production_new")), file);
    }
    check(&call("checklist --from production --to production_new"), "checklist.json");
    check(&call("runbook --from production --to production_new"), "runbook.json");
    check(&call("report --to production_new"), "report.json");
    check(&call("cleanup --to production_new"), "cleanup.json");
    check(&call("runbook --from production --to production_new --mapping db/mapping.yaml"), "runbook.json");
    check(&call("status --to production_new"), "");
}

#[test]
fn the_demo() {
    let said = Project::new().call(&["demo", "--users", "50", "--format", "json"]);
    check(&said, "demo.json");
    assert_eq!(said.status, 0, "{said}");
}
