//! Two databases of one test.

use std::sync::Arc;

use confiture::config::Mapping;
use confiture::event::Execution;
use confiture::schema_to_schema::{Migration, MigrationReport, Options, Plan, VerificationReport};
use local_postgres::Server;
use local_postgres::testing::{Database, shared_server};

pub(crate) use crate::database::{connection, psql};

/// An old database and a new one.
pub(crate) struct WorldOn<'server> {
    pub(crate) old: Database<'server>,
    pub(crate) new: Database<'server>,
}

/// Both on the server that the tests share.
pub(crate) type World = WorldOn<'static>;

impl WorldOn<'static> {
    /// Runs `old` in the one and `new` in the other.
    pub(crate) async fn new(old: &str, new: &str) -> Self {
        let server = shared_server().await;
        Self::on(server, server, old, new).await
    }
}

impl<'server> WorldOn<'server> {
    /// Runs `old` in a database of the one server and `new` in one of the other.
    pub(crate) async fn on(from: &'server Server, to: &'server Server, old: &str, new: &str) -> Self {
        let world = Self {
            old: Database::create_on(from).await.unwrap(),
            new: Database::create_on(to).await.unwrap(),
        };
        psql(&world.old, old).await;
        psql(&world.new, new).await;
        world
    }

    /// Options between the two with a mapping as text.
    pub(crate) async fn options(&self, mapping: &str) -> Options {
        let mapping = Mapping::parse(mapping, std::path::Path::new("mapping.yaml")).unwrap();
        Options::new(connection(&self.old), connection(&self.new), mapping)
    }

    /// Plans and migrates.
    pub(crate) async fn migrate(&self, options: Options) -> confiture::Result<MigrationReport> {
        migrate(options).await
    }

    /// Plans and verifies.
    pub(crate) async fn verify(&self, options: Options) -> VerificationReport {
        verify(options).await
    }

    /// Asserts that `given` on the old side and `held` on the new side return the same rows.
    pub(crate) async fn assert_same(&self, given: &str, held: &str) {
        assert_same(&self.old, given, &self.new, held).await;
    }
}

/// Asserts that `given` in the one database and `held` in the other return the same rows.
pub(crate) async fn assert_same(old: &Database<'_>, given: &str, new: &Database<'_>, held: &str) {
    let rows = assert_equal(old, given, new, held).await;
    assert!(!rows.trim().is_empty(), "the oracle compares nothing: {given}");
}

/// The same, of queries that may return nothing.
pub(crate) async fn assert_equal(old: &Database<'_>, given: &str, new: &Database<'_>, held: &str) -> String {
    let given_rows = rows(old, given).await;
    assert_eq!(given_rows, rows(new, held).await, "{given}\n{held}");
    given_rows
}

async fn rows(database: &Database<'_>, query: &str) -> String {
    let copy = format!(
        "SET DateStyle = ISO; COPY (SELECT * FROM ({query}) AS q ORDER BY q::text COLLATE \"C\") TO STDOUT"
    );
    psql(database, &copy).await
}

/// Plans.
pub(crate) async fn plan(options: Options) -> Plan {
    Migration::plan(options, &Execution::unattended()).await.unwrap().as_plan().clone()
}

/// Plans and migrates.
pub(crate) async fn migrate(options: Options) -> confiture::Result<MigrationReport> {
    let execution = Execution::unattended();
    Arc::new(Migration::plan(options, &execution).await?).migrate(&execution).await
}

/// Plans and verifies.
pub(crate) async fn verify(options: Options) -> VerificationReport {
    let execution = Execution::unattended();
    Migration::plan(options, &execution).await.unwrap().verify(&execution).await.unwrap()
}

/// Runs statements on a server's database, each in a transaction of its own.
pub(crate) fn run(near: &Database<'_>, database: &str, statements: &[&str]) {
    let output = std::process::Command::new(near.server().program("psql"))
        .env("PGCLIENTENCODING", "UTF8")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &near.server().url(database)])
        .args(statements.iter().flat_map(|statement| ["-c", statement]))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The schema without what Confiture keeps beside it.
#[allow(clippy::unused_async, reason = "like psql, which it stands beside")]
pub(crate) async fn dump(database: &Database<'_>) -> String {
    database.schema("confiture")
}
