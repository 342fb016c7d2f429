//! Scratch databases that processes leave are dropped by the next one, and those of others are not.

use std::time::Duration;

use confiture::postgres::scratch::{Scratch, sweep};
use confiture::postgres::{Session, database, named_lock};
use confiture::sql::{Identifier, Sql, sql};
use local_postgres::testing::{Database, shared_server};

use crate::oracle::connection;

#[tokio::test]
async fn one_that_is_in_use_stays_whatever_database_others_name() {
    let server = shared_server().await;
    let app = Database::create_on(server).await.unwrap();
    let scratch = Scratch::create(&connection(server, "postgres")).await.unwrap();
    // Advisory locks are per database.
    let session = Session::connect(&connection(server, app.name())).await.unwrap();
    let held = Identifier::new(format!("confiture_scratch_{}", app.name()));
    session.batch(&named_lock("pg_advisory_lock", held.as_str())).await.unwrap();
    session.batch(&sql!("CREATE DATABASE {} TEMPLATE template0", held)).await.unwrap();

    for name in ["postgres", "template1", app.name()] {
        sweep(&connection(server, name)).await.unwrap();
    }
    scratch.session().batch(&Sql::literal("SELECT 1")).await.unwrap();
    scratch.close().await.unwrap();
    assert!(database::exists(&session, &held).await.unwrap());

    session.batch(&named_lock("pg_advisory_unlock", held.as_str())).await.unwrap();
    sweep(&connection(server, app.name())).await.unwrap();
    // Another test may have begun to drop it.
    while database::exists(&session, &held).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
