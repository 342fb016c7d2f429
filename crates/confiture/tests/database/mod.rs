//! A test's database as Confiture reaches it, and psql beside it: the oracle that is not our own code.

use std::process::Stdio;

use confiture::config::{Connection, Endpoint};
use local_postgres::testing::{Database, shared_server};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// How to reach a test's database.
pub(crate) fn connection(database: &Database<'_>) -> Connection {
    let server = database.server();
    let folder = server.socket_dir().display().to_string();
    Connection::new(Endpoint::new(folder, server.port()), server.user(), database.name())
}

/// Runs a script with psql, in one transaction, and returns what it prints.
pub(crate) async fn psql(database: &Database<'_>, script: &str) -> String {
    // Not an argument: some scripts are longer than an argument may be.
    let mut child = Command::new(shared_server().await.program("psql"))
        .args(["-X", "-q", "-A", "-t", "-1", "-v", "ON_ERROR_STOP=1", "-d", &database.url(), "-f", "-"])
        .env("PGOPTIONS", "--client-min-messages=warning")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let write = async move { input.write_all(script.as_bytes()).await };
    let (written, output) = tokio::join!(write, child.wait_with_output());
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    written.unwrap();
    String::from_utf8(output.stdout).unwrap()
}
