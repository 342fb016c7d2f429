//! What a snapshot sees is what its batch has: no more, no less.

use std::collections::BTreeSet;
use std::time::Duration;

use confiture::postgres::Session;
use confiture::postgres::feed::wal::Mutation;
use confiture::postgres::feed::{ChangeFeed, SnapshotImage, WalFeed};
use confiture::sql::Sql;
use local_postgres::testing::{Database, options};
use local_postgres::{Options, Server};

use super::fixture::{PATIENCE, Source, keys_of, set, until};

/// A server on which a commit is in the WAL long before it is visible: it waits for a standby that there is not.
pub(crate) async fn with_missing_standby() -> Server {
    let mut options: Options = options();
    options.settings.extend([
        ("synchronous_standby_names".to_owned(), "missing".to_owned()),
        ("synchronous_commit".to_owned(), "local".to_owned()),
    ]);
    Server::throwaway(options).await.unwrap()
}

/// A commit that hangs: its record is written, and nobody sees it.
pub(crate) struct Hanging {
    pid: i32,
    commit: tokio::task::JoinHandle<()>,
}

impl Hanging {
    pub(crate) async fn begin(source: &Source<'_>, statement: &str) -> Self {
        let session = source.another().await;
        session.batch(&Sql::literal("SET synchronous_commit = 'on'")).await.unwrap();
        let (pid, statement) = (session.backend_pid(), Sql::from_user(statement));
        let commit = tokio::spawn(async move { session.batch(&statement).await.unwrap() });
        let waits = format!(
            "SELECT (coalesce(wait_event, '') = 'SyncRep')::text FROM pg_stat_activity WHERE pid = {pid}"
        );
        until(&source.session, &waits).await;
        Self { pid, commit }
    }

    /// Lets it become visible.
    pub(crate) async fn end(self, source: &Source<'_>) {
        source.run(&format!("SELECT pg_cancel_backend({})", self.pid)).await;
        self.commit.await.unwrap();
    }
}

const DDL: &str = "CREATE TABLE t (id int PRIMARY KEY)";

/// Writes the row 2; the second one so much beside it that it comes before it has committed.
const HANGING: [&str; 2] = [
    "INSERT INTO t VALUES (2)",
    "INSERT INTO t VALUES (2); INSERT INTO t SELECT * FROM generate_series(1000, 5999)",
];

/// Begin and commit in another order, and a commit, that of `hanging`, that came before the marker and is not visible in S.
async fn carried(mutation: Option<Mutation>, hanging: &str) -> Vec<BTreeSet<String>> {
    let server = with_missing_standby().await;
    let source = Source::in_database(Database::create_on(&server).await.unwrap(), DDL).await;
    let mut feed = source.feed(&["t"]).await;
    if let Some(mutation) = mutation {
        feed.mutate(mutation);
    }
    let early = source.another().await;
    early.batch(&Sql::literal("BEGIN; INSERT INTO t VALUES (1)")).await.unwrap();
    let hanging = Hanging::begin(&source, hanging).await;
    source.run("INSERT INTO t VALUES (3)").await;
    early.batch(&Sql::literal("COMMIT")).await.unwrap();
    let tables = source.tables(&["t"]).await;
    let changes = source.changes(&mut feed).await;
    let mut batches = vec![keys_of(&source.session, &changes, &tables, 0).await];
    if mutation.is_none() {
        assert_eq!(changes.carried, 1);
    }
    source.confirm(&mut feed).await;
    drop(feed);
    let mut feed = source.open(&["t"]).await;
    batches.push(source.keys(&mut feed, "t").await);
    hanging.end(&source).await;
    batches.push(source.keys(&mut feed, "t").await);
    feed.confirm().await.unwrap();
    batches.push(source.keys(&mut feed, "t").await);
    batches.iter_mut().for_each(|keys| keys.retain(|key| key.len() == "(1)".len()));
    batches
}

#[tokio::test]
async fn a_commit_that_is_not_visible_is_carried_and_survives_a_crash() {
    for hanging in HANGING {
        let batches = carried(None, hanging).await;
        // After the crash 1 and 3, whose commits are behind that of 2, are given again; 2 when it is visible.
        assert_eq!(batches[0], set(&["(1)", "(3)"]));
        assert_eq!(batches[1], set(&["(1)", "(3)"]));
        assert_eq!(batches[2], set(&["(1)", "(2)", "(3)"]));
        assert_eq!(batches[3], set(&[]));
    }
}

#[tokio::test]
async fn without_the_split_a_batch_has_what_its_snapshot_does_not_see() {
    for hanging in HANGING {
        let batches = carried(Some(Mutation::NoSplit), hanging).await;
        assert!(batches[0].contains("(2)"));
        assert!(!batches[2].contains("(2)"), "lost");
    }
}

#[tokio::test]
async fn confirming_past_a_carried_commit_loses_it() {
    for hanging in HANGING {
        let batches = carried(Some(Mutation::ConfirmCarried), hanging).await;
        assert_eq!(batches[0], set(&["(1)", "(3)"]));
        assert_eq!(batches[2], set(&["(1)", "(3)"]), "2 is lost");
    }
}

/// How many keys a batch has right after a transaction of many rows.
async fn at_once(mutation: Option<Mutation>) -> usize {
    let source = Source::new(DDL).await;
    let mut feed = source.feed(&["t"]).await;
    if let Some(mutation) = mutation {
        feed.mutate(mutation);
    }
    source.run("INSERT INTO t SELECT * FROM generate_series(1, 200000)").await;
    source.changes(&mut feed).await.keys[0].len()
}

#[tokio::test]
async fn the_marker_is_waited_for() {
    assert_eq!(at_once(None).await, 200_000);
    assert!(at_once(Some(Mutation::NoMarker)).await < 200_000);
}

/// What one batch has beyond what it should, and what it lacks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wrong {
    too_much: usize,
    missing: usize,
}

/// Writers that note each transaction, while batches are made; each batch is compared with the notes.
async fn oracle(mutation: Option<Mutation>) -> Wrong {
    let source = Source::new(
        "CREATE TABLE t (id bigint PRIMARY KEY, note text);
         CREATE TABLE notes (number xid8, id bigint);
         CREATE SEQUENCE ids",
    )
    .await;
    let mut feed = source.feed(&["t"]).await;
    if let Some(mutation) = mutation {
        feed.mutate(mutation);
    }
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..6 {
        let (session, stop) = (source.another().await, stop.clone());
        writers.spawn(async move {
            let write = Sql::from_user(format!(
                "WITH new AS (INSERT INTO t SELECT nextval('ids'), repeat('x', {}) FROM generate_series(1, {}) RETURNING id) \
                 INSERT INTO notes SELECT pg_current_xact_id(), id FROM new",
                writer * 50,
                writer + 1
            ));
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                session.batch(&write).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
    }
    let tables = source.tables(&["t"]).await;
    let (mut wrong, mut compared) = (Wrong::default(), 0);
    let mut before: SnapshotImage = source.value("SELECT pg_current_snapshot()::text").await.parse().unwrap();
    // Whatever was written until here: the first batch has it.
    source.changes(&mut feed).await;
    feed.confirm().await.unwrap();
    for batch in 0..30 {
        let (snapshot, changes) = source.try_changes(&mut feed).await.unwrap();
        let given = keys_of(&source.session, &changes, &tables, 0).await;
        if batch > 0 {
            let expected = source.session.query(&Sql::from_user(format!(
                "SELECT '(' || id || ')' FROM notes WHERE pg_visible_in_snapshot(number, '{snapshot}') \
                 AND NOT pg_visible_in_snapshot(number, '{before}')"
            )), &[]).await.unwrap();
            let expected: BTreeSet<String> = expected.iter().map(|row| row.get(0)).collect();
            compared += expected.len();
            wrong.too_much += given.difference(&expected).count();
            wrong.missing += expected.difference(&given).count();
        }
        before = snapshot;
        feed.confirm().await.unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    assert!(compared > 0);
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn every_batch_has_exactly_what_its_snapshot_sees_and_the_one_before_did_not() {
    assert_eq!(oracle(None).await, Wrong::default());
}

/// The process dies before, between and after the steps of batches, and begins anew; at last every change was in a batch that
/// was confirmed.
#[tokio::test(flavor = "multi_thread")]
async fn dying_anywhere_loses_nothing() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY, note text); CREATE SEQUENCE ids").await;
    let mut feed = source.feed(&["t"]).await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let (session, stop) = (source.another().await, stop.clone());
        writers.spawn(async move {
            // Some commits take longer than others: they overtake each other.
            let write = Sql::from_user(format!(
                "BEGIN; INSERT INTO t SELECT nextval('ids') FROM generate_series(1, {}); SELECT pg_sleep(0.00{writer}); COMMIT",
                writer * 3 + 1
            ));
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                session.batch(&write).await.unwrap();
            }
        });
    }
    let tables = source.tables(&["t"]).await;
    let mut confirmed = BTreeSet::new();
    for round in 0..24 {
        if round % 4 == 1 {
            drop(feed);
            feed = source.open(&["t"]).await;
        }
        let given = keys_of(&source.session, &source.changes(&mut feed).await, &tables, 0).await;
        if round % 4 == 2 {
            drop(feed);
            feed = source.open(&["t"]).await;
            continue;
        }
        confirmed.extend(given);
        match round % 8 {
            3 => feed.confirm().await.unwrap(),
            _ => source.confirm(&mut feed).await,
        }
        if round % 4 == 3 {
            drop(feed);
            feed = source.open(&["t"]).await;
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    confirmed.extend(keys_of(&source.session, &source.changes(&mut feed).await, &tables, 0).await);
    let written = source.session.query(&Sql::literal("SELECT '(' || id || ')' FROM t"), &[]).await.unwrap();
    let written: BTreeSet<String> = written.iter().map(|row| row.get(0)).collect();
    assert_eq!(written.difference(&confirmed).count(), 0);
    assert_eq!(written, confirmed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oracle_finds_a_missing_split() {
    assert_ne!(oracle(Some(Mutation::NoSplit)).await, Wrong::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oracle_finds_a_missing_marker() {
    assert_ne!(oracle(Some(Mutation::NoMarker)).await, Wrong::default());
}

/// An open transaction that has a number.
async fn open_writer(source: &Source<'_>) -> Session {
    let session = source.another().await;
    session.batch(&Sql::literal("BEGIN; SELECT pg_current_xact_id()")).await.unwrap();
    session
}

async fn blocked_by(source: &Source<'_>, blocker: &Session) {
    let pid = blocker.backend_pid();
    until(
        &source.session,
        &format!(
            "SELECT (count(*) > 0)::text FROM pg_stat_activity WHERE {pid} = ANY (pg_blocking_pids(pid))"
        ),
    )
    .await;
}

#[tokio::test]
async fn an_open_transaction_is_named_and_nothing_stays() {
    let server = Server::throwaway(options()).await.unwrap();
    let source = Source::in_database(Database::create_on(&server).await.unwrap(), DDL).await;
    let writer = open_writer(&source).await;
    let tables = source.tables(&["t"]).await;
    let patience = Duration::from_millis(300);
    let made = WalFeed::create(&source.connection, &tables, source.database.name(), patience).await;
    let error = made.err().unwrap();
    assert!(error.message().contains(&format!("pid {}", writer.backend_pid())), "{error}");
    writer.batch(&Sql::literal("PREPARE TRANSACTION 'forgotten'")).await.unwrap();
    let made = WalFeed::create(&source.connection, &tables, source.database.name(), patience).await;
    assert!(made.err().unwrap().message().contains("the prepared transaction 'forgotten'"));
    assert_eq!(source.value("SELECT count(*)::text FROM pg_replication_slots").await, "0");
    assert_eq!(source.value("SELECT count(*)::text FROM pg_publication").await, "0");
    source.run("ROLLBACK PREPARED 'forgotten'").await;
    source.feed(&["t"]).await;
}

/// The slot becomes consistent while a commit hangs whose record it has passed already: the record came after the slot began to
/// build its snapshot, so it waits for it no more.
#[tokio::test]
async fn a_feed_begins_only_when_all_that_it_will_not_give_is_visible() {
    let server = with_missing_standby().await;
    let source = Source::in_database(Database::create_on(&server).await.unwrap(), DDL).await;
    let tables = source.tables(&["t"]).await;
    let first = open_writer(&source).await;
    let (connection, name) = (source.connection.clone(), source.database.name().to_owned());
    let mut create =
        tokio::spawn(async move { WalFeed::create(&connection, &tables, &name, PATIENCE).await });
    blocked_by(&source, &first).await;
    let second = open_writer(&source).await;
    first.batch(&Sql::literal("COMMIT")).await.unwrap();
    blocked_by(&source, &second).await;
    let hanging = Hanging::begin(&source, "INSERT INTO t VALUES (1)").await;
    second.batch(&Sql::literal("COMMIT")).await.unwrap();
    until(
        &source.session,
        "SELECT (count(*) = 1)::text FROM pg_replication_slots WHERE confirmed_flush_lsn IS NOT NULL",
    )
    .await;
    let early = tokio::time::timeout(Duration::from_millis(300), &mut create).await;
    assert!(early.is_err(), "a copy that begins now would lack the row");
    hanging.end(&source).await;
    let mut feed = create.await.unwrap().unwrap();
    assert_eq!(source.value("SELECT count(*)::text FROM t").await, "1");
    assert_eq!(
        source.keys(&mut feed, "t").await,
        set(&[]),
        "else the slot would have given it, and this test shows nothing"
    );
}
