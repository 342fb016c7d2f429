//! Both sides take writes at once: nothing is lost, what both change is settled, and either side can be the one that stays.

use std::time::Duration;

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::schema_to_schema::cutover::{
    Bidirectional, BidirectionalReport, Policy, Switching, active, both_ways, cut_over, roll_back,
};
use confiture::schema_to_schema::{Direction, FeedKind, Options, Until, failpoint};
use confiture::sql::Identifier;
use tokio::task::JoinHandle;

use crate::between::{
    MAPPING, NEW, OLD, assert_all_there, assert_equal_sides, assert_people_same, assert_switched, follow,
};
use crate::clients::{Clients, Side};
use crate::world::{World, assert_equal, assert_same, connection, psql};

const WRITE_OLD: &str =
    "BEGIN; INSERT INTO app.orders (number, person, cents) VALUES ($, 2 + 2 * ($ % 100), 5);
    UPDATE app.people SET name = 'old $' WHERE id = 2 + 2 * ($ % 100);
    UPDATE app.orders SET cents = $ WHERE number = -2 * (1 + $ % 500); COMMIT";
const WRITE_NEW: &str =
    "BEGIN; INSERT INTO new.orders (number, user_id, cents) VALUES ($, 1 + 2 * ($ % 100), 6);
    UPDATE new.users SET display_name = 'new $' WHERE id = 1 + 2 * ($ % 100);
    DELETE FROM new.orders WHERE number = -1 - 2 * ($ % 900); COMMIT";

/// Writers that do not stop at a fence: each looks for the other side then.
pub(crate) fn writers(world: &World) -> [Clients; 2] {
    let old = Side { connection: connection(&world.old), statement: WRITE_OLD };
    let new = Side { connection: connection(&world.new), statement: WRITE_NEW };
    [Clients::start(4, &[old.clone(), new.clone()]), Clients::start(4, &[new, old])]
}

pub(crate) fn policy(policy: Policy) -> Bidirectional {
    Bidirectional { policy, until: Until::CaughtUp, ..Bidirectional::default() }
}

pub(crate) async fn carry(options: &Options, how: &Bidirectional) -> BidirectionalReport {
    both_ways(options.clone(), how, &Execution::unattended()).await.unwrap()
}

/// A run that goes on until somebody takes over.
fn carry_on(options: &Options, how: Policy) -> JoinHandle<confiture::Result<BidirectionalReport>> {
    let (options, how) = (options.clone(), Bidirectional { policy: how, ..Bidirectional::default() });
    tokio::spawn(async move { both_ways(options, &how, &Execution::unattended()).await })
}

async fn conflicts(world: &World) -> i64 {
    let mut all = 0;
    for side in [&world.old, &world.new] {
        all += psql(side, "SELECT count(*) FROM confiture.conflict").await.trim().parse::<i64>().unwrap();
    }
    all
}

async fn both_write(feed: FeedKind) {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    follow(&options, feed).await;
    let report = carry(&options, &policy(Policy::Fail)).await;
    assert!(report.opened && report.interleaved.len() == 4, "{report:#?}");
    let running = carry_on(&options, Policy::Fail);
    let [old, new] = writers(&world);
    old.until_more(400).await;
    new.until_more(400).await;
    let (old, new) = (old.stop().await, new.stop().await);
    assert!(!running.is_finished(), "{:#?}", running.await);
    running.abort();
    running.await.ok();
    // Whatever the end of that run has cut short is done by the next.
    let report = loop {
        match both_ways(options.clone(), &policy(Policy::Fail), &Execution::unattended()).await {
            Err(error) if error.kind() == ErrorKind::Locked => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            report => break report.unwrap(),
        }
    };
    assert!(!report.opened);
    let mut all = old;
    all.acknowledged.extend(new.acknowledged);
    assert_all_there(&world.new, "new.orders", &all).await;
    assert_all_there(&world.old, "app.orders", &all).await;
    assert_equal_sides(&world).await;
    assert_eq!(conflicts(&world).await, 0);
    // What only the old side has is still there.
    let kept = psql(&world.old, "SELECT count(*) FROM app.people WHERE secret = 'secret ' || id").await;
    assert_eq!(kept.trim(), "300");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_write_by_the_queue() {
    both_write(FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_write_by_the_wal() {
    both_write(FeedKind::Wal).await;
}

/// Both sides change the same rows while nobody carries; returns the world and its options.
async fn contested() -> (World, Options) {
    const STAMPED: &str = "ALTER TABLE app.people ADD seen timestamptz NOT NULL DEFAULT '2026-01-01';";
    const NEW_STAMPED: &str = "ALTER TABLE new.users ADD seen timestamptz NOT NULL;";
    let world = World::new(&format!("{OLD}{STAMPED}"), &format!("{NEW}{NEW_STAMPED}")).await;
    let options = world.options(MAPPING).await;
    follow(&options, FeedKind::Queue).await;
    carry(&options, &policy(Policy::Fail)).await;
    // 1: both, the old one later. 2: both, the new one later. 3: the old one deletes. 4: the new one deletes. 5, 6: one alone.
    psql(
        &world.old,
        "DELETE FROM app.orders WHERE person IN (3, 4);
         UPDATE app.people SET name = 'old ' || id, seen = '2026-03-01' WHERE id IN (1, 4, 5);
         UPDATE app.people SET name = 'old ' || id, seen = '2026-02-01' WHERE id = 2;
         DELETE FROM app.people WHERE id = 3",
    )
    .await;
    psql(
        &world.new,
        "DELETE FROM new.orders WHERE user_id IN (3, 4);
         UPDATE new.users SET display_name = 'new ' || id, seen = '2026-02-15' WHERE id IN (1, 2, 3, 6);
         DELETE FROM new.users WHERE id = 4",
    )
    .await;
    (world, options)
}

async fn names(world: &World) -> String {
    let names = "SELECT string_agg(id || ' ' || name, ', ' ORDER BY id) FROM app.people WHERE id < 7";
    let new = names.replace("app.people", "new.users").replace("name", "display_name");
    assert_same(
        &world.old,
        "SELECT id, name, seen FROM app.people",
        &world.new,
        "SELECT id, display_name, seen FROM new.users",
    )
    .await;
    let names = psql(&world.old, names).await.trim().to_owned();
    assert_eq!(names, psql(&world.new, &new).await.trim());
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_says_who_wins() {
    let settled = [
        (Policy::Source, "1 old 1, 2 old 2, 4 old 4, 5 old 5, 6 new 6"),
        (Policy::Target, "1 new 1, 2 new 2, 3 new 3, 5 old 5, 6 new 6"),
        // Who is still there says when; who is gone does not.
        (Policy::Latest(Identifier::new("seen")), "1 old 1, 2 new 2, 3 new 3, 4 old 4, 5 old 5, 6 new 6"),
    ];
    for (who, expected) in settled {
        let (world, options) = contested().await;
        carry(&options, &policy(who.clone())).await;
        assert_eq!(names(&world).await, expected, "{who:?}");
        let log = psql(
            &world.new,
            "SELECT key[1], winner, old_row ->> 'display_name', new_row ->> 'display_name' FROM confiture.conflict
             WHERE policy <> 'fail' AND table_name = 'users' ORDER BY 1",
        )
        .await;
        let (old, new) = match who {
            Policy::Latest(_) => ("old", "new"),
            Policy::Source => ("old", "old"),
            _ => ("new", "new"),
        };
        let [third, fourth] = match who {
            Policy::Latest(_) => ["new", "old"],
            _ => [old, old],
        };
        let expected =
            format!("1|{old}|old 1|new 1\n2|{new}|old 2|new 2\n3|{third}||new 3\n4|{fourth}|old 4|\n");
        assert_eq!(log, expected, "{who:?}");
        // Settled is settled.
        let before = conflicts(&world).await;
        carry(&options, &policy(Policy::Fail)).await;
        assert_eq!(conflicts(&world).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_policy_nothing_is_carried_until_somebody_decides() {
    let (world, options) = contested().await;
    let error =
        both_ways(options.clone(), &policy(Policy::Fail), &Execution::unattended()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Found);
    assert_eq!(error.message(), "both sides have changed 4 rows of new.users");
    let five = psql(&world.new, "SELECT display_name FROM new.users WHERE id = 5").await;
    assert_eq!(five.trim(), "person 5", "nothing was carried");
    let open = "SELECT count(*) FROM confiture.conflict WHERE winner IS NULL AND old_row IS NOT NULL";
    assert_eq!(psql(&world.new, open).await.trim(), "3");
    carry(&options, &policy(Policy::Target)).await;
    assert_eq!(names(&world).await, "1 new 1, 2 new 2, 3 new 3, 5 old 5, 6 new 6");
}

/// All clients write to the same five rows of both sides.
#[tokio::test(flavor = "multi_thread")]
async fn hot_rows_converge() {
    for (feed, who) in [(FeedKind::Queue, Policy::Source), (FeedKind::Wal, Policy::Target)] {
        let world = World::new(OLD, NEW).await;
        let options = world.options(MAPPING).await;
        follow(&options, feed).await;
        carry(&options, &policy(who.clone())).await;
        let running = carry_on(&options, who.clone());
        let old = Side {
            connection: connection(&world.old),
            statement: "UPDATE app.people SET name = 'old $' WHERE id = 1 + $ % 5",
        };
        let new = Side {
            connection: connection(&world.new),
            statement: "UPDATE new.users SET display_name = 'new $' WHERE id = 1 + $ % 5",
        };
        let clients = [Clients::start(3, &[old.clone(), old]), Clients::start(3, &[new.clone(), new])];
        for one in &clients {
            one.until_more(300).await;
        }
        for one in clients {
            one.stop().await;
        }
        assert!(!running.is_finished(), "{:#?}", running.await);
        // The same run takes the rest over, or the next one does.
        let switching = Switching::default();
        let report = cut_over(options.clone(), &switching, &Execution::unattended()).await.unwrap();
        assert_switched(&report);
        let ended = running.await.unwrap().unwrap();
        assert!(ended.handed_over, "{ended:#?}");
        let (back, _) = active(options.clone()).await.unwrap();
        follow(&back, FeedKind::Queue).await;
        assert_people_same(&world).await;
        let found = psql(&world.new, "SELECT count(*) FROM confiture.conflict").await;
        println!("{who:?}: {ended:?}, {} in the log", found.trim());
        assert!(ended.conflicts > 0);
    }
}

/// Clients on both sides, until one of them is closed.
async fn closed(feed: FeedKind, over: bool) {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    follow(&options, feed).await;
    carry(&options, &policy(Policy::Source)).await;
    let running = carry_on(&options, Policy::Source);
    let [old, new] = writers(&world);
    old.until_more(100).await;
    new.until_more(100).await;
    let (switching, execution) = (Switching::default(), Execution::unattended());
    let report = match over {
        true => cut_over(options.clone(), &switching, &execution).await,
        false => roll_back(options.clone(), &switching, &execution).await,
    };
    assert_switched(&report.unwrap());
    running.await.unwrap().unwrap();
    let direction = if over { Direction::Reverse } else { Direction::Forward };
    assert_eq!(active(options.clone()).await.unwrap().1, direction);
    for clients in [&old, &new] {
        clients.until_more(50).await;
    }
    let (old, new) = (old.stop().await, new.stop().await);
    let moved = if over { old.moved } else { new.moved };
    assert!(moved >= 1, "clients have met the fence");
    println!("longest {:?} and {:?}", old.longest, new.longest);
    let mut all = old;
    all.acknowledged.extend(new.acknowledged);
    let (there, table) = if over { (&world.new, "new.orders") } else { (&world.old, "app.orders") };
    assert_all_there(there, table, &all).await;
    follow(&active(options.clone()).await.unwrap().0, feed).await;
    assert_equal_sides(&world).await;
    let steps = "SELECT count(*) FROM pg_sequences WHERE increment_by <> 1 AND schemaname <> 'confiture'";
    for side in [&world.old, &world.new] {
        assert_eq!(psql(side, steps).await.trim(), "0", "sequences count as before");
    }
    // And the other way round, as ever.
    let report = match over {
        true => roll_back(options.clone(), &switching, &execution).await,
        false => cut_over(options.clone(), &switching, &execution).await,
    };
    assert_switched(&report.unwrap());
    follow(&active(options).await.unwrap().0, feed).await;
    assert_equal_sides(&world).await;
    let left = "SELECT count(*) FROM pg_class WHERE relname ~ '^queue_.*_0$'";
    let mut queues = 0;
    for side in [&world.old, &world.new] {
        queues += psql(side, left).await.trim().parse::<i32>().unwrap();
    }
    assert!(queues == 0 || queues == 2, "one direction captures, not {queues} tables");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_side_stays() {
    closed(FeedKind::Queue, true).await;
    closed(FeedKind::Wal, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_side_stays() {
    closed(FeedKind::Queue, false).await;
    closed(FeedKind::Wal, false).await;
}

/// A table that is emptied, and one that is emptied while the other side has changed it.
#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_table() {
    for (who, expected) in [(Policy::Source, "0"), (Policy::Target, "1")] {
        let world = World::new(OLD, NEW).await;
        let options = world.options(MAPPING).await;
        follow(&options, FeedKind::Queue).await;
        carry(&options, &policy(who.clone())).await;
        psql(&world.old, "TRUNCATE app.orders").await;
        psql(&world.new, "UPDATE new.orders SET cents = 7 WHERE number = -1").await;
        carry(&options, &policy(who.clone())).await;
        let left = "SELECT count(*) FROM new.orders";
        assert_eq!(psql(&world.new, left).await.trim(), expected, "{who:?}");
        let (old, new) = ("SELECT number, cents FROM app.orders", "SELECT number, cents FROM new.orders");
        assert_equal(&world.old, old, &world.new, new).await;
        psql(&world.new, "TRUNCATE new.orders").await;
        carry(&options, &policy(who)).await;
        assert_equal(&world.old, old, &world.new, new).await;
    }
}

/// Each side keeps its foreign keys, and both together would break one.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_parent_the_other_side_deletes_stops_it() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    follow(&options, FeedKind::Queue).await;
    carry(&options, &policy(Policy::Source)).await;
    // One that the new side refers to, and one that the old side refers to.
    for (mends, on_old) in [
        ("DELETE FROM new.orders WHERE user_id = 7", true),
        ("DELETE FROM app.orders WHERE person = 8", false),
    ] {
        if on_old {
            psql(&world.old, "DELETE FROM app.people WHERE id = 7").await;
            psql(&world.new, "INSERT INTO new.orders (number, user_id, cents) VALUES (70007, 7, 1)").await;
        } else {
            psql(&world.new, "DELETE FROM new.users WHERE id = 8").await;
            psql(&world.old, "INSERT INTO app.orders (number, person, cents) VALUES (80008, 8, 1)").await;
        }
        let error =
            both_ways(options.clone(), &policy(Policy::Source), &Execution::unattended()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Found, "{error:?}");
        assert!(error.message().contains("refers to a row of"), "{error:?}");
        psql(if on_old { &world.new } else { &world.old }, mends).await;
        carry(&options, &policy(Policy::Source)).await;
        assert_equal_sides(&world).await;
        let orphans = "SELECT count(*) FROM new.orders WHERE user_id NOT IN (SELECT id FROM new.users)";
        assert_eq!(psql(&world.new, orphans).await.trim(), "0");
    }
}

/// The other side changes a row after it was looked for conflicts, and before it is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_changes_at_the_last_moment() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    follow(&options, FeedKind::Wal).await;
    carry(&options, &policy(Policy::Target)).await;
    psql(&world.old, "UPDATE app.people SET name = 'old' WHERE id = 11").await;
    psql(&world.new, "UPDATE new.users SET display_name = 'new' WHERE id = 12").await;
    let late = [
        (world.new.url(), "UPDATE new.users SET display_name = 'late' WHERE id = 11"),
        (world.old.url(), "UPDATE app.people SET name = 'late' WHERE id = 12"),
    ];
    let next = std::sync::atomic::AtomicUsize::new(0);
    failpoint::on_reached(Box::new(move |name| {
        if name == "carry: settled"
            && let Some((url, change)) = late.get(next.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
        {
            let changed = std::process::Command::new("psql").args([url, "-qc", change]).status().unwrap();
            assert!(changed.success());
        }
    }));
    carry(&options, &policy(Policy::Target)).await;
    assert_people_same(&world).await;
    let names = "SELECT string_agg(display_name, ', ' ORDER BY id) FROM new.users WHERE id IN (11, 12)";
    assert_eq!(psql(&world.new, names).await.trim(), "late, new");
    let log = "SELECT key[1], winner, old_row ->> 'display_name', new_row ->> 'display_name' FROM confiture.conflict ORDER BY 1";
    let all = psql(&world.new, log).await + &psql(&world.old, log).await;
    assert_eq!(all, "11|new|old|late\n12|new|late|new\n");
}

/// One old sequence numbers two new tables, and one new sequence numbers what two old ones do.
#[tokio::test(flavor = "multi_thread")]
async fn all_sequences_that_number_the_same_rows_take_turns() {
    const OLD: &str = "CREATE SCHEMA app;
        CREATE TABLE app.people (id bigserial PRIMARY KEY, name text, bio text);
        CREATE TABLE app.orders (id bigserial PRIMARY KEY, cents int);
        INSERT INTO app.people (name, bio) SELECT 'name ' || i, 'bio ' || i FROM generate_series(1, 9) i;
        INSERT INTO app.orders (cents) SELECT i FROM generate_series(1, 40) i;";
    const NEW: &str = "CREATE SCHEMA new; CREATE SEQUENCE new.ids;
        CREATE TABLE new.users (id bigint PRIMARY KEY DEFAULT nextval('new.ids'), name text);
        CREATE TABLE new.profiles (id bigint GENERATED BY DEFAULT AS IDENTITY (INCREMENT 3) PRIMARY KEY, bio text);
        CREATE TABLE new.orders (id bigint PRIMARY KEY DEFAULT nextval('new.ids'), cents int);";
    const MAPPING: &str = "
tables:
  new.users: { from: app.people p, columns: { name: p.name } }
  new.profiles: { from: app.people p, columns: { bio: p.bio } }
  new.orders: { from: app.orders o }
";
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    follow(&options, FeedKind::Queue).await;
    let report = carry(&options, &policy(Policy::Fail)).await;
    assert_eq!(report.interleaved.len(), 4, "{report:#?}");
    let mut drawn = Vec::new();
    for (side, sequence) in [
        (&world.old, "app.people_id_seq"),
        (&world.old, "app.orders_id_seq"),
        (&world.new, "new.ids"),
        (&world.new, "new.profiles_id_seq"),
    ] {
        let draw = format!("SELECT nextval('{sequence}') FROM generate_series(1, 50)");
        drawn.extend(psql(side, &draw).await.lines().map(|line| line.parse::<i64>().unwrap()));
    }
    let given = drawn.len();
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!((drawn.len(), given), (200, 200), "no number is given twice");
    assert!(drawn[0] > 40, "{drawn:?}");
    // One that both sides have drawn is a row of each.
    psql(&world.old, "INSERT INTO app.people (name, bio) VALUES ('old', 'old')").await;
    psql(&world.new, "INSERT INTO new.profiles (bio) VALUES ('new')").await;
    assert_eq!(carry(&options, &policy(Policy::Fail)).await.conflicts, 0);
    let switched = cut_over(options, &Switching::default(), &Execution::unattended()).await.unwrap();
    assert_switched(&switched);
    let steps = "SELECT string_agg(sequencename || ' ' || increment_by, ', ' ORDER BY sequencename)
        FROM pg_sequences WHERE schemaname IN ('app', 'new')";
    assert_eq!(psql(&world.old, steps).await.trim(), "orders_id_seq 1, people_id_seq 1");
    assert_eq!(psql(&world.new, steps).await.trim(), "ids 1, profiles_id_seq 3");
    for sequence in ["new.ids", "new.profiles_id_seq"] {
        let next: i64 =
            psql(&world.new, &format!("SELECT nextval('{sequence}')")).await.trim().parse().unwrap();
        assert!(next > *drawn.last().unwrap(), "{sequence} gives {next}");
    }
}
