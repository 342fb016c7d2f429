//! Names and key types, whatever they are.

use confiture::postgres::feed::ChangeFeed as _;
use confiture::sql::sql;

use super::source::{Source, raw, session_of};

/// True where the keys of the next batch find exactly the rows for which `condition` holds.
async fn assert_finds(source: &Source, condition: &str) {
    let mut feed = source.open(None).await;
    let changes = source.changes(&mut feed).await;
    feed.confirm().await.unwrap();
    let table = &source.tables[0];
    let key = sql!("{}", confiture::sql::Sql::join(", ", table.key.iter().map(|column| &column.name)));
    let found = sql!(
        "WITH keys ({}) AS ({}), found AS (SELECT * FROM {} JOIN keys USING ({})), wanted AS (SELECT * FROM {} WHERE {})
         SELECT (SELECT count(*) FROM keys)::text || ' ' || (SELECT count(*) FROM found)::text || ' '
             || (SELECT count(*) FROM wanted)::text || ' '
             || (SELECT count(*) FROM found JOIN wanted USING ({}))::text",
        key,
        confiture::sql::Sql::join(" UNION ALL ", changes.keys[0].queries(&table.key, 1000)),
        table.name,
        key,
        table.name,
        raw(condition),
        key
    );
    let counts: String = source.session.query_one(&found, &[]).await.unwrap().get(0);
    let counts: Vec<&str> = counts.split(' ').collect();
    assert!(
        counts[0] != "0" && counts.iter().all(|count| *count == counts[0]),
        "keys, found, wanted, both: {counts:?}"
    );
}

#[tokio::test]
async fn names_that_need_quotes() {
    let long = "l".repeat(63);
    let key: &[&str] = &["we\"ird", "select", "tg_op", "new", "found", "Üser", &long];
    let columns: Vec<String> = key.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    let columns = columns.join(" int, ");
    for partitioned in ["", "PARTITION BY LIST (\"select\")"] {
        let keys = columns.replace(" int", "");
        let script = format!(
            "CREATE SCHEMA \"we\"\"ird {{}}\"; CREATE TABLE \"we\"\"ird {{}}\".\"{long}\" ({columns} int, v int, PRIMARY KEY ({keys})) {partitioned};
             SET search_path = \"we\"\"ird {{}}\";
             {}", if partitioned.is_empty() { String::new() } else { format!("CREATE TABLE \"Part é\" PARTITION OF \"{long}\" DEFAULT;") }
        );
        let name = format!("\"we\"\"ird {{}}\".\"{long}\"");
        let source = Source::capturing(&script, &[(&name, key)]).await;
        source.run(&format!("INSERT INTO {name} SELECT i, i, i, i, i, i, i, 0 FROM generate_series(1, 5) AS i; UPDATE {name} SET \"new\" = 9 WHERE \"new\" = 3")).await;
        let mut feed = source.open(None).await;
        assert_eq!(
            source.next(&mut feed).await,
            "1,1,1,1,1,1,1 2,2,2,2,2,2,2 3,3,3,3,3,3,3 3,3,3,9,3,3,3 4,4,4,4,4,4,4 5,5,5,5,5,5,5"
        );
    }
}

#[tokio::test]
async fn key_types() {
    for (data_type, values, more) in [
        ("uuid", "gen_random_uuid()", ""),
        (
            "text",
            "unnest(ARRAY['a', '', ' a ', 'it''s', '\"q\"', 'x,y', '{z}', E'back\\\\slash', E'new\\nline', 'NULL', 'Ünï', '007'])",
            "",
        ),
        ("varchar(20)", "unnest(ARRAY['a ', 'a', '7'])", ""),
        ("char(5)", "unnest(ARRAY['a', 'ab', ''])", ""),
        ("\"char\"", "unnest(ARRAY['a', 'b']::\"char\"[])", ""),
        ("name", "unnest(ARRAY['a', 'x y']::name[])", ""),
        (
            "timestamptz",
            "unnest(ARRAY['2024-03-31 01:30:00.123456+00', '1999-12-31 23:59:59+00', 'infinity', '0044-03-15 12:00 BC']::timestamptz[])",
            "",
        ),
        ("timestamp", "unnest(ARRAY['2024-02-01 10:00', '2024-01-02 10:00']::timestamp[])", ""),
        ("date", "unnest(ARRAY['2024-02-01', '2024-01-02']::date[])", ""),
        ("interval", "unnest(ARRAY['1 mon -3 days', '1 year 2 hours']::interval[])", ""),
        ("numeric(10, 2)", "unnest(ARRAY[1, 1.5, 'NaN', 12345678.25]::numeric[])", ""),
        ("float8", "unnest(ARRAY[0.1, 1e300, 'NaN', 1.0 / 3]::float8[])", ""),
        ("bytea", r"unnest(ARRAY['\x00ff', '\x', '\x5c']::bytea[])", ""),
        ("boolean", "unnest(ARRAY[true, false])", ""),
        ("inet", "unnest(ARRAY['10.0.0.1', '10.0.0.0/8']::inet[])", ""),
        ("mood", "unnest(ARRAY['so so', 'it''s']::mood[])", "CREATE TYPE mood AS ENUM ('so so', 'it''s')"),
        ("short", "unnest(ARRAY['a', 'b'])", "CREATE DOMAIN short AS varchar(3) CHECK (value <> 'x')"),
        ("even", "unnest(ARRAY[2, 4])", "CREATE DOMAIN even AS int CHECK (value % 2 = 0)"),
        ("citext", "unnest(ARRAY['Abc', 'b'])", "CREATE EXTENSION citext"),
    ] {
        let script = format!(
            "{more}; CREATE TABLE t (id {data_type} PRIMARY KEY, other bigint GENERATED ALWAYS AS IDENTITY, v int DEFAULT 0);"
        );
        let source = Source::capturing(&script, &[("t", &["id"])]).await;
        // The writer's settings are its own.
        let writer = session_of(&source.database).await;
        writer
            .batch(&raw(&format!(
                "SET DateStyle = 'German, DMY'; SET TimeZone = 'America/Caracas'; SET IntervalStyle = 'iso_8601';
                 SET bytea_output = 'escape'; SET extra_float_digits = -5; SET standard_conforming_strings = on;
                 INSERT INTO t (id) SELECT v FROM (SELECT {values}) AS q (v); UPDATE t SET v = 1"
            )))
            .await
            .unwrap_or_else(|error| panic!("{data_type}: {error:?}"));
        assert_finds(&source, "v = 1").await;
    }
}

#[tokio::test]
async fn keys_that_a_collation_calls_the_same() {
    let collation =
        "CREATE COLLATION same (provider = icu, locale = 'und-u-ks-level2', deterministic = false);";
    for (script, data_type) in
        [(collation, "text COLLATE same"), ("CREATE EXTENSION citext;", "citext"), ("", "numeric")]
    {
        let script = format!("{script} CREATE TABLE t (id {data_type} PRIMARY KEY, v int)");
        let source = Source::capturing(&script, &[("t", &["id"])]).await;
        let mut feed = source.open(None).await;
        let (before, after) = if data_type == "numeric" { ("1.0", "1.00") } else { ("abc", "ABC") };
        source.run(&format!("INSERT INTO t VALUES ('{before}')")).await;
        source.next(&mut feed).await;
        source.run(&format!("UPDATE t SET id = '{after}'")).await;
        let keys = source.next(&mut feed).await;
        let mut keys: Vec<&str> = keys.split(' ').collect();
        keys.sort_unstable_by_key(|key| *key != before);
        assert_eq!(keys, [before, after], "{data_type}");
    }
}
