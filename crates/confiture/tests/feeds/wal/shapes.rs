//! Keys of every shape, tables of every kind.

use confiture::postgres::feed::ChangeFeed;

use super::fixture::{Source, keys_of, set};

#[tokio::test]
async fn names_and_keys_may_be_odd() {
    let source = Source::new(
        r#"CREATE SCHEMA "Odd ""schéma";
           CREATE TABLE "Odd ""schéma"."t,1 'x'" ("Ünder" text, note text, "sel""ect" int, PRIMARY KEY ("sel""ect", "Ünder"))"#,
    )
    .await;
    let name = r#""Odd ""schéma"."t,1 'x'""#;
    let mut feed = source.feed(&[name]).await;
    source
        .run(&format!(
            r#"INSERT INTO {name} VALUES ('a,b', '', 1), ('', '', 2), ('NULL', '', 3), ('{{"\', '', 4)"#
        ))
        .await;
    source.run(&format!(r#"UPDATE {name} SET "Ünder" = 'new' WHERE "sel""ect" = 2"#)).await;
    let keys = source.keys(&mut feed, name).await;
    assert_eq!(keys, set(&[r#"(1,"a,b")"#, r#"(2,"")"#, "(2,new)", "(3,NULL)", r#"(4,"{""\\")"#]));
}

/// A writer's settings, and the server's, are not those in which keys come.
#[tokio::test]
async fn keys_read_as_sessions_of_ours_read_them() {
    let types = [
        ("date", "'1999-12-31'"),
        ("timestamptz", "'2026-02-03 04:05:06.789+11'"),
        ("timestamp", "'2026-02-03 04:05:06.7'"),
        ("interval", "'-1 year 2 months 3 days 04:05:06.7'"),
        ("float8", "0.1::float8 + 0.2"),
        ("float4", "1.1"),
        ("bytea", r"'\x00ff41'"),
        ("numeric", "100.0100"),
        ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"),
        ("text", "'été'"),
        ("char(5)", "'ab'"),
        ("bool", "true"),
        ("int8", "-9223372036854775808"),
        ("inet", "'10.0.0.1/8'"),
        ("int4range", "'[1,5)'"),
    ];
    let mut ddl = String::new();
    for (index, (data_type, _)) in types.iter().enumerate() {
        ddl.push_str(&format!("CREATE TABLE t{index} (id {data_type} PRIMARY KEY);"));
    }
    let source = Source::new(&ddl).await;
    for setting in [
        "DateStyle = 'SQL, DMY'",
        "IntervalStyle = 'sql_standard'",
        "TimeZone = 'Asia/Kathmandu'",
        "bytea_output = 'escape'",
        "extra_float_digits = -3",
        "client_encoding = 'LATIN1'",
        "statement_timeout = '1ms'",
    ] {
        let role_or_database = format!("ALTER DATABASE {} SET {setting}", source.database.name());
        source.run(&role_or_database).await;
    }
    let names: Vec<String> = (0..types.len()).map(|index| format!("t{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut feed = source.feed(&names).await;
    for (index, (_, value)) in types.iter().enumerate() {
        source.run(&format!("INSERT INTO t{index} VALUES ({value})")).await;
    }
    let tables = source.tables(&names).await;
    let changes = source.changes(&mut feed).await;
    for (index, (data_type, _)) in types.iter().enumerate() {
        // The key finds its row: that is what it is for.
        let keys = &changes.keys[index].queries(&tables[index].key, 10)[0];
        let found = format!("SELECT count(*)::text FROM t{index} JOIN ({keys}) AS keys(id) USING (id)");
        assert_eq!(source.value(&found).await, "1", "{data_type}: {keys}");
    }
}

#[tokio::test]
async fn a_key_that_is_stored_out_of_line_is_known_when_its_row_changes() {
    let source = Source::new(
        "CREATE TABLE t (id text PRIMARY KEY, note int); ALTER TABLE t ALTER id SET STORAGE EXTERNAL;
         CREATE TABLE full_identity (id text PRIMARY KEY, note int);
         ALTER TABLE full_identity ALTER id SET STORAGE EXTERNAL, REPLICA IDENTITY FULL",
    )
    .await;
    for table in ["t", "full_identity"] {
        source.run(&format!("INSERT INTO {table} VALUES (repeat('k', 2500), 1)")).await;
    }
    let names = ["t", "full_identity"];
    let mut feed = source.feed(&names).await;
    for table in names {
        source.run(&format!("UPDATE {table} SET note = 2")).await;
        source.run(&format!("DELETE FROM {table}")).await;
    }
    let changes = source.changes(&mut feed).await;
    let tables = source.tables(&names).await;
    for table in 0..2 {
        let keys = keys_of(&source.session, &changes, &tables, table).await;
        assert_eq!(keys, set(&[format!("({})", "k".repeat(2500)).as_str()]));
    }
}

#[tokio::test]
async fn partitions_are_their_root() {
    let source = Source::new(
        "CREATE TABLE t (id int, place int, PRIMARY KEY (place, id)) PARTITION BY LIST (place);
         CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
         CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2, 3) PARTITION BY LIST (place);
         CREATE TABLE t2a (place int NOT NULL, gone int, id int NOT NULL);
         ALTER TABLE t2a DROP gone;
         ALTER TABLE t2 ATTACH PARTITION t2a FOR VALUES IN (2, 3);
         CREATE TABLE another (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE another1 PARTITION OF another DEFAULT",
    )
    .await;
    let mut feed = source.feed(&["another", "t"]).await;
    let tables = source.tables(&["another", "t"]).await;
    for (statement, keys) in [
        ("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)", &["(1,1)", "(2,2)", "(3,3)"][..]),
        ("UPDATE t SET place = 1 WHERE id = 2", &["(1,2)", "(2,2)"]),
        ("DELETE FROM t2a WHERE id = 3", &["(3,3)"]),
        ("TRUNCATE t2a", &["whole"]),
        ("INSERT INTO t VALUES (4, 1)", &["(1,4)"]),
        ("TRUNCATE t", &["whole"]),
        ("CREATE TABLE t4 (place int, id int, PRIMARY KEY (place, id)); INSERT INTO t4 VALUES (4, 9)", &[]),
        // It comes with a row, of which the stream says nothing: the table is looked at as a whole once.
        ("ALTER TABLE t ATTACH PARTITION t4 FOR VALUES IN (4)", &[]),
        ("INSERT INTO t VALUES (5, 4)", &["whole"]),
        ("INSERT INTO t VALUES (6, 4)", &["(4,6)"]),
        // Its rows come before anybody else can see the partition.
        (
            "CREATE TABLE t5 PARTITION OF t FOR VALUES IN (5); INSERT INTO t SELECT generate_series(1, 3000), 5",
            &["whole"],
        ),
        ("INSERT INTO t VALUES (3001, 5)", &["(5,3001)"]),
    ] {
        if source.session.server_version() < 150_000
            && matches!(statement, "INSERT INTO t VALUES (5, 4)" | "INSERT INTO t VALUES (6, 4)")
        {
            // A walsender of 14 goes on taking a table that it knows for one that is not published, until it is another
            // walsender. Whoever applies changes looks whether partitions came before each batch, and begins anew.
            source.run(statement).await;
            continue;
        }
        source.run(statement).await;
        let changes = source.changes(&mut feed).await;
        assert_eq!(keys_of(&source.session, &changes, &tables, 1).await, set(keys), "{statement}");
        // Of a partition whose transaction has not ended when its rows come, nobody can tell yet whose it is.
        let may_be_anybodys = statement.starts_with("CREATE TABLE t5");
        assert!(changes.keys[0].is_empty() || may_be_anybodys, "{statement}");
        feed.confirm().await.unwrap();
    }
}

#[tokio::test]
async fn a_table_that_was_altered_is_looked_at_as_a_whole() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY, note int)").await;
    let mut feed = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1, 1)").await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)"]));
    feed.confirm().await.unwrap();
    source.run("ALTER TABLE t ALTER note TYPE text USING (note + 1)::text").await;
    source.run("INSERT INTO t VALUES (2, 'x')").await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["whole"]));
    source.run("ALTER TABLE t RENAME id TO other").await;
    source.run("INSERT INTO t VALUES (3, 'x')").await;
    let error = source.try_changes(&mut feed).await.unwrap_err();
    assert!(error.message().contains("by which its changes are known, is gone"), "{error}");
}
