//! Columns whose type changes: PostgreSQL's assignment says what becomes of a value, and nothing is cut in silence.

use confiture::config::mapping::Strategy;
use confiture::{Error, ErrorKind};
use local_postgres::testing::Database;

use crate::world::{World, psql, run};

/// Old type, values, new type, and the old column as SQL that gives what must arrive.
const FITTING: &[(&str, &str, &str, &str)] = &[
    ("int4", "('-2147483648'), ('7')", "int8", "c"),
    ("int8", "('9223372036854775807'), ('-1')", "numeric", "c"),
    ("int8", "('32767'), ('-32768')", "smallint", "c"),
    ("numeric", "('1.005'), ('-1.005'), ('2.5'), ('NaN')", "numeric(6,2)", "round(c, 2)"),
    ("numeric", "('1.5'), ('2.5'), ('-0.5')", "integer", "round(c)"),
    ("float8", "('1e300'), ('0.1'), ('-0')", "numeric", "c::numeric"),
    ("float8", "('0.1'), ('NaN'), ('-Infinity')", "float4", "c::float4"),
    ("float4", "('0.1'), ('NaN')", "float8", "c::float8"),
    ("timestamptz", "('2020-07-01 12:00+02'), ('infinity')", "timestamp", "c AT TIME ZONE 'UTC'"),
    ("timestamp", "('2020-07-01 12:00'), ('-infinity')", "timestamptz", "c AT TIME ZONE 'UTC'"),
    (
        "date",
        "('2020-07-01'), ('infinity'), ('4713-01-01 BC')",
        "timestamptz",
        "c::timestamp AT TIME ZONE 'UTC'",
    ),
    ("timestamptz", "('2020-07-01 23:59:59.9+00')", "date", "(c AT TIME ZONE 'UTC')::date"),
    ("timestamp", "('2020-01-01 00:00:00.9999')", "timestamp(3)", "'2020-01-01 00:00:01'::timestamp"),
    ("time", "('12:00:00.5')", "time(0)", "'12:00:01'::time"),
    ("interval", "('1 day 25:00:00.6')", "interval(0)", "'1 day 25:00:01'::interval"),
    ("json", "('{\"a\": 1, \"a\": 2}'), ('[1.0]')", "jsonb", "c::jsonb"),
    ("jsonb", "('{\"b\": 1, \"a\": 2}')", "json", "c::json"),
    ("int4", "('42')", "text", "c::text"),
    ("bool", "('t')", "text", "'true'"),
    ("uuid", "('00000000-0000-0000-0000-00000000000a')", "varchar(36)", "c::text"),
    ("text", "('a  '), ('')", "varchar(5)", "c"),
    ("varchar(50)", "('12345   '), ('ä')", "varchar(5)", "substr(c, 1, 5)"),
    ("text", "('ab'), (''), ('abcde   ')", "char(5)", "rpad(rtrim(c), 5)"),
    ("char(5)", "('ab'), ('')", "char(9)", "rpad(c::text, 9)"),
    ("char(5)", "('ab'), ('')", "text", "c::text"),
    ("text", "('ab'), ('a  ')", "bpchar", "c"),
    ("char(3)", "('ab')", "varchar(2)", "'ab'"),
    ("text", "('small'), ('large')", "size", "c"),
    ("other_size", "('large'), ('huge')", "size", "c::text"),
    ("size", "('large')", "text", "c::text"),
    ("size", "('large')", "short", "c::text"),
    ("text", "('AbC')", "citext", "c"),
    ("citext", "('AbC')", "text", "c"),
    ("inet", "('10.0.0.1/32'), ('::1')", "text", "c::text"),
    ("cidr", "('10.0.0.0/8')", "inet", "c"),
    ("int4", "('5')", "money", "c::money"),
    ("varchar(9)[]", "('{a,NULL}')", "text[]", "c"),
    ("int4[]", "('{1,NULL}')", "int8[]", "c"),
    ("money", "('1.10')", "numeric", "c::numeric"),
    ("oid", "('4294967295')", "int8", "c"),
    ("positive", "('5')", "bigint", "c"),
    ("int4", "('5'), (NULL)", "positive", "c"),
    ("macaddr", "('00:11:22:33:44:55')", "macaddr8", "c::macaddr8"),
    ("name", "('n')", "text", "c"),
    ("bit(3)", "('101')", "varbit", "c"),
    ("bytea", "('\\x00ff')", "bytes", "c"),
];

const TYPES: &str = "CREATE EXTENSION citext; CREATE TYPE size AS ENUM ('small', 'large', 'huge');
    CREATE TYPE other_size AS ENUM ('huge', 'large'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE DOMAIN short AS varchar(5); CREATE DOMAIN bytes AS bytea;";

async fn fitting(strategy: Strategy) {
    let (mut old, mut new, mut given, mut held) = (TYPES.to_owned(), TYPES.to_owned(), vec![], vec![]);
    for (index, (from, values, to, expected)) in FITTING.iter().enumerate() {
        old += &format!("CREATE TABLE t{index} (c {from}); INSERT INTO t{index} VALUES {values};");
        new += &format!("CREATE TABLE t{index} (c {to});");
        given.push(format!("SELECT {index}, ({expected})::{to}::text FROM t{index}"));
        held.push(format!("SELECT {index}, c::text FROM t{index}"));
    }
    let world = World::new(&old, &new).await;
    let mut options = world.options("others: same-name").await;
    options.strategy = Some(strategy);
    world.migrate(options.clone()).await.unwrap();
    world.assert_same(&given.join(" UNION ALL "), &held.join(" UNION ALL ")).await;
    let verified = world.verify(options).await;
    assert!(verified.ok, "{:?}", verified.tables.iter().filter(|table| !table.ok).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_postgresql_assigns_arrives_with_copy() {
    fitting(Strategy::Copy).await;
}

#[tokio::test]
async fn what_postgresql_assigns_arrives_through_foreign_tables() {
    fitting(Strategy::Fdw).await;
}

/// Old type, a value, new type, and what the refusal names.
const TOO_LARGE: &[(&str, &str, &str, &str)] = &[
    ("varchar(50)", "secret@example", "varchar(5)", "too long"),
    ("text", "secret@example", "char(5)", "too long"),
    ("text", "secret@example", "short", "too long"),
    ("bit(3)", "101", "bit(2)", "bit string length"),
    ("varbit", "10101", "varbit(3)", "too long"),
    ("int8", "4294967297", "int4", "out of range"),
    ("numeric", "123456.7", "numeric(5,2)", "overflow"),
    ("int4", "-7654321", "positive", "positive_check"),
    ("text", "secret", "size", "size"),
    ("int4", "7654321", "checked_by_table", "no_large_ones"),
];

#[tokio::test]
async fn what_does_not_fit_is_refused_without_its_value() {
    for strategy in [Strategy::Copy, Strategy::Fdw] {
        let world = World::new(TYPES, TYPES).await;
        for (index, (from, value, to, word)) in TOO_LARGE.iter().enumerate() {
            let to = match *to {
                "checked_by_table" => "int4 CONSTRAINT no_large_ones CHECK (c < 1000)",
                other => other,
            };
            psql(
                &world.old,
                &format!("CREATE TABLE t{index} (c {from}); INSERT INTO t{index} VALUES ('{value}')"),
            )
            .await;
            psql(&world.new, &format!("CREATE TABLE t{index} (c {to})")).await;
            let mut options = world.options(&format!("tables: {{ t{index}: {{ from: t{index} }} }}")).await;
            options.strategy = Some(strategy);
            options.probe = std::time::Duration::ZERO;
            let error = world.migrate(options).await.unwrap_err();
            let text = everything(&error);
            assert!(text.contains(word) && text.contains(&format!("t{index}")), "{from} → {to}: {text}");
            assert!(!text.contains(value) && !text.contains("secret"), "{text}");
            assert_eq!(psql(&world.new, &format!("SELECT count(*) FROM t{index}")).await.trim(), "0");
        }
    }
}

fn everything(error: &Error) -> String {
    use std::error::Error as _;
    let mut text = format!("{error} {error:?} {}", error.hints().join(" "));
    let mut source = error.source();
    while let Some(cause) = source {
        text += &cause.to_string();
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn what_postgresql_does_not_assign_is_refused_when_planned() {
    let cases = [
        ("text", "int4", "(o.c)::integer"),
        ("text", "bool", "(o.c)::boolean"),
        ("int4", "bool", "(o.c)::boolean"),
        ("text", "date", "(o.c)::date"),
        ("text", "json", "(o.c)::json"),
        ("int4", "uuid", "(o.c)::text::uuid"),
        ("bool", "int8", "(o.c)::text::bigint"),
        ("int4", "date", "(o.c)::text::date"),
        ("text", "numeric(5,2)[]", "(o.c)::numeric(5,2)[]"),
    ];
    for (from, to, hint) in cases {
        let world =
            World::new(&format!("CREATE TABLE o (c {from})"), &format!("CREATE TABLE n (c {to})")).await;
        let options = world.options("tables:\n  n:\n    from: o\n    columns:\n      c: o.c\n").await;
        let error = world.migrate(options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        let place = error.place().unwrap();
        assert_eq!((place.line, place.column), (5, 10), "{error:?}");
        assert!(error.hints().iter().any(|told| told.contains(hint)), "{from} → {to}: {error:?}");
    }
}

#[tokio::test]
async fn a_lone_literal_is_read_as_the_column_it_fills() {
    let mapping = "tables: { n: { from: o, columns: { d: \"'2020-01-02'\", s: \"'small'\", j: \"'{}'\", n: \"NULL\", t: \"'it''s'\", x: \"'2020-01-01 00:00Z'\" } } }";
    for strategy in [Strategy::Copy, Strategy::Fdw] {
        let world = World::new(
            "CREATE TABLE o (id int PRIMARY KEY); INSERT INTO o VALUES (1), (2)",
            "CREATE TYPE size AS ENUM ('small'); CREATE TABLE n (id int PRIMARY KEY, d date, s size, j jsonb, n int, t text, x timestamptz)",
        )
        .await;
        let mut options = world.options(mapping).await;
        options.strategy = Some(strategy);
        world.migrate(options.clone()).await.unwrap();
        let rows = psql(&world.new, "SET timezone = 'UTC'; SELECT * FROM n ORDER BY id").await;
        assert_eq!(rows.lines().next(), Some("1|2020-01-02|small|{}||it's|2020-01-01 00:00:00+00"));
        assert!(world.verify(options).await.ok);
    }
}

#[tokio::test]
async fn databases_of_other_encodings_hold_the_same_text() {
    let latin = Database::create().await.unwrap();
    let name = format!("{}_latin", latin.name());
    run(
        &latin,
        "postgres",
        &[&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")],
    );
    let world = World::new("", "CREATE TABLE t (id int PRIMARY KEY, name text, raw bytea, a text[])").await;
    let setup = "CREATE TABLE t (id int PRIMARY KEY, name text, raw bytea, a text[]);
        INSERT INTO t VALUES (1, 'Zoë', 'x', '{ä,b}'), (2, 'ß', NULL, NULL), (3, 'plain', NULL, '{}')";
    run(&latin, &name, &[setup]);
    let mut options = world.options("others: same-name").await;
    options.source = confiture::config::Connection::new(
        options.source.endpoints[0].clone(),
        options.source.user.clone(),
        name.clone(),
    );
    crate::world::migrate(options.clone()).await.unwrap();
    assert_eq!(psql(&world.new, "SELECT name, a FROM t ORDER BY id").await, "Zoë|{ä,b}\nß|\nplain|{}\n");
    let verified = crate::world::verify(options).await;
    run(&latin, "postgres", &[&format!("DROP DATABASE {name} WITH (FORCE)")]);
    assert!(verified.ok, "{verified:#?}");
}

#[tokio::test]
async fn rows_of_one_bucket_that_exchange_a_value_are_found() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, a text)";
    let rows = "INSERT INTO t SELECT i, 'a' || i FROM generate_series(1, 30000) AS i";
    let world = World::new(&format!("{table}; {rows}"), table).await;
    let options = world.options("others: same-name").await;
    world.migrate(options.clone()).await.unwrap();
    // Two rows of each bucket, found as the fingerprint finds it.
    psql(
        &world.new,
        "WITH hashed AS (SELECT id, a, hashtextextended(hash_record_extended(ROW(id), 0)::text COLLATE \"C\", 0) & 1023 AS bucket FROM t),
              numbered AS (SELECT *, row_number() OVER (PARTITION BY bucket ORDER BY id) AS n FROM hashed)
         UPDATE t SET a = other.a FROM numbered AS one JOIN numbered AS other USING (bucket)
         WHERE t.id = one.id AND one.n < 3 AND other.n = 3 - one.n",
    )
    .await;
    let verified = world.verify(options).await;
    let differences = verified.tables[0].differences.as_ref().unwrap();
    assert_eq!(differences.different, 2048, "{differences:?}");
}
