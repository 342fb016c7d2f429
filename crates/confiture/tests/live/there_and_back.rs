//! Random renames, casts and subsets: what goes there and comes back is what it was, whole rows, by EXCEPT both ways.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use confiture::event::Execution;
use confiture::schema_to_schema::{Capture, FeedKind, Following, Migration, Options, Until};

use crate::seed::{Random, Seeds};
use crate::world::{World, connection, psql};

/// How long to look where nobody says.
const BUDGET: Duration = Duration::from_secs(3);

/// Types that come back by themselves: the old one, the new one, and a value of the row `n`.
const TYPES: [(&str, &str, &str); 21] = [
    ("int", "bigint", "n - 7"),
    ("bigint", "int", "n * 3"),
    ("smallint", "numeric(10,0)", "n % 100"),
    ("text", "varchar(40)", "'text ' || n || ' '"),
    ("varchar(40)", "text", "CASE WHEN n % 5 > 0 THEN 'v ' || n END"),
    ("char(12)", "text", "'c' || n"),
    ("varchar(10)", "varchar(20)", "'s' || n"),
    ("numeric(10,2)", "numeric(14,2)", "n / 7.0"),
    ("numeric(14,2)", "numeric(10,2)", "n * 1.10"),
    ("numeric", "numeric", "CASE WHEN n % 2 = 0 THEN n + 0.50 ELSE n END"),
    ("timestamptz", "timestamp", "timestamptz '2024-03-31 00:30+00' + n * interval '7 min'"),
    ("timestamp(3)", "timestamptz(3)", "timestamp '2024-10-27 00:30' + n * interval '7.001 s'"),
    ("date", "date", "date '2024-02-28' + n::int"),
    ("boolean", "boolean", "n % 3 = 0"),
    ("uuid", "uuid", "md5(n::text)::uuid"),
    ("jsonb", "json", "jsonb_build_object('b', n, 'a', ARRAY[1, n])"),
    ("int[]", "bigint[]", "ARRAY[n, NULL, 3]"),
    ("text", "app.mood", "CASE WHEN n % 2 = 0 THEN 'sad' ELSE 'ok' END"),
    ("bytea", "bytea", "sha256(n::text::bytea)"),
    ("double precision", "double precision", "n / 3.0"),
    ("interval", "interval", "n * interval '1 h'"),
];

/// One old column.
struct Column {
    old: String,
    /// Its name on the new side; `None` where that does not have it.
    new: Option<String>,
    kind: (&'static str, &'static str, &'static str),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn between_two_databases() {
    for seed in Seeds::with_share(BUDGET, 3) {
        round(seed, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn in_one_database() {
    for seed in Seeds::with_share(BUDGET, 3) {
        round(seed, true).await;
    }
}

fn columns(random: &mut Random) -> Vec<Column> {
    let count = 1 + random.below(8);
    let column = |index: u64| {
        let kind = *random.pick(&TYPES);
        let old = format!("c{index}");
        let new = match random.below(4) {
            0 => None,
            1 => Some(old.clone()),
            // Names exchanged, and names that want quotes.
            2 => Some(format!("c{}", (index + 1) % count + 100)),
            _ => Some(format!("New \"{index}\"")),
        };
        Column { old, new, kind }
    };
    (0..count).map(column).collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn round(seed: u64, local: bool) {
    let mut random = Random::new(seed);
    let columns = columns(&mut random);
    let mut old =
        "CREATE SCHEMA legacy; CREATE TABLE legacy.t (id bigint PRIMARY KEY, flag boolean".to_owned();
    let mut new = "CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('sad', 'ok'); CREATE TABLE app.t (key bigint PRIMARY KEY, flag boolean".to_owned();
    let (mut names, mut values) = (String::from("id, flag"), String::from("n, n % 4 > 0"));
    let mut mapping = String::from("key: t.id");
    let mut tamper = String::from("flag = flag");
    for column in &columns {
        let (from, to, value) = column.kind;
        let _ = write!(old, ", {} {from}", column.old);
        let _ = write!(names, ", {}", column.old);
        let _ = write!(values, ", {value}");
        if let Some(name) = &column.new {
            let _ = write!(new, ", {} {to}", quoted(name));
            let _ = write!(mapping, ", '{}': t.{}", quoted(name), column.old);
            let _ = write!(tamper, ", {} = NULL", column.old);
        }
    }
    let rows = *random.pick(&[40, 40, 300]);
    let _ = write!(
        old,
        "); SET TimeZone = 'UTC'; INSERT INTO legacy.t ({names}) SELECT {values} FROM generate_series(1, {rows}) n;"
    );
    old.push_str("CREATE TABLE legacy.before AS TABLE legacy.t;");
    new.push_str(");");
    let filter = if random.one_in(2) { ", where: t.flag" } else { "" };
    let mapping = format!("tables:\n  app.t: {{ from: legacy.t t{filter}, columns: {{ {mapping} }} }}\n");
    let world = match local {
        true => World::new(&format!("{old}{new}"), "").await,
        false => World::new(&new, &old).await,
    };
    let side = if local { &world.old } else { &world.new };
    let there =
        Options { source: connection(side), target: connection(&world.old), ..world.options(&mapping).await };
    let execution = Execution::unattended();
    let migration = Arc::new(Migration::plan(there.clone(), &execution).await.unwrap());
    let reverse = migration.reversed();
    assert!(
        reverse.is_possible() && reverse.is_lossless(),
        "seed {seed}: {:#?}\n{mapping}",
        reverse.findings
    );
    // Every column that was moved comes back.
    let moved = 2 + columns.iter().filter(|column| column.new.is_some()).count();
    assert_eq!(reverse.mapping.tables[0].columns.len(), moved, "seed {seed}: {}", reverse.mapping.render());
    // Printed and read again, it is the same.
    let printed = reverse.mapping.render();
    let read = confiture::config::Mapping::parse(&printed, std::path::Path::new("back.yaml")).unwrap();
    assert_eq!(read.render(), printed);
    migration.migrate(&execution).await.unwrap();
    let foreign = confiture::sql::Identifier::new("old_schema");
    confiture::schema_to_schema::clean_up(
        Some(&there.source),
        &there.target,
        &foreign,
        confiture::schema_to_schema::Cleaning::default(),
        &execution,
    )
    .await
    .unwrap();
    // The old side loses what can come back: values that were moved, and of rows that are ours a few as a whole.
    let ours = if filter.is_empty() { "true" } else { "flag" };
    psql(side, &format!("UPDATE legacy.t SET {tamper} WHERE {ours} AND id % 3 = 0; DELETE FROM legacy.t WHERE {ours} AND id % 7 = 0; INSERT INTO legacy.t (id, flag) VALUES (100001, true)")).await;
    let back = Arc::new(Migration::plan(reverse.options(&there), &execution).await.unwrap());
    let following = Following {
        capture: Capture::Only(if local || random.one_in(2) { FeedKind::Queue } else { FeedKind::Wal }),
        until: Until::CaughtUp,
        ..Following::default()
    };
    let report = back.follow(&following, &execution).await.unwrap();
    assert_eq!(report.phase.word(), "following");
    let differ = |columns: &str, condition: &str| {
        let rows = |table: &str| format!("SELECT ({columns})::text FROM legacy.{table} WHERE {condition}");
        let (now, before) = (rows("t"), rows("before"));
        format!("SELECT count(*) FROM (({now} EXCEPT {before}) UNION ALL ({before} EXCEPT {now})) AS d")
    };
    let all: Vec<&str> = columns.iter().map(|column| column.old.as_str()).collect();
    let all = format!("ROW(id, flag{})", all.iter().map(|name| format!(", {name}")).collect::<String>());
    let kept = differ(&all, &format!("NOT ({ours} AND id % 7 = 0)"));
    assert_eq!(psql(side, &kept).await, "0\n", "seed {seed}\n{mapping}");
    let ours: String = columns
        .iter()
        .filter(|column| column.new.is_some())
        .map(|column| format!(", {}", column.old))
        .collect();
    let again = differ(&format!("ROW(id, flag{ours})"), "true");
    assert_eq!(psql(side, &again).await, "0\n", "seed {seed}\n{mapping}");
    // And the tool's own proof says so.
    let verified =
        Migration::plan(reverse.options(&there), &execution).await.unwrap().verify(&execution).await.unwrap();
    assert!(verified.ok, "seed {seed}: {verified:#?}");
}
