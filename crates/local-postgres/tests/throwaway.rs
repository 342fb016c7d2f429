//! Throwaway servers: they work, many at once, and leave nothing behind.

use std::process::Command;

use local_postgres::{Options, Server, testing::Database};

/// Asks a server through `psql`, which is not our code.
fn psql(server: &Server, url: &str, sql: &str) -> String {
    let output = Command::new(server.program("psql")).args(["-XAtq", url, "-c", sql]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_server_answers_and_leaves_nothing() {
    let server = Server::throwaway(Options::default()).await.unwrap();
    let version = psql(&server, &server.url("postgres"), "SHOW server_version");
    assert!(version.starts_with(&server.binaries().version().to_string()), "{version}");
    let folder = server.folder().to_owned();
    assert!(folder.exists());
    server.stop().await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn eight_servers_at_once() {
    let starts = (0..8).map(|_| tokio::spawn(Server::throwaway(Options::default())));
    let mut servers = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        servers.push(start.await.unwrap().unwrap());
    }
    let mut identities: Vec<String> = servers
        .iter()
        .map(|server| {
            psql(
                server,
                &server.url("postgres"),
                "SELECT pg_postmaster_start_time()::text || current_setting('data_directory')",
            )
        })
        .collect();
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), 8);
}

#[tokio::test]
async fn a_database_for_each_test() {
    let database = Database::create().await.unwrap();
    assert_eq!(psql(database.server(), &database.url(), "SELECT current_database()"), database.name());
    let (server, name) = (database.server(), database.name().to_owned());
    drop(database);
    let left = psql(
        server,
        &server.url("postgres"),
        &format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'"),
    );
    assert_eq!(left, "0");
}
