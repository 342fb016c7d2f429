//! Clients behind PgBouncer: they wait for a moment, see no error, and are somewhere else.

use std::time::Duration;

use confiture::schema_to_schema::FeedKind;
use confiture::schema_to_schema::cutover::Pooled;
use local_postgres::PgBouncer as Bouncer;
use recording_clients::{Clients, Options, PgBench, PgBenchOptions, Record, Stall, Target};
use tokio::sync::watch;

use crate::ground::{bouncer, connection, paused};
use crate::scene::{Scene, Side, WRITE_ANYWHERE, assert_short, led_by};

fn pooled(pooler: &Bouncer) -> Pooled {
    Pooled::new(connection(&pooler.admin_url()), "app".into(), Some(pooler.ini()))
}

fn pgbench(scene: &Scene, first_id: i64) -> PgBenchOptions {
    PgBenchOptions {
        program: scene.world.old.server().program("pgbench"),
        clients: 8,
        rate: 300,
        duration: Duration::from_secs(4),
        protocol: "simple".into(),
        script: "BEGIN;\nINSERT INTO shop.orders (id, client) VALUES (:id, :client_id);\nSELECT 1;\nEND;"
            .into(),
        first_id,
    }
}

/// Ten switches under 1,000 writes a second of eight clients, and eight of pgbench beside them, all through PgBouncer.
#[tokio::test(flavor = "multi_thread")]
async fn ten_switches_and_nobody_sees_an_error() {
    let scene = Scene::new(FeedKind::Queue).await;
    let pooler = bouncer(&scene.world.old, &[], "").await;
    let switching = led_by(pooled(&pooler));
    let target = watch::channel(Target::new(pooler.url("app"), WRITE_ANYWHERE)).1;
    let mut stalls: Vec<Stall> = Vec::new();
    let mut all = Record::default();
    for round in 0..10 {
        let to = if round % 2 == 0 { Side::New } else { Side::Old };
        let first_id = 1 + round * 50_000_000;
        let clients = Clients::start(Options { first_id, ..Options::default() }, target.clone());
        let bench = (round < 2).then(|| {
            PgBench::start(&pooler.url("app"), pgbench(&scene, first_id + 1_000_000_000_000)).unwrap()
        });
        clients.until_acknowledged(500).await;
        let (report, closed) = scene.switch(to, &switching).await.unwrap();
        assert_eq!(paused(&pooler), "0");
        clients.until_acknowledged(300).await;
        let mut record = clients.stop().await;
        if let Some(bench) = bench {
            let report = bench.finish().await.unwrap();
            assert_eq!(report.aborted, [""; 0], "{}", report.text);
            assert!(report.record.acknowledged().count() > 100, "{}", report.text);
            record = record.and(report.record);
        }
        assert_eq!(record.errors().len(), 0, "{:?}", record.errors());
        println!("{to:?}: measured {:?}, {}", report.stall, record.summary());
        stalls.push(record.longest_stall().unwrap());
        all = all.and(record);
        assert_eq!(scene.judge(&all, to, Some(closed)).await, [], "round {round}");
    }
    assert_short(stalls, "through PgBouncer");
    scene.assert_carried().await;
}

/// A transaction that stays open keeps PgBouncer from pausing: the switch is given up in time, and clients go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_stays_open_stops_the_switch_and_not_the_clients() {
    let scene = Scene::new(FeedKind::Queue).await;
    let pooler = bouncer(&scene.world.old, &[], "").await;
    let mut switching = led_by(pooled(&pooler));
    switching.max_stall = Duration::from_millis(500);
    switching.patience = Duration::from_secs(1);
    let (open, driver) = tokio_postgres::connect(&pooler.url("app"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(driver);
    open.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let target = watch::channel(Target::new(pooler.url("app"), WRITE_ANYWHERE)).1;
    let clients = Clients::start(Options { clients: 4, rate: 200, ..Options::default() }, target);
    clients.until_acknowledged(50).await;
    let error = scene.switch(Side::New, &switching).await.map(drop).unwrap_err();
    assert!(error.message().contains("PgBouncer could not pause \"app\" within"), "{error:?}");
    assert_eq!(paused(&pooler), "0");
    clients.until_acknowledged(50).await;
    open.batch_execute("COMMIT").await.unwrap();
    switching.max_stall = Duration::from_secs(5);
    let (_, closed) = scene.switch(Side::New, &switching).await.unwrap();
    clients.until_acknowledged(50).await;
    let record = clients.stop().await;
    assert_eq!(record.errors().len(), 0, "{:?}", record.errors());
    assert_eq!(scene.judge(&record, Side::New, Some(closed)).await, []);
    assert!(record.longest_stall().unwrap().duration < Duration::from_secs(5), "{}", record.summary());
}

/// A file that cannot be written is found before anybody waits, or the switch is taken back: clients see nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_does_not_fit_takes_the_switch_back() {
    let scene = Scene::new(FeedKind::Queue).await;
    let pooler = bouncer(&scene.world.old, &[], "").await;
    let other = pooler.folder().join("other.ini");
    std::fs::copy(pooler.ini(), &other).unwrap();
    let switching = led_by(Pooled::new(connection(&pooler.admin_url()), "app".into(), Some(other.clone())));
    let target = watch::channel(Target::new(pooler.url("app"), WRITE_ANYWHERE)).1;
    let clients = Clients::start(Options { clients: 4, rate: 200, ..Options::default() }, target);
    clients.until_acknowledged(50).await;
    let error = scene.switch(Side::New, &switching).await.map(drop).unwrap_err();
    assert!(error.message().contains("PgBouncer still leads \"app\" to"), "{error:?}");
    assert_eq!(
        (paused(&pooler).as_str(), std::fs::read(&other).unwrap()),
        ("0", std::fs::read(pooler.ini()).unwrap())
    );
    clients.until_acknowledged(50).await;
    let record = clients.stop().await;
    assert_eq!(record.errors().len(), 0, "{:?}", record.errors());
    assert_eq!(scene.judge(&record, Side::Old, None).await, []);
}
