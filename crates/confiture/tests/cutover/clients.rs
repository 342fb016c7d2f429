//! Clients that are connected to the servers themselves: they meet the fence, and look where the application is now.

use std::time::Instant;

use confiture::Result;
use confiture::schema_to_schema::FeedKind;
use confiture::schema_to_schema::cutover::{Application, Occasion, Switching};
use futures_util::future::BoxFuture;
use recording_clients::{Clients, Options, Stall, Style, Target};
use tokio::sync::watch;

use crate::scene::{Scene, Side, assert_short, led_by};

/// Tells the application its address, as a change of its configuration would.
struct Tells {
    told: watch::Sender<Target>,
    old: Target,
    new: Target,
}

impl Application for Tells {
    fn fenced<'a>(&'a self, occasion: &'a Occasion, _: Instant) -> BoxFuture<'a, Result<()>> {
        let to = if self.new.url.contains(&occasion.entering.database) { &self.new } else { &self.old };
        self.told.send_replace(to.clone());
        Box::pin(async { Ok(()) })
    }

    fn rolled_back<'a>(&'a self, occasion: &'a Occasion) -> BoxFuture<'a, Result<()>> {
        let to = if self.new.url.contains(&occasion.leaving.database) { &self.new } else { &self.old };
        self.told.send_replace(to.clone());
        Box::pin(async { Ok(()) })
    }
}

fn told(scene: &Scene) -> (Switching, watch::Receiver<Target>) {
    let (old, new) = (scene.target(Side::Old), scene.target(Side::New));
    let (told, target) = watch::channel(old.clone());
    (led_by(Tells { told, old, new }), target)
}

/// Five times over and five times back, under 1,000 writes a second; every write is asked after.
async fn ten_switches(feed: FeedKind, style: Style) {
    let scene = Scene::new(feed).await;
    let (switching, target) = told(&scene);
    let mut stalls: Vec<Stall> = Vec::new();
    let mut all = recording_clients::Record::default();
    for round in 0..10 {
        let to = if round % 2 == 0 { Side::New } else { Side::Old };
        let options = Options { style, first_id: 1 + round * 100_000_000, ..Options::default() };
        let clients = Clients::start(options, target.clone());
        clients.until_acknowledged(300).await;
        let (report, closed) = scene.switch(to, &switching).await.unwrap();
        clients.until_acknowledged(300).await;
        let record = clients.stop().await;
        let errors = record.errors();
        assert!(!errors.is_empty(), "nobody has met the fence: {}", record.summary());
        let fence = |error: &&&str| error.starts_with("ERROR 25006");
        assert_eq!(errors.keys().filter(fence).count(), errors.len(), "{errors:?}");
        let stall = record.longest_stall().unwrap();
        println!("{to:?}: measured {:?}, {}", report.stall, record.summary());
        stalls.push(stall);
        all = all.and(record);
        assert_eq!(scene.judge(&all, to, Some(closed)).await, [], "round {round}");
    }
    assert_short(stalls, &format!("direct, {feed:?}"));
    scene.assert_carried().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_switches_by_the_queue() {
    ten_switches(FeedKind::Queue, Style::Mixed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_switches_by_the_wal() {
    ten_switches(FeedKind::Wal, Style::Prepared).await;
}

/// An application that never hears of it goes on asking the side that it knows, and writes nothing there.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_told_writes_nowhere() {
    let scene = Scene::new(FeedKind::Queue).await;
    let (switching, target) = told(&scene);
    let deaf = watch::channel(scene.target(Side::Old)).1;
    let hearing = Clients::start(Options { clients: 4, ..Options::default() }, target);
    let deaf =
        Clients::start(Options { clients: 2, first_id: 1_000_000_000_000, ..Options::default() }, deaf);
    deaf.until_acknowledged(50).await;
    let (_, closed) = scene.switch(Side::New, &switching).await.unwrap();
    let before = deaf.acknowledged();
    hearing.until_acknowledged(300).await;
    assert_eq!(deaf.acknowledged(), before);
    // After the rollback it is where it thinks it is.
    let record = hearing.stop().await;
    let back = Instant::now();
    let (_, again) = scene.switch(Side::Old, &switching).await.unwrap();
    deaf.until_acknowledged(50).await;
    let record = record.and(deaf.stop().await);
    assert_eq!(scene.judge(&record, Side::Old, Some(again)).await, []);
    // None of the deaf one's was begun after the fence and went through before the rollback.
    let between = record
        .writes
        .iter()
        .filter(|write| write.id >= 1_000_000_000_000 && write.sent > closed && write.ended < back);
    assert!(between.clone().count() > 0);
    for write in between {
        assert!(matches!(write.outcome, recording_clients::Outcome::Failed(_)), "{write:?}");
    }
}

/// The judge has something to find: a row of nobody's that is on the closed side alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_past_the_fence_is_found() {
    let scene = Scene::new(FeedKind::Queue).await;
    let (switching, target) = told(&scene);
    let clients = Clients::start(Options { clients: 4, ..Options::default() }, target);
    clients.until_acknowledged(100).await;
    let (_, closed) = scene.switch(Side::New, &switching).await.unwrap();
    // Somebody who may takes the fence down.
    let past =
        "ALTER TABLE app.orders DISABLE TRIGGER USER; INSERT INTO app.orders (id, client) VALUES (999, 0)";
    crate::database::psql(&scene.world.old, past).await;
    clients.until_acknowledged(100).await;
    let record = clients.stop().await;
    let faults = scene.judge(&record, Side::New, Some(closed)).await;
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults.contains(&recording_clients::Fault::LeftBehind(999)), "{faults:?}");
}
