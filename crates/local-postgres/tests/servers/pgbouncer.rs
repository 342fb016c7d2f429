//! A PgBouncer in front of a server.

use crate::support::{ask, eventually, processes, psql};
use local_postgres::{Options, PgBouncer, PgBouncerOptions, Server};

#[tokio::test]
async fn a_pgbouncer_answers_and_leaves_nothing() {
    let server = Server::throwaway(Options::default()).await.unwrap();
    let options = PgBouncerOptions {
        databases: vec![("app".into(), PgBouncer::leads_to(&server, "postgres"))],
        ..PgBouncerOptions::default()
    };
    let mut bouncer = PgBouncer::start(options).await.unwrap();
    let through =
        |bouncer: &PgBouncer| psql(&server.program("psql"), &bouncer.url("app"), "SHOW server_version");
    assert_eq!(through(&bouncer).unwrap(), ask(&server, "SHOW server_version"));
    bouncer.signal("KILL").unwrap();
    assert!(through(&bouncer).is_err());
    bouncer.restart().unwrap();
    assert_eq!(through(&bouncer).unwrap(), ask(&server, "SHOW server_version"));
    let folder = bouncer.folder().to_owned();
    assert!(!processes(&folder).is_empty());
    drop(bouncer);
    assert!(!folder.exists());
    eventually("the processes are gone", || processes(&folder).is_empty());
}
