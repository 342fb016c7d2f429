//! Throwaway servers: they work, many at once, and leave nothing behind.

use std::{os::unix::fs::MetadataExt, path::Path};

use crate::support::{Owner, ask, eventually, kill_all, processes, psql};
use local_postgres::{ErrorKind, Options, Server, Tls, testing::Database};

#[tokio::test]
async fn a_server_answers_and_leaves_nothing() {
    let server = Server::throwaway(Options::default()).await.unwrap();
    assert!(ask(&server, "SHOW server_version").starts_with(&server.binaries().version().to_string()));
    let folder = server.folder().to_owned();
    assert!(!processes(&folder).is_empty());
    server.stop().await.unwrap();
    assert!(!folder.exists());
    assert_eq!(processes(&folder), [""; 0]);
}

#[tokio::test]
async fn eight_servers_at_once() {
    let starts: Vec<_> = (0..8).map(|_| tokio::spawn(Server::throwaway(Options::default()))).collect();
    let mut servers = Vec::new();
    for start in starts {
        servers.push(start.await.unwrap().unwrap());
    }
    let folder = "SELECT current_setting('data_directory')";
    let mut folders: Vec<String> = servers.iter().map(|server| ask(server, folder)).collect();
    folders.sort();
    folders.dedup();
    assert_eq!(folders.len(), 8);
}

#[tokio::test]
async fn nothing_is_left_of_an_owner_that_was_killed() {
    let owner = Owner::start(None);
    let server = Server::attach(&owner.address).await.unwrap();
    let folder = server.folder().to_owned();
    // Somebody is connected and busy; that must not hold the server up.
    let (program, url) = (server.program("psql"), owner.url.clone());
    let busy = std::thread::spawn(move || psql(&program, &url, "SELECT pg_sleep(600)"));
    eventually("a query runs", || {
        ask(&server, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(600)'") == "1"
    });
    owner.kill();
    eventually("the folder is gone", || !folder.exists());
    eventually("the processes are gone", || processes(&folder).is_empty());
    assert!(busy.join().unwrap().is_err());
}

#[tokio::test]
async fn nothing_is_left_after_ctrl_c_and_after_a_signal() {
    for signal in ["INT", "TERM", "HUP"] {
        let mut owner = Owner::start(None);
        let folder = Server::attach(&owner.address).await.unwrap().folder().to_owned();
        owner.signal(signal);
        owner.process.wait().unwrap();
        eventually("the folder is gone", || !folder.exists());
        eventually("the processes are gone", || processes(&folder).is_empty());
    }
}

#[tokio::test]
async fn what_a_killed_session_leaves_is_removed_by_the_next_server() {
    let owner = Owner::start(None);
    let folder = Server::attach(&owner.address).await.unwrap().folder().to_owned();
    // A folder that is in use is not touched.
    drop(Server::throwaway(Options::default()).await.unwrap());
    assert!(folder.join("data").exists());
    // The shells first, so that nobody can clean up.
    let (shells, others): (Vec<_>, Vec<_>) =
        processes(&folder).into_iter().partition(|line| line.contains("/bin/sh"));
    kill_all(&shells);
    owner.kill();
    kill_all(&others);
    eventually("the processes are gone", || processes(&folder).is_empty());
    assert!(folder.join("data").exists());
    drop(Server::throwaway(Options::default()).await.unwrap());
    assert!(!folder.exists());
}

#[tokio::test]
async fn attaching_does_not_stop_the_server() {
    let server = Server::throwaway(Options::default()).await.unwrap();
    let attached = Server::attach(&server.address()).await.unwrap();
    assert_eq!(attached.url("a/b"), server.url("a/b"));
    attached.stop().await.unwrap();
    assert_eq!(ask(&server, "SELECT 1"), "1");
    let address = server.address();
    server.stop().await.unwrap();
    assert_eq!(Server::attach(&address).await.unwrap_err().kind(), ErrorKind::Connection);
    assert_eq!(Server::attach("nonsense").await.unwrap_err().kind(), ErrorKind::Unusable);
}

#[tokio::test]
async fn the_server_does_not_run_as_root() {
    let server = Server::throwaway(Options::default()).await.unwrap();
    let data = std::fs::metadata(server.folder().join("data")).unwrap();
    let own = std::fs::metadata(tempfile::NamedTempFile::new().unwrap().path()).unwrap().uid();
    let expected = if own == 0 { data.uid() != 0 } else { data.uid() == own };
    assert!(expected, "the data belongs to uid {}", data.uid());
    assert_eq!(data.mode() & 0o077, 0);
}

#[tokio::test]
async fn settings_are_taken_and_can_be_changed_later() {
    let settings =
        vec![("wal_level".into(), "logical".into()), ("local.name".into(), r"it's a \ name".into())];
    let server = Server::throwaway(Options { settings, ..Options::default() }).await.unwrap();
    assert_eq!(ask(&server, "SHOW wal_level"), "logical");
    assert_eq!(ask(&server, "SHOW local.name"), r"it's a \ name");
    assert_eq!(ask(&server, "SHOW fsync"), "off");
    assert_eq!(ask(&server, "SHOW listen_addresses"), "");
    ask(&server, "ALTER SYSTEM SET work_mem = '5MB'");
    ask(&server, "SELECT pg_reload_conf()");
    eventually("the setting is changed", || ask(&server, "SHOW work_mem") == "5MB");
}

#[tokio::test]
async fn a_wrong_setting_is_told_in_the_words_of_the_server() {
    let settings = vec![("no_such_setting".into(), "1".into())];
    let error = Server::throwaway(Options { settings, ..Options::default() }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(format!("{error:?}").contains("no_such_setting"), "{error:?}");
}

#[tokio::test]
async fn tcp_asks_for_the_password() {
    let options =
        Options { tcp_port: Some(0), password: Some("it's \\ secret".into()), ..Options::default() };
    assert!(!format!("{options:?}").contains("secret"));
    let server = Server::throwaway(options).await.unwrap();
    let psql = |parameters: &str| {
        let url = format!("host=127.0.0.1 port={} user=postgres dbname=postgres {parameters}", server.port());
        psql(&server.program("psql"), &url, "SHOW ssl")
    };
    assert_eq!(psql("password='it\\'s \\\\ secret'").as_deref(), Ok("off"));
    let refused = psql("password=wrong").unwrap_err();
    assert!(refused.contains("password authentication failed"), "{refused}");
    assert_eq!(
        ask(&server, "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'postgres'"),
        "t"
    );
}

#[tokio::test]
async fn tls_is_spoken_with_the_certificate_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-keyout", &path("key"), "-out", &path("certificate")])
        .output()
        .unwrap();
    assert!(made.status.success());
    let tls = Tls {
        certificate: std::fs::read_to_string(path("certificate")).unwrap(),
        key: std::fs::read_to_string(path("key")).unwrap(),
        client_ca: None,
    };
    let hba =
        vec!["hostssl all all 127.0.0.1/32 trust".into(), "hostnossl all all 127.0.0.1/32 reject".into()];
    let options = Options { tcp_port: Some(0), tls: Some(tls), hba, ..Options::default() };
    let server = Server::throwaway(options).await.unwrap();
    let psql = |parameters: &str| {
        let url = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user=postgres dbname=postgres {parameters}",
            server.port()
        );
        psql(&server.program("psql"), &url, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    };
    assert_eq!(psql(&format!("sslmode=verify-full sslrootcert={}", path("certificate"))).as_deref(), Ok("t"));
    assert!(psql("sslmode=disable").is_err());
}

#[tokio::test]
async fn what_is_not_installed_is_named() {
    let error = Server::throwaway(Options { version: Some(7), ..Options::default() }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotInstalled);
    assert!(
        error.message().starts_with("PostgreSQL 7 is not installed on this machine; there is "),
        "{error}"
    );
    assert!(error.advice().is_some());

    let bin_dir = tempfile::tempdir().unwrap();
    let options = Options { bin_dir: Some(bin_dir.path().into()), ..Options::default() };
    let error = Server::throwaway(options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotInstalled);
    assert_eq!(error.message(), format!("there is no program `initdb` in {}", bin_dir.path().display()));

    let dir = Server::throwaway(Options::default()).await.unwrap().bin_dir().to_owned();
    let options = Options { bin_dir: Some(dir.clone()), version: Some(7), ..Options::default() };
    let error = Server::throwaway(options).await.unwrap_err();
    assert!(error.message().starts_with(&format!("{} holds PostgreSQL ", dir.display())), "{error}");
}

#[tokio::test]
async fn a_database_for_each_test() {
    let database = Database::create().await.unwrap();
    let server = database.server();
    let psql = |url: &str, sql: &str| psql(&server.program("psql"), url, sql).unwrap();
    assert_eq!(psql(&database.url(), "SELECT current_database()"), database.name());
    psql(&database.url(), "CREATE TABLE t AS SELECT 1 AS one");
    let copy = Database::create_from(server, database.name()).await.unwrap();
    assert_eq!(psql(&copy.url(), "SELECT one FROM t"), "1");
    let name = database.name().to_owned();
    drop(database);
    let count = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(ask(server, &count), "0");
}

#[test]
fn the_socket_is_for_its_owner_only() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::throwaway(Options::default())).unwrap();
    // A server outlives the runtime that started it: tests of one process share one, each with its own runtime.
    drop(runtime);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(server.folder()), 0o700);
    assert_eq!(ask(&server, "SELECT 1"), "1");
}
