//! Others who are at work: a run that follows, a writer that does not end, a second coordinator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use confiture::ErrorKind;
use confiture::event::{Event, Execution, Observer};
use confiture::postgres::Session;
use confiture::schema_to_schema::cutover::{Switching, active, cut_over, handed_over};
use confiture::schema_to_schema::{
    Capture, Direction, FeedKind, Following, Migration, Options, Until, failpoint,
};
use confiture::sql::Sql;
use tokio_util::sync::CancellationToken;

use crate::between::{MAPPING, NEW, OLD, assert_all_there, assert_people_same, follow, sides};
use crate::clients::{Clients, Side};
use crate::within;
use crate::world::{World, connection};

async fn scene() -> (World, Options) {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    follow(&options, FeedKind::Queue).await;
    (world, options)
}

/// A run that is at work hands over, and carries changes the other way when the switch is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_at_work_hands_over() {
    let (world, options) = scene().await;
    let clients = Clients::start(4, &sides(&world));
    let interrupt = CancellationToken::new();
    let execution = Execution::new(Arc::new(()), interrupt.clone());
    let running = tokio::spawn({
        let options = options.clone();
        async move {
            let following = Following {
                capture: Capture::Only(FeedKind::Queue),
                until: Until::Interrupted,
                ..Following::default()
            };
            let migration = Arc::new(Migration::plan(options.clone(), &execution).await.unwrap());
            let report = migration.follow(&following, &execution).await.unwrap();
            assert!(report.handed_over);
            let migration = Arc::new(handed_over(&options, &execution).await.unwrap());
            migration.follow(&following, &execution).await.unwrap()
        }
    });
    clients.until_more(100).await;
    let report = cut_over(options.clone(), &Switching::default(), &Execution::unattended()).await.unwrap();
    assert!(report.switched && report.afterwards.is_empty(), "{report:#?}");
    clients.until_more(100).await;
    let seen = clients.stop().await;
    // The run is at work again, and brings what was written since.
    let equal = "SELECT count(*) FROM app.orders WHERE number > 0";
    let written = seen.acknowledged.len().to_string();
    let patience = tokio::time::Instant::now() + Duration::from_secs(30);
    while crate::world::psql(&world.old, equal).await.trim() != written {
        assert!(tokio::time::Instant::now() < patience, "nothing is carried back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    interrupt.cancel();
    let report = running.await.unwrap();
    assert!(!report.handed_over);
    assert_all_there(&world.old, "app.orders", &seen).await;
    assert_people_same(&world).await;
}

/// A transaction that holds its lock keeps nobody waiting for long, is named, and the switch is given up. (In one database:
/// between two of one server, making the slot of the way back would wait for it first.)
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_does_not_end_is_named() {
    let world = World::new(within::BOTH, "").await;
    let options = world.options(within::MAPPING).await;
    let options = Options { target: options.source.clone(), ..options };
    follow(&options, FeedKind::Queue).await;
    let writer = Session::connect(&options.source).await.unwrap();
    writer.batch(&Sql::literal("BEGIN; INSERT INTO app.people (name) VALUES ('held')")).await.unwrap();
    let side = || Side { connection: connection(&world.old), statement: within::WRITE };
    let clients = Clients::start(4, &[side(), side()]);
    let patience = Duration::from_secs(2);
    let switching = Switching { patience, accept_losses: true, ..Switching::default() };
    let error = cut_over(options.clone(), &switching, &Execution::unattended()).await.unwrap_err();
    let pid = format!("pid {} ", writer.backend_pid());
    assert!(
        error.message().contains("holds a lock on app.people") && error.message().contains(&pid),
        "{error:?}"
    );
    assert_eq!(active(options.clone()).await.unwrap().1, Direction::Forward);
    clients.until_more(50).await;
    writer.batch(&Sql::literal("COMMIT")).await.unwrap();
    let report = cut_over(options, &switching, &Execution::unattended()).await.unwrap();
    assert!(report.switched, "{report:#?}");
    clients.until_more(50).await;
    let seen = clients.stop().await;
    // Each try keeps writers waiting for 300 ms; the rest is the machine's.
    assert!(seen.longest < Duration::from_secs(5), "{:?}", seen.longest);
    assert_all_there(&world.old, "app.orders", &seen).await;
}

/// Hears notes.
pub(crate) struct Heard(pub(crate) tokio::sync::mpsc::UnboundedSender<String>);

impl Observer for Heard {
    fn observe(&self, event: &Event) {
        if let Event::Note { message } = event {
            self.0.send(message.clone()).ok();
        }
    }
}

/// Making the slot of the way back waits for a transaction that is open: it is named, and nobody waits for the switch. When it
/// ends, that goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_waits_for_somebody_says_for_whom() {
    let (_world, options) = scene().await;
    let writer = Session::connect(&options.target).await.unwrap();
    let begun = "SET application_name = 'reporting'; CREATE TABLE public.other (n int)";
    writer.batch(&Sql::literal(begun)).await.unwrap();
    writer.batch(&Sql::literal("BEGIN; INSERT INTO public.other VALUES (1)")).await.unwrap();
    let switching = Switching { patience: Duration::from_secs(1), ..Switching::default() };
    let error = cut_over(options.clone(), &switching, &Execution::unattended()).await.unwrap_err();
    assert!(error.message().contains("waits for transactions that are open: pid "), "{error:?}");

    let (heard, mut notes) = tokio::sync::mpsc::unbounded_channel();
    let execution = Execution::new(Arc::new(Heard(heard)), CancellationToken::new());
    let told = options.clone();
    let switch = tokio::spawn(async move { cut_over(told, &Switching::default(), &execution).await });
    let said = loop {
        let said = notes.recv().await.expect("somebody is named");
        if said.starts_with("Making the slot") {
            break said;
        }
    };
    let who = format!(
        "waits for pid {} (role postgres, reporting, idle in transaction, since ",
        writer.backend_pid()
    );
    assert!(said.contains(&who), "{said}");
    writer.batch(&Sql::literal("COMMIT")).await.unwrap();
    let report = switch.await.unwrap().unwrap();
    assert!(report.switched && report.afterwards.is_empty(), "{report:#?}");
}

/// A switch that is being made is not asked away by another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_switch_at_work_is_not_taken_over() {
    static REACHED: AtomicBool = AtomicBool::new(false);
    static GO_ON: AtomicBool = AtomicBool::new(false);
    let (world, options) = scene().await;
    // The first batch of the first switch waits until the second one has asked.
    failpoint::on_reached(Box::new(|name| {
        if name == "batch: done" && !REACHED.swap(true, Ordering::SeqCst) {
            tokio::task::block_in_place(|| {
                while !GO_ON.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
        }
    }));
    let switch = |options: Options| {
        tokio::spawn(async move { cut_over(options, &Switching::default(), &Execution::unattended()).await })
    };
    let first = switch(options.clone());
    while !REACHED.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let second = switch(options.clone());
    let asked = "SELECT hand_over_to IS NOT NULL FROM confiture.control";
    while crate::world::psql(&world.new, asked).await.trim() != "t" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Long enough for the next batch to ask what it is told.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    GO_ON.store(true, Ordering::SeqCst);
    let report = first.await.unwrap().unwrap();
    assert!(report.switched, "{report:#?}");
    let error = second.await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Locked | ErrorKind::Unsafe), "{error:?}");
}

/// Of two coordinators one works, and the other says who does.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_coordinators_one_works() {
    let (world, options) = scene().await;
    let clients = Clients::start(4, &sides(&world));
    let switch = |options: Options| async move {
        cut_over(options, &Switching::default(), &Execution::unattended()).await
    };
    let (one, other) = tokio::join!(switch(options.clone()), switch(options.clone()));
    let (done, refused): (Vec<_>, Vec<_>) = [one, other].into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (1, 1), "{done:?} {refused:?}");
    let error = refused.into_iter().next().unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Locked | ErrorKind::Unsafe), "{error:?}");
    assert_eq!(active(options).await.unwrap().1, Direction::Reverse);
    clients.until_more(50).await;
    let seen = clients.stop().await;
    assert_all_there(&world.new, "new.orders", &seen).await;
}
