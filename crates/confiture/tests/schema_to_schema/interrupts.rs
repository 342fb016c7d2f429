//! Stopped by the user, at any time: at once, with nothing left running, and to be continued.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use confiture::ErrorKind;
use confiture::config::mapping::Strategy;
use confiture::event::{Event, Execution, Observer};
use confiture::schema_to_schema::{Migration, MigrationReport, Options, Outcome};
use tokio_util::sync::CancellationToken;

use crate::crash::{MAPPING, NEW, OLD, assert_exact};
use crate::locks::Holder;
use crate::world::{World, dump, psql};

/// Interrupts at the n-th event.
struct InterruptAt {
    left: Mutex<usize>,
    interrupt: CancellationToken,
    since: Mutex<Option<Instant>>,
}

impl Observer for InterruptAt {
    fn observe(&self, _event: &Event) {
        let mut left = self.left.lock().unwrap();
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.since.lock().unwrap().get_or_insert_with(Instant::now);
            self.interrupt.cancel();
        }
    }
}

async fn backends(world: &World) -> String {
    let query = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'confiture' AND datname IN ('{}', '{}')",
        world.old.name(),
        world.new.name()
    );
    psql(&world.new, &query).await.trim().to_owned()
}

#[tokio::test]
async fn at_every_event_and_continued_each_time() {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    for n in 1..200 {
        let interrupt = CancellationToken::new();
        let observer = Arc::new(InterruptAt {
            left: Mutex::new(n),
            interrupt: interrupt.clone(),
            since: Mutex::default(),
        });
        let execution = Execution::new(observer.clone(), interrupt);
        let plan = Migration::plan(world.options(MAPPING).await, &Execution::unattended()).await.unwrap();
        let migration = Arc::new(plan);
        let result = migration.migrate(&execution).await;
        if let Some(since) = *observer.since.lock().unwrap() {
            assert!(since.elapsed() < Duration::from_secs(5), "{:?} at event {n}", since.elapsed());
        }
        match result {
            Ok(_) => {
                assert!(n > 5);
                assert_exact(&world, &before).await;
                return;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}"),
        }
        // The two of the plan, which is still held.
        assert_eq!(backends(&world).await, "2", "at event {n}");
    }
    panic!("never finished");
}

/// Interrupts while a statement runs that takes minutes, in the target or in the source.
async fn stops_while(old: &str, new: &str, mapping: &str, running: &str) {
    let world = World::new(&format!("{OLD}{old}"), &format!("{NEW}{new}")).await;
    let interrupt = CancellationToken::new();
    let execution = Execution::new(Arc::new(()), interrupt.clone());
    let plan = Migration::plan(world.options(mapping).await, &execution).await.unwrap();
    let run = tokio::spawn(async move { Arc::new(plan).migrate(&execution).await });
    let is_running = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'confiture' AND state = 'active' AND query ~ '{running}' AND datname IN ('{}', '{}')",
        world.old.name(),
        world.new.name()
    );
    while psql(&world.new, &is_running).await.trim() == "0" {
        assert!(!run.is_finished(), "{:?}", run.await);
    }
    let since = Instant::now();
    interrupt.cancel();
    let error = run.await.unwrap().unwrap_err();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("continues")), "{error:?}");
    // That of the plan, and those of the run.
    while backends(&world).await != "0" {
        assert!(since.elapsed() < Duration::from_secs(10), "{} left", backends(&world).await);
    }
}

const SLOW: &str = "CREATE FUNCTION slow(v text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(0.2); RETURN v; END $$;";

#[tokio::test]
async fn during_a_long_create_index() {
    stops_while(
        "",
        &format!("{SLOW} CREATE INDEX slow ON people (slow(name))"),
        MAPPING,
        "CREATE INDEX slow",
    )
    .await;
}

#[tokio::test]
async fn during_a_long_copy() {
    let mapping = MAPPING.replace("upper(p.name)", "app.slow(p.name)");
    stops_while(&SLOW.replace("slow(", "app.slow("), "", &mapping, "^COPY .SELECT").await;
}

#[tokio::test]
async fn during_a_long_trigger_in_the_target() {
    let check = format!("{SLOW} ALTER TABLE people ADD CHECK (slow(name) IS NOT NULL)");
    stops_while("", &check, MAPPING, "^COPY .* FROM STDIN").await;
}

/// Interrupts `work` while a statement runs for which `running` holds; soon nothing of it is left on the servers, before the
/// connections could have noticed by themselves.
async fn leaves_nothing_running<T: std::fmt::Debug>(
    world: &World,
    running: &str,
    work: impl AsyncFnOnce(Execution) -> confiture::Result<T>,
) {
    let interrupt = CancellationToken::new();
    let execution = Execution::new(Arc::new(()), interrupt.clone());
    let is_running = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'confiture' AND state = 'active' AND {running} AND datname IN ('{}', '{}')",
        world.old.name(),
        world.new.name()
    );
    let interrupting = async {
        let patience = Instant::now() + Duration::from_secs(20);
        while psql(&world.new, &is_running).await.trim() == "0" && Instant::now() < patience {}
        interrupt.cancel();
        Instant::now()
    };
    let (ended, since) = tokio::join!(work(execution), interrupting);
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    assert_eq!(psql(&world.new, &is_running).await.trim(), "0");
    while backends(world).await != "0" {
        assert!(since.elapsed() < Duration::from_secs(5), "{} left", backends(world).await);
    }
}

#[tokio::test]
async fn during_verification() {
    let world = World::new(&format!("{OLD}{}", SLOW.replace("slow(", "app.slow(")), NEW).await;
    let mapping = MAPPING.replace("upper(p.name)", "app.slow(p.name)");
    let options = world.options(&mapping).await;
    leaves_nothing_running(&world, "query ~ 'hash_record'", async |execution| {
        Migration::plan(options, &execution).await?.verify(&execution).await
    })
    .await;
}

#[tokio::test]
async fn during_planning() {
    let world = World::new(OLD, NEW).await;
    let holder = Holder::new(&world.old, "LOCK app.pets IN ACCESS EXCLUSIVE MODE");
    let options = world.options(MAPPING).await;
    leaves_nothing_running(&world, "wait_event_type = 'Lock'", async |execution| {
        Migration::plan(options, &execution).await.map(|_| ())
    })
    .await;
    drop(holder);
}

/// Stops after some chunks, and then goes on.
async fn continues(world: &World, options: Options) -> MigrationReport {
    let interrupt = CancellationToken::new();
    let observer =
        Arc::new(InterruptAt { left: Mutex::new(12), interrupt: interrupt.clone(), since: Mutex::default() });
    let execution = Execution::new(observer, interrupt);
    let plan = Migration::plan(options.clone(), &Execution::unattended()).await.unwrap();
    let error = Arc::new(plan).migrate(&execution).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    assert_ne!(psql(&world.new, "SELECT count(*) FROM confiture.chunk").await.trim(), "0");
    world.migrate(options).await.unwrap()
}

#[tokio::test]
async fn between_two_schemas_of_one_database() {
    let world = World::new(OLD, &format!("{OLD}{NEW}")).await;
    let before = dump(&world.new).await;
    let mut options = world.options(MAPPING).await;
    options.source = options.target.clone();
    let report = continues(&world, options).await;
    assert!(report.tables.iter().any(|table| table.outcome == Outcome::Continued), "{report:#?}");
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn through_foreign_tables() {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    let mut options = world.options(MAPPING).await;
    options.strategy = Some(Strategy::Fdw);
    continues(&world, options).await;
    // What pg_dump would show of them.
    let drop = "SET client_min_messages = error; DROP SCHEMA old_schema CASCADE; DROP EXTENSION postgres_fdw CASCADE";
    psql(&world.new, drop).await;
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn the_failure_of_one_worker_ends_what_the_others_run() {
    let new = format!(
        "{NEW}{SLOW} CREATE INDEX slow ON pets (slow(name)); ALTER TABLE people ADD CHECK (id < 27999)"
    );
    let world = World::new(OLD, &new).await;
    let before = dump(&world.new).await;
    let started = Instant::now();
    let options = Options { probe: Duration::ZERO, ..world.options(MAPPING).await };
    let error = world.migrate(options).await.unwrap_err();
    assert_eq!(error.sqlstate_code(), Some("23514"), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert!(!format!("{error:?}").contains("person"), "{error:?}");
    while backends(&world).await != "0" {
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    drop(before);
}
