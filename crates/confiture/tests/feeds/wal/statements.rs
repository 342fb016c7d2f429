//! Every kind of statement, and the keys that it leaves.

use confiture::postgres::feed::ChangeFeed;

use super::fixture::{Source, set};

#[tokio::test]
async fn every_statement_leaves_its_keys() {
    let source =
        Source::new("CREATE TABLE t (id int PRIMARY KEY, note text); CREATE TABLE other (id int)").await;
    source.run("INSERT INTO t SELECT n, 'x' FROM generate_series(1, 9) AS n").await;
    let mut feed = source.feed(&["t"]).await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&[]), "what was there before is no change");
    for (statement, keys) in [
        ("INSERT INTO t VALUES (10, 'y'), (11, NULL)", &["(10)", "(11)"][..]),
        ("UPDATE t SET note = 'z' WHERE id < 3", &["(1)", "(2)"]),
        ("UPDATE t SET id = id + 100 WHERE id = 3", &["(3)", "(103)"]),
        ("DELETE FROM t WHERE id = 4", &["(4)"]),
        (
            "INSERT INTO t VALUES (5, 'a'), (20, 'b') ON CONFLICT (id) DO UPDATE SET note = excluded.note",
            &["(20)", "(5)"],
        ),
        ("INSERT INTO other VALUES (1)", &[]),
        (
            "BEGIN; INSERT INTO t VALUES (40, ''); SAVEPOINT s; INSERT INTO t VALUES (41, ''); ROLLBACK TO s; COMMIT",
            &["(40)"],
        ),
        ("BEGIN; INSERT INTO t VALUES (50, ''); ROLLBACK", &[]),
        ("BEGIN; UPDATE t SET note = 'p' WHERE id = 6; PREPARE TRANSACTION 'statements'", &[]),
        ("COMMIT PREPARED 'statements'", &["(6)"]),
        ("BEGIN; DELETE FROM t WHERE id = 7; PREPARE TRANSACTION 'statements'", &[]),
        ("ROLLBACK PREPARED 'statements'", &[]),
        ("TRUNCATE t", &["whole"]),
    ] {
        for part in statement.split("; ") {
            source.run(part).await;
        }
        assert_eq!(source.keys(&mut feed, "t").await, set(keys), "{statement}");
        feed.confirm().await.unwrap();
    }
    let changes = source.changes(&mut feed).await;
    assert_eq!((changes.row_changes, changes.carried), (0, 0));
}

#[tokio::test]
async fn what_was_not_confirmed_is_given_again() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut feed = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1)").await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)"]));
    source.run("INSERT INTO t VALUES (2)").await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)", "(2)"]), "the batch failed");
    drop(feed);
    let mut feed = source.open(&["t"]).await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)", "(2)"]), "the process died");
    feed.confirm().await.unwrap();
    assert_eq!(source.keys(&mut feed, "t").await, set(&[]));
}
