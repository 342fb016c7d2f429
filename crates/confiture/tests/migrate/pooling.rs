//! Poolers in between.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use confiture::ErrorKind;
use confiture::config::{Connection, Endpoint};
use confiture::event::Execution;
use confiture::migrate::{Migrator, UpOptions, read_folder};

use crate::ground::{Ground, program};

/// A PgBouncer in front of the test's database, on a Unix socket.
struct Bouncer {
    process: Child,
    folder: tempfile::TempDir,
}

impl Bouncer {
    fn start(ground: &Ground, mode: &str) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let program = program("pgbouncer")?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let server = ground.database.server();
        let here = folder.path().display();
        let text = format!(
            "[databases]\n{name} = host={host} port={port} user=postgres\n[pgbouncer]\nunix_socket_dir = {here}\n\
             listen_addr =\nlisten_port = 6432\nauth_type = any\npool_mode = {mode}\nlogfile =\npidfile =\nserver_tls_sslmode = disable\n",
            name = ground.database.name(),
            host = server.socket_dir().display(),
            port = server.port(),
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        // It refuses to run as root.
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
        let mut command = Command::new(&program);
        if is_root {
            command.args(["-u", "postgres"]);
        }
        let process = command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        // The socket is there a moment before anybody listens.
        while std::os::unix::net::UnixStream::connect(folder.path().join(".s.PGSQL.6432")).is_err() {
            assert!(Instant::now() < until, "PgBouncer does not start");
            std::thread::yield_now();
        }
        Some(Self { process, folder })
    }

    fn migrator(&self, ground: &Ground) -> Migrator {
        let endpoint = Endpoint::new(self.folder.path().display().to_string(), 6432);
        let connection = Connection::new(endpoint, "postgres", ground.database.name());
        Migrator::new(connection, read_folder(ground.folder.path()).unwrap(), ground.options.clone())
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test]
async fn transaction_pooling_is_noticed_and_said() {
    let ground = Ground::new(&[("1_a.up.sql", "SELECT 1;")]).await;
    // Not on every machine: then there is nothing to prove.
    let Some(bouncer) = Bouncer::start(&ground, "transaction") else { return };
    let error =
        bouncer.migrator(&ground).up(&UpOptions::default(), &Execution::unattended()).await.unwrap_err();
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
    let Some(bouncer) = Bouncer::start(&ground, "session") else { return };
    bouncer.migrator(&ground).up(&UpOptions::default(), &Execution::unattended()).await.unwrap();
    assert_eq!(ground.standing().await, "1 Applied");
}
