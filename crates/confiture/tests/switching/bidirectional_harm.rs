//! What could make a change of one side vanish while both take writes: feeds that have lost something, keys that two texts
//! spell, rows that come back, rows of which several are made.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::schema_to_schema::cutover::{Policy, both_ways};
use confiture::schema_to_schema::{FeedKind, Options, failpoint};

use crate::between::{MAPPING, NEW, OLD, assert_equal_sides, assert_people_same, follow};
use crate::bidirectional::{carry, policy};
use crate::world::{World, assert_same, psql};

async fn open(old: &str, new: &str, mapping: &str, feed: FeedKind, who: Policy) -> (World, Options) {
    let world = World::new(old, new).await;
    let options = world.options(mapping).await;
    follow(&options, feed).await;
    carry(&options, &policy(who)).await;
    (world, options)
}

/// Runs something when the failpoint is passed for the `nth` time.
fn at(failpoint: &'static str, nth: usize, what: impl Fn() + Send + Sync + 'static) {
    let passed = AtomicUsize::new(0);
    failpoint::on_reached(Box::new(move |name| {
        if name == failpoint && passed.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            what();
        }
    }));
}

fn run_psql(url: &str, statement: &str) {
    assert!(Command::new("psql").args([url, "-qc", statement]).status().unwrap().success());
}

const BREAK_QUEUE: &str = "DO $$ DECLARE found record; BEGIN
    FOR found IN SELECT tgname, tgrelid::regclass AS relation FROM pg_trigger WHERE tgname ~ '^confiture_capture_' LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', found.tgname, found.relation);
    END LOOP; END $$";
const BREAK_WAL: &str = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()";

/// Both feeds are of the one kind: what is unlogged is not in the WAL.
async fn open_by(feed: FeedKind, who: Policy) -> (World, Options) {
    match feed {
        FeedKind::Wal => open(OLD, NEW, MAPPING, feed, who).await,
        FeedKind::Queue => {
            open(OLD, &NEW.replace("CREATE TABLE", "CREATE UNLOGGED TABLE"), MAPPING, feed, who).await
        }
    }
}

/// A feed has missed changes, so that all rows are read again: not those over which the other side's are not carried yet.
async fn missed(feed: FeedKind, of_old: bool) {
    for who in [Policy::Target, Policy::Source] {
        let (world, options) = open_by(feed, who.clone()).await;
        let breaks = if feed == FeedKind::Queue { BREAK_QUEUE } else { BREAK_WAL };
        psql(if of_old { &world.old } else { &world.new }, breaks).await;
        psql(&world.old, "UPDATE app.people SET name = 'old' WHERE id = 21").await;
        psql(&world.new, "UPDATE new.users SET display_name = 'new' WHERE id = 22").await;
        psql(&world.new, "DELETE FROM new.orders WHERE number = -1").await;
        let error =
            both_ways(options.clone(), &policy(Policy::Fail), &Execution::unattended()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Found, "{error:?}");
        carry(&options, &policy(who.clone())).await;
        assert_equal_sides(&world).await;
        // What is lost is in the log, and what is not in the log is not lost.
        for (id, name) in [(21, "old"), (22, "new")] {
            let is = format!("SELECT display_name FROM new.users WHERE id = {id}");
            let is = psql(&world.new, &is).await;
            let logged = format!(
                "SELECT count(*) FROM confiture.conflict WHERE key = '{{{id}}}' AND policy <> 'fail'"
            );
            let mut told = 0;
            for side in [&world.old, &world.new] {
                told += psql(side, &logged).await.trim().parse::<i32>().unwrap();
            }
            assert!(is.trim() == name || told > 0, "{who:?}: {id} is {is}, and nothing tells of it");
            let lost = format!(
                "SELECT count(*) FROM confiture.conflict WHERE key = '{{{id}}}'
                AND (old_row IS NULL OR new_row IS NULL)"
            );
            for side in [&world.old, &world.new] {
                assert_eq!(psql(side, &lost).await.trim(), "0", "{id}: the log has both rows");
            }
        }
        // And the feed is whole again.
        psql(&world.old, "UPDATE app.people SET name = 'old again' WHERE id = 23").await;
        psql(&world.new, "UPDATE new.users SET display_name = 'new again' WHERE id = 24").await;
        carry(&options, &policy(Policy::Fail)).await;
        assert_equal_sides(&world).await;
        let both = "SELECT string_agg(display_name, ', ' ORDER BY id) FROM new.users WHERE id IN (23, 24)";
        assert_eq!(psql(&world.new, both).await.trim(), "old again, new again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_has_missed_changes() {
    missed(FeedKind::Queue, true).await;
    missed(FeedKind::Queue, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_lost() {
    missed(FeedKind::Wal, true).await;
    missed(FeedKind::Wal, false).await;
}

/// Keys that a cast to text, or the other side's type, spells otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_the_same_however_it_is_spelt() {
    const OLD: &str = "CREATE SCHEMA app;
        CREATE TABLE app.rates (active boolean, code char(4), host inet, price numeric(8), note text,
            PRIMARY KEY (active, code, host, price));
        INSERT INTO app.rates SELECT true, 'a' || i, '10.0.0.1', i, 'note' FROM generate_series(1, 9) i;";
    const NEW: &str = "CREATE SCHEMA new;
        CREATE TABLE new.rates (active boolean, code char(4), host inet, price numeric(8, 2), note text,
            PRIMARY KEY (active, code, host, price));";
    const MAPPING: &str = "tables:\n  new.rates: { from: app.rates r, columns: { price: r.price }, reverse: { price: 'rates.price::numeric(8)' } }\n";
    for (feed, who) in [(FeedKind::Queue, Policy::Target), (FeedKind::Wal, Policy::Source)] {
        let (world, options) = open(OLD, NEW, MAPPING, feed, who.clone()).await;
        psql(&world.old, "UPDATE app.rates SET note = 'old' WHERE price = 5").await;
        psql(&world.new, "UPDATE new.rates SET note = 'new' WHERE price = 5").await;
        let report = carry(&options, &policy(who.clone())).await;
        assert_eq!(report.conflicts, 1, "{feed:?}: {report:?}");
        let (old, new) =
            ("SELECT code, price::int, note FROM app.rates", "SELECT code, price::int, note FROM new.rates");
        assert_same(&world.old, old, &world.new, new).await;
        let note = psql(&world.new, "SELECT note FROM new.rates WHERE price = 5").await;
        assert_eq!(note.trim(), if who == Policy::Source { "old" } else { "new" });
        let log = "SELECT old_row ->> 'note' || ' ' || (new_row ->> 'note') FROM confiture.conflict";
        assert_eq!(psql(&world.new, log).await.trim(), "old new", "{feed:?}");
    }
}

/// Both have deleted a row; before that is settled, it comes back on the side that is written to.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_comes_back() {
    let (world, options) = open(OLD, NEW, MAPPING, FeedKind::Wal, Policy::Source).await;
    for (side, table, of) in
        [(&world.old, "app.people", "app.orders"), (&world.new, "new.users", "new.orders")]
    {
        let person = if table == "app.people" { "person" } else { "user_id" };
        psql(side, &format!("DELETE FROM {of} WHERE {person} = 11; DELETE FROM {table} WHERE id = 11")).await;
    }
    let url = world.new.url().to_owned();
    at("carry: settled", 1, move || {
        run_psql(&url, "INSERT INTO new.users (id, display_name) VALUES (11, 'back')");
    });
    carry(&options, &policy(Policy::Source)).await;
    assert_people_same(&world).await;
    let back = psql(&world.old, "SELECT name FROM app.people WHERE id = 11").await;
    assert_eq!(back.trim(), "back");
}

/// An old row makes two new ones: one is changed on the new side, what the other one is made of on the old side.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_which_two_are_made() {
    const OLD: &str = "CREATE SCHEMA app;
        CREATE TABLE app.people (id bigint PRIMARY KEY, name text NOT NULL, bio text);
        INSERT INTO app.people SELECT i, 'name ' || i, 'bio ' || i FROM generate_series(1, 9) i;";
    const NEW: &str = "CREATE SCHEMA new; CREATE TABLE new.users (id bigint PRIMARY KEY, name text NOT NULL);
        CREATE TABLE new.profiles (user_id bigint PRIMARY KEY, bio text);";
    const MAPPING: &str = "
tables:
  new.users: { from: app.people p, columns: { name: p.name } }
  new.profiles: { from: app.people p, columns: { user_id: p.id, bio: p.bio } }
";
    let (world, options) = open(OLD, NEW, MAPPING, FeedKind::Queue, Policy::Target).await;
    psql(&world.old, "UPDATE app.people SET name = 'old' WHERE id = 1").await;
    psql(&world.new, "UPDATE new.users SET name = 'new' WHERE id = 2").await;
    let url = world.old.url().to_owned();
    // After the way over has read the old side, before the way back does.
    at("carry: committed", 1, move || run_psql(&url, "UPDATE app.people SET bio = 'late' WHERE id = 2"));
    carry(&options, &policy(Policy::Target)).await;
    let both = "SELECT id, name, bio FROM new.users JOIN new.profiles ON user_id = id";
    assert_same(&world.old, "SELECT id, name, bio FROM app.people", &world.new, both).await;
    let two = psql(&world.old, "SELECT name || ', ' || bio FROM app.people WHERE id = 2").await;
    assert_eq!(two.trim(), "new, late");
}

/// A feed that does not answer does not keep the application from rows that a batch has written.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_not_held_for_a_feed_that_stalls() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    follow(&options, FeedKind::Queue).await;
    carry(&options, &policy(Policy::Fail)).await;
    let queue = psql(&world.old, "SELECT min(relname) FROM pg_class WHERE relname ~ '^queue_.*_0$'").await;
    psql(&world.new, "UPDATE new.users SET display_name = 'new' WHERE id = 11").await;
    let (url, queue) = (world.old.url().to_owned(), queue.trim().to_owned());
    let waited = std::sync::Arc::new(std::sync::Mutex::new(None));
    let told = std::sync::Arc::clone(&waited);
    at("carry: rows written", 1, move || {
        let stall = format!("BEGIN; LOCK confiture.{queue} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(8)");
        let mut stalled =
            Command::new("psql").args([&url, "-qc", &stall]).stdout(Stdio::null()).spawn().unwrap();
        let locked = format!(
            "SELECT count(*) FROM pg_locks WHERE relation = 'confiture.{queue}'::regclass AND mode = 'AccessExclusiveLock' AND granted"
        );
        while Command::new("psql").args([&url, "-Atqc", &locked]).output().unwrap().stdout != b"1\n" {
            std::thread::sleep(Duration::from_millis(20));
        }
        let (url, told) = (url.clone(), std::sync::Arc::clone(&told));
        std::thread::spawn(move || {
            let begun = Instant::now();
            run_psql(&url, "SELECT FROM app.people WHERE id = 11 FOR UPDATE");
            *told.lock().unwrap() = Some(begun.elapsed());
            stalled.wait().unwrap();
        });
    });
    carry(&options, &policy(Policy::Fail)).await;
    assert_equal_sides(&world).await;
    let waited = waited.lock().unwrap().expect("the row was free before the feed answered");
    assert!(waited < Duration::from_secs(5), "{waited:?}");
}

/// What a batch writes is no change of the side that it writes to.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_round_in_circles() {
    for feed in [FeedKind::Queue, FeedKind::Wal] {
        let (world, options) = open_by(feed, Policy::Fail).await;
        psql(
            &world.old,
            "UPDATE app.people SET name = 'old' WHERE id < 100; DELETE FROM app.orders WHERE person = 7",
        )
        .await;
        psql(&world.new, "UPDATE new.users SET display_name = 'new' WHERE id > 200").await;
        let first = carry(&options, &policy(Policy::Fail)).await;
        assert_eq!(first.batches, [1, 1], "{feed:?}: {first:?}");
        let second = carry(&options, &policy(Policy::Fail)).await;
        assert_eq!((second.batches, second.rows), ([0, 0], [0, 0]), "{feed:?}: {second:?}");
        assert_equal_sides(&world).await;
    }
}

/// Many rows are contested at once; their log is complete.
#[tokio::test(flavor = "multi_thread")]
async fn many_conflicts_at_once() {
    let (world, options) = open_by(FeedKind::Wal, Policy::Source).await;
    psql(&world.old, "UPDATE app.orders SET cents = 1").await;
    psql(&world.new, "UPDATE new.orders SET cents = 2").await;
    let report = carry(&options, &policy(Policy::Source)).await;
    assert_eq!(report.conflicts, 2000, "{report:?}");
    assert_equal_sides(&world).await;
    let log = "SELECT count(DISTINCT key), min(old_row ->> 'cents'), max(new_row ->> 'cents'), max(winner)
        FROM confiture.conflict";
    assert_eq!(psql(&world.new, log).await.trim(), "2000|1|2|old");
}

/// A partition that comes with rows, and that a batch is the first to write to.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_comes_with_rows() {
    const OLD: &str = "CREATE SCHEMA app; CREATE TABLE app.facts (id bigint PRIMARY KEY, note text);
        INSERT INTO app.facts SELECT i, 'fact ' || i FROM generate_series(1, 9) i;";
    const NEW: &str = "CREATE SCHEMA new;
        CREATE TABLE new.facts (id bigint PRIMARY KEY, note text) PARTITION BY RANGE (id);
        CREATE TABLE new.facts_1 PARTITION OF new.facts FOR VALUES FROM (0) TO (100);";
    const MAPPING: &str = "tables:\n  new.facts: { from: app.facts f }\n";
    for feed in [FeedKind::Queue, FeedKind::Wal] {
        let (world, options) = open(OLD, NEW, MAPPING, feed, Policy::Source).await;
        psql(
            &world.new,
            "CREATE TABLE new.facts_2 (id bigint PRIMARY KEY, note text); INSERT INTO new.facts_2 VALUES (105, 'came along');
             ALTER TABLE new.facts ATTACH PARTITION new.facts_2 FOR VALUES FROM (100) TO (200)",
        )
        .await;
        psql(&world.old, "INSERT INTO app.facts VALUES (106, 'old')").await;
        carry(&options, &policy(Policy::Source)).await;
        carry(&options, &policy(Policy::Source)).await;
        let (old, new) = ("SELECT id, note FROM app.facts", "SELECT id, note FROM new.facts");
        assert_same(&world.old, old, &world.new, new).await;
        assert_eq!(psql(&world.old, "SELECT note FROM app.facts WHERE id = 105").await.trim(), "came along");
    }
}

/// Two texts that are one key: what one side writes as 'Dan' and the other one as 'DAN' would be no conflict.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_equal_and_differ_in_text_are_refused() {
    const LOOSE: &str = "CREATE EXTENSION citext; CREATE DOMAIN public.handle AS citext; CREATE DOMAIN public.nick AS public.handle;
        CREATE COLLATION public.whatever (provider = icu, locale = 'und-u-ks-level2', deterministic = false);";
    const OLD: &str = "CREATE SCHEMA app; CREATE TABLE app.people (name TYPE PRIMARY KEY, note text);";
    const NEW: &str = "CREATE SCHEMA new; CREATE TABLE new.people (name TYPE PRIMARY KEY, note text);";
    const MAPPING: &str = "tables:\n  new.people: { from: app.people p }\n";
    for ([old, new], kind) in [
        (["citext", "citext"], "the key name of new.people, on \0, is citext"),
        (["public.handle", "public.nick"], "the key name of new.people, on \0, is citext"),
        (
            ["text", "text COLLATE public.whatever"],
            "the key name of new.people, on \0, is collated by whatever",
        ),
        (["numeric", "numeric"], "the key name of new.people, on \0, is numeric"),
    ] {
        let (old_ddl, new_ddl) = (OLD.replace("TYPE", old), NEW.replace("TYPE", new));
        let world = World::new(&format!("{LOOSE}{old_ddl}"), &format!("{LOOSE}{new_ddl}")).await;
        let options = world.options(MAPPING).await;
        follow(&options, FeedKind::Queue).await;
        let error =
            both_ways(options.clone(), &policy(Policy::Source), &Execution::unattended()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{error:?}");
        for part in kind.split('\0') {
            assert!(error.message().contains(part), "{old}, {new}: {error:?}");
        }
        // Nothing was opened: the new side follows as before.
        psql(&world.old, "INSERT INTO app.people VALUES (5, 'five')").await;
        follow(&options, FeedKind::Queue).await;
        let note = psql(&world.new, "SELECT note FROM new.people").await;
        assert_eq!(note.trim(), "five", "{old}, {new}");
    }
}
