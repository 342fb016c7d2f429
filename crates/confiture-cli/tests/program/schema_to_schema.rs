//! `confiture migrate schema-to-schema`, between two real databases.

use local_postgres::testing::Database;

use crate::support::{Project, Said};

const OLD: &str = "
    create table users (id bigint primary key, full_name text not null);
    create table posts (id bigint primary key, user_id bigint not null references users, title text);
    insert into users select i, 'user ' || i from generate_series(1, 1234) i;
    insert into posts select i, 1 + i % 1234, 'post ' || i from generate_series(1, 5000) i;
    analyze;
";

const NEW: &str = "
    create table users (id bigint primary key, display_name text not null);
    create table posts (id bigint primary key, user_id bigint not null references users, title text);
";

const MAPPING: &str = "tables:\n  users:\n    from: users u\n    columns:\n      display_name: u.full_name\nothers: same-name\n";

/// Two databases and a project that names them.
pub(crate) struct Shop {
    pub(crate) project: Project,
    pub(crate) old: Database<'static>,
    pub(crate) new: Database<'static>,
}

impl Shop {
    pub(crate) async fn new() -> Self {
        let old = Database::create().await.expect("a database");
        let new = Database::create().await.expect("a database");
        psql(&old, OLD);
        psql(&new, NEW);
        let project = Project::new();
        project.write("db/environments/production.yaml", &format!("database_url: {}\n", old.url()));
        project.write("db/environments/production_new.yaml", &format!("database_url: {}\n", new.url()));
        project.write("db/mapping.yaml", MAPPING);
        Self { project, old, new }
    }

    /// `confiture migrate schema-to-schema LINE`.
    pub(crate) fn call(&self, line: &str) -> Said {
        let words: Vec<&str> =
            ["migrate", "schema-to-schema"].into_iter().chain(line.split_whitespace()).collect();
        let socket = self.old.server().socket_dir().display().to_string();
        let port = format!(":{}", self.old.server().port());
        self.project.call(&words).steady(&[
            (&socket, "SOCKET"),
            (&port, ":PORT"),
            (self.old.name(), "OLD"),
            (self.new.name(), "NEW"),
        ])
    }
}

pub(crate) fn psql(database: &Database<'_>, sql: &str) -> String {
    let psql = database.server().program("psql");
    let output = std::process::Command::new(psql)
        .args(["-XAt", "-v", "ON_ERROR_STOP=1", "-c", sql, &database.url()])
        .output()
        .expect("psql starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// Rows of the new database as the old one gives them: an oracle that is not our code.
const USERS: &str = "select md5(string_agg(u::text, ',' order by id)) from users u";

#[tokio::test]
async fn everything_in_one_go() {
    let shop = Shop::new().await;
    let line = "--from production --to production_new --mapping db/mapping.yaml --yes";
    insta::assert_snapshot!(shop.call(&format!("{line} -q")), @"
    status 0
    --- stdout
    ⚡ users migrated (1,234 rows, TIME actual)
    ⚡ posts migrated (5,000 rows, TIME actual)
    2 tables in TIME: 2 indexes and constraints built.

    ✅ users: 1,234 (old) = 1,234 (new)
    ✅ posts: 5,000 (old) = 5,000 (new)
    ✅ Foreign key integrity verified
    Compared in TIME.
    --- stderr
    ");
    assert_eq!(psql(&shop.old, USERS), psql(&shop.new, USERS));
    assert_eq!(psql(&shop.new, "select count(*) from posts"), "5000");

    let again = shop.call(line);
    assert_eq!(again.status, 0, "{again}");
    assert!(again.stdout.contains("nothing was changed"), "{again}");
}

/// Their indexes are built at the same time, and neither build may wait for the other's end to get to its own.
#[tokio::test]
async fn several_unique_constraints_of_one_table_are_built_together() {
    let (old, new) =
        (Database::create().await.expect("a database"), Database::create().await.expect("a database"));
    let table = "create table codes (a bigint primary key, b text unique, c text unique, d text unique)";
    psql(&new, table);
    psql(&old, table);
    psql(
        &old,
        "insert into codes select i, md5('b' || i), md5('c' || i), md5('d' || i) from generate_series(1, 150000) i",
    );
    let (from, to) = (old.url(), new.url());
    let said =
        Project::new().call(&["migrate", "schema-to-schema", "--from", &from, "--to", &to, "--yes", "-q"]);
    assert_eq!(said.status, 0, "{said}");
    assert_eq!(
        psql(
            &new,
            "select count(*) from pg_constraint where conrelid = 'codes'::regclass and contype in ('p', 'u')"
        ),
        "4"
    );
}

/// Ctrl-C while the run waits for a lock that another session holds: a moment that lasts as long as the test wants.
#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_stops_cleanly_and_says_how_to_go_on() {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::process::{Command, Stdio};

    let shop = Shop::new().await;
    let mut other = Command::new(shop.new.server().program("psql"))
        .args(["-XAtq", &shop.new.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql starts");
    let mut input = other.stdin.take().expect("a pipe");
    writeln!(input, "begin; lock table users in share row exclusive mode; select 'locked';")
        .expect("psql reads");
    let mut answer = String::new();
    BufReader::new(other.stdout.as_mut().expect("a pipe")).read_line(&mut answer).expect("psql answers");
    assert_eq!(answer, "locked\n");

    let line =
        "migrate schema-to-schema --from production --to production_new --mapping db/mapping.yaml --yes";
    let words: Vec<&str> = line.split(' ').collect();
    let mut run =
        shop.project.command(&words).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut stderr = BufReader::new(run.stderr.take().expect("a pipe"));
    let mut said = String::new();
    while !said.contains("Starting migration...") {
        assert_ne!(stderr.read_line(&mut said).expect("UTF-8"), 0, "{said}");
    }
    let interrupted =
        Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill starts");
    assert!(interrupted.success());
    stderr.read_to_string(&mut said).expect("UTF-8");
    assert_eq!(run.wait().expect("it ends").code(), Some(130), "{said}");
    assert!(said.contains("Stopping cleanly; Ctrl-C again ends at once."), "{said}");
    assert!(said.contains("\nerror: ") && said.contains("\nhint: "), "{said}");

    drop(input);
    other.wait().expect("psql ends");
    assert_eq!(shop.call(&words[2..].join(" ")).status, 0);
    assert_eq!(psql(&shop.old, USERS), psql(&shop.new, USERS));
}

/// Twice: the second ends the process at once, here while it asks a server that does not answer; whoever reads JSON reads
/// that.
#[cfg(unix)]
#[test]
fn ctrl_c_twice_ends_at_once_with_one_json_object() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = format!("postgresql://app@{}/shop", silent.local_addr().expect("an address"));
    let words = ["migrate", "schema-to-schema", "verify", "--target", &target, "--format", "json"];
    let project = Project::new();
    let run = project.command(&words).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut run = run.expect("it starts");
    let id = run.id().to_string();
    let interrupt = || Command::new("kill").args(["-INT", &id]).status().expect("kill starts");
    let held = silent.accept().expect("a connection");
    assert!(interrupt().success());
    let mut stderr = BufReader::new(run.stderr.take().expect("a pipe"));
    let mut said = String::new();
    while !said.contains("Stopping cleanly") {
        assert_ne!(stderr.read_line(&mut said).expect("UTF-8"), 0, "{said}");
    }
    assert!(interrupt().success());
    let output = run.wait_with_output().expect("it ends");
    drop(held);
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!((&object["ok"], &object["error"]["code"]), (&false.into(), &"interrupted".into()));
    assert!(object["error"]["message"].as_str().is_some_and(|said| said.starts_with("ended at once")));
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let shop = Shop::new().await;
    let said =
        shop.call("--from production --to production_new -c db/mapping.yaml --auto-strategy --dry-run -q");
    insta::assert_snapshot!(said, @"
    status 0
    --- stdout
    postgres@SOCKET:PORT/OLD → postgres@SOCKET:PORT/NEW

    Fact Tables (COPY): COPY carries any SELECT, in parallel, from one snapshot
      ⚡ users (1.2K rows) → COPY strategy (TIME)
      ⚡ posts (5K rows) → COPY strategy (TIME)

    Estimated total time: TIME

    users ← users
        display_name ← u.full_name
        as they are: id
    posts ← posts
        as they are: id, user_id, title

    Nothing was changed (--dry-run).
    --- stderr
    ");
    assert_eq!(psql(&shop.new, "select count(*) from users"), "0");
    assert_eq!(psql(&shop.new, "select to_regnamespace('confiture') is null"), "t");
}

#[tokio::test]
async fn without_a_terminal_and_without_yes_nothing_is_written() {
    let shop = Shop::new().await;
    let said = shop.call("--from production --to production_new --mapping db/mapping.yaml -q");
    insta::assert_snapshot!(said, @"
    status 8
    --- stdout
    --- stderr
    error: nothing was changed: copying from postgres@SOCKET:PORT/OLD into 2 tables of postgres@SOCKET:PORT/NEW needs a yes, and there is no terminal to ask on
    hint: add --yes to agree
    hint: --dry-run shows the plan and changes nothing
    ");
    assert_eq!(psql(&shop.new, "select count(*) from users"), "0");
}

#[tokio::test]
async fn the_steps_one_at_a_time_need_the_source_once() {
    let shop = Shop::new().await;
    let mapping = "--mapping db/mapping.yaml";
    let setup = shop.call(&format!("setup --source production --target production_new {mapping}"));
    assert_eq!(setup.status, 0, "{setup}");
    let analyzed = shop.call(&format!("analyze --target production_new {mapping} --no-color"));
    assert_eq!(analyzed.status, 0, "{analyzed}");
    assert!(analyzed.stdout.is_ascii(), "{analyzed}");
    let migrated = shop.call(&format!("migrate --target production_new {mapping} --yes --no-verify"));
    assert_eq!(migrated.status, 0, "{migrated}");
    let verified = shop.call(&format!("verify --target production_new {mapping} -q"));
    insta::assert_snapshot!(verified, @"
    status 0
    --- stdout
    ✅ users: 1,234 (old) = 1,234 (new)
    ✅ posts: 5,000 (old) = 5,000 (new)
    ✅ Foreign key integrity verified
    Compared in TIME.
    --- stderr
    ");
    let cleaned = shop.call("cleanup --target production_new");
    assert_eq!(cleaned.status, 0, "{cleaned}");
    assert_eq!(psql(&shop.new, "select to_regnamespace('confiture') is null"), "t");
    let forgotten = shop.call("verify --target production_new");
    assert_eq!(forgotten.status, 2, "{forgotten}");
}

#[tokio::test]
async fn a_difference_is_exit_status_7_with_the_report() {
    let shop = Shop::new().await;
    let line = "--from production --to production_new --mapping db/mapping.yaml";
    assert_eq!(shop.call(&format!("{line} --yes")).status, 0);
    psql(&shop.new, "delete from posts where id = 7; update users set display_name = 'x' where id = 3");
    insta::assert_snapshot!(shop.call(&format!("verify {line} -q")), @"
    status 7
    --- stdout
    ❌ users: 1,234 (old) = 1,234 (new), but rows differ
       1 different
       different id=3: display_name
    ❌ posts: 5,000 (old) ≠ 4,999 (new)
       1 missing
       missing id=7
    ✅ Foreign key integrity verified
    Compared in TIME.
    --- stderr
    error: verification failed: 2 tables
    hint: do not cut over; --show-values shows what differs, and a run with --truncate copies anew
    ");
    let shown = shop.call(&format!("verify {line} -q --show-values"));
    assert!(shown.stdout.contains("display_name user 3 (old) x (new)"), "{shown}");
    assert!(!shown.stderr.contains("--show-values"), "{shown}");
    let json = shop.call(&format!("{line} --verify --format json")).json();
    assert_eq!((&json["ok"], &json["error"]["code"]), (&false.into(), &"check_failed".into()));
    assert_eq!(json["result"]["tables"].as_array().map(Vec::len), Some(2));
}

/// What a run left out by `--where` is no difference, and whoever compares by another condition is told.
#[tokio::test]
async fn verify_compares_with_the_condition_of_the_run() {
    let shop = Shop::new().await;
    let run =
        shop.call("--from production --to production_new --mapping db/mapping.yaml --yes --where id<=100");
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(psql(&shop.new, "select count(*) from users"), "100");
    let said = shop.call("verify --target production_new");
    assert_eq!(said.status, 0, "{said}");
    assert!(said.stderr.contains("With the run's mapping db/mapping.yaml\n"), "{said}");
    assert!(said.stderr.contains("Comparing with the rows of the run's --where \"id<=100\"\n"), "{said}");
    let other = shop.call("verify --target production_new --where id<=50 --tables users");
    assert_eq!(other.status, 7, "{other}");
    let warning =
        "warning: users was copied with another mapping or --where (with --where \"id<=100\") than this";
    assert!(other.stderr.contains(warning), "{other}");
}

/// Nobody is asked for a yes to nothing.
#[tokio::test]
async fn a_run_on_a_finished_migration_says_so_and_asks_nothing() {
    let shop = Shop::new().await;
    let line = "--from production --to production_new --mapping db/mapping.yaml";
    assert_eq!(shop.call(&format!("{line} --yes")).status, 0);
    let again = shop.call(line);
    assert_eq!(again.status, 0, "{again}");
    assert!(again.stderr.contains("Nothing is left to do"), "{again}");
    assert!(!again.stderr.contains("COPY strategy"), "{again}");
    assert!(again.stdout.contains("✅ posts: 5,000 (old) = 5,000 (new)"), "{again}");
    assert_eq!(shop.call(&format!("{line} --truncate")).status, 8);
}

#[tokio::test]
async fn one_table_with_its_mapping_on_the_command_line() {
    let shop = Shop::new().await;
    let said = shop.call(
        "migrate-table --source production --target production_new --source-table users \
         --mapping id:id,full_name:display_name --yes",
    );
    assert_eq!(said.status, 0, "{said}");
    assert_eq!(psql(&shop.old, USERS), psql(&shop.new, USERS));
    assert_eq!(psql(&shop.new, "select count(*) from posts"), "0");
}

#[tokio::test]
async fn a_mapping_to_begin_with_is_written_and_read_back() {
    let shop = Shop::new().await;
    let line = "analyze --from production --to production_new --mapping db/mapping.yaml";
    let said = shop.call(&format!("{line} --write-mapping db/full.yaml"));
    assert_eq!(said.status, 0, "{said}");
    let written = std::fs::read_to_string(shop.project.path().join("db/full.yaml")).expect("the file");
    insta::assert_snapshot!(written, @"
    others: same-name              # tables that are not named here keep their names

    tables:
      users:
        from: users u
        columns:
          display_name: u.full_name
      posts:
        from: posts
        columns:
          id: id
          user_id: user_id
          title: title
    ");
    let again = shop.call(&format!("{line} --write-mapping db/full.yaml"));
    assert_eq!(again.status, 8, "{again}");
    let read = shop.call("--from production --to production_new --mapping db/full.yaml --yes");
    assert_eq!(read.status, 0, "{read}");
    assert_eq!(psql(&shop.new, "select count(*) from posts"), "5000");
}

#[tokio::test]
async fn verbose_lines_have_the_time() {
    let shop = Shop::new().await;
    let said = shop.call("--from production --to production_new --mapping db/mapping.yaml --yes --verbose");
    let is_clock = |line: &str| {
        let bytes = line.as_bytes();
        bytes.len() > 10 && bytes[0] == b'[' && bytes[3] == b':' && bytes[6] == b':' && bytes[9] == b']'
    };
    assert!(said.stderr.lines().all(is_clock), "{said}");
    assert!(said.stderr.contains("] users (1.2K rows) → COPY"), "{said}");
    assert!(said.stderr.contains("] Starting migration..."), "{said}");
    assert!(said.stderr.contains("✅ users migrated"), "{said}");
}

#[tokio::test]
async fn a_database_that_is_not_named_is_usage() {
    let shop = Shop::new().await;
    let nothing = shop.call("--auto-strategy");
    insta::assert_snapshot!(nothing, @"
    status 2
    --- stdout
    --- stderr
    error: no target database is named
    hint: name it with --to (or --target), or write `target:` into the mapping
    ");
    let half = shop.call("--to production_new --auto-strategy");
    assert_eq!(half.status, 2, "{half}");
}
