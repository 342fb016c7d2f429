//! Poolers in between.

use confiture::ErrorKind;
use confiture::config::{Connection, Endpoint};
use confiture::event::Execution;
use confiture::migrate::{Migrator, UpOptions, read_folder};
use local_postgres::{PgBouncer, PgBouncerOptions};

use crate::ground::Ground;

/// A PgBouncer in front of the test's database.
async fn bouncer(ground: &Ground, mode: &str) -> PgBouncer {
    let name = ground.database.name();
    let options = PgBouncerOptions {
        databases: vec![(name.into(), PgBouncer::leads_to(ground.database.server(), name))],
        settings: vec![("pool_mode".into(), mode.into())],
        ..PgBouncerOptions::default()
    };
    PgBouncer::start(options).await.unwrap()
}

fn migrator(bouncer: &PgBouncer, ground: &Ground) -> Migrator {
    let endpoint = Endpoint::new(bouncer.folder().display().to_string(), bouncer.port());
    let connection = Connection::new(endpoint, "postgres", ground.database.name());
    Migrator::new(connection, read_folder(ground.folder.path()).unwrap(), ground.options.clone())
}

#[tokio::test]
async fn transaction_pooling_is_noticed_and_said() {
    let ground = Ground::new(&[("1_a.up.sql", "SELECT 1;")]).await;
    let bouncer = bouncer(&ground, "transaction").await;
    let error =
        migrator(&bouncer, &ground).up(&UpOptions::default(), &Execution::unattended()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.message().contains("pool_mode = transaction"), "{error}");
    assert_eq!(ground.standing().await, "1 Pending");
}

#[tokio::test]
async fn session_pooling_is_fine() {
    let ground = Ground::new(&[(
        "1_a.up.sql",
        "CREATE TABLE a (); CREATE TABLE b (i int); CREATE INDEX CONCURRENTLY b_i ON b (i);",
    )])
    .await;
    let bouncer = bouncer(&ground, "session").await;
    migrator(&bouncer, &ground).up(&UpOptions::default(), &Execution::unattended()).await.unwrap();
    assert_eq!(ground.standing().await, "1 Applied");
}
