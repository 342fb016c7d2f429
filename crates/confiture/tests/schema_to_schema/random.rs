//! Random tables, renamed and narrowed at random: COPY's text of both sides is the judge.

use std::time::{Duration, Instant};

use confiture::config::mapping::Strategy as Route;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::world::{World, psql};

/// A source type, a value of row `i`, a target type, and the source's column `$` as the target must hold it.
const COLUMNS: &[(&str, &str, &str, &str)] = &[
    ("int4", "(i * 7919 % 1000)::int4 - 500", "int4", "$"),
    ("int4", "(i * 104729 % 100000)::int4", "int8", "$"),
    ("int4", "i::int4", "numeric(10,1)", "$::numeric(10,1)"),
    ("int8", "i * 4294967296 - 1", "int8", "$"),
    ("int8", "i", "text", "$::text"),
    ("text", "repeat(chr(945 + (i % 20)::int), (i % 40)::int)", "text", "$"),
    ("text", "md5(i::text)", "varchar(32)", "$"),
    ("text", "E'\\\\N\\t' || i || E'\\n\\\\.'", "text", "$"),
    ("text", "(ARRAY['sad', 'ok'])[1 + (i % 2)]", "mood", "$"),
    ("mood", "(ARRAY['sad', 'ok'])[1 + (i % 2)]::mood", "mood", "$"),
    ("mood", "'ok'::mood", "text", "$::text"),
    ("numeric", "i / 7.0", "numeric", "$"),
    ("numeric", "i / 7.0 - 100", "numeric(12,2)", "round($, 2)"),
    ("bool", "i % 2 = 0", "bool", "$"),
    ("float8", "sin(i::float8) * 1e10", "float8", "$"),
    ("timestamptz", "'2020-01-01Z'::timestamptz + i * interval '1.000001 s'", "timestamptz", "$"),
    ("timestamptz", "'2020-01-01Z'::timestamptz + i * interval '1 h'", "timestamp", "$ AT TIME ZONE 'UTC'"),
    ("date", "'2020-01-01'::date + i::int", "timestamp", "$::timestamp"),
    ("json", "json_build_object('i', i, 'x', NULL)", "jsonb", "$::jsonb"),
    ("uuid", "md5(i::text)::uuid", "uuid", "$"),
    ("bytea", "decode(md5(i::text), 'hex')", "bytea", "$"),
    ("int4[]", "ARRAY[i, NULL, -i]::int4[]", "int8[]", "$::int8[]"),
    ("interval", "i * interval '1 day 1 s'", "interval", "$"),
    ("inet", "'10.0.0.0'::inet + i", "inet", "$"),
    // Wide enough for several ranges of pages.
    ("text", "repeat(md5(i::text), 55)", "text", "$"),
];

#[derive(Debug, Clone)]
struct Table {
    /// Index into [`COLUMNS`], whether it is renamed, whether it is left out, and how often it is NULL.
    columns: Vec<(usize, bool, bool, u8)>,
    rows: u32,
    key: bool,
    filtered: bool,
    route: Route,
}

fn table() -> impl Strategy<Value = Table> {
    let column = (0..COLUMNS.len(), any::<bool>(), prop::bool::weighted(0.2), 2..9_u8);
    let rows = prop_oneof![1 => Just(0_u32), 6 => 1..300_u32, 1 => 3000..6000_u32];
    let route = prop_oneof![3 => Just(Route::Copy), 1 => Just(Route::Fdw)];
    (prop::collection::vec(column, 1..8), rows, any::<bool>(), any::<bool>(), route)
        .prop_map(|(columns, rows, key, filtered, route)| Table { columns, rows, key, filtered, route })
}

/// What a table becomes: the old and the new table, its mapping, and the queries that must give the same.
struct Made {
    old: String,
    new: String,
    mapping: String,
    given: String,
    held: String,
}

impl Table {
    fn made(&self, number: usize) -> Made {
        let key = if self.key { " PRIMARY KEY" } else { "" };
        let (mut old, mut values) = (format!("id int{key}"), "i".to_owned());
        let (mut new, mut mapped) = (format!("id int{key}"), String::new());
        let (mut given, mut held) = ("id".to_owned(), "id".to_owned());
        for (index, (kind, renamed, left_out, nulls)) in self.columns.iter().enumerate() {
            let (from, value, to, expected) = COLUMNS[*kind];
            old += &format!(", c{index} {from}");
            values += &format!(", CASE WHEN i % {nulls} > 0 THEN {value} END");
            if *left_out {
                continue;
            }
            let name = if *renamed { format!("\"new {index}\"") } else { format!("c{index}") };
            new += &format!(", {name} {to}");
            if *renamed {
                mapped += &format!("      '{name}': t.c{index}\n");
            }
            given += &format!(", ({})::{to}", expected.replace('$', &format!("c{index}")));
            held += &format!(", {name}");
        }
        let filter = if self.filtered { "id % 3 <> 1" } else { "true" };
        let columns = if mapped.is_empty() { String::new() } else { format!("    columns:\n{mapped}") };
        Made {
            old: format!(
                "CREATE TABLE old_{number} ({old}); INSERT INTO old_{number} SELECT {values} FROM generate_series(1::bigint, {}) AS i;",
                self.rows
            ),
            new: format!("CREATE TABLE new_{number} ({new});"),
            mapping: format!(
                "  new_{number}:\n    from: old_{number} t\n    where: t.{filter}\n    strategy: {}\n{columns}",
                self.route.word()
            )
            .replace("t.true", "true"),
            given: format!("COPY (SELECT {given} FROM old_{number} WHERE {filter} ORDER BY id) TO STDOUT"),
            held: format!("COPY (SELECT {held} FROM new_{number} ORDER BY id) TO STDOUT"),
        }
    }
}

async fn judge(tables: &[Table], workers: u16) -> Result<(), TestCaseError> {
    let made: Vec<Made> = tables.iter().enumerate().map(|(number, table)| table.made(number)).collect();
    let all = |part: fn(&Made) -> &str| made.iter().map(part).collect::<Vec<_>>().join("\n");
    let types = "CREATE TYPE mood AS ENUM ('sad', 'ok');";
    let old = format!("{types}{}", all(|made| &made.old));
    let world = World::new(&old, &format!("{types}{}", all(|made| &made.new))).await;
    let mut options = world.options(&format!("tables:\n{}", all(|made| &made.mapping))).await;
    options.parallel = Some(workers);
    let report = world.migrate(options.clone()).await;
    prop_assert!(report.is_ok(), "{:?}", report);
    for made in &made {
        let (given, held) = (psql(&world.old, &made.given).await, psql(&world.new, &made.held).await);
        prop_assert!(given == held, "{}\n{}", made.given, made.held);
    }
    let verified = world.verify(options).await;
    prop_assert!(verified.ok, "{:?}", verified);
    Ok(())
}

#[test]
fn random_tables_arrive() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // `PROPTEST_CASES=500` looks longer.
    let hunting = std::env::var_os("PROPTEST_CASES").is_some();
    let (started, budget) = (Instant::now(), Duration::from_secs(10));
    let cases = if hunting { Config::default().cases } else { 6 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 40, ..Config::default() };
    let worlds = (prop::collection::vec(table(), 1..5), 1..5_u16);
    let judged = TestRunner::new(config).run(&worlds, |(tables, workers)| {
        if !hunting && started.elapsed() > budget {
            return Ok(());
        }
        runtime.block_on(judge(&tables, workers))
    });
    if let Err(error) = judged {
        panic!("{error}");
    }
}
