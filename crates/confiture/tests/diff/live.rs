//! What a live database has become, and files make no more.

use confiture::config::Connection;
use confiture::postgres::Session;
use confiture::schema_diff::{self, DiffOptions, Source};
use confiture::sql::{Script, Sql, split};
use local_postgres::testing::{Database, shared_server};

use crate::oracle::connection;

/// A new database, as long as that is held, the connection to it, and one that is open.
async fn ground() -> (Database<'static>, Connection, Session) {
    let server = shared_server().await;
    let database = Database::create_on(server).await.unwrap();
    let connection = connection(server, database.name());
    let session = Session::connect(&connection).await.unwrap();
    (database, connection, session)
}

fn live(connection: &Connection) -> Source {
    Source::Live(Box::new(connection.clone()))
}

fn files(text: &str) -> Source {
    Source::Scripts(vec![split(Script::new("schema.sql", text)).unwrap()])
}

/// A TOAST table outlives the columns that needed it, with its parameters. A copy has none.
#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_a_toast_table_that_is_needed_no_more() {
    let (_database, connection, session) = ground().await;
    let made =
        "CREATE TABLE t (a int, b text) WITH (toast.autovacuum_enabled = off); ALTER TABLE t DROP COLUMN b";
    session.batch(&Sql::literal(made)).await.unwrap();
    let live = live(&connection);
    let options = DiffOptions::default();
    for (new, wanted) in [
        ("CREATE TABLE t (a int)", vec![]),
        (
            "CREATE TABLE t (a int, c text) WITH (toast.autovacuum_enabled = off)",
            vec![
                "ALTER TABLE public.t ADD COLUMN c text",
                "ALTER TABLE public.t SET (toast.autovacuum_enabled='off')",
            ],
        ),
    ] {
        let found = schema_diff::diff(&connection, &live, &files(new), &options).await.unwrap();
        let up: Vec<&str> = found.up.statements().map(Sql::as_str).collect();
        assert_eq!(up, wanted);
        let said =
            "the table public.t keeps toast.autovacuum_enabled, for a TOAST table that no column of it needs";
        assert!(found.remarks.iter().any(|line| line == said), "{:?}", found.remarks);
    }
    let nothing = schema_diff::diff(&connection, &files(""), &files(made), &options).await.unwrap();
    let said = "the table public.t is without toast.autovacuum_enabled, for a TOAST table that no column of it needs";
    assert_eq!(nothing.remarks, [said]);
}

/// What a `CREATE INDEX CONCURRENTLY` that failed has left. In a copy it is valid.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_not_valid_is_told() {
    let (_database, connection, session) = ground().await;
    let made = "CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF p DEFAULT;
        CREATE INDEX \"Ü\" ON p1 (a); CREATE INDEX i ON p1 (a DESC);";
    session.batch(&Sql::literal(made)).await.unwrap();
    let breaks = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"Ü\"'::regclass";
    session.batch(&Sql::literal(breaks)).await.unwrap();
    let live = live(&connection);
    let files = files(made);
    let found = schema_diff::diff(&connection, &live, &files, &DiffOptions::default()).await.unwrap();
    let said = "the index public.\"Ü\" is not valid, and is compared as if it were: REINDEX INDEX CONCURRENTLY public.\"Ü\" builds it";
    assert_eq!(found.remarks, [said]);
}

/// Before the whole's index takes it, or a key is made of it, or its table joins another one: else those would have an index that lacks rows.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_not_valid_is_built_before_it_is_relied_on() {
    let (_database, connection, session) = ground().await;
    let made = "CREATE TABLE p (a int, b int) PARTITION BY LIST (a); CREATE TABLE \"P 1\" PARTITION OF p FOR VALUES IN (1);
        CREATE INDEX \"Ü\" ON \"P 1\" (b); CREATE TABLE q (a int, b int); CREATE INDEX q_b_idx ON q (b);
        CREATE TABLE r (a int); CREATE UNIQUE INDEX k ON r (a); CREATE INDEX stays ON r (a DESC);";
    session.batch(&Sql::literal(made)).await.unwrap();
    let breaks = "UPDATE pg_index SET indisvalid = false WHERE indrelid IN ('\"P 1\"'::regclass, 'q'::regclass, 'r'::regclass)";
    session.batch(&Sql::literal(breaks)).await.unwrap();
    let live = live(&connection);
    let new = "CREATE TABLE p (a int, b int) PARTITION BY LIST (a); CREATE TABLE \"P 1\" PARTITION OF p FOR VALUES IN (1);
        CREATE TABLE q PARTITION OF p FOR VALUES IN (2); CREATE INDEX \"Ü\" ON \"P 1\" (b); CREATE INDEX i ON p (b);
        CREATE TABLE r (a int CONSTRAINT k UNIQUE); CREATE INDEX stays ON r (a DESC);";
    let files = files(new);
    for online in [true, false] {
        let options = DiffOptions { online, ..DiffOptions::default() };
        let found = schema_diff::diff(&connection, &live, &files, &options).await.unwrap();
        let up: Vec<&str> = found.up.statements().map(Sql::as_str).collect();
        let words = if online { "REINDEX INDEX CONCURRENTLY" } else { "REINDEX INDEX" };
        let place = |what: &str| {
            up.iter().position(|sql| sql.contains(what)).unwrap_or_else(|| panic!("{what}: {up:#?}"))
        };
        for (index, user) in [
            ("public.\"Ü\"", "ATTACH PARTITION public.\"Ü\""),
            ("public.q_b_idx", "ATTACH PARTITION public.q "),
            ("public.k", "UNIQUE USING INDEX k"),
        ] {
            assert!(place(&format!("{words} {index}")) < place(user), "{up:#?}");
        }
        assert!(!up.iter().any(|sql| sql.contains("stays")), "{up:#?}");
        assert_ne!(found.up.one_transaction, online);
    }
}

/// What another tool keeps of its migrations stays where files do not say it, unless something else needs it.
#[tokio::test(flavor = "multi_thread")]
async fn ledgers_of_other_tools() {
    let (_database, connection, session) = ground().await;
    let ledger = "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);";
    session.batch(&Sql::literal("CREATE TABLE t (a int)")).await.unwrap();
    session.batch(&Sql::literal(ledger)).await.unwrap();
    let live = live(&connection);
    let steps = async |old: &Source, new: &Source| {
        let found = schema_diff::diff(&connection, old, new, &DiffOptions::default()).await.unwrap();
        found.up.statements().map(|statement| statement.as_str().to_owned()).collect::<Vec<_>>()
    };
    let table = "CREATE TABLE t (a int);";
    assert_eq!(steps(&live, &files(table)).await, [""; 0]);
    assert_eq!(steps(&files(table), &live).await, [""; 0]);
    assert_eq!(steps(&live, &files(&format!("{table}{ledger}"))).await, [""; 0]);
    assert_eq!(
        steps(&files(&format!("{table}{ledger}")), &files(table)).await,
        ["DROP TABLE public.schema_migrations"]
    );
    let (_other, bare, _) = ground().await;
    let bare = self::live(&bare);
    assert_eq!(steps(&live, &bare).await, ["DROP TABLE public.t"]);
    session.batch(&Sql::literal("CREATE VIEW v AS SELECT version FROM schema_migrations")).await.unwrap();
    let needed = steps(&live, &files(table)).await;
    assert_eq!(needed, ["DROP VIEW public.v", "DROP TABLE public.schema_migrations"]);
}
