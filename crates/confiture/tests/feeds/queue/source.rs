//! A database whose tables are captured, and what its feed says of it.

use std::time::Duration;

use confiture::config::{Connection, Endpoint};
use confiture::event::Execution;
use confiture::postgres::Session;
use confiture::postgres::feed::queue::{LockPatience, QueueFeed, gaps, set_up};
use confiture::postgres::feed::{CapturedTable, ChangeFeed as _, Changes, KeyColumn, SnapshotImage};
use confiture::sql::{Identifier, QualifiedName, Sql, sql};
use local_postgres::testing::Database;

/// SQL of a test.
pub(crate) fn raw(text: &str) -> Sql {
    Sql::from_user(text)
}

pub(crate) struct Source {
    pub(crate) database: Database<'static>,
    /// A superuser's.
    pub(crate) session: Session,
    pub(crate) tables: Vec<CapturedTable>,
    /// Reads batches.
    pub(crate) reader: Session,
}

/// How to reach a test's database as `user`.
pub(crate) fn connection_as(database: &Database<'_>, user: &str) -> Connection {
    let server = database.server();
    let endpoint = Endpoint::new(server.socket_dir().display().to_string(), server.port());
    Connection::new(endpoint, user, database.name())
}

/// Short, so that tests that wait in vain do not wait long.
pub(crate) fn patience() -> LockPatience {
    LockPatience { timeout: Duration::from_millis(100), total: Duration::from_millis(700) }
}

impl Source {
    /// A database in which `script` was run; nothing is captured yet.
    pub(crate) async fn new(script: &str) -> Self {
        let database = Database::create().await.unwrap();
        let session = Session::connect(&connection_as(&database, "postgres")).await.unwrap();
        let reader = session_of(&database).await;
        session.batch(&raw(script)).await.unwrap();
        Self { database, session, tables: Vec::new(), reader }
    }

    /// One in which all changes of `tables` (name and key columns) are captured.
    pub(crate) async fn capturing(script: &str, tables: &[(&str, &[&str])]) -> Self {
        let mut source = Self::new(script).await;
        source.describe(tables).await;
        source.set_up().await;
        assert_eq!(gaps(&source.session, &source.tables).await.unwrap(), []);
        source
    }

    pub(crate) async fn set_up(&self) -> Vec<QualifiedName> {
        set_up(&self.session, &self.tables, patience(), &Execution::unattended()).await.unwrap()
    }

    /// Reads what is to be known of the tables.
    pub(crate) async fn describe(&mut self, tables: &[(&str, &[&str])]) {
        self.tables.clear();
        for (name, key) in tables {
            self.tables.push(describe(&self.session, name, key).await);
        }
    }

    pub(crate) async fn run(&self, script: &str) {
        self.session.batch(&raw(script)).await.unwrap();
    }

    pub(crate) async fn text(&self, query: &str) -> String {
        self.session.query_one(&raw(query), &[]).await.unwrap().get(0)
    }

    pub(crate) async fn open(&self, since: Option<SnapshotImage>) -> QueueFeed {
        QueueFeed::open(self.session.connection(), self.tables.clone(), since).await.unwrap()
    }

    /// The changes of a batch in a snapshot of now; not confirmed.
    pub(crate) async fn changes(&self, feed: &mut QueueFeed) -> Changes {
        self.batch(feed).await.0
    }

    pub(crate) async fn batch(&self, feed: &mut QueueFeed) -> (Changes, SnapshotImage) {
        self.reader.batch(&raw("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await.unwrap();
        let row = self.reader.query_one(&raw("SELECT pg_current_snapshot()::text"), &[]).await.unwrap();
        let snapshot: SnapshotImage = row.get::<_, &str>(0).parse().unwrap();
        let changes = feed.changes(&self.reader, &snapshot).await.unwrap();
        self.reader.batch(&raw("COMMIT")).await.unwrap();
        (changes, snapshot)
    }

    /// The keys of the first table in the next batch, which is confirmed: `1 2 3`, or `whole`.
    pub(crate) async fn next(&self, feed: &mut QueueFeed) -> String {
        let changes = self.changes(feed).await;
        feed.confirm().await.unwrap();
        self.shown(&changes, 0).await
    }

    /// The keys of a table as the server reads them, in order: `1 2 3`, or `whole`.
    pub(crate) async fn shown(&self, changes: &Changes, table: usize) -> String {
        let keys = &changes.keys[table];
        if keys.is_whole() {
            return "whole".to_owned();
        }
        let mut shown: Vec<String> = Vec::new();
        for query in keys.queries(&self.tables[table].key, 1000) {
            let text = sql!("SELECT pg_catalog.btrim(keys::text, '()') FROM ({}) AS keys", query);
            let rows = self.session.query(&text, &[]).await.unwrap();
            shown.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        }
        shown.sort_by(|left, right| left.len().cmp(&right.len()).then(left.cmp(right)));
        shown.join(" ")
    }

    /// Bytes of both segments of the first table, without indexes.
    pub(crate) async fn sizes(&self) -> (i64, i64) {
        let oid = self.tables[0].oid;
        let query = format!(
            "SELECT pg_relation_size('confiture.queue_{oid}_0'), pg_relation_size('confiture.queue_{oid}_1')"
        );
        let row = self.session.query_one(&raw(&query), &[]).await.unwrap();
        (row.get(0), row.get(1))
    }
}

/// Another session of a superuser.
pub(crate) async fn session_of(database: &Database<'_>) -> Session {
    Session::connect(&connection_as(database, "postgres")).await.unwrap()
}

async fn describe(session: &Session, name: &str, key: &[&str]) -> CapturedTable {
    let table = "SELECT class.oid, nspname::text, relname::text FROM pg_class AS class
                 JOIN pg_namespace AS namespace ON namespace.oid = relnamespace WHERE class.oid = $1::text::regclass";
    let row = session.query_one(&raw(table), &[&name]).await.unwrap();
    let oid: u32 = row.get(0);
    let column = "SELECT nspname::text, type.typname::text FROM pg_attribute
                  JOIN pg_type AS own ON own.oid = atttypid
                  JOIN pg_type AS type ON type.oid = coalesce(nullif(own.typbasetype, 0), own.oid)
                  JOIN pg_namespace AS namespace ON namespace.oid = type.typnamespace
                  WHERE attrelid = $1 AND attname = $2";
    let mut columns = Vec::new();
    for name in key {
        let row = session.query_one(&raw(column), &[&oid, name]).await.unwrap();
        let data_type = QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        columns.push(KeyColumn { name: Identifier::new(*name), data_type });
    }
    let partitions = "SELECT nspname::text, relname::text, class.oid FROM pg_partition_tree($1::oid::regclass)
                      JOIN pg_class AS class ON class.oid = relid JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
                      WHERE relid <> $1";
    let partitions = session.query(&raw(partitions), &[&oid]).await.unwrap();
    let name = QualifiedName::new(row.get::<_, String>(1), row.get::<_, String>(2));
    let partition = |row: &confiture::postgres::Row| {
        (QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1)), row.get(2))
    };
    CapturedTable { name, oid, key: columns, partitions: partitions.iter().map(partition).collect() }
}
