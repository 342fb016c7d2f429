//! Old and new DDL, and what `pg_dump` says of it: `testdata/diff/*.sql` holds the cases.

mod case;
mod oracle;

use std::path::Path;
use std::sync::Arc;

use local_postgres::testing::shared_server;
use tokio::sync::Semaphore;

use case::Case;

/// How many cases run at a time.
const AT_A_TIME: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_case_leads_to_the_new_schema_and_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/diff");
    let only = std::env::var("CONFITURE_CASE").unwrap_or_default();
    let cases: Vec<Case> =
        case::read_all(&folder).into_iter().filter(|case| case.name.contains(&only)).collect();
    assert!(!cases.is_empty(), "there are no cases");
    let server = shared_server().await;
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let count = cases.len();
    let running: Vec<_> = cases
        .into_iter()
        .map(|case| {
            let places = Arc::clone(&places);
            tokio::spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                let name = case.name.clone();
                oracle::judge(server, &case).await.map_err(|why| format!("== {name}\n{why}"))
            })
        })
        .collect();
    let mut failures = Vec::new();
    for one in running {
        match one.await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => failures.push(why),
            Err(error) => failures.push(error.to_string()),
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases fail\n{}", failures.len(), failures.join("\n"));
}
