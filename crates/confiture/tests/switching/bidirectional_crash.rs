//! The process dies while it opens the new side, carries changes both ways, or ends that: both sides go on, nothing is lost, and
//! the next command finds out what is left to do.

use confiture::event::Execution;
use confiture::schema_to_schema::cutover::{Policy, SwitchKind, active, is_bidirectional, settle};
use confiture::schema_to_schema::{Direction, FeedKind};

use crate::between::{MAPPING, NEW, OLD, assert_all_there, assert_equal_sides, follow};
use crate::bidirectional::{carry, policy, writers};
use crate::crash::{BOTH_WAYS, Life, switch};
use crate::world::{World, psql};

/// Where the new side is opened; from the last one on it is.
const OPENING: [&str; 4] = [
    "bidirectional: armed",
    "bidirectional: about to be opened",
    "bidirectional: half open",
    "bidirectional: open",
];

/// Where a batch passes.
const CARRYING: [&str; 4] =
    ["carry: changes told", "carry: rows written", "carry: recorded, not committed", "carry: committed"];

/// Where it ends; from the last one on it has.
const CLOSING: [&str; 4] =
    ["close: writers locked out", "close: last batch", "switch: about to be decided", "switch: decided"];

async fn life(feed: FeedKind) -> Life {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    follow(&options, feed).await;
    Life { world, options, mapping: MAPPING, local: false }
}

async fn steps(life: &Life) -> i32 {
    let query = "SELECT count(*) FROM pg_sequences WHERE increment_by <> 1 AND schemaname <> 'confiture'";
    let mut all = 0;
    for side in [&life.world.old, &life.world.new] {
        all += psql(side, query).await.trim().parse::<i32>().unwrap();
    }
    all
}

async fn opening(feed: FeedKind) {
    let life = life(feed).await;
    for at in OPENING {
        life.die(BOTH_WAYS, at).await;
        settle(&life.options, &Execution::unattended()).await.unwrap();
        let is_open = at == "bidirectional: open";
        assert_eq!(is_bidirectional(&life.options).await.unwrap(), is_open, "{at}");
        assert_eq!(steps(&life).await, if is_open { 4 } else { 0 }, "{at}");
        // Only the old side is the application's.
        if !is_open {
            psql(&life.world.old, "UPDATE app.people SET name = name || '.' WHERE id < 50").await;
            follow(&life.options, feed).await;
            assert_equal_sides(&life.world).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_opens() {
    opening(FeedKind::Queue).await;
    opening(FeedKind::Wal).await;
}

async fn carrying(feed: FeedKind) {
    let life = life(feed).await;
    carry(&life.options, &policy(Policy::Source)).await;
    for at in CARRYING {
        for side in [Direction::Forward, Direction::Reverse] {
            // The batch that dies is the first one, which is the one way or the other.
            if side == Direction::Forward {
                psql(&life.world.old, "UPDATE app.people SET name = 'old ' || now() WHERE id % 2 = 0").await;
            } else {
                psql(&life.world.new, "UPDATE new.users SET display_name = 'new ' || now() WHERE id % 2 = 1")
                    .await;
            }
            psql(&life.world.old, "UPDATE app.people SET name = 'both: old' WHERE id = 7").await;
            psql(&life.world.new, "UPDATE new.users SET display_name = 'both: new' WHERE id = 7").await;
            life.die(BOTH_WAYS, at).await;
            carry(&life.options, &policy(Policy::Source)).await;
            assert_equal_sides(&life.world).await;
            let seven = psql(&life.world.new, "SELECT display_name FROM new.users WHERE id = 7").await;
            assert_eq!(seven.trim(), "both: old", "{at}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_carries() {
    carrying(FeedKind::Queue).await;
    carrying(FeedKind::Wal).await;
}

async fn closing(feed: FeedKind, kind: SwitchKind) {
    let life = life(feed).await;
    let (open, closed) = match kind {
        SwitchKind::Cutover => (Direction::Forward, Direction::Reverse),
        SwitchKind::Rollback => (Direction::Reverse, Direction::Forward),
    };
    for at in CLOSING {
        carry(&life.options, &policy(Policy::Source)).await;
        let [old, new] = writers(&life.world);
        old.until_more(10).await;
        new.until_more(10).await;
        life.die(kind.word(), at).await;
        // Nobody is left waiting, whatever was done.
        old.until_more(20).await;
        new.until_more(20).await;
        if at == "switch: decided" {
            settle(&life.options, &Execution::unattended()).await.unwrap();
        } else {
            assert!(is_bidirectional(&life.options).await.unwrap(), "{at}");
            switch(kind, &life.options).await.unwrap();
        }
        assert_eq!(active(life.options.clone()).await.unwrap().1, closed, "{at}");
        assert!(open != closed && steps(&life).await == 0, "{at}");
        old.until_more(20).await;
        new.until_more(20).await;
        let (mut seen, new) = (old.stop().await, new.stop().await);
        seen.acknowledged.extend(new.acknowledged);
        let (there, table) = match kind {
            SwitchKind::Cutover => (&life.world.new, "new.orders"),
            SwitchKind::Rollback => (&life.world.old, "app.orders"),
        };
        let all = psql(there, &format!("SELECT number FROM {table} WHERE number > 0")).await;
        let all: std::collections::BTreeSet<i64> = all.lines().map(|line| line.parse().unwrap()).collect();
        let lost: Vec<_> = seen.acknowledged.difference(&all).collect();
        assert!(lost.is_empty(), "{at}: {} of {} lost: {lost:?}", lost.len(), seen.acknowledged.len());
        follow(&active(life.options.clone()).await.unwrap().0, feed).await;
        assert_equal_sides(&life.world).await;
        // Back to where one side alone is the application's.
        if kind == SwitchKind::Cutover {
            switch(SwitchKind::Rollback, &life.options).await.unwrap();
        }
        follow(&life.options, feed).await;
        psql(&life.world.old, "DELETE FROM app.orders WHERE number > 0").await;
        follow(&life.options, feed).await;
        assert_all_there(&life.world.new, "new.orders", &crate::clients::Seen::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_old_side_is_closed() {
    closing(FeedKind::Queue, SwitchKind::Cutover).await;
    closing(FeedKind::Wal, SwitchKind::Cutover).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_new_side_is_closed() {
    closing(FeedKind::Queue, SwitchKind::Rollback).await;
    closing(FeedKind::Wal, SwitchKind::Rollback).await;
}

/// A feed may tell again what was carried before it was told so: a change that the other side makes in between is no conflict.
async fn told_again(feed: FeedKind) {
    let life = life(feed).await;
    carry(&life.options, &policy(Policy::Source)).await;
    let (old, new) = (
        "UPDATE app.people SET name = '$' WHERE id = 21",
        "UPDATE new.users SET display_name = '$' WHERE id = 21",
    );
    let (old_side, new_side) = (&life.world.old, &life.world.new);
    for [first, second] in [[(old_side, old), (new_side, new)], [(new_side, new), (old_side, old)]] {
        psql(first.0, &first.1.replace('$', "first")).await;
        life.die(BOTH_WAYS, "batch: committed, not confirmed").await;
        let is = "SELECT string_agg(name, ', ') FROM app.people WHERE id = 21";
        let is = [is.to_owned(), is.replace("app.people", "new.users").replace("name", "display_name")];
        assert_eq!(psql(old_side, &is[0]).await.trim(), "first", "carried");
        assert_eq!(psql(new_side, &is[1]).await.trim(), "first", "carried");
        psql(second.0, &second.1.replace('$', "second")).await;
        // And one that both have changed since.
        psql(old_side, "UPDATE app.people SET name = 'both: old' WHERE id = 22").await;
        psql(new_side, "UPDATE new.users SET display_name = 'both: new' WHERE id = 22").await;
        let report = carry(&life.options, &policy(Policy::Source)).await;
        assert_eq!(report.conflicts, 1, "{feed:?}: {report:#?}");
        assert_eq!(psql(old_side, &is[0]).await.trim(), "second", "{feed:?}");
        assert_eq!(psql(new_side, &is[1]).await.trim(), "second", "{feed:?}");
        assert_equal_sides(&life.world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_again_is_no_conflict() {
    told_again(FeedKind::Queue).await;
    told_again(FeedKind::Wal).await;
}
