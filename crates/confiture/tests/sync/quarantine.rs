//! Tables in quarantine: nobody sees them, they are published together, and a run that died goes on by table.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, process};

use confiture::event::Execution;
use confiture::failpoint;
use confiture::sync::{Options, Sync, repair};

use crate::database::connection;
use crate::world::{World, sync, told};

/// Keys both ways, a self reference, an identity, a generated column, partitions, a trigger that must not fire, a check.
const SCHEMA: &str = "
    CREATE TABLE person (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE, name text CHECK (name <> ''),
        boss int REFERENCES person, shout text GENERATED ALWAYS AS (upper(name)) STORED);
    CREATE TABLE note (id int PRIMARY KEY, person_id int REFERENCES person, body text);
    CREATE TABLE event (id int, at date, who text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
    CREATE TABLE event_2 PARTITION OF event DEFAULT;
    CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'fired'; END$$;
    CREATE TRIGGER boom BEFORE INSERT ON note FOR EACH ROW EXECUTE FUNCTION boom();
    CREATE VIEW seen AS SELECT email FROM person;";

const ROWS: &str = "
    ALTER TABLE note DISABLE TRIGGER boom;
    INSERT INTO person (email, name, boss) SELECT 'ann' || n || '@corp.com', 'Anneliese ' || n, nullif(n - 1, 0) FROM generate_series(1, 400) n;
    INSERT INTO note SELECT n, n, 'note ' || n FROM generate_series(1, 300) n;
    INSERT INTO event SELECT n, date '2020-06-01' + n, 'somebody else ' || n FROM generate_series(1, 500) n;
    ALTER TABLE note ENABLE TRIGGER boom;";

const OLD: &str = "
    INSERT INTO person (email, name) VALUES ('old', 'old'); INSERT INTO event VALUES (1, '2020-02-02', 'old');";

const RULES: &str = "
anonymize:
  person: {email: email, name: {hash: 24}, \"*\": keep}
  note: {\"*\": keep}
  event: {who: {fpe: digits}, \"*\": keep}
";

async fn world() -> World {
    let world = World::new(SCHEMA, ROWS).await;
    world.stage(OLD).await;
    world
}

fn options(world: &World, resume: bool) -> Options {
    let mut options = world.options(RULES);
    options.quarantine = true;
    options.resume = resume;
    options
}

/// What a finished sync must have made, by others' words than ours.
async fn assert_done(world: &World) {
    let said = "SELECT (SELECT count(*) FROM person WHERE email LIKE '%@example.com' AND shout = upper(name) AND name ~ '^[0-9a-f]{24}$'),
        (SELECT count(*) FROM person p JOIN person b ON p.boss = b.id), (SELECT count(*) FROM note JOIN person ON person_id = person.id),
        (SELECT count(*) FROM event_1), (SELECT count(*) FROM event), (SELECT count(*) FROM seen), to_regnamespace('confiture_quarantine')";
    assert_eq!(world.stage(said).await, "400|399|300|213|500|400|\n");
    assert_eq!(world.staging.schema("confiture"), world.production.schema("confiture"));
    assert_eq!(world.stage("INSERT INTO person (name) VALUES ('new') RETURNING id").await, "401\n");
}

#[tokio::test]
async fn what_was_quarantined_is_published_whole() {
    let world = world().await;
    let report = sync(options(&world, false)).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(report.tables.iter().map(|table| table.rows).sum::<u64>(), 1200);
    let once = world.stage("SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM person p").await;
    assert_done(&world).await;
    // The same rows, masks and checksums as in one transaction.
    let at_once = world.sync(RULES).await.unwrap();
    assert_eq!(world.stage("SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM person p").await, once);
    for table in &at_once.tables {
        let twin = report.tables.iter().find(|twin| twin.table == table.table).unwrap();
        assert_eq!((&twin.checksum, &twin.columns), (&table.checksum, &table.columns));
    }
}

#[tokio::test]
async fn a_leak_in_quarantine_is_thrown_away_and_nothing_changes() {
    let world = world().await;
    world.produce("UPDATE note SET body = 'ask ann17@corp.com' WHERE id = 5").await;
    let refused = world.refusal(options(&world, false)).await;
    assert!(refused.contains("public.note.body: 1 values"), "{refused}");
    assert_eq!(world.stage("SELECT to_regnamespace('confiture_quarantine')").await, "\n");
}

#[tokio::test]
async fn nobody_else_may_look_into_the_quarantine() {
    let world = world().await;
    let role = format!("reader_{}", world.staging.name());
    // Whoever made this database generous must not have made the quarantine so.
    world
        .stage(&format!(
            "CREATE ROLE {role}; ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO {role}, PUBLIC; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {role}"
        ))
        .await;
    let died = die(&world, "table remembered", 2).await;
    let looked = world
        .stage(&format!(
            "SELECT has_schema_privilege('{role}', 'confiture_quarantine', 'USAGE'), count(*) FROM confiture_quarantine.loaded"
        ))
        .await;
    world.stage(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    assert_eq!(looked, "f|2\n", "{died}");
}

#[tokio::test]
async fn a_table_that_is_whole_is_not_written_again_and_its_originals_are_searched_for() {
    let world = world().await;
    let before = world.contents_outside().await;
    die(&world, "table remembered", 2).await;
    assert_eq!(world.contents_outside().await, before);
    let places = "SELECT place, relfilenode FROM confiture_quarantine.loaded JOIN pg_class ON relname = place ORDER BY 1";
    let there = world.stage(places).await;
    assert_eq!(there.lines().count(), 2);
    let planned = Sync::plan(options(&world, true)).await.unwrap();
    let report = Arc::new(planned)
        .execute(&Execution::unattended())
        .await
        .unwrap_or_else(|error| panic!("{}", told(&error)));
    assert!(report.warnings.iter().any(|warning| warning.contains("earlier run's snapshot")), "{report:#?}");
    let snapshots: std::collections::BTreeSet<_> =
        report.tables.iter().map(|table| &table.snapshot).collect();
    assert_eq!(snapshots.len(), 2);
    assert_done(&world).await;

    // An original of a table that the dead run has written, in a table that this one writes.
    world.produce("UPDATE note SET body = 'ask ann17@corp.com' WHERE id = 5").await;
    let order = sync(options(&world, false)).await.unwrap_err();
    assert!(told(&order).contains("public.note.body"), "{}", told(&order));
    world.produce("UPDATE note SET body = 'x' WHERE id = 5").await;
    let died = die(&world, "table remembered", 2).await;
    let loaded = world.stage("SELECT table_name FROM confiture_quarantine.loaded").await;
    assert!(!loaded.contains("note") && loaded.contains("person"), "{loaded}{died}");
    world.produce("UPDATE note SET body = 'ask ann17@corp.com' WHERE id = 5").await;
    let refused = sync(options(&world, true)).await.unwrap_err();
    assert!(told(&refused).contains("public.note.body: 1 values"), "{}", told(&refused));
}

#[tokio::test]
async fn what_does_not_fit_the_run_before_is_loaded_again_or_refused() {
    let world = world().await;
    die(&world, "table remembered", 2).await;
    // Another key, another source.
    let mut other = options(&world, true);
    other.key = Some(confiture::sync::MasterKey::ephemeral().unwrap());
    let refused = sync(other).await.unwrap_err();
    assert!(told(&refused).contains("had another key"), "{}", told(&refused));
    // Another rule: that table is loaded again, the other one is not.
    let mut changed = options(&world, true);
    changed.rules = world.options(&RULES.replace("{hash: 24}", "{hash: 30}")).rules;
    let report = sync(changed).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    let earlier = report.warnings.iter().find(|warning| warning.contains("earlier run")).unwrap();
    assert!(earlier.contains("event") && !earlier.contains("person"), "{earlier}");
    assert_eq!(world.stage("SELECT count(*) FROM person WHERE length(name) = 30").await, "400\n");

    // A row that the other snapshot refers to and that is gone: the foreign key is the referee.
    die(&world, "table remembered", 2).await;
    world.produce("UPDATE person SET boss = NULL; INSERT INTO person (email, name) VALUES ('late@corp.com', 'Latecomer'); ALTER TABLE note DISABLE TRIGGER boom; INSERT INTO note VALUES (999, (SELECT max(id) FROM person), 'late')").await;
    let before = world.contents_outside().await;
    let refused = sync(options(&world, true)).await.unwrap_err();
    assert!(told(&refused).contains("rows of note refer to rows that are not there"), "{}", told(&refused));
    assert!(told(&refused).contains("leave --resume out"), "{}", told(&refused));
    assert_eq!(world.contents_outside().await, before);
    // And it can be thrown away, once.
    let staging = connection(&world.staging);
    assert_eq!(repair(&staging).await.unwrap().unwrap().tables.len(), 3);
    assert!(repair(&staging).await.unwrap().is_none());
    assert_eq!(world.contents_outside().await, before);
}

#[tokio::test]
async fn an_insert_rule_or_a_strange_schema_is_refused_before_anything() {
    let world = world().await;
    world.stage("CREATE RULE lose AS ON INSERT TO note DO INSTEAD NOTHING").await;
    let refused = world.refusal(options(&world, false)).await;
    assert!(refused.contains("note has the rule lose on INSERT"), "{refused}");
    world.stage("DROP RULE lose ON note; CREATE SCHEMA confiture_quarantine; CREATE TABLE confiture_quarantine.mine ()").await;
    let refused = sync(options(&world, false)).await.unwrap_err();
    assert!(told(&refused).contains("is not from here"), "{}", told(&refused));
    assert_eq!(world.stage("SELECT count(*) FROM confiture_quarantine.mine").await, "0\n");
}

/// Killed at every step, the target is as it was and the run goes on.
async fn kill_at_every_step(part: usize) {
    let template = world().await;
    let passed = run(child(&template, None)).await;
    let names: Vec<&str> = passed.lines().filter_map(|line| line.strip_prefix("passed ")).collect();
    let whole = [
        "quarantine made",
        "table loaded",
        "table remembered",
        "quarantine searched",
        "before the commit",
        "after the commit",
    ];
    assert!(whole.iter().all(|name| names.contains(name)), "{passed}");
    assert_done(&template).await;
    for (n, name) in names.iter().enumerate().skip(part).step_by(3) {
        let world = world().await;
        let before = world.contents_outside().await;
        let times = names[..=n].iter().filter(|other| *other == name).count();
        die(&world, name, times).await;
        if *name == "after the commit" {
            assert_done(&world).await;
            continue;
        }
        assert_eq!(world.contents_outside().await, before, "{name} {times}");
        // Every second one is thrown away first.
        if n % 2 == 0 {
            repair(&connection(&world.staging)).await.unwrap();
            assert_eq!(world.contents().await, before, "{name} {times}");
        }
        sync(options(&world, true)).await.unwrap_or_else(|error| panic!("{name} {times}: {}", told(&error)));
        assert_done(&world).await;
    }
}

#[tokio::test]
async fn killed_at_every_step_part_1_of_3() {
    kill_at_every_step(0).await;
}

#[tokio::test]
async fn killed_at_every_step_part_2_of_3() {
    kill_at_every_step(1).await;
}

#[tokio::test]
async fn killed_at_every_step_part_3_of_3() {
    kill_at_every_step(2).await;
}

#[tokio::test]
async fn killed_at_the_commit_of_one_transaction_the_target_is_as_it_was_or_done() {
    for name in ["before the commit", "after the commit"] {
        let world = world().await;
        let before = world.contents().await;
        let mut command = child(&world, Some((name, 1)));
        command.env("CONFITURE_TEST_AT_ONCE", "1");
        run(command).await;
        match name {
            "before the commit" => assert_eq!(world.contents().await, before),
            _ => assert_done(&world).await,
        }
        // The next run waits for what the server has not noticed yet, and works.
        world.sync(RULES).await.unwrap();
    }
}

const CHILD: &str = "CONFITURE_TEST_SYNC";

/// This test's executable as a process of its own, which dies at the n-th passing of a failpoint.
fn child(world: &World, die_at: Option<(&str, usize)>) -> Command {
    let server = world.staging.server();
    let (at, times) = die_at.unwrap_or_default();
    let folder = server.socket_dir().to_str().unwrap();
    let (port, times) = (server.port().to_string(), times.to_string());
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "quarantine::the_process_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(CHILD, [folder, &port, world.production.name(), world.staging.name(), at, &times].join("\n"))
        .stdin(Stdio::null());
    command
}

/// Runs a child to its end, off the async threads, and gives what it said.
async fn run(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Lets a run die.
async fn die(world: &World, at: &str, times: usize) -> String {
    let said = run(child(world, Some((at, times)))).await;
    let passed = said.lines().filter(|line| *line == format!("passed {at}")).count();
    assert_eq!(passed, times, "{said}");
    // What it left running on the server must be over before anybody looks.
    let left = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'confiture'";
    while world.stage(left).await != "0\n" {
        tokio::task::yield_now().await;
    }
    said
}

#[test]
fn the_process_that_is_killed() {
    // Without the variable this is a test of itself: that it would run at all.
    let Ok(what) = env::var(CHILD) else {
        assert!(env::current_exe().unwrap().exists());
        return;
    };
    let what: Vec<&str> = what.split('\n').collect();
    let [folder, port, production, staging, at, times] = what[..] else { panic!("{what:?}") };
    let (at, times) = (at.to_owned(), times.parse::<usize>().unwrap());
    let passed = AtomicUsize::new(0);
    failpoint::on_reached(Box::new(move |name| {
        writeln!(std::io::stdout(), "\npassed {name}").unwrap();
        if name == at && passed.fetch_add(1, Ordering::SeqCst) + 1 == times {
            process::abort();
        }
    }));
    let connect = |database| {
        confiture::config::Connection::new(
            confiture::config::Endpoint::new(folder, port.parse().unwrap()),
            "postgres",
            database,
        )
    };
    let mut options = crate::world::options(connect(production), connect(staging), RULES);
    options.quarantine = env::var("CONFITURE_TEST_AT_ONCE").is_err();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        sync(options).await.unwrap();
    });
}
