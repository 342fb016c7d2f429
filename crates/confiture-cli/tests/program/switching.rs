//! Cutovers and rollbacks of the program, with PgBouncer and with commands; and the program killed in the middle of one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use local_postgres::{PgBouncer, PgBouncerOptions};

use crate::schema_to_schema::{Shop, psql};
use crate::support::Said;

const ENDS: &str = "--from production --to production_new --mapping db/mapping.yaml --yes -q";

/// A shop that is followed, and a PgBouncer before it.
struct Pooled {
    shop: Shop,
    pooler: PgBouncer,
}

impl Pooled {
    async fn new() -> Self {
        let shop = Shop::new().await;
        let said = shop.call(&format!("sync {ENDS} --until-caught-up"));
        assert_eq!(said.status, 0, "{said}");
        let options = PgBouncerOptions {
            databases: vec![("app".into(), PgBouncer::leads_to(shop.old.server(), shop.old.name()))],
            ..PgBouncerOptions::default()
        };
        Self { shop, pooler: PgBouncer::start(options).await.expect("a PgBouncer") }
    }

    fn arguments(&self, verb: &str) -> String {
        let (console, ini) = (self.pooler.admin_url(), self.pooler.ini());
        format!(
            "{verb} {ENDS} --pgbouncer {console} --pgbouncer-database app --pgbouncer-config {}",
            ini.display()
        )
    }

    fn call(&self, verb: &str) -> Said {
        self.shop.call(&self.arguments(verb))
    }

    /// The database that a client of PgBouncer is in.
    fn client(&self) -> String {
        ask(&self.shop, &self.pooler.url("app"), "SELECT current_database()")
    }

    fn is_paused(&self) -> bool {
        let rows = ask(&self.shop, &self.pooler.admin_url(), "SHOW DATABASES");
        let app = rows.lines().find(|row| row.starts_with("app|")).expect("app");
        app.rsplit('|').nth(1) == Some("1")
    }
}

fn ask(shop: &Shop, url: &str, sql: &str) -> String {
    let output = Command::new(shop.old.server().program("psql")).args(["-XAtq", "-c", sql, url]).output();
    let output = output.expect("psql starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// The program at work, which is killed.
fn start(shop: &Shop, line: &[&str]) -> Child {
    let words = [&["migrate", "schema-to-schema"], line].concat();
    let mut command = shop.project.command(&words);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "not in a minute: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn clients_behind_pgbouncer_go_over_and_back() {
    let pooled = Pooled::new().await;
    assert_eq!(pooled.client(), pooled.shop.old.name());
    let over = pooled.call("cutover");
    assert_eq!(over.status, 0, "{over}");
    assert_eq!((pooled.client().as_str(), pooled.is_paused()), (pooled.shop.new.name(), false));
    let back = pooled.call("rollback");
    assert_eq!(back.status, 0, "{back}");
    assert_eq!((pooled.client().as_str(), pooled.is_paused()), (pooled.shop.old.name(), false));
}

fn kill_who_stands_by(pooled: &Pooled) {
    let said = Command::new("ps").args(["-eo", "pid,args"]).output().expect("ps starts");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let console = pooled.pooler.admin_url();
    let mut standing = said.lines().filter(|line| line.contains(&console) && line.contains("--stand-by"));
    let pid = standing.next().and_then(|line| line.split_whitespace().next()).expect("somebody stands by");
    assert!(Command::new("kill").args(["-KILL", pid]).status().expect("kill starts").success());
}

/// `kill -9` while PgBouncer holds its clients back: somebody lets them go on.
#[tokio::test]
async fn a_program_that_is_killed_leaves_no_pause() {
    killed(None).await;
}

#[tokio::test]
async fn a_machine_that_dies_leaves_a_pause_that_the_next_command_ends() {
    for next in ["sync --until-caught-up --yes", "pause"] {
        killed(Some(next)).await;
    }
}

async fn killed(next: Option<&str>) {
    let pooled = Pooled::new().await;
    // A transaction that stays open: so the pause lasts.
    let mut open = Command::new(pooled.shop.old.server().program("psql"))
        .args(["-XAtq", &pooled.pooler.url("app")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql starts");
    let mut stdin = open.stdin.take().expect("a pipe");
    writeln!(stdin, "BEGIN;\nSELECT 'begun';").expect("psql listens");
    let mut line = String::new();
    BufReader::new(open.stdout.take().expect("a pipe")).read_line(&mut line).expect("psql speaks");
    assert_eq!(line.trim(), "begun");

    let arguments = pooled.arguments("cutover --max-stall 50s");
    let mut program = start(&pooled.shop, &arguments.split(' ').collect::<Vec<_>>());
    until("clients are held back", || pooled.is_paused());
    if let Some(next) = next {
        // The machine dies, and with it whoever stands by.
        kill_who_stands_by(&pooled);
        program.kill().expect("it is killed");
        program.wait().expect("it ends");
        assert!(pooled.is_paused());
        let said = pooled
            .shop
            .call(&format!("{next} --from production --to production_new --mapping db/mapping.yaml -q"));
        assert_eq!(said.status, 0, "{next}: {said}");
    } else {
        program.kill().expect("it is killed");
        program.wait().expect("it ends");
    }
    until("clients go on", || !pooled.is_paused());
    assert_eq!(pooled.client(), pooled.shop.old.name());
    psql(&pooled.shop.old, "INSERT INTO users VALUES (100001, 'after')");

    drop(stdin);
    open.wait().expect("psql ends");
    pooled.shop.call("resume --to production_new");
    let over = pooled.call("cutover");
    assert_eq!(over.status, 0, "{over}");
    assert_eq!(pooled.client(), pooled.shop.new.name());
    assert_eq!(psql(&pooled.shop.new, "SELECT display_name FROM users WHERE id = 100001"), "after");
}

#[tokio::test]
async fn commands_lead_the_application_and_lead_it_back_when_the_program_is_killed() {
    let shop = Shop::new().await;
    let said = shop.call(&format!("sync {ENDS} --until-caught-up"));
    assert_eq!(said.status, 0, "{said}");
    // From the project's file and from the command line.
    shop.project
        .write("confiture.yaml", "hooks:\n  rolled_back: cat > back.json\n  switched: cat > switched.json\n");
    let read = |name: &str| std::fs::read_to_string(shop.project.path().join(name)).unwrap_or_default();
    let words: Vec<&str> = ENDS.split(' ').collect();
    let hang =
        ["--max-stall", "50s", "--hook", "fenced=echo $CONFITURE_EVENT_TO_DATABASE > led; exec sleep 30"];
    let mut program = start(&shop, &[&["cutover"], words.as_slice(), &hang].concat());
    until("the command runs", || read("led").trim() == shop.new.name());
    program.kill().expect("it is killed");
    program.wait().expect("it ends");
    until("the application is led back", || read("back.json").contains("\"rolled_back\""));
    assert_eq!(read("switched.json"), "");
    psql(&shop.old, "INSERT INTO users VALUES (100001, 'after')");

    let led = ["--hook", "fenced=echo again > led"];
    let words = [&["migrate", "schema-to-schema", "cutover"], words.as_slice(), &led].concat();
    let over = shop.project.call(&words);
    assert_eq!(over.status, 0, "{over}");
    assert_eq!(read("led"), "again\n");
    let event: serde_json::Value = serde_json::from_str(&read("switched.json")).expect("JSON");
    assert_eq!((&event["kind"], &event["to_database"]), (&"cutover".into(), &shop.new.name().into()));
    assert_eq!(psql(&shop.new, "SELECT display_name FROM users WHERE id = 100001"), "after");
    let wrong = shop.call(&format!("cutover {ENDS} --hook before=true"));
    assert_eq!(wrong.status, 2, "{wrong}");
    assert!(wrong.stderr.contains("there are pre_fence, fenced, switched, rolled_back"), "{wrong}");
}

/// Both sides take writes, and it ends for one of them; every step is a call of the program.
#[tokio::test]
async fn both_sides_take_writes_for_a_while() {
    let shop = Shop::new().await;
    let said = shop.call(&format!("bidirectional {ENDS} --until-caught-up"));
    assert_eq!(said.status, 8, "{said}");
    assert!(said.stderr.contains("follows no source yet"), "{said}");
    let said = shop.call(&format!("sync {ENDS} --until-caught-up"));
    assert_eq!(said.status, 0, "{said}");
    let said = shop.call(&format!("bidirectional {ENDS} --until-caught-up --conflicts latest"));
    assert!(said.status == 2 && said.stderr.contains("--latest-by"), "{said}");

    let said = shop.call(&format!("bidirectional {ENDS} --until-caught-up --format json"));
    assert_eq!(said.status, 0, "{said}");
    crate::json::holds(&said.json()["result"], "bidirectional.json");
    psql(&shop.old, "UPDATE users SET full_name = 'old' WHERE id IN (1, 2)");
    psql(&shop.new, "UPDATE users SET display_name = 'new' WHERE id IN (2, 3)");
    let status = shop.call("status --from production --to production_new");
    assert!(status.stdout.contains("both sides take writes"), "{status}");
    for refused in [format!("sync {ENDS}"), "cleanup --from production --to production_new --yes".into()] {
        let said = shop.call(&refused);
        assert!(said.status == 8 && said.stderr.contains("both sides take writes"), "{said}");
    }
    let said = shop.call(&format!("bidirectional {ENDS} --until-caught-up"));
    assert!(said.status == 7 && said.stderr.contains("both sides have changed a row of users"), "{said}");
    let said = shop.call(&format!("bidirectional {ENDS} --until-caught-up --conflicts target"));
    assert!(said.status == 0 && said.stdout.contains("1 row was changed by both"), "{said}");
    let (old, new) = (
        "SELECT full_name FROM users WHERE id < 4 ORDER BY id",
        "SELECT display_name FROM users WHERE id < 4 ORDER BY id",
    );
    assert_eq!(
        (psql(&shop.old, old), psql(&shop.new, new)),
        ("old\nnew\nnew".into(), "old\nnew\nnew".into())
    );

    let said = shop.call(&format!("cutover {ENDS} --format json"));
    assert_eq!(said.status, 0, "{said}");
    crate::json::holds(&said.json()["result"], "switch.json");
    psql(&shop.new, "UPDATE users SET display_name = 'newer' WHERE id = 1");
    let said = shop.call(&format!("rollback {ENDS} --format json"));
    assert_eq!(said.status, 0, "{said}");
    crate::json::holds(&said.json()["result"], "switch.json");
    assert_eq!(psql(&shop.old, old), "newer\nnew\nnew");
}

/// Two mappings in one project: every command that is about one migration says which.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_takes_a_mapping() {
    let shop = Shop::new().await;
    let said = shop.call(&format!("sync {ENDS} --until-caught-up"));
    assert_eq!(said.status, 0, "{said}");
    for command in [
        "status",
        "pause",
        "throttle --rows 1000",
        "resume",
        "checklist",
        "runbook",
        "cutover --dry-run --yes",
        "cleanup",
    ] {
        let named =
            shop.call(&format!("{command} --to production_new --from production --mapping db/missing.yaml"));
        assert_ne!(named.status, 0, "{command}: {named}");
        assert!(named.stderr.contains("db/missing.yaml"), "{command}: {named}");
        if !["checklist", "cutover --dry-run --yes"].contains(&command) {
            let ends = "--to production_new --from production --config db/mapping.yaml -q";
            let said = shop.call(&format!("{command} {ends}"));
            assert_eq!(said.status, 0, "{command}: {said}");
        }
    }
}
