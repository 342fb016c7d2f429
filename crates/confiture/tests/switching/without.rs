//! Cutovers that nothing leads back from: the old side cannot hold what the new one has, and somebody has decided to go.

use confiture::event::Execution;
use confiture::postgres::Session;
use confiture::schema_to_schema::cutover::{SwitchKind, Switching, active, cut_over, roll_back, settle};
use confiture::schema_to_schema::{
    CheckOutcome, Cleaning, FeedKind, Migration, Options, Standard, clean_up, read_checklist, status,
};
use confiture::sql::{Identifier, Sql};
use confiture::{Error, ErrorKind};

use crate::between::{MAPPING, NEW, OLD, assert_all_there, follow, sides};
use crate::clients::{Clients, Side};
use crate::network::begin;
use crate::within;
use crate::world::{World, connection, psql};

/// A column that nothing of the new side fills.
const CLOSED: &str = "ALTER TABLE app.people ALTER secret DROP DEFAULT, ALTER secret SET NOT NULL;";

fn without() -> Switching {
    Switching { no_way_back: true, ..Switching::default() }
}

async fn refused(options: &Options, switching: &Switching) -> Error {
    let error = cut_over(options.clone(), switching, &Execution::unattended()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe, "{error:?}");
    error
}

/// The process dies at this place of the cutover.
fn die(options: &Options, at: &'static str) {
    let (_, work) = begin(SwitchKind::Cutover, options.clone(), without(), at, || panic!("dies"));
    assert!(work.join().is_err(), "{at} was not reached");
}

/// What the point of the list says, with and without the decision.
async fn point(options: &Options, no_way_back: bool) -> (CheckOutcome, String) {
    let migration = Migration::plan(options.clone(), &Execution::unattended()).await.unwrap();
    let standard = Standard { no_way_back, ..Standard::default() };
    let checks = read_checklist(&migration, &standard).await.unwrap();
    let check = checks.into_iter().find(|check| check.id == "way-back").unwrap();
    (check.outcome, format!("{} {}", check.evidence, check.hint.unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_databases() {
    let world = World::new(&format!("{OLD}{CLOSED}"), NEW).await;
    let options = world.options(MAPPING).await;
    follow(&options, FeedKind::Queue).await;
    let error = refused(&options, &Switching::default()).await;
    assert!(error.hints().iter().any(|hint| hint.contains("--no-way-back")), "{error:?}");
    let (outcome, said) = point(&options, false).await;
    assert!(outcome == CheckOutcome::Fail && said.contains("--no-way-back"), "{said}");
    assert!(matches!(point(&options, true).await, (CheckOutcome::Pass, said) if said.contains("would lose")));

    let execution = Execution::unattended();
    let clients = Clients::start(2, &sides(&world));
    clients.until_more(20).await;
    for at in ["switch: armed", "switch: about to be decided"] {
        die(&options, at);
        clients.until_more(20).await;
    }
    let switching = Switching { rehearse: true, ..without() };
    assert!(!cut_over(options.clone(), &switching, &execution).await.unwrap().switched);
    clients.until_more(20).await;
    die(&options, "switch: decided");
    // Both sides are fenced, until whichever command comes next.
    settle(&options, &execution).await.unwrap();
    clients.until_more(20).await;
    let seen = clients.stop().await;
    assert!(seen.moved > 0, "clients have met the fence");
    assert_all_there(&world.new, "new.orders", &seen).await;

    let old = Session::connect(&options.source).await.unwrap();
    let late = old.batch(&Sql::literal("DELETE FROM app.people")).await.unwrap_err();
    assert_eq!(late.sqlstate_code(), Some("25006"));
    let error = roll_back(options.clone(), &Switching::default(), &execution).await.unwrap_err();
    assert!(error.message().ends_with("and there is no way back"), "{error:?}");
    assert_eq!(active(options.clone()).await.unwrap_err().kind(), ErrorKind::Unsafe);
    refused(&options, &without()).await;
    assert!(status(Some(&options.source), &options.target).await.is_ok());
    let left = "SELECT count(*) FROM pg_trigger WHERE tgname ~ 'confiture' AND tgname !~ 'fence'";
    for database in [&world.old, &world.new] {
        assert_eq!(psql(database, left).await.trim(), "0", "nothing captures");
    }
    assert_cleaned(&options, &world, 2).await;
}

async fn assert_cleaned(options: &Options, world: &World, dropped: usize) {
    let cleaning = Cleaning { drop_old: true, ..Cleaning::default() };
    let (schema, execution) = (Identifier::new("old_schema"), Execution::unattended());
    let cleaned = clean_up(Some(&options.source), &options.target, &schema, cleaning, &execution).await;
    let cleaned = cleaned.unwrap();
    assert_eq!(cleaned.dropped.len(), dropped, "{cleaned:?}");
    for database in [&world.old, &world.new] {
        let left = "SELECT count(*) FROM pg_trigger WHERE tgname ~ 'confiture'";
        assert_eq!(psql(database, left).await.trim(), "0");
        assert_eq!(
            psql(database, "SELECT count(*) FROM pg_namespace WHERE nspname = 'confiture'").await.trim(),
            "0"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn within_one_database() {
    let world = World::new(&format!("{}{CLOSED}", within::BOTH), "").await;
    let options = world.options(within::MAPPING).await;
    let options = Options { target: options.source.clone(), ..options };
    follow(&options, FeedKind::Queue).await;
    let side = || Side { connection: connection(&world.old), statement: within::WRITE };
    let clients = Clients::start(2, &[side(), side()]);
    clients.until_more(20).await;
    die(&options, "switch: about to be decided");
    clients.until_more(20).await;
    let execution = Execution::unattended();
    let report = cut_over(options.clone(), &without(), &execution).await.unwrap();
    assert!(report.switched && !report.way_back && report.afterwards.is_empty(), "{report:#?}");
    clients.until_more(20).await;
    let seen = clients.stop().await;
    assert_all_there(&world.old, "app.orders", &seen).await;
    assert_eq!(psql(&world.old, "SELECT count(*) > 0 FROM app_old.people").await.trim(), "t");
    let error = roll_back(options.clone(), &Switching::default(), &execution).await.unwrap_err();
    assert!(error.message().ends_with("and there is no way back"), "{error:?}");
    assert_cleaned(&options, &world, 3).await;
    assert_all_there(&world.old, "app.orders", &seen).await;
}
