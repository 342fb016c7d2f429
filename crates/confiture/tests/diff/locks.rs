//! What `pg_locks` says of a statement, beside what its step says.

use std::collections::BTreeMap;

use confiture::diff::Step;
use confiture::postgres::{LockWatch, Session};
use confiture::sql::{LockMode, Sql};
use confiture::{Error, Result};
use local_postgres::testing::{Database, shared_server};

/// Tables, views, sequences and indexes that were there before a plan, by OID.
pub(crate) struct Locks {
    names: BTreeMap<u32, (String, bool)>,
    /// The strongest lock of this transaction on each.
    pub(crate) held: BTreeMap<u32, LockMode>,
}

const RELATIONS: &str = "
    SELECT c.oid, quote_ident(nspname) || '.' || quote_ident(relname), relkind IN ('i', 'I')
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
     WHERE relkind NOT IN ('t', 'c') AND nspname NOT LIKE 'pg%' AND nspname <> 'information_schema'";

const HELD: &str =
    "SELECT relation, mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'";

impl Locks {
    pub(crate) async fn begin(session: &Session) -> Result<Self> {
        Ok(Self { names: relations(session).await?, held: BTreeMap::new() })
    }

    /// After a statement, in its transaction: what is locked more than before has to be said, and nothing else.
    pub(crate) async fn check(&mut self, session: &Session, step: &Step, statement: usize) -> Result<()> {
        let now = relations(session).await?;
        let mut seen: BTreeMap<u32, LockMode> = BTreeMap::new();
        for row in session.query(&Sql::literal(HELD), &[]).await? {
            let mode = LockMode::from_pg_locks(row.get(1)).unwrap();
            let strongest = seen.entry(row.get(0)).or_insert(mode);
            *strongest = mode.max(*strongest);
        }
        let (mut news, mut held) = (Vec::new(), Vec::new());
        for (relation, (name, is_index)) in &mut self.names {
            if let Some(mode) = seen.get(relation).copied() {
                let before = self.held.insert(*relation, mode);
                if before < Some(mode) && mode >= LockMode::ShareUpdateExclusive && !*is_index {
                    news.push((name.clone(), mode));
                }
                held.push((name.clone(), mode));
            }
            if let Some(now) = now.get(relation) {
                name.clone_from(&now.0);
            }
        }
        let said: Vec<(String, LockMode)> = (step.locks.iter().filter(|lock| lock.statement == statement))
            .map(|lock| (lock.relation.clone(), lock.mode))
            .collect();
        let unsaid: Vec<_> = news.iter().filter(|one| !said.contains(one)).collect();
        // What was locked before is said again where its rows are read or written anew.
        let is_held =
            |one: &(String, LockMode)| held.iter().any(|(name, mode)| *name == one.0 && *mode >= one.1);
        let invented: Vec<_> = said.iter().filter(|one| !is_held(one)).collect();
        if unsaid.is_empty() && invented.is_empty() {
            return Ok(());
        }
        Err(Error::unexpected(format!(
            "locks that are not said: {unsaid:?}; that are not seen: {invented:?}"
        )))
    }
}

async fn relations(session: &Session) -> Result<BTreeMap<u32, (String, bool)>> {
    let rows = session.query(&Sql::literal(RELATIONS), &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect())
}

/// How often it was read stays known for as long as the transaction lasts.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_what_is_dropped() {
    let server = shared_server().await;
    let database = Database::create_on(server).await.unwrap();
    let session = Session::connect(&crate::oracle::connection(server, database.name())).await.unwrap();
    session.batch(&Sql::literal("CREATE TABLE a (i int); CREATE TABLE b (i int);")).await.unwrap();
    let mut watch = LockWatch::begin(&session).await.unwrap();
    watch.begin_transaction().await.unwrap();
    let mut read = Vec::new();
    for text in ["INSERT INTO b SELECT i FROM a", "DROP TABLE a", "CREATE TABLE c (i int)"] {
        let seen = watch.run(&Sql::literal(text)).await.unwrap();
        read.push(seen.into_iter().filter(|lock| lock.reads).map(|lock| lock.name).collect::<Vec<_>>());
    }
    assert_eq!(read, [vec!["public.a".to_owned()], Vec::new(), Vec::new()]);
}

/// A sequence has one row, which is not worth a word; nor is it read again and again.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_sequence_only_the_lock_is_said() {
    let server = shared_server().await;
    let database = Database::create_on(server).await.unwrap();
    let session = Session::connect(&crate::oracle::connection(server, database.name())).await.unwrap();
    session.batch(&Sql::literal("CREATE SEQUENCE s AS integer; CREATE TABLE a (i int);")).await.unwrap();
    let mut watch = LockWatch::begin(&session).await.unwrap();
    watch.begin_transaction().await.unwrap();
    for text in ["ALTER SEQUENCE s AS bigint", "ALTER TABLE a ADD COLUMN j int", "CREATE TABLE c (i int)"] {
        let seen = watch.run(&Sql::literal(text)).await.unwrap();
        assert!(!seen.is_empty() && seen.iter().all(|lock| !lock.reads && !lock.rewrites), "{seen:?}");
    }
}
