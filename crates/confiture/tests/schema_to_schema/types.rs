//! Every type that a column can have, with its odd values: each arrives as it was, and each change of one is found.

use confiture::config::Mapping;
use confiture::config::mapping::Strategy;
use confiture::schema_to_schema::{CopyFormat, DifferenceKind, Options};
use local_postgres::Server;
use local_postgres::testing::{Database, shared_server};

use crate::world::{WorldOn, connection, psql};

/// A type and values of it, each unlike the one after it though some are equal to SQL.
type Case = (&'static str, &'static [&'static str]);

const BUILT_IN: &[Case] = &[
    ("bool", &["t", "f"]),
    ("bytea", &["\\x", "\\x00", "\\x0000", "\\xff5c0a0d00"]),
    ("\"char\"", &["a", "", "\\"]),
    ("name", &["", "n", "Ünï \"q\" \\", "a23456789b123456789c123456789d123456789e123456789f123456789g123"]),
    // A hash that folds 64 bits to 32 takes these for one another.
    ("int8", &["-1", "4294967295", "0", "4294967297", "9223372036854775807", "-9223372036854775808"]),
    ("int2", &["-32768", "32767", "0"]),
    ("int2vector", &["1 2 3", "", "-1"]),
    ("int4", &["-2147483648", "2147483647", "0", "-1"]),
    ("regproc", &["pg_catalog.now", "-"]),
    (
        "text",
        &[
            "",
            " ",
            "\\N",
            "\\.",
            "\\\\",
            "\t\n\r\u{b}\u{c}\u{8}",
            "\u{10FFFF}",
            "e\u{301}",
            "é",
            "{\"a\",NULL}",
            "NULL",
            "'; --",
        ],
    ),
    ("oid", &["0", "4294967295", "2147483648"]),
    ("tid", &["(0,1)", "(4294967295,65535)"]),
    ("xid", &["0", "4294967295"]),
    ("cid", &["0", "4294967295"]),
    ("oidvector", &["", "1 4294967295"]),
    ("json", &["{\"a\": 1,  \"a\":2}", "{\"a\":2}", " [1.0,1.00, \"\\u00e9\"]\n", "null"]),
    ("xml", &["<a>x</a>", "<a >x</a>", "text &amp; more", ""]),
    ("pg_lsn", &["0/0", "FFFFFFFF/FFFFFFFF", "1/0"]),
    ("point", &["(0,0)", "(-0,0)", "(NaN,-Infinity)", "(1e300,1e-300)"]),
    ("lseg", &["[(0,0),(1,1)]", "[(1,1),(0,0)]"]),
    ("path", &["((0,0),(1,1))", "[(0,0),(1,1)]"]),
    ("box", &["(1,1),(0,0)", "(2,2),(0,0)"]),
    ("polygon", &["((0,0),(1,1),(2,0))", "((1,1),(2,0),(0,0))"]),
    ("line", &["{1,-1,0}", "{2,-2,0}"]),
    ("circle", &["<(0,0),1>", "<(0,0),1.0000000000000002>"]),
    ("float4", &["0", "-0", "NaN", "Infinity", "-Infinity", "1.1754944e-38", "3.4028235e38", "0.1"]),
    ("float8", &["0", "-0", "NaN", "Infinity", "-Infinity", "5e-324", "1.7976931348623157e308", "0.1"]),
    ("money", &["0", "-92233720368547758.08", "1.10"]),
    ("macaddr", &["00:00:00:00:00:00", "ff:ff:ff:ff:ff:fe"]),
    ("macaddr8", &["00:00:00:ff:fe:00:00:00", "ff:ff:ff:ff:ff:ff:ff:fe"]),
    ("inet", &["10.0.0.1", "10.0.0.1/8", "::1", "::ffff:1.2.3.4/96"]),
    ("cidr", &["10.0.0.0/8", "10.0.0.0/9", "2001:db8::/32"]),
    ("bpchar", &["a", "a  ", "", " "]),
    ("char(5)", &["a", "", "äöüßé", "ab"]),
    ("varchar", &["", "a ", "a"]),
    ("varchar(5)", &["", "a ", "a", "äöüßé"]),
    ("date", &["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "0001-01-01 BC", "2000-02-29"]),
    ("time", &["24:00:00", "00:00:00", "23:59:59.999999"]),
    ("time(0)", &["24:00:00", "00:00:00"]),
    ("timestamp", &["infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999"]),
    ("timestamp(3)", &["2020-01-01 00:00:00.001", "2020-01-01 00:00:00.002"]),
    ("timestamptz", &["infinity", "-infinity", "4713-01-01 00:00:00+00 BC", "2020-03-29 02:30:00+14:00"]),
    (
        "interval",
        &["1 day", "24:00:00", "1 mon -1 day +01:00:00", "-1 mon 30 days", "00:00:00", "-178000000 years"],
    ),
    ("interval day to second(2)", &["1 day 00:00:00.01", "1 day 00:00:00.02"]),
    ("timetz", &["24:00:00-15:59", "00:00:00+15:59", "12:00:00+00", "13:00:00+01"]),
    ("bit(3)", &["101", "100"]),
    ("bit(1)", &["1", "0"]),
    ("varbit", &["", "1", "10", "100000000000000000000"]),
    ("varbit(4)", &["", "1", "10"]),
    (
        "numeric",
        &["0", "0.0", "0.00", "NaN", "Infinity", "-Infinity", "1e-1000", "123456789012345678901234567890.1"],
    ),
    ("numeric(10,2)", &["0", "99999999.99", "-0.01", "NaN"]),
    ("refcursor", &["", "c"]),
    ("regprocedure", &["pg_catalog.lower(text)", "-"]),
    ("regoper", &["0", "pg_catalog.||/"]),
    ("regoperator", &["0", "pg_catalog.+(integer,integer)"]),
    ("regclass", &["pg_catalog.pg_class", "public.\"we\"\"ird\"", "apart.named", "-", "4000000000"]),
    ("regtype", &["integer", "public.mood", "apart.named", "-"]),
    ("regrole", &["postgres", "-"]),
    ("regnamespace", &["public", "apart", "-"]),
    ("regconfig", &["pg_catalog.simple", "pg_catalog.english"]),
    ("regdictionary", &["pg_catalog.simple", "pg_catalog.english_stem"]),
    ("regcollation", &["pg_catalog.\"C\"", "pg_catalog.\"POSIX\""]),
    ("uuid", &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    ("tsvector", &["", "'a':1A,2 'b c':3", "'a':1,2 'b c':3"]),
    ("tsquery", &["", "'a' & !'b':*A", "'a' <2> 'b'"]),
    ("txid_snapshot", &["10:20:10,14,15", "10:20:"]),
    ("pg_snapshot", &["10:20:10,14,15", "10:20:"]),
    ("xid8", &["0", "18446744073709551615", "4294967296"]),
    ("jsonb", &["{\"a\": 1, \"a\": 2}", "1.0", "1.00", "null", "\"\\\\N\""]),
    ("jsonpath", &["$", "strict $.a[*] ? (@ > 1)", "$.\"é\""]),
    ("aclitem", &["postgres=r/postgres", "=r*w/postgres"]),
    ("int4range", &["empty", "(,)", "[1,5)", "[1,)", "(,5)"]),
    ("int8range", &["empty", "[1,5)"]),
    ("numrange", &["[1.0,2)", "[1.00,2)", "(1,2]", "empty"]),
    ("tsrange", &["[-infinity,infinity]", "(,)", "empty"]),
    ("tstzrange", &["[2020-01-01 00:00+00,)", "empty"]),
    ("daterange", &["[2020-01-01,infinity)", "[2020-01-01,)", "empty"]),
    ("int4multirange", &["{}", "{[1,2),[5,6)}", "{(,)}"]),
    ("nummultirange", &["{}", "{[1.0,2)}", "{[1.00,2)}"]),
    ("int8multirange", &["{}", "{[1,2)}"]),
    ("tsmultirange", &["{}", "{(,)}"]),
    ("tstzmultirange", &["{}", "{(,)}"]),
    ("datemultirange", &["{}", "{(,)}"]),
];

const OURS: &[Case] = &[
    ("mood", &["sad", "it's \"x\", {y}", "ok"]),
    ("moods", &["{sad,NULL}", "{}", "[3:4]={ok,sad}", "{{ok},{sad}}"]),
    ("word", &["a", "b "]),
    ("email", &["a@b", "A@b"]),
    (
        "nested",
        &["(\"(1,\"\"a,\"\",sad,1.10)\",\"{\"\"(,,,)\"\",NULL}\",2020-01-01)", "(,,)", "(,{},infinity)"],
    ),
    ("nested_domain", &["(\"(1,x,ok,1.10)\",,2020-01-01)", "(,,)"]),
    ("moodrange", &["[sad,ok]", "empty", "(,)"]),
    ("moodmultirange", &["{[sad,sad]}", "{}"]),
    ("floatrange", &["[0,1)", "[-0,1)", "[0,NaN]"]),
    ("citext", &["a", "A", "b"]),
    ("hstore", &["a=>1, b=>NULL", "", "a=>\"1 \""]),
    ("ltree", &["a.b.c", "A.b.c", ""]),
    ("lquery", &["a.*{1,2}.b", "a.*.b"]),
    ("ltxtquery", &["a & b*", "a | b"]),
    ("cube", &["(1,2)", "(1,2),(3,4)"]),
    ("seg", &["1.0", "1.00", "1 .. 2"]),
    ("isbn", &["978-0-11-000533-1", "978-0-393-04002-9"]),
    ("int4[]", &["{}", "[0:1]={1,NULL}", "{1,NULL}", "{{1,2},{3,4}}", "[-1:0][5:6]={{1,2},{3,4}}"]),
    ("text[]", &["{\"\"}", "{NULL}", "{\"NULL\"}", "{\"a\\\\b\",\"\\\"\",\"{\"}"]),
];

/// Base types of `pg_catalog` that no column of a user's holds.
const LEFT_OUT: &[(&str, &str)] = &[
    ("gtsvector", "lives in GiST indexes only: no input function"),
    ("pg_node_tree", "no input function"),
    ("pg_ndistinct", "extended statistics: no input function"),
    ("pg_dependencies", "extended statistics: no input function"),
    ("pg_mcv_list", "extended statistics: no input function"),
    ("pg_brin_bloom_summary", "lives in BRIN indexes only: no input function"),
    ("pg_brin_minmax_multi_summary", "lives in BRIN indexes only: no input function"),
];

/// Types and what a `regclass` may point at; the target makes them in another order, so that no OID is the same.
const TYPES: &[&str] = &[
    "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION cube; CREATE EXTENSION seg; CREATE EXTENSION isn;
     CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s \"x\", {y}');",
    "CREATE SCHEMA apart; CREATE TABLE apart.named (); CREATE TABLE \"we\"\"ird\" ();",
    "CREATE DOMAIN word AS varchar(9); CREATE TYPE floatrange AS RANGE (subtype = float8);",
    "CREATE DOMAIN email AS citext CHECK (VALUE LIKE '%@%'); CREATE DOMAIN moods AS mood[] CHECK (cardinality(VALUE) < 9);
     CREATE TYPE inside AS (a int, \"B b\" text, m mood, n numeric(10,2));
     CREATE TYPE nested AS (i inside, xs inside[], d date);
     CREATE DOMAIN nested_domain AS nested CHECK ((VALUE).d IS DISTINCT FROM '1999-01-01');
     CREATE TYPE moodrange AS RANGE (subtype = mood);",
];

const TYPES_IN_TARGET: [usize; 4] = [2, 1, 0, 3];

/// A column of the world: its type, and its values as SQL.
struct Column {
    name: String,
    data_type: String,
    values: Vec<String>,
}

/// Columns of every type, and of every type's array.
fn columns() -> Vec<Column> {
    let mut columns = Vec::new();
    for (data_type, values) in BUILT_IN.iter().chain(OURS) {
        let values: Vec<String> =
            values.iter().map(|value| format!("$v${value}$v$::{data_type}")).chain(["NULL".into()]).collect();
        let name = format!("c{}", columns.len());
        if !data_type.ends_with("[]") {
            let all = values.join(", ");
            let arrays = vec![
                format!("ARRAY[{all}]::{data_type}[]"),
                format!("ARRAY[{}]::{data_type}[]", values[0]),
                format!("'{{}}'::{data_type}[]"),
                format!("ARRAY[ARRAY[{}, NULL], ARRAY[NULL, {}]]::{data_type}[]", values[0], values[1]),
            ];
            let data_type = format!("{data_type}[]");
            columns.push(Column { name: format!("a{name}"), data_type, values: arrays });
        }
        columns.push(Column { name, data_type: (*data_type).to_owned(), values });
    }
    // What cannot cross in binary takes its whole table along: those columns have tables of their own.
    columns.sort_by_key(Column::needs_text);
    columns
}

impl Column {
    fn needs_text(&self) -> bool {
        let base = self.data_type.trim_end_matches("[]");
        base.starts_with("reg")
            || ["int2vector", "oidvector", "tsquery", "aclitem", "seg", "isbn"].contains(&base)
    }
}

/// Columns of a table: no more than the differences that verification tells one by one.
const WIDTH: usize = 20;

fn tables(columns: &[Column], schema: &str) -> String {
    let mut script = String::new();
    for (table, columns) in columns.chunks(WIDTH).enumerate() {
        let definitions: Vec<String> =
            columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
        script +=
            &format!("CREATE TABLE {schema}.t{table:02} (id int PRIMARY KEY, {});\n", definitions.join(", "));
    }
    script
}

fn rows(columns: &[Column], schema: &str) -> String {
    let mut script = String::new();
    for (table, columns) in columns.chunks(WIDTH).enumerate() {
        for row in 0..24 {
            let values: Vec<&str> =
                columns.iter().map(|column| column.values[row % column.values.len()].as_str()).collect();
            script += &format!("INSERT INTO {schema}.t{table:02} VALUES ({row}, {});\n", values.join(", "));
        }
    }
    script
}

/// Changes in each column one value, each in a row of its own, to the next one.
fn changes(columns: &[Column], schema: &str) -> String {
    let mut script = String::new();
    for (table, columns) in columns.chunks(WIDTH).enumerate() {
        for (row, Column { name, values, .. }) in columns.iter().enumerate() {
            let next = &values[(row + 1) % values.len()];
            script += &format!("UPDATE {schema}.t{table:02} SET {name} = {next} WHERE id = {row};\n");
        }
    }
    script
}

async fn text_of(database: &Database<'_>, schema: &str, tables: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for table in 0..tables {
        texts.push(
            psql(database, &format!("COPY (SELECT * FROM {schema}.t{table:02} ORDER BY id) TO STDOUT")).await,
        );
    }
    texts
}

fn script(order: impl IntoIterator<Item = usize>) -> String {
    order.into_iter().map(|index| TYPES[index]).collect::<Vec<_>>().join("\n")
}

/// Asserts that the rows are the same, that verification agrees, and that it finds a change in each column.
async fn assert_arrived(
    old: (&Database<'_>, &str),
    new: (&Database<'_>, &str),
    options: Options,
    columns: &[Column],
) {
    let count = columns.chunks(WIDTH).count();
    let (given, held) = (text_of(old.0, old.1, count).await, text_of(new.0, new.1, count).await);
    for (given, held) in given.iter().zip(&held) {
        for (given, held) in given.lines().zip(held.lines()) {
            for (index, (given, held)) in given.split('\t').zip(held.split('\t')).enumerate() {
                assert_eq!(given, held, "field {index}");
            }
        }
    }
    assert_eq!(given, held);
    let verified = crate::world::verify(options.clone()).await;
    assert!(verified.ok, "{:#?}", verified.tables.iter().filter(|table| !table.ok).collect::<Vec<_>>());
    psql(new.0, &changes(columns, new.1)).await;
    let verified = crate::world::verify(options).await;
    for (table, columns) in verified.tables.iter().zip(columns.chunks(WIDTH)) {
        let differences = table.differences.as_ref().unwrap();
        let mut found: Vec<(usize, Vec<String>)> = Vec::new();
        for row in &differences.rows {
            assert_eq!(row.kind, DifferenceKind::Different);
            let names = row.columns.iter().map(|column| column.column.to_string()).collect();
            found.push((row.key[0].1.parse().unwrap(), names));
        }
        found.sort();
        let expected: Vec<(usize, Vec<String>)> =
            columns.iter().enumerate().map(|(row, column)| (row, vec![column.name.clone()])).collect();
        assert_eq!(
            found,
            expected,
            "{:?}",
            columns.iter().map(|column| &column.data_type).collect::<Vec<_>>()
        );
    }
}

/// Moves the world of all types from a database of one server to a database of another.
pub(crate) async fn between(from: &Server, to: &Server, strategy: Strategy) {
    let columns = columns();
    let tables = tables(&columns, "public");
    let old = format!("{}\n{tables}\n{}", script(0..TYPES.len()), rows(&columns, "public"));
    let new = format!("{}\n{tables}", script(TYPES_IN_TARGET));
    let world = WorldOn::on(from, to, &old, &new).await;
    let mut options = world.options("others: same-name").await;
    options.strategy = Some(strategy);
    options.tables = names(columns.chunks(WIDTH).count());
    let plan = crate::world::plan(options.clone()).await;
    for (table, columns) in plan.tables.iter().zip(columns.chunks(WIDTH)) {
        let text = columns.iter().any(Column::needs_text);
        // Extensions of two versions are not trusted in binary.
        if from.binaries().version() == to.binaries().version() {
            assert_eq!(
                table.format,
                if text { CopyFormat::Text } else { CopyFormat::Binary },
                "{:?}",
                table.remarks
            );
        }
    }
    world.migrate(options.clone()).await.unwrap();
    assert_arrived((&world.old, "public"), (&world.new, "public"), options, &columns).await;
}

fn names(count: usize) -> Vec<confiture::config::mapping::TableName> {
    (0..count)
        .map(|table| confiture::config::mapping::TableName {
            schema: None,
            name: format!("t{table:02}").into(),
        })
        .collect()
}

#[tokio::test]
async fn no_base_type_is_forgotten() {
    let database = Database::create().await.unwrap();
    let all = psql(
        &database,
        "SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typcategory <> 'A'",
    )
    .await;
    let listed = psql(
        &database,
        &BUILT_IN
            .iter()
            .map(|(data_type, _)| format!("SELECT typname FROM pg_type WHERE oid = '{data_type}'::regtype;"))
            .collect::<String>(),
    )
    .await;
    let known = |name: &&str| {
        listed.lines().any(|line| line == *name) || LEFT_OUT.iter().any(|(left_out, _)| left_out == name)
    };
    assert_eq!(all.lines().filter(|name| !known(name)).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[tokio::test]
async fn every_type_crosses_with_copy() {
    let server = shared_server().await;
    between(server, server, Strategy::Copy).await;
}

#[tokio::test]
async fn every_type_crosses_through_a_foreign_table() {
    let server = shared_server().await;
    between(server, server, Strategy::Fdw).await;
}

#[tokio::test]
async fn every_type_moves_within_one_database() {
    let columns = columns();
    let database = Database::create().await.unwrap();
    let (old, new) = (tables(&columns, "old"), tables(&columns, "new"));
    let types = script(0..TYPES.len());
    psql(
        &database,
        &format!("{types} CREATE SCHEMA old; CREATE SCHEMA new; {old} {new} {}", rows(&columns, "old")),
    )
    .await;
    let entries: String = (0..columns.chunks(WIDTH).count())
        .map(|table| format!("  new.t{table:02}: {{ from: old.t{table:02} }}\n"))
        .collect();
    let mapping =
        Mapping::parse(&format!("tables:\n{entries}"), std::path::Path::new("mapping.yaml")).unwrap();
    let options = Options::new(connection(&database), connection(&database), mapping);
    crate::world::migrate(options.clone()).await.unwrap();
    assert_arrived((&database, "old"), (&database, "new"), options, &columns).await;
}
