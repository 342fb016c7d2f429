//! What is written to a captured table is in the next batch, however it is written; and what is rolled back is in none.

use std::time::Duration;

use confiture::postgres::feed::ChangeFeed as _;
use confiture::postgres::feed::queue::gaps;

use super::source::{Source, raw, session_of};

const TABLE: &str = "
CREATE TABLE t (id bigint PRIMARY KEY, v int DEFAULT 0);
INSERT INTO t SELECT generate_series(1, 20);
CREATE TABLE child (id bigint PRIMARY KEY, t bigint REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO child SELECT i + 100, i FROM generate_series(10, 12) AS i;";

const PARTITIONED: &str = "
CREATE TABLE t (id bigint PRIMARY KEY, v int DEFAULT 0) PARTITION BY RANGE (id);
CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (100);
CREATE TABLE high PARTITION OF t FOR VALUES FROM (100) TO (1000) PARTITION BY RANGE (id);
CREATE TABLE higher PARTITION OF high FOR VALUES FROM (100) TO (200);
CREATE TABLE odd (v int DEFAULT 0, dropped int, id bigint NOT NULL);
ALTER TABLE odd DROP COLUMN dropped;
ALTER TABLE high ATTACH PARTITION odd FOR VALUES FROM (200) TO (1000);
INSERT INTO t SELECT generate_series(1, 20);";

async fn plain() -> Source {
    Source::capturing(TABLE, &[("t", &["id"]), ("child", &["id"])]).await
}

async fn partitioned() -> Source {
    Source::capturing(PARTITIONED, &[("t", &["id"])]).await
}

async fn assert_captured(source: &Source, cases: &[(&str, &str)]) {
    let mut feed = source.open(None).await;
    for (script, keys) in cases {
        source.run(script).await;
        assert_eq!(source.next(&mut feed).await, *keys, "{script}");
        assert_eq!(source.next(&mut feed).await, "", "once: {script}");
    }
}

#[tokio::test]
async fn every_kind_of_statement_on_a_table() {
    let source = plain().await;
    assert_captured(
        &source,
        &[
            ("INSERT INTO t VALUES (30), (31)", "30 31"),
            ("UPDATE t SET v = 1 WHERE id <= 3", "1 2 3"),
            ("UPDATE t SET id = id + 1000 WHERE id IN (4, 5)", "4 5 1004 1005"),
            ("UPDATE t SET id = -id WHERE id IN (1004)", "1004 -1004"),
            ("DELETE FROM t WHERE id IN (6, 7)", "6 7"),
            ("WITH gone AS (DELETE FROM t WHERE id = 8 RETURNING *) INSERT INTO t SELECT id + 500 FROM gone", "8 508"),
            ("INSERT INTO t VALUES (1), (40), (41) ON CONFLICT (id) DO UPDATE SET v = 7", "1 40 41"),
            ("INSERT INTO t VALUES (1), (42) ON CONFLICT DO NOTHING", "42"),
            ("DO $$ BEGIN FOR i IN 1..3 LOOP UPDATE t SET v = i WHERE id = i; END LOOP; END $$", "1 2 3"),
            ("SET session_replication_role = replica; UPDATE t SET v = 9 WHERE id = 2; RESET session_replication_role", "2"),
            ("TRUNCATE t, child", "whole"),
            ("INSERT INTO t VALUES (1)", "1"),
        ],
    )
    .await;
}

/// The row of a key that was only ever inserted is most likely not on the target yet.
#[tokio::test]
async fn new_rows_are_told_apart() {
    let odd = "CREATE TABLE t (tg_op text, inserted int PRIMARY KEY) {}";
    for partitions in ["", "PARTITION BY RANGE (inserted); CREATE TABLE t1 PARTITION OF t DEFAULT"] {
        let source = Source::capturing(&odd.replace("{}", partitions), &[("t", &["inserted"])]).await;
        let mut feed = source.open(None).await;
        for (script, new) in [
            ("INSERT INTO t SELECT NULL, generate_series(1, 3000)", true),
            ("INSERT INTO t VALUES ('x', 3001)", true),
            ("INSERT INTO t VALUES ('x', 3002); UPDATE t SET tg_op = 'INSERT' WHERE inserted = 3001", false),
            ("DELETE FROM t WHERE inserted = 7", false),
            ("UPDATE t SET inserted = 4000 WHERE inserted = 8", false),
        ] {
            source.run(script).await;
            let changes = source.changes(&mut feed).await;
            feed.confirm().await.unwrap();
            assert!(!changes.keys[0].is_empty());
            assert_eq!(changes.keys[0].is_new(), new, "{script} {partitions}");
        }
    }
}

#[tokio::test]
async fn merge_and_copy() {
    let source = plain().await;
    let mut feed = source.open(None).await;
    let copied = source.session.copy_in(&raw("COPY t FROM STDIN")).await.unwrap();
    let mut copied = Box::pin(copied);
    futures_util::SinkExt::send(&mut copied, bytes::Bytes::from_static(b"50\t1\n51\t2\n")).await.unwrap();
    copied.as_mut().finish().await.unwrap();
    assert_eq!(source.next(&mut feed).await, "50 51");
    if source.session.server_version() < 150_000 {
        return;
    }
    let merge = "MERGE INTO t USING (VALUES (1, 'd'), (2, 'u'), (60, 'i')) AS s (id, what) ON t.id = s.id
                 WHEN MATCHED AND what = 'd' THEN DELETE WHEN MATCHED THEN UPDATE SET v = 5
                 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 0)";
    source.run(merge).await;
    assert_eq!(source.next(&mut feed).await, "1 2 60");
}

#[tokio::test]
async fn foreign_keys_that_cascade() {
    let source = plain().await;
    let mut feed = source.open(None).await;
    for (script, parents, children) in [
        ("UPDATE t SET id = 210 WHERE id = 10", "10 210", "110"),
        ("DELETE FROM t WHERE id IN (11, 12)", "11 12", "111 112"),
        ("TRUNCATE t CASCADE", "whole", "whole"),
    ] {
        source.run(script).await;
        let changes = source.changes(&mut feed).await;
        feed.confirm().await.unwrap();
        assert_eq!(source.shown(&changes, 0).await, parents, "{script}");
        assert_eq!(source.shown(&changes, 1).await, children, "{script}");
    }
}

#[tokio::test]
async fn every_kind_of_statement_on_partitions() {
    let source = partitioned().await;
    assert_captured(
        &source,
        &[
            ("INSERT INTO t VALUES (30), (131), (231)", "30 131 231"),
            ("INSERT INTO odd (id) VALUES (232)", "232"),
            ("INSERT INTO high VALUES (132)", "132"),
            ("UPDATE t SET v = 1 WHERE id IN (1, 131, 231)", "1 131 231"),
            ("UPDATE low SET v = 2 WHERE id = 1", "1"),
            ("UPDATE t SET id = id + 100 WHERE id IN (2, 3)", "2 3 102 103"),
            ("UPDATE t SET id = 302 WHERE id = 102", "102 302"),
            ("UPDATE low SET id = id + 50 WHERE id = 4", "4 54"),
            ("DELETE FROM t WHERE id IN (5, 103)", "5 103"),
            ("DELETE FROM odd WHERE id = 232", "232"),
            ("INSERT INTO t VALUES (1), (133) ON CONFLICT (id) DO UPDATE SET v = 7", "1 133"),
            ("SET session_replication_role = replica; UPDATE low SET v = 9 WHERE id = 6; RESET session_replication_role", "6"),
            ("TRUNCATE higher", "whole"),
            ("TRUNCATE high", "whole"),
            ("TRUNCATE t", "whole"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_partition_that_is_captured_alone_and_as_one_of_its_root() {
    let source = Source::capturing(PARTITIONED, &[("low", &["id"]), ("t", &["id"])]).await;
    assert_captured(
        &source,
        &[
            ("INSERT INTO t VALUES (30), (131)", "30"),
            ("UPDATE t SET id = id + 100 WHERE id = 2", "2"),
            ("UPDATE low SET v = 3 WHERE id = 3", "3"),
            ("TRUNCATE t", "whole"),
        ],
    )
    .await;
    let mut feed = source.open(None).await;
    let changes = source.changes(&mut feed).await;
    assert_eq!(source.shown(&changes, 1).await, "whole");
}

#[tokio::test]
async fn a_table_that_inherits() {
    let script = "CREATE TABLE parent (id bigint PRIMARY KEY, v int); CREATE TABLE t () INHERITS (parent);
                  ALTER TABLE t ADD PRIMARY KEY (id); INSERT INTO t VALUES (1), (2), (3)";
    let source = Source::capturing(script, &[("t", &["id"])]).await;
    assert_captured(
        &source,
        &[("UPDATE parent SET v = 1 WHERE id < 3", "1 2"), ("DELETE FROM parent WHERE id = 3", "3")],
    )
    .await;
}

#[tokio::test]
async fn what_is_rolled_back_is_in_no_batch() {
    let source = plain().await;
    assert_captured(
        &source,
        &[
            ("BEGIN; UPDATE t SET v = 1; ROLLBACK", ""),
            (
                "BEGIN; UPDATE t SET v = 1 WHERE id = 1; SAVEPOINT s; UPDATE t SET v = 1 WHERE id = 2; ROLLBACK TO s;
                 UPDATE t SET v = 1 WHERE id = 3; SAVEPOINT r; UPDATE t SET v = 1 WHERE id = 4; RELEASE r; COMMIT",
                "1 3 4",
            ),
            ("BEGIN; TRUNCATE t, child; ROLLBACK", ""),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_statement_that_changes_nothing_writes_nothing() {
    let source = plain().await;
    for script in
        ["UPDATE t SET v = 1 WHERE false", "DELETE FROM t WHERE false", "INSERT INTO t SELECT 1 WHERE false"]
    {
        source.run("BEGIN").await;
        source.run(script).await;
        assert_eq!(
            source.text("SELECT coalesce(pg_current_xact_id_if_assigned()::text, 'none')").await,
            "none",
            "{script}"
        );
        source.run("COMMIT").await;
    }
    assert_eq!(source.sizes().await, (0, 0));
}

#[tokio::test]
async fn a_prepared_transaction_is_delivered_when_it_is_committed() {
    let source = plain().await;
    let mut feed = source.open(None).await;
    let name = source.database.name();
    source.run("BEGIN; UPDATE t SET v = 1 WHERE id = 1").await;
    source.run(&format!("PREPARE TRANSACTION '{name}'")).await;
    source.run("UPDATE t SET v = 1 WHERE id = 2").await;
    assert_eq!(source.next(&mut feed).await, "2");
    source.run("UPDATE t SET v = 1 WHERE id = 3").await;
    assert_eq!(source.next(&mut feed).await, "3");
    source.run(&format!("COMMIT PREPARED '{name}'")).await;
    assert_eq!(source.next(&mut feed).await, "1");
    assert_eq!(source.next(&mut feed).await, "");
}

#[tokio::test]
async fn commits_in_another_order_than_begins() {
    let source = plain().await;
    let mut feed = source.open(None).await;
    let (first, second, third) = tokio::join!(
        session_of(&source.database),
        session_of(&source.database),
        session_of(&source.database)
    );
    let update = |id: u32| raw(&format!("BEGIN; UPDATE t SET v = 1 WHERE id = {id}"));
    first.batch(&update(1)).await.unwrap();
    second.batch(&update(2)).await.unwrap();
    third.batch(&update(3)).await.unwrap();
    let commit = raw("COMMIT");
    assert_eq!(source.next(&mut feed).await, "");
    third.batch(&commit).await.unwrap();
    assert_eq!(source.next(&mut feed).await, "3");
    second.batch(&update(4)).await.unwrap();
    second.batch(&commit).await.unwrap();
    assert_eq!(source.next(&mut feed).await, "2 4");
    // Another reader goes on exactly there, with a transaction still open that is older than all.
    let mut other = source.open(feed.since().cloned()).await;
    assert_eq!(source.next(&mut other).await, "");
    first.batch(&commit).await.unwrap();
    assert_eq!(source.next(&mut other).await, "1");
    assert_eq!(source.next(&mut other).await, "");
}

#[tokio::test]
async fn what_was_not_confirmed_is_given_again() {
    let source = plain().await;
    let mut feed = source.open(None).await;
    source.run("UPDATE t SET v = 1 WHERE id = 1").await;
    let changes = source.changes(&mut feed).await;
    assert_eq!((source.shown(&changes, 0).await.as_str(), changes.row_changes), ("1", 1));
    source.run("UPDATE t SET v = 1 WHERE id = 2").await;
    let changes = source.changes(&mut feed).await;
    assert_eq!(source.shown(&changes, 0).await, "1 2");
    // The process dies here, and the next one knows only what was confirmed.
    let mut feed = source.open(feed.since().cloned()).await;
    assert_eq!(source.next(&mut feed).await, "1 2");
    assert_eq!(source.next(&mut feed).await, "");
}

/// The process that applies a subscription fires no statement triggers.
#[tokio::test]
async fn a_table_that_a_subscription_writes_to() {
    let table = "CREATE TABLE t (id bigint PRIMARY KEY, v int)";
    let publisher = Source::new(&format!("{table}; CREATE PUBLICATION p FOR TABLE t")).await;
    let mut source = Source::new(table).await;
    let (server, name) = (source.database.server(), source.database.name().to_owned());
    publisher.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")).await;
    source.describe(&[("t", &["id"])]).await;
    source.set_up().await;
    source
        .run(&format!(
            "CREATE SUBSCRIPTION {name} CONNECTION 'host={} port={} user=postgres dbname={}' PUBLICATION p
             WITH (create_slot = false, copy_data = false)",
            server.socket_dir().display(),
            server.port(),
            publisher.database.name()
        ))
        .await;
    // A capture from before the subscription is not enough any more.
    assert!(!gaps(&source.session, &source.tables).await.unwrap().is_empty());
    source.set_up().await;
    assert_eq!(gaps(&source.session, &source.tables).await.unwrap(), []);
    let mut feed = source.open(None).await;
    assert_eq!(source.next(&mut feed).await, "whole");
    for (script, keys) in [
        ("INSERT INTO t VALUES (1), (2)", "1 2"),
        ("UPDATE t SET id = 3 WHERE id = 1", "1 3"),
        ("DELETE FROM t", "2 3"),
        ("TRUNCATE t", "whole"),
    ] {
        publisher.run(script).await;
        feed.wait(Duration::from_secs(120)).await.unwrap();
        assert_eq!(source.next(&mut feed).await, keys, "{script}");
    }
    source.run(&format!("ALTER SUBSCRIPTION {name} DISABLE")).await;
    source.run(&format!("ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")).await;
    source.run(&format!("DROP SUBSCRIPTION {name}")).await;
    let drop = raw(&format!("SELECT pg_drop_replication_slot('{name}')"));
    while publisher.session.query(&drop, &[]).await.is_err() {
        assert!(!publisher.session.is_closed());
    }
}

#[tokio::test]
async fn a_key_that_no_statement_names() {
    let trigger = "CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS
                   $$ BEGIN NEW.id := NEW.id + 50; RETURN NEW; END $$;
                   CREATE TRIGGER move BEFORE UPDATE ON low FOR EACH ROW EXECUTE FUNCTION move();";
    for table in
        [PARTITIONED, "CREATE TABLE low (id bigint PRIMARY KEY, v int); INSERT INTO low VALUES (1), (2)"]
    {
        let name = if table == PARTITIONED { "t" } else { "low" };
        let source = Source::capturing(table, &[(name, &["id"])]).await;
        source.run(trigger).await;
        let found = gaps(&source.session, &source.tables).await.unwrap();
        assert!(found.iter().any(|gap| gap.message.contains("BEFORE UPDATE")), "{found:?}");
        source.set_up().await;
        assert_eq!(gaps(&source.session, &source.tables).await.unwrap(), []);
        let mut feed = source.open(None).await;
        assert_eq!(source.next(&mut feed).await, "whole");
        source.run(&format!("UPDATE {name} SET v = 1 WHERE id = 1")).await;
        assert_eq!(source.next(&mut feed).await, "1 51");
    }
    let table =
        "CREATE TABLE t (base bigint, id bigint GENERATED ALWAYS AS (base * 2) STORED PRIMARY KEY, v int);
                 INSERT INTO t VALUES (1), (2)";
    let source = Source::capturing(table, &[("t", &["id"])]).await;
    assert_captured(
        &source,
        &[("UPDATE t SET base = 7 WHERE base = 1", "2 14"), ("UPDATE t SET v = 7 WHERE base = 2", "4")],
    )
    .await;
}
