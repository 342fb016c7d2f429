//! Nothing changes: nothing is kept on the source, no snapshot is held, and memory does not grow.

use std::time::{Duration, Instant};
use std::{env, fs};

use confiture::schema_to_schema::FeedKind;

use crate::running::{MAPPING, NEW, OLD, Running, assert_exact, same};
use crate::world::{World, psql};

/// How long nothing changes: `CONFITURE_SOAK_SECONDS`, a minute at most.
fn long() -> Duration {
    let seconds = env::var("CONFITURE_SOAK_SECONDS").ok().map(|text| text.parse::<u64>().unwrap());
    Duration::from_secs(seconds.unwrap_or(4).clamp(4, 60))
}

/// Resident memory of this process in kilobytes; `None` where the system does not say.
fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

async fn idle(feed: FeedKind) {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    let run = Running::start(&options, feed, Duration::ZERO, None).await;
    run.until(|| run.said.has("planned")).await;
    let following = "SELECT phase FROM confiture.follow";
    let there = "SELECT to_regclass('confiture.follow') IS NOT NULL";
    while psql(&world.new, there).await.trim() != "t"
        || psql(&world.new, following).await.trim() != "following"
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (begun, before) = (Instant::now(), memory());
    let confirmed =
        "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE database = current_database()";
    let from = psql(&world.old, confirmed).await;
    // Of the run, on either side: between two batches none of its sessions has a snapshot.
    let held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'confiture'
                AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)";
    let (mut looks, mut held_at) = (0, 0);
    while begun.elapsed() < long() {
        // Somebody else's WAL, which is none of ours.
        psql(
            &world.new,
            "CREATE TABLE other AS SELECT repeat('x', 500) FROM generate_series(1, 100); DROP TABLE other",
        )
        .await;
        for database in [&world.old, &world.new] {
            looks += 1;
            held_at += psql(database, held).await.trim().parse::<i32>().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(37)).await;
    }
    // A look may meet a batch, which takes some milliseconds twice a second.
    assert!(held_at * 5 < looks, "a snapshot was held at {held_at} of {looks} looks");
    if feed == FeedKind::Wal {
        // Whatever the server has written by now, and other tests write much, is let go of before long.
        let now = psql(&world.old, "SELECT pg_current_wal_lsn()").await;
        let kept = format!(
            "SELECT confirmed_flush_lsn >= '{}' AND confirmed_flush_lsn > '{}' FROM pg_replication_slots WHERE database = current_database()",
            now.trim(),
            from.trim()
        );
        let patience = Instant::now() + Duration::from_secs(30);
        while psql(&world.old, &kept).await.trim() != "t" {
            assert!(Instant::now() < patience, "WAL is kept though nothing changes");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let kept = "SELECT seen_at > clock_timestamp() - interval '3 s' FROM confiture.follow";
    assert_eq!(psql(&world.new, kept).await.trim(), "t");
    if let (Some(before), Some(now)) = (before, memory()) {
        assert!(now < before + 8 * 1024, "memory grew from {before} kB to {now} kB");
    }
    run.stop().await.unwrap();
    assert_exact(&world, &options, &same()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_queue() {
    idle(FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_wal() {
    idle(FeedKind::Wal).await;
}
