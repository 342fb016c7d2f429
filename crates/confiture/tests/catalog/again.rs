//! A session that reads again and again.

use confiture::postgres::{Reading, Session, read_objects};
use confiture::sql::Sql;

use crate::fixture::{RICH, database, session};

/// Each reading finds the same in the same order; what was prepared for it may be lost, and may be out of date.
#[tokio::test]
async fn every_reading_finds_the_same() {
    let database = database(RICH).await;
    let session = &session(&database).await;
    let once = names(session, Reading::Once).await;
    assert!(once.len() > 50, "{once:?}");
    assert_eq!(names(session, Reading::Repeated).await, once);
    for change in [
        "SELECT 1",
        "DISCARD ALL",
        "DEALLOCATE confiture_catalog_5",
        "CREATE SCHEMA other; DROP SCHEMA other",
    ] {
        session.batch(&Sql::literal(change)).await.unwrap();
        assert_eq!(names(session, Reading::Repeated).await, once, "{change}");
    }
    session.batch(&Sql::literal("BEGIN")).await.unwrap();
    assert_eq!(names(session, Reading::InTransaction).await, once);
    session.batch(&Sql::literal("COMMIT")).await.unwrap();
}

async fn names(session: &Session, reading: Reading) -> Vec<String> {
    let objects = read_objects(session, reading).await.unwrap();
    objects.all.into_iter().map(|object| object.identity).collect()
}
