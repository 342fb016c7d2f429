//! Writers on both sides do whatever comes to their minds with a few rows: no acknowledged write is lost that no conflict tells of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use confiture::ErrorKind;
use confiture::config::Connection;
use confiture::event::Execution;
use confiture::postgres::Session;
use confiture::schema_to_schema::cutover::{Bidirectional, BidirectionalReport, Policy, both_ways};
use confiture::schema_to_schema::{FeedKind, Options};
use confiture::sql::Sql;
use tokio::task::JoinHandle;

use crate::between::follow;
use crate::bidirectional::{carry, policy};
use crate::seed::{Random, Seeds};
use crate::world::{World, assert_equal, connection, psql};

const OLD: &str = r#"
CREATE SCHEMA app;
CREATE TABLE app."Things" ("Tenant" int, code text, active boolean, v text NOT NULL, kept text DEFAULT 'kept',
    PRIMARY KEY ("Tenant", code, active));"#;
const NEW: &str = r#"
CREATE SCHEMA new;
CREATE TABLE new.things (tenant bigint, code text, "Active" boolean, v text NOT NULL, PRIMARY KEY (tenant, code, "Active"));"#;
const MAPPING: &str = r#"
tables:
  new.things: { from: app."Things" t, columns: { tenant: 't."Tenant"', code: t.code, '"Active"': t.active, v: t.v } }
"#;
const CODES: [&str; 4] = ["x", "O'Hara {\"", "null", "a \\b,c"];

/// Writers of one side; each key belongs to one of them, so that each side's writes of a key have an order.
const WRITERS: usize = 2;
/// Keys that only the old side writes, that only the new side writes, and that both do.
const KEYS: usize = 18;

/// What one side did with a key, and when that was asked for and acknowledged.
#[derive(Clone, Debug)]
struct Write {
    value: Option<String>,
    asked: Instant,
    done: Instant,
}

type Writes = BTreeMap<usize, Write>;

fn key_of(key: usize) -> [String; 3] {
    let active = if key.is_multiple_of(2) { "t" } else { "f" };
    [(key / 4).to_string(), CODES[key % 4].to_owned(), active.to_owned()]
}

fn literals(key: usize) -> Vec<String> {
    key_of(key).iter().map(|part| format!("'{}'", part.replace('\'', "''"))).collect()
}

/// Writes of one writer, from its seed.
async fn write(on: Connection, is_new: bool, at: usize, seed: u64, stop: Arc<AtomicBool>) -> Writes {
    let session = Session::connect(&on).await.unwrap();
    let mut random = Random::new(seed);
    let (table, names) = match is_new {
        true => ("new.things", ["tenant", "code", "\"Active\""]),
        false => ("app.\"Things\"", ["\"Tenant\"", "code", "active"]),
    };
    let own: Vec<usize> = (0..KEYS)
        .filter(|key| key % 3 == 2 || (key % 3 == 1) == is_new)
        .filter(|key| (key / 3) % WRITERS == at)
        .collect();
    let (mut writes, mut number) = (Writes::new(), 0);
    while !stop.load(Ordering::SeqCst) {
        let key = *random.pick(&own);
        number += 1;
        let value = format!("{} {at} {number}", if is_new { "new" } else { "old" });
        let is_it = |key: usize| {
            let both = names.iter().zip(literals(key)).map(|(name, value)| format!("{name} = {value}"));
            both.collect::<Vec<_>>().join(" AND ")
        };
        let other = *random.pick(&own);
        let (mut then, what) = match random.below(8) {
            0..=1 => (
                vec![(key, Some(value.clone()))],
                format!(
                    "INSERT INTO {table} ({}, v) VALUES ({}, '{value}') ON CONFLICT DO NOTHING",
                    names.join(", "),
                    literals(key).join(", ")
                ),
            ),
            2..=4 => (
                vec![(key, Some(value.clone()))],
                format!("UPDATE {table} SET v = '{value}' WHERE {}", is_it(key)),
            ),
            5 if other != key => (
                vec![(key, None), (other, Some(value.clone()))],
                format!(
                    "UPDATE {table} SET ({}, v) = ({}, '{value}') WHERE {}",
                    names.join(", "),
                    literals(other).join(", "),
                    is_it(key)
                ),
            ),
            _ => (vec![(key, None)], format!("DELETE FROM {table} WHERE {}", is_it(key))),
        };
        let replica = if random.one_in(4) { "SET LOCAL session_replication_role = replica; " } else { "" };
        let asked = Instant::now();
        let counts = session.counts(&Sql::from_user(format!("BEGIN; {replica}{what}"))).await;
        let ended = match &counts {
            Ok(_) if random.one_in(10) => "ROLLBACK",
            Ok(_) => "COMMIT",
            Err(error) => {
                assert!(matches!(error.sqlstate_code(), Some("23505" | "40P01")), "{error:?}");
                "ROLLBACK"
            }
        };
        session.batch(&Sql::literal(ended)).await.unwrap();
        let is_done = ended == "COMMIT" && counts.is_ok_and(|counts| counts.last() == Some(&1));
        if is_done {
            let done = Instant::now();
            writes.extend(then.drain(..).map(|(key, value)| (key, Write { value, asked, done })));
        }
        tokio::time::sleep(Duration::from_millis(random.below(12))).await;
    }
    writes
}

fn running(options: &Options, policy: &Policy) -> JoinHandle<confiture::Result<BidirectionalReport>> {
    let (options, how) =
        (options.clone(), Bidirectional { policy: policy.clone(), ..Bidirectional::default() });
    tokio::spawn(async move { both_ways(options, &how, &Execution::unattended()).await })
}

/// Waits until whoever was cut short has let go.
async fn carry_the_rest(options: &Options, who: &Policy) {
    loop {
        match both_ways(options.clone(), &policy(who.clone()), &Execution::unattended()).await {
            Err(error) if error.kind() == ErrorKind::Locked => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            report => {
                report.unwrap();
                return;
            }
        }
    }
}

async fn there(world: &World) -> BTreeMap<usize, String> {
    let old = r#"SELECT "Tenant"::bigint, code, active, v FROM app."Things""#;
    assert_equal(&world.old, old, &world.new, r#"SELECT tenant, code, "Active", v FROM new.things"#).await;
    let mut all = BTreeMap::new();
    for key in 0..KEYS {
        let [tenant, code, active] = literals(key).try_into().unwrap();
        let query = format!(
            "SELECT v FROM new.things WHERE (tenant, code, \"Active\") = ({tenant}, {code}, {active})"
        );
        let value = psql(&world.new, &query).await.trim().to_owned();
        if !value.is_empty() {
            all.insert(key, value);
        }
    }
    all
}

/// The keys of which a conflict was logged.
async fn contested(world: &World) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    for side in [&world.old, &world.new] {
        let keys = psql(
            side,
            "SELECT DISTINCT array_to_json(key)::text FROM confiture.conflict WHERE key IS NOT NULL",
        )
        .await;
        let of = |line: &str| {
            let parts: [String; 3] = serde_json::from_str(line).unwrap();
            (0..KEYS).find(|key| key_of(*key) == parts).unwrap()
        };
        all.extend(keys.lines().filter(|line| !line.is_empty()).map(of));
    }
    all
}

fn check(seed: u64, key: usize, found: Option<&String>, sides: [Option<&Write>; 2], contested: bool) {
    let is = |write: &Write| write.value.as_ref() == found;
    let fail = |what: &str| -> ! { panic!("seed {seed}, key {key}: {what}: {found:?} of {sides:#?}") };
    match sides {
        [None, None] if found.is_some() => fail("nobody wrote it"),
        [None, None] => {}
        [Some(one), None] | [None, Some(one)] if !is(one) => fail("lost"),
        [Some(_), None] | [None, Some(_)] => {}
        [Some(old), Some(new)] if !is(old) && !is(new) => fail("neither side's last write"),
        [Some(old), Some(new)] => {
            let (first, last) = if old.done < new.done { (old, new) } else { (new, old) };
            if !contested && first.done < last.asked && !is(last) {
                fail("the later write is lost, and no conflict tells of it");
            }
        }
    }
}

async fn run(seed: u64) {
    let mut random = Random::new(seed);
    let feed = *random.pick(&[FeedKind::Wal, FeedKind::Queue]);
    let who = random.pick(&[Policy::Source, Policy::Target]).clone();
    // What is unlogged is told by the queue, else the way back is told by the WAL.
    let (back, new) = match random.one_in(2) {
        true => (FeedKind::Queue, NEW.replace("CREATE TABLE", "CREATE UNLOGGED TABLE")),
        false => (FeedKind::Wal, NEW.to_owned()),
    };
    println!("CONFITURE_SOAK_SEED={seed} ({feed:?}, back {back:?}, {who:?})");
    let world = World::new(OLD, &new).await;
    let options = world.options(MAPPING).await;
    follow(&options, feed).await;
    carry(&options, &policy(who.clone())).await;
    let stop = Arc::new(AtomicBool::new(false));
    let start = |(side, at): (bool, usize)| {
        let on = connection(if side { &world.new } else { &world.old });
        let seed = seed.wrapping_mul(31).wrapping_add(at as u64 * 2 + u64::from(side));
        (side, tokio::spawn(write(on, side, at, seed, Arc::clone(&stop))))
    };
    let writers: Vec<_> = [false, true]
        .into_iter()
        .flat_map(|side| (0..WRITERS).map(move |at| (side, at)))
        .map(start)
        .collect();
    for _ in 0..3 {
        let run = running(&options, &who);
        tokio::time::sleep(Duration::from_millis(300 + random.below(900))).await;
        if run.is_finished() {
            // The lock may still be that of the run that was cut short.
            let ended = run.await.unwrap();
            assert!(ended.as_ref().is_err_and(|error| error.kind() == ErrorKind::Locked), "{ended:?}");
            continue;
        }
        run.abort();
        run.await.ok();
        tokio::time::sleep(Duration::from_millis(random.below(200))).await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut sides = [Writes::new(), Writes::new()];
    for (side, writer) in writers {
        sides[usize::from(side)].extend(writer.await.unwrap());
    }
    carry_the_rest(&options, &who).await;
    let (there, contested) = (there(&world).await, contested(&world).await);
    for key in 0..KEYS {
        let sides = [sides[0].get(&key), sides[1].get(&key)];
        check(seed, key, there.get(&key), sides, contested.contains(&key));
    }
    println!("    {} rows left, {} keys contested", there.len(), contested.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_that_no_conflict_tells_of() {
    for seed in Seeds::new(Duration::from_secs(15)) {
        run(seed).await;
    }
}
