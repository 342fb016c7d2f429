//! Random tables, mappings and writers: after every batch the target is what the mapping makes of the source in the batch's
//! snapshot. A failure says its seed; `CONFITURE_SOAK_SEED` has it come again, `CONFITURE_SOAK_SECONDS` says how long to look.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use confiture::event::Execution;
use confiture::schema_to_schema::{Capture, FeedKind, Following, Migration, Options, Phase, Until};
use tokio_util::sync::CancellationToken;

use crate::oracle::Oracle;
use crate::scene::Scene;
use crate::seed::{Random, Seeds};
use crate::workload::Workload;
use crate::world::{World, assert_equal, psql, verify};

/// How long each of the tests looks where nobody says.
const BUDGET: Duration = Duration::from_secs(3);

/// Between two runs, or the writers' start and their end.
const LONG: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn by_the_queue() {
    for seed in Seeds::new(BUDGET) {
        round(seed, FeedKind::Queue, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn by_the_wal() {
    for seed in Seeds::new(BUDGET) {
        round(seed, FeedKind::Wal, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn in_one_database() {
    for seed in Seeds::new(BUDGET) {
        round(seed, FeedKind::Queue, true).await;
    }
}

/// Says the seed of a round that panics.
struct Says(u64, Scene);

impl Drop for Says {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed, scene) = self;
            eprintln!(
                "to have it again: CONFITURE_SOAK_SEED={seed}\n{}\n{}\n{}",
                scene.old, scene.new, scene.mapping
            );
        }
    }
}

async fn round(seed: u64, feed: FeedKind, local: bool) {
    let mut random = Random::new(seed);
    let scene = Scene::random(&mut random);
    let _says = Says(seed, scene.clone());
    let began = Instant::now();
    let world = World::new(&scene.old, if local { "" } else { &scene.new }).await;
    if local {
        psql(&world.old, &scene.new).await;
    }
    // How values are shown is the application's choice.
    let name = world.old.name();
    psql(
        &world.old,
        &format!("ALTER DATABASE {name} SET DateStyle = 'German, DMY'; ALTER DATABASE {name} SET TimeZone = 'Asia/Kolkata'"),
    )
    .await;
    let options = world.options(&scene.mapping).await;
    let options = match local {
        true => Options { target: options.source.clone(), ..options },
        false => options,
    };
    let target = if local { &world.old } else { &world.new };

    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..2 {
        let workload = Workload::new(&options.source, &scene.tables, seed ^ (writer + 1) << 40, 3).await;
        let stop = Arc::clone(&stop);
        writers.push(tokio::spawn(async move { workload.run(stop).await }));
    }
    let oracle = Arc::new(Oracle::new(&options.source, &options.target, scene.same.clone()).await);
    // Stopped and begun again, wherever it is; the last run goes on until enough was compared.
    let mut pauses: Vec<u64> = (0..random.below(3)).map(|_| random.below(400)).collect();
    let mut phase = Phase::Preparing;
    let mut runs = 0;
    loop {
        runs += 1;
        let interrupt = CancellationToken::new();
        let execution = Execution::new(Arc::new(()), interrupt.clone());
        let pause = pauses.pop();
        let watch = {
            let (oracle, interrupt) = (Arc::clone(&oracle), interrupt.clone());
            tokio::spawn(async move {
                match pause {
                    Some(pause) => tokio::time::sleep(Duration::from_millis(pause)).await,
                    None => {
                        let until = Instant::now() + LONG;
                        while oracle.compared.load(Ordering::SeqCst) < 20 && Instant::now() < until {
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                    }
                }
                interrupt.cancel();
            })
        };
        let following = Following {
            capture: Capture::Only(feed),
            until: Until::Interrupted,
            patience: Duration::from_secs(30),
            verify: random.one_in(2),
            witness: Some(Arc::clone(&oracle) as _),
            ..Following::default()
        };
        let follow = async {
            let migration = Migration::plan(options.clone(), &execution).await?;
            Arc::new(migration).follow(&following, &execution).await
        };
        match follow.await {
            Ok(report) => {
                phase = report.phase;
                // No false alarm, ever.
                let verified = report.verification.as_ref().is_none_or(|found| found.ok);
                assert!(verified, "seed {seed}: {:#?}", report.verification);
            }
            Err(error) => assert!(execution.is_interrupted(), "seed {seed}, run {runs}: {error}\n{error:#?}"),
        }
        watch.abort();
        if pause.is_none() {
            break;
        }
    }
    oracle.assert_exact(1);
    assert_eq!(phase, Phase::Following, "seed {seed}");
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    // And once more, after all writers have gone.
    let execution = Execution::unattended();
    let migration = Arc::new(Migration::plan(options.clone(), &execution).await.unwrap());
    let following = Following {
        capture: Capture::Only(feed),
        until: Until::CaughtUp,
        patience: Duration::from_secs(30),
        witness: Some(Arc::clone(&oracle) as _),
        ..Following::default()
    };
    migration.follow(&following, &execution).await.unwrap();
    oracle.assert_exact(2);
    for same in &scene.same {
        assert_equal(&world.old, &same.given, target, &same.held).await;
    }
    let verified = verify(options).await;
    assert!(verified.ok, "seed {seed}: {verified:#?}");
    println!(
        "seed {seed}: {feed:?} {local}: {} tables, {} batches compared, {runs} runs, {:.1} s",
        scene.same.len(),
        oracle.compared.load(Ordering::SeqCst),
        began.elapsed().as_secs_f64()
    );
}
