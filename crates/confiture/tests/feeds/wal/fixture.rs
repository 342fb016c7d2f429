//! A source, its captured tables, and batches as whoever applies them makes them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use confiture::config::{Connection, Endpoint};
use confiture::postgres::Session;
use confiture::postgres::feed::{CapturedTable, ChangeFeed, Changes, KeyColumn, SnapshotImage, WalFeed};
use confiture::sql::{Identifier, QualifiedName, Sql, sql};
use local_postgres::testing::Database;

/// Long enough for every wait that is to succeed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A database whose changes are followed. The slot and the publication go with it.
pub(crate) struct Source<'server> {
    pub(crate) session: Session,
    pub(crate) connection: Connection,
    pub(crate) database: Database<'server>,
}

impl Source<'static> {
    /// A database on the server of all tests, with `ddl` run in it.
    pub(crate) async fn new(ddl: &str) -> Self {
        Self::in_database(Database::create().await.unwrap(), ddl).await
    }
}

impl<'server> Source<'server> {
    pub(crate) async fn in_database(database: Database<'server>, ddl: &str) -> Self {
        let server = database.server();
        let endpoint = Endpoint::new(server.socket_dir().display().to_string(), server.port());
        let connection = Connection::new(endpoint, server.user(), database.name());
        let session = Session::connect(&connection).await.unwrap();
        session.batch(&Sql::from_user(ddl)).await.unwrap();
        Self { session, connection, database }
    }

    /// Runs statements, each list in one transaction.
    pub(crate) async fn run(&self, statements: &str) {
        self.session.batch(&Sql::from_user(statements)).await.unwrap();
    }

    /// One more session.
    pub(crate) async fn another(&self) -> Session {
        Session::connect(&self.connection).await.unwrap()
    }

    /// One value, as text.
    pub(crate) async fn value(&self, query: &str) -> String {
        value(&self.session, query).await
    }

    /// The captured tables of these names, with their primary keys.
    pub(crate) async fn tables(&self, names: &[&str]) -> Vec<CapturedTable> {
        let mut tables = Vec::new();
        for name in names {
            tables.push(captured(&self.session, name).await);
        }
        tables
    }

    /// A feed of these tables.
    pub(crate) async fn feed(&self, tables: &[&str]) -> WalFeed {
        let tables = self.tables(tables).await;
        WalFeed::create(&self.connection, &tables, self.database.name(), PATIENCE).await.unwrap()
    }

    /// The feed opened again, as after a crash.
    pub(crate) async fn open(&self, tables: &[&str]) -> WalFeed {
        let tables = self.tables(tables).await;
        let name = WalFeed::name(self.database.name());
        WalFeed::open(&self.connection, &tables, name.as_str(), name.as_str()).await.unwrap()
    }

    /// The changes up to a snapshot that is taken now.
    pub(crate) async fn changes(&self, feed: &mut WalFeed) -> Changes {
        self.try_changes(feed).await.unwrap().1
    }

    pub(crate) async fn try_changes(
        &self,
        feed: &mut WalFeed,
    ) -> confiture::Result<(SnapshotImage, Changes)> {
        let reader = self.another().await;
        reader.batch(&Sql::literal("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
        let snapshot: SnapshotImage =
            value(&reader, "SELECT pg_current_snapshot()::text").await.parse().unwrap();
        let changes = tokio::time::timeout(PATIENCE, feed.changes(&reader, &snapshot)).await;
        let changes = changes.expect("the stream does not reach the marker")?;
        Ok((snapshot, changes))
    }

    /// Confirms, and returns when the server has heard of it.
    pub(crate) async fn confirm(&self, feed: &mut WalFeed) {
        // On a runtime of one thread the feed's task has no turn between these two: its next report is later than this.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
        feed.confirm().await.unwrap();
        let heard = format!(
            "SELECT coalesce(extract(epoch FROM reply_time) * 1000000 >= {now}, false)::text FROM pg_stat_replication \
             JOIN pg_replication_slots ON active_pid = pid WHERE slot_name = '{}'",
            feed.slot()
        );
        until(&self.session, &heard).await;
    }

    /// The keys of the only table, as rows: `(1)`; `whole` for all.
    pub(crate) async fn keys(&self, feed: &mut WalFeed, table: &str) -> BTreeSet<String> {
        let tables = self.tables(&[table]).await;
        keys_of(&self.session, &self.changes(feed).await, &tables, 0).await
    }
}

impl Drop for Source<'_> {
    /// A database with a slot that is being read cannot be dropped.
    fn drop(&mut self) {
        let server = self.database.server();
        let script = format!(
            "DO $$BEGIN LOOP
                 PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = '{0}';
                 EXIT WHEN NOT EXISTS (SELECT FROM pg_replication_slots WHERE database = '{0}' AND active);
                 PERFORM pg_sleep(0.005);
             END LOOP; END$$",
            self.database.name()
        );
        // A server that a test has stopped has no database left to drop.
        let _ = std::process::Command::new(server.program("psql"))
            .args(["-X", "-q", "-d", &server.url("postgres"), "-c", &script])
            .output();
    }
}

/// Returns when the query says `true`.
pub(crate) async fn until(session: &Session, query: &str) {
    let begun = Instant::now();
    while value(session, query).await != "true" {
        assert!(begun.elapsed() < PATIENCE, "{query}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) async fn value(session: &Session, query: &str) -> String {
    session.query_one(&Sql::from_user(query), &[]).await.unwrap().get(0)
}

/// The keys of one table, as rows: `(1)`; `whole` for all.
pub(crate) async fn keys_of(
    session: &Session,
    changes: &Changes,
    tables: &[CapturedTable],
    table: usize,
) -> BTreeSet<String> {
    if changes.keys[table].is_whole() {
        return BTreeSet::from(["whole".to_owned()]);
    }
    let mut keys = BTreeSet::new();
    for query in changes.keys[table].queries(&tables[table].key, 1000) {
        let shown = sql!("SELECT CAST(keys AS text) FROM ({}) AS keys", query);
        keys.extend(session.query(&shown, &[]).await.unwrap().iter().map(|row| row.get::<_, String>(0)));
    }
    keys
}

/// `names` as a set.
pub(crate) fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn captured(session: &Session, name: &str) -> CapturedTable {
    let table = session
        .query_one(
            &Sql::literal(
                "SELECT class.oid, nspname::text, relname::text FROM pg_class AS class \
                 JOIN pg_namespace AS n ON n.oid = relnamespace WHERE class.oid = $1::text::regclass",
            ),
            &[&name],
        )
        .await
        .unwrap();
    let oid: u32 = table.get(0);
    let key = session
        .query(
            &Sql::literal(
                "SELECT attname::text, nspname::text, base.typname::text FROM pg_index \
                 JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey::int2[]) \
                 JOIN pg_type AS used ON used.oid = atttypid \
                 JOIN pg_type AS base ON base.oid = CASE used.typtype WHEN 'd' THEN used.typbasetype ELSE used.oid END \
                 JOIN pg_namespace AS n ON n.oid = base.typnamespace \
                 WHERE indrelid = $1 AND indisprimary ORDER BY array_position(indkey::int2[], attnum)",
            ),
            &[&oid],
        )
        .await
        .unwrap();
    let partitions = session
        .query(
            &Sql::literal(
                "SELECT relid::oid, nspname::text, relname::text FROM pg_partition_tree($1::oid::regclass) \
                 JOIN pg_class AS class ON class.oid = relid JOIN pg_namespace AS n ON n.oid = relnamespace WHERE level > 0",
            ),
            &[&oid],
        )
        .await
        .unwrap();
    let qualified = |row: &confiture::postgres::Row, at: usize| {
        QualifiedName::new(row.get::<_, String>(at), row.get::<_, String>(at + 1))
    };
    CapturedTable {
        name: qualified(&table, 1),
        oid,
        key: key
            .iter()
            .map(|row| KeyColumn {
                name: Identifier::new(row.get::<_, String>(0)),
                data_type: qualified(row, 1),
            })
            .collect(),
        partitions: partitions.iter().map(|row| (qualified(row, 1), row.get(0))).collect(),
    }
}
