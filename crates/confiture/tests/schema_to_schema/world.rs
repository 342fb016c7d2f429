//! Two databases of one test, and psql as the oracle that is not our own code.

use std::process::Command;
use std::sync::Arc;

use confiture::config::{Connection, Endpoint, Mapping};
use confiture::event::Execution;
use confiture::schema_to_schema::{Migration, MigrationReport, Options, VerificationReport};
use local_postgres::testing::{Database, shared_server};

/// An old database and a new one.
pub(crate) struct World {
    pub(crate) old: Database<'static>,
    pub(crate) new: Database<'static>,
}

impl World {
    /// Runs `old` in the one and `new` in the other.
    pub(crate) async fn new(old: &str, new: &str) -> Self {
        let world = Self { old: Database::create().await.unwrap(), new: Database::create().await.unwrap() };
        psql(&world.old, old).await;
        psql(&world.new, new).await;
        world
    }

    /// Options between the two with a mapping as text.
    pub(crate) async fn options(&self, mapping: &str) -> Options {
        let mapping = Mapping::parse(mapping, std::path::Path::new("mapping.yaml")).unwrap();
        Options::new(connection(&self.old).await, connection(&self.new).await, mapping)
    }

    /// Plans and migrates.
    pub(crate) async fn migrate(&self, options: Options) -> confiture::Result<MigrationReport> {
        let execution = Execution::unattended();
        Arc::new(Migration::plan(options, &execution).await?).migrate(&execution).await
    }

    /// Plans and verifies.
    pub(crate) async fn verify(&self, options: Options) -> VerificationReport {
        let execution = Execution::unattended();
        Migration::plan(options, &execution).await.unwrap().verify(&execution).await.unwrap()
    }

    /// Asserts that `given` on the old side and `held` on the new side return the same rows.
    pub(crate) async fn assert_same(&self, given: &str, held: &str) {
        let copy = |query: &str| {
            format!("COPY (SELECT * FROM ({query}) AS q ORDER BY q::text COLLATE \"C\") TO STDOUT")
        };
        let (old, new) = (psql(&self.old, &copy(given)).await, psql(&self.new, &copy(held)).await);
        assert!(!old.trim().is_empty(), "the oracle compares nothing: {given}");
        assert_eq!(old, new, "{given}\n{held}");
    }
}

/// How to reach a test's database.
pub(crate) async fn connection(database: &Database<'_>) -> Connection {
    let server = shared_server().await;
    let folder = server.socket_dir().display().to_string();
    Connection::new(Endpoint::new(folder, server.port()), server.user(), database.name())
}

/// Runs a script with psql and returns what it prints.
pub(crate) async fn psql(database: &Database<'_>, script: &str) -> String {
    let output = Command::new(database.server().program("psql"))
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &database.url(), "-c", script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}\n{script}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
