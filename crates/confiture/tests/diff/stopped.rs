//! Somebody does not want to wait any longer.

use std::time::Duration;

use confiture::ErrorKind;
use confiture::postgres::Session;
use confiture::schema_diff::{DiffOptions, Source, diff_until};
use confiture::sql::{Script, Sql, split};
use local_postgres::testing::shared_server;

use crate::oracle::connection;

#[tokio::test]
async fn what_takes_long_is_stopped_and_leaves_no_database() {
    let server = connection(shared_server().await, "postgres");
    let scripts = |text: &str| Source::Scripts(vec![split(Script::new("a.sql", text)).unwrap()]);
    let session = Session::connect(&server).await.unwrap();
    // A number that nobody else sleeps for.
    let asleep = Sql::literal(
        "SELECT datname::text FROM pg_stat_activity WHERE query LIKE '%pg_sleep(601.5)%' AND datname LIKE 'confiture\\_scratch%'",
    );
    let database = std::cell::RefCell::new(String::new());
    let stop = async {
        loop {
            if let Some(row) = session.query_opt(&asleep, &[]).await.unwrap() {
                *database.borrow_mut() = row.get(0);
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (old, new) = (scripts("SELECT 1"), scripts("SELECT pg_sleep(601.5)"));
    let error = diff_until(&server, &old, &new, &DiffOptions::default(), stop).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let left = Sql::literal("SELECT count(*) FROM pg_database WHERE datname = $1::text");
    let database = database.take();
    let left: i64 = session.query_one(&left, &[&database.as_str()]).await.unwrap().get(0);
    assert!(left == 0 && !database.is_empty(), "{database}");
}
