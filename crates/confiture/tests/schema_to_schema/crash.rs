//! The process dies: at every failpoint, at any time. The same command again ends exactly.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, process};

use confiture::config::{Connection, Endpoint, Mapping};
use confiture::event::Execution;
use confiture::schema_to_schema::{Migration, Options, Outcome, failpoint};
use local_postgres::testing::{Database, shared_server};

use crate::world::{World, WorldOn, dump, psql};

/// Several chunks of one table (its pages are nearly empty), keys, indexes, a trigger, foreign keys both ways, sequences.
pub(crate) const OLD: &str = "
CREATE SCHEMA app;
CREATE TABLE app.people (id bigserial PRIMARY KEY, name text NOT NULL) WITH (fillfactor = 10);
CREATE TABLE app.pets (id bigserial PRIMARY KEY, owner bigint REFERENCES app.people, name text);
CREATE TABLE app.kinds (kind text PRIMARY KEY);
INSERT INTO app.people (name) SELECT 'person ' || i FROM generate_series(1, 28000) AS i;
INSERT INTO app.pets (owner, name) SELECT 1 + i % 28000, 'pet ' || i FROM generate_series(1, 500) AS i;
INSERT INTO app.kinds VALUES ('cat'), ('dog');
ANALYZE;";

pub(crate) const NEW: &str = "
CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, seen boolean DEFAULT false);
CREATE TABLE pets (id bigserial PRIMARY KEY, owner bigint REFERENCES people, name text);
CREATE TABLE kinds (kind text PRIMARY KEY);
CREATE INDEX people_name ON people (name text_pattern_ops);
CREATE UNIQUE INDEX pets_name ON pets (lower(name)) WHERE name IS NOT NULL;
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := true; RETURN NEW; END $$;
CREATE TRIGGER see BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION see();";

pub(crate) const MAPPING: &str = "
tables:
  people: { from: app.people p, columns: { name: upper(p.name) } }
  pets: { from: app.pets }
  kinds: { from: app.kinds }";

const CHILD: &str = "CONFITURE_TEST_MIGRATE";

/// This test's executable, as a process of its own that migrates from the database `old` to `new`. It dies at the n-th
/// time that it passes a failpoint, and prints what it passes.
pub(crate) fn child(old: &Database<'_>, new: &Database<'_>, die_at: Option<(&str, usize)>) -> Command {
    let server = old.server();
    let (at, times) = die_at.unwrap_or_default();
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "crash::the_process_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(
            CHILD,
            [server.socket_dir().to_str().unwrap(), old.name(), new.name(), at, &times.to_string()]
                .join("\n"),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn the_process_that_is_killed() {
    // Without the variable this is a test of itself: that it would run at all.
    let Ok(what) = env::var(CHILD) else {
        assert!(env::current_exe().unwrap().exists());
        return;
    };
    let what: Vec<&str> = what.split('\n').collect();
    let [folder, old, new, at, times] = what[..] else { panic!("{what:?}") };
    let (at, times) = (at.to_owned(), times.parse::<usize>().unwrap());
    let passed = AtomicUsize::new(0);
    failpoint::on_reached(Box::new(move |name| {
        writeln!(std::io::stdout(), "\npassed {name}").unwrap();
        if name == at && passed.fetch_add(1, Ordering::SeqCst) + 1 == times {
            process::abort();
        }
    }));
    let connect = |database| Connection::new(Endpoint::new(folder, 5432), "postgres", database);
    let mapping = Mapping::parse(MAPPING, Path::new("mapping.yaml")).unwrap();
    let options = Options::new(connect(old), connect(new), mapping);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let execution = Execution::unattended();
    runtime.block_on(async {
        let migration = Arc::new(Migration::plan(options, &execution).await.unwrap());
        migration.migrate(&execution).await.unwrap();
    });
}

/// Everything that a finished migration must be, by others' words than ours.
pub(crate) async fn assert_exact(world: &WorldOn<'_>, before: &str) {
    assert_eq!(dump(&world.new).await, before);
    world.assert_same("SELECT id, upper(name), false FROM app.people", "SELECT * FROM people").await;
    world.assert_same("SELECT * FROM app.pets", "SELECT * FROM pets").await;
    world.assert_same("SELECT * FROM app.kinds", "SELECT * FROM kinds").await;
    let left = "SELECT count(*) FROM confiture.journal";
    assert_eq!(psql(&world.new, left).await.trim(), "0");
    let numbers = "SELECT nextval('people_id_seq') > (SELECT max(id) FROM people), nextval('pets_id_seq') > (SELECT max(id) FROM pets)";
    assert_eq!(psql(&world.new, numbers).await.trim(), "t|t");
    assert!(world.verify(world.options(MAPPING).await).await.ok);
}

fn shown(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a child to its end, off the async threads.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn template() -> (World, String) {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    (world, before)
}

/// Two databases like those of `world`.
async fn copy_of(world: &World) -> World {
    let server = shared_server().await;
    World {
        old: Database::create_from(server, world.old.name()).await.unwrap(),
        new: Database::create_from(server, world.new.name()).await.unwrap(),
    }
}

/// Dies at every n-th passing of every failpoint that a whole run passes, where `n % of == part`.
async fn die_everywhere(part: usize, of: usize) {
    let (world, before) = template().await;
    let whole = copy_of(&world).await;
    let output = run(child(&whole.old, &whole.new, None)).await;
    assert!(output.status.success(), "{}", shown(&output));
    assert_exact(&whole, &before).await;
    let mut passed: BTreeMap<String, usize> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        if let Some(name) = line.strip_prefix("passed ") {
            *passed.entry(name.to_owned()).or_default() += 1;
        }
    }
    assert!(passed.len() >= 15 && passed["chunk committed"] >= 4, "{passed:?}");
    // The first, the last, and one in between.
    let mut deaths: Vec<(String, usize)> = Vec::new();
    for (name, times) in passed {
        let mut chosen = vec![1, times.div_ceil(2), times];
        chosen.dedup();
        deaths.extend(chosen.into_iter().map(|n| (name.clone(), n)));
    }
    let deaths: Vec<_> = deaths.into_iter().skip(part).step_by(of).collect();
    let shared = Arc::new((world, before, Mutex::new(deaths)));
    // Tasks of their own: dropping a database blocks a thread.
    let workers = (0..3).map(|_| {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let (world, before, deaths) = &*shared;
            loop {
                let Some((name, n)) = deaths.lock().unwrap().pop() else { return };
                let here = copy_of(world).await;
                let died = run(child(&here.old, &here.new, Some((&name, n)))).await;
                assert!(died.status.code().is_none(), "{name} {n}: {}", shown(&died));
                let again = run(child(&here.old, &here.new, None)).await;
                assert!(again.status.success(), "after {name} {n}: {}", shown(&again));
                assert_exact(&here, before).await;
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_part_1_of_6() {
    die_everywhere(0, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_part_2_of_6() {
    die_everywhere(1, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_part_3_of_6() {
    die_everywhere(2, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_part_4_of_6() {
    die_everywhere(3, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_part_5_of_6() {
    die_everywhere(4, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn death_at_every_failpoint_part_6_of_6() {
    die_everywhere(5, 6).await;
}

#[tokio::test]
async fn kill_nine_at_any_time_again_and_again() {
    let (world, before) = template().await;
    // Each life is a little longer than the one before, so that they end everywhere between connecting and the end.
    let mut killed = 0;
    for life in 1..=15 {
        let mut child = child(&world.old, &world.new, None).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(life * 25)).await;
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
    }
    assert!(killed > 3, "killed {killed} times");
    let output = run(self::child(&world.old, &world.new, None)).await;
    assert!(output.status.success(), "{}", shown(&output));
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn what_is_copied_is_not_copied_again() {
    let (world, before) = template().await;
    let died = run(child(&world.old, &world.new, Some(("chunk committed", 4)))).await;
    assert!(died.status.code().is_none(), "{}", shown(&died));
    let chunks = "SELECT table_name, first_page, transaction FROM confiture.chunk ORDER BY 1, 2";
    let there = psql(&world.new, chunks).await;
    assert!(there.lines().count() >= 4, "{there}");
    let report = world.migrate(world.options(MAPPING).await).await.unwrap();
    assert!(report.tables.iter().any(|table| table.outcome == Outcome::Continued), "{report:#?}");
    let now = psql(&world.new, chunks).await;
    assert!(there.lines().all(|chunk| now.contains(chunk)), "{there}\n{now}");
    assert_exact(&world, &before).await;
}
