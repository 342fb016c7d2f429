//! After every batch the target equals the mapping of the source in the batch's snapshot: looked at by statements that are
//! not ours, in sessions that are not ours.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use confiture::Result;
use confiture::config::Connection;
use confiture::postgres::Session;
use confiture::schema_to_schema::{BatchReport, Witness};
use confiture::sql::Sql;
use futures_util::future::BoxFuture;

/// A query of the source and one of the target that must give the same rows.
#[derive(Debug, Clone)]
pub(crate) struct Same {
    pub(crate) given: String,
    pub(crate) held: String,
}

/// Compares after every batch that claims to be exact.
pub(crate) struct Oracle {
    source: Watching,
    target: Watching,
    same: Vec<Same>,
    /// True where the source cannot be seen any more as it was.
    blind: AtomicBool,
    /// Batches that were compared.
    pub(crate) compared: AtomicUsize,
    /// What differed: the first few.
    pub(crate) differences: Mutex<Vec<String>>,
}

/// A session that is opened again where it was lost.
struct Watching {
    connection: Connection,
    session: tokio::sync::Mutex<Session>,
}

impl Watching {
    async fn new(connection: &Connection) -> Self {
        let session = tokio::sync::Mutex::new(connect(connection).await.unwrap());
        Self { connection: connection.clone(), session }
    }

    async fn session(&self) -> Session {
        let mut session = self.session.lock().await;
        if session.is_closed()
            && let Ok(again) = connect(&self.connection).await
        {
            *session = again;
        }
        session.clone()
    }
}

async fn connect(connection: &Connection) -> Result<Session> {
    let session = Session::connect(connection).await?;
    session.batch(&Sql::literal("SET application_name = 'witness'")).await?;
    Ok(session)
}

impl Oracle {
    pub(crate) async fn new(source: &Connection, target: &Connection, same: Vec<Same>) -> Self {
        Self {
            source: Watching::new(source).await,
            target: Watching::new(target).await,
            same,
            blind: AtomicBool::new(false),
            compared: AtomicUsize::new(0),
            differences: Mutex::default(),
        }
    }

    /// Asserts that `least` batches were compared and none differed.
    pub(crate) fn assert_exact(&self, least: usize) {
        let differences = self.differences.lock().unwrap();
        assert!(differences.is_empty(), "{differences:#?}");
        let compared = self.compared.load(Ordering::SeqCst);
        assert!(compared >= least, "only {compared} batches were compared");
    }

    async fn compare(&self, batch: &BatchReport) -> Result<()> {
        for same in &self.same {
            let Ok(given) = rows(&self.source.session().await, &same.given).await else { return Ok(()) };
            let Ok(held) = rows(&self.target.session().await, &same.held).await else { return Ok(()) };
            if given != held {
                let mut only: Vec<String> = Vec::new();
                for row in given.keys().chain(held.keys()) {
                    if given.get(row) != held.get(row) && only.len() < 5 {
                        let (left, right) = (given.get(row), held.get(row));
                        only.push(format!("source {left:?} target {right:?}: {row}"));
                    }
                }
                let mut differences = self.differences.lock().unwrap();
                if differences.len() < 10 {
                    differences.push(format!("batch {}: {}: {only:#?}", batch.number, same.held));
                }
            }
        }
        self.compared.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

impl Witness for Oracle {
    fn freeze<'a>(&'a self, exported: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // Where this fails, the connections of somebody have been cut: nothing is compared.
            let look = async {
                let source = self.source.session().await;
                source.batch(&Sql::literal("ROLLBACK")).await?;
                source.batch(&Sql::literal("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
                source.batch(&Sql::from_user(format!("SET TRANSACTION SNAPSHOT '{exported}'"))).await?;
                // TRUNCATE takes rows away from older snapshots too: not while both sides are compared, and where it came
                // before this, nothing can be compared.
                let lock = "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p') LOOP EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', t); END LOOP; END $$";
                source.batch(&Sql::literal(lock)).await?;
                let emptied = "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'r' AND relfilenode IS DISTINCT FROM pg_relation_filenode(oid))";
                Ok::<bool, confiture::Error>(source.query_one(&Sql::literal(emptied), &[]).await?.get(0))
            };
            let emptied = look.await.unwrap_or(true);
            self.blind.store(emptied, Ordering::SeqCst);
            Ok(())
        })
    }

    fn committed<'a>(&'a self, batch: &'a BatchReport, exact: bool) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if exact && !self.blind.load(Ordering::SeqCst) {
                self.compare(batch).await?;
            }
            self.source.session().await.batch(&Sql::literal("ROLLBACK")).await.ok();
            Ok(())
        })
    }
}

/// The rows of a query as texts, and how often each is there.
async fn rows(session: &Session, query: &str) -> Result<BTreeMap<String, usize>> {
    let query = Sql::from_user(format!("SELECT q::text FROM ({query}) AS q"));
    let mut rows = BTreeMap::new();
    for row in session.query(&query, &[]).await? {
        *rows.entry(row.get(0)).or_default() += 1;
    }
    Ok(rows)
}
