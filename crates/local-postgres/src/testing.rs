//! One server for a test at a time, and a database for each of them.

mod dump;

use std::{env, thread};

use postgres_protocol::escape::escape_identifier;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::OnceCell;

pub use dump::Witness;

use crate::{Error, ErrorKind, Options, Result, Server, place};

/// The environment variable that names the servers of a test run that starts them for all its processes: their
/// [addresses](Server::address), with spaces between them.
pub const TEST_SERVER: &str = "CONFITURE_TEST_SERVER";

/// The variable in which `cargo nextest` tells a test which of the places it has, that for so many tests at a time.
const PLACE: &str = "NEXTEST_TEST_GLOBAL_SLOT";

/// What tests get: room for many connections, logical decoding and prepared transactions; and little memory, as there are
/// several servers.
#[must_use]
pub fn options() -> Options {
    let settings = [
        ("shared_buffers", "64MB"),
        ("max_wal_size", "256MB"),
        ("wal_level", "logical"),
        ("max_connections", "400"),
        ("max_wal_senders", "40"),
        ("max_replication_slots", "40"),
        ("max_prepared_transactions", "40"),
    ];
    Options {
        settings: settings.map(|(name, value)| (name.into(), value.into())).into(),
        ..Options::default()
    }
}

/// The server of this process: of those that [`TEST_SERVER`] names the one that no other test uses meanwhile, else one that
/// this process starts at the first call and that ends with the process.
///
/// Tests that share a server wait for each other: a replication slot is made when all transactions of the server have ended,
/// and whoever reads one decodes what all databases write.
///
/// # Panics
/// When there is no server; a test cannot go on then.
pub async fn shared_server() -> &'static Server {
    static SHARED: OnceCell<Server> = OnceCell::const_new();
    let start = async || match env::var(TEST_SERVER) {
        Ok(addresses) => Server::attach(own(&addresses, env::var(PLACE).ok().as_deref())).await,
        Err(_) => Server::throwaway(options()).await,
    };
    SHARED
        .get_or_init(async || {
            start().await.unwrap_or_else(|error| panic!("no server for the tests: {error:?}"))
        })
        .await
}

/// The address of the server for the tests that have this place.
fn own<'a>(addresses: &'a str, place: Option<&str>) -> &'a str {
    let place = place.and_then(|place| place.parse().ok()).unwrap_or(0);
    addresses.split_whitespace().cycle().nth(place).unwrap_or_default()
}

/// A new database on a server; dropping it drops the database, whoever is still connected.
#[derive(Debug)]
pub struct Database<'server> {
    server: &'server Server,
    name: String,
}

impl Database<'static> {
    /// A new, empty database on the [shared server](shared_server).
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create() -> Result<Self> {
        Self::create_on(shared_server().await).await
    }
}

impl<'server> Database<'server> {
    /// A new, empty database on `server`.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create_on(server: &'server Server) -> Result<Self> {
        // From template0, to which nobody can be connected: copying a template needs that.
        Self::create_from(server, "template0").await
    }

    /// A new database on `server`, a copy of the database `template`, to which nobody may be connected.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create_from(server: &'server Server, template: &str) -> Result<Self> {
        // Not a count: many processes use one server, and one that was killed may have left its databases.
        let name = format!("test_{:016x}", place::random());
        let (quoted, template) = (escape_identifier(&name), escape_identifier(template));
        // Nobody waits for a disk, and what is not logged need not be decoded by those who read the log.
        let strategy = if server.binaries().version().major >= 15 { " STRATEGY FILE_COPY" } else { "" };
        let sql = format!("CREATE DATABASE {quoted} TEMPLATE {template}{strategy}");
        server.execute("postgres", &sql).await?;
        Ok(Self { server, name })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL, over the Unix socket.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Its schema as `pg_dump`, or who stands in for it, says it.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn schema(&self, without: &str) -> String {
        apart(|| Witness::of(self.server).schema(self.server, &self.name, without))
    }

    /// Its server.
    #[must_use]
    pub fn server(&self) -> &'server Server {
        self.server
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", escape_identifier(&self.name));
        // `drop` cannot await, and inside a runtime it may not block on one: so a runtime of its own, on a thread.
        let outcome = apart(|| {
            thread::scope(|scope| {
                let work = scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                    runtime.block_on(self.server.execute("postgres", &sql))
                });
                let panicked = |_| Err(Error::new(ErrorKind::System, "dropping a database panicked"));
                work.join().unwrap_or_else(panicked)
            })
        });
        if let Err(error) = outcome {
            tracing::warn!(?error, database = self.name, "a test's database stays behind");
        }
    }
}

/// Does what blocks without keeping other tasks from running. `DROP DATABASE` waits until every backend has noticed, and one
/// that is sending rows to a task that cannot run never does.
fn apart<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_server() {
        let own = |place| own("socket=a&port=1&bin=x socket=b&port=1&bin=x", place);
        assert_eq!(own(None), own(Some("0")));
        assert_ne!(own(Some("0")), own(Some("1")));
        assert_eq!(own(Some("5")), own(Some("1")));
    }
}
