//! Poolers in between.

use confiture::ErrorKind;
use confiture::config::{Connection, Endpoint};
use confiture::event::Execution;
use confiture::migrate::{DownOptions, Extent, Migrator, UpOptions, read_folder};
use confiture::postgres::Session;
use confiture::sql::Sql;
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
    // Again and again, whatever is asked, and with nothing left in the pool.
    let (migrator, execution) = (migrator(&bouncer, &ground), Execution::unattended());
    let down = DownOptions { extent: Extent::Steps(1), interrupted: None };
    for _ in 0..3 {
        for again in [
            migrator.status().await.err(),
            migrator.plan_up(&UpOptions::default()).await.err(),
            migrator.up(&UpOptions::default(), &execution).await.err(),
            migrator.down(&down, &execution).await.err(),
            migrator.redo(1, &execution).await.err(),
            migrator.lint_pending().await.err(),
        ] {
            assert_eq!(again.unwrap().message(), error.message());
        }
    }
    let endpoint = Endpoint::new(bouncer.folder().display().to_string(), bouncer.port());
    let application = Connection::new(endpoint, "postgres", ground.database.name());
    let application = Session::connect(&application).await.unwrap();
    let left = application.texts(&Sql::literal("SELECT name FROM pg_prepared_statements")).await.unwrap();
    assert_eq!(left, Vec::<Vec<Option<String>>>::new());
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
