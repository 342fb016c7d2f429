//! Logging in: by password over TCP, over TLS, as a role that is not a superuser; and what stands in the way.

use confiture::config::{ChannelBinding, Connection, Endpoint, Secret, SslMode};
use confiture::postgres::Session;
use confiture::postgres::feed::{ChangeFeed, WalFeed};
use local_postgres::testing::{Database, options};
use local_postgres::{Options, Server, Tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::fixture::{PATIENCE, Source, set};

const DDL: &str = "CREATE TABLE t (id int PRIMARY KEY)";
const PASSWORD: &str = r"p:a\s's w@rd";

/// An authority's certificate, and one for `db.test` that it signed.
fn certificates() -> (String, Tls) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.distinguished_name.push(DnType::CommonName, "an authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["db.test".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .unwrap();
    (pem, Tls { certificate: certificate.pem(), key: key.serialize_pem(), client_ca: None })
}

fn over_tcp(source: &Source<'_>, ssl_mode: SslMode) -> Connection {
    let mut endpoint = Endpoint::new("db.test", source.database.server().port());
    endpoint.address = Some("127.0.0.1".parse().unwrap());
    let mut connection = Connection::new(endpoint, "postgres", source.database.name());
    connection.password = Some(Secret::new(PASSWORD));
    connection.ssl_mode = ssl_mode;
    connection
}

async fn works(source: &Source<'_>, connection: &Connection, encrypted: bool) {
    let tables = source.tables(&["t"]).await;
    let name = source.database.name();
    let mut feed = WalFeed::create(connection, &tables, name, PATIENCE).await.unwrap();
    source.run("TRUNCATE t; INSERT INTO t VALUES (1)").await;
    source.changes(&mut feed).await;
    feed.confirm().await.unwrap();
    source.run("INSERT INTO t VALUES (2)").await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(2)"]));
    let ssl = "SELECT ssl::text FROM pg_stat_ssl JOIN pg_replication_slots ON active_pid = pid WHERE database = current_database()";
    assert_eq!(source.value(ssl).await, encrypted.to_string(), "{connection} {}", connection.ssl_mode);
    WalFeed::drop_slot_and_publication(&source.session, feed.slot(), feed.publication()).await.unwrap();
}

#[tokio::test]
async fn every_sslmode_and_a_scram_password() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, tls) = certificates();
    let (root, pinned) = (folder.path().join("root.pem"), folder.path().join("pinned.pem"));
    std::fs::write(&root, authority).unwrap();
    std::fs::write(&pinned, &tls.certificate).unwrap();
    let with = |tls| Options { tcp_port: Some(0), password: Some(PASSWORD.into()), tls, ..options() };
    let server = Server::throwaway(with(Some(tls))).await.unwrap();
    let source = Source::in_database(Database::create_on(&server).await.unwrap(), DDL).await;
    works(&source, &over_tcp(&source, SslMode::Disable), false).await;
    for mode in [SslMode::Prefer, SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let mut connection = over_tcp(&source, mode);
        if matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull) {
            connection.ssl_root_cert = Some(root.clone());
        }
        for binding in [ChannelBinding::Disable, ChannelBinding::Prefer, ChannelBinding::Require] {
            connection.channel_binding = binding;
            works(&source, &connection, true).await;
        }
    }
    let mut connection = over_tcp(&source, SslMode::VerifyFull);
    connection.ssl_root_cert = Some(pinned);
    works(&source, &connection, true).await;
    let plain = Server::throwaway(with(None)).await.unwrap();
    let source = Source::in_database(Database::create_on(&plain).await.unwrap(), DDL).await;
    works(&source, &over_tcp(&source, SslMode::Prefer), false).await;
}

async fn messages(session: &Session, source: &Source<'_>, tables: &[&str], fatal: bool) -> Vec<String> {
    let tables = source.tables(tables).await;
    let obstacles = WalFeed::obstacles(session, &tables).await.unwrap();
    obstacles.into_iter().filter(|one| one.fatal == fatal).map(|one| one.message).collect()
}

#[tokio::test]
async fn an_ordinary_role_needs_replication_and_its_tables() {
    let source = Source::new(DDL).await;
    let (database, role) = (source.database.name(), format!("role_{}", source.database.name()));
    source.run(&format!("CREATE ROLE {role} LOGIN")).await;
    let mut connection = source.connection.clone();
    connection.user.clone_from(&role);
    let session = Session::connect(&connection).await.unwrap();
    let found = messages(&session, &source, &["t"], true).await;
    assert_eq!(
        found,
        [
            format!("the role {role} may not follow the WAL"),
            format!("the role {role} may not create a publication in the database {database}"),
            "public.t belongs to another role, and only its owner may publish it".into(),
        ]
    );
    let tables = source.tables(&["t"]).await;
    let error = WalFeed::create(&connection, &tables, database, PATIENCE).await.err().unwrap();
    assert!(error.message().contains("may not follow the WAL"), "{error}");
    source.run(&format!("ALTER ROLE {role} REPLICATION; GRANT CREATE ON DATABASE {database} TO {role}; ALTER TABLE t OWNER TO {role}")).await;
    assert_eq!(messages(&session, &source, &["t"], true).await, [""; 0]);
    let mut feed = WalFeed::create(&connection, &tables, database, PATIENCE).await.unwrap();
    source.run("INSERT INTO t VALUES (1)").await;
    assert_eq!(source.keys(&mut feed, "t").await, set(&["(1)"]));
    // Its own walsender it may end.
    let name = feed.slot().clone();
    let mut again = WalFeed::open(&connection, &tables, name.as_str(), name.as_str()).await.unwrap();
    assert_eq!(source.keys(&mut again, "t").await, set(&["(1)"]));
    WalFeed::drop_slot_and_publication(&session, &name, &name).await.unwrap();
    source.run(&format!("REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}")).await;
    drop((feed, again, session));
    source.run(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn tables_that_cannot_be_followed_are_named() {
    let source = Source::new(
        "CREATE TABLE nothing (id int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
         CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE);
         CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
         CREATE TABLE other (id int PRIMARY KEY, code int NOT NULL UNIQUE); ALTER TABLE other REPLICA IDENTITY USING INDEX other_code_key;
         CREATE TABLE whole (id int PRIMARY KEY); ALTER TABLE whole REPLICA IDENTITY FULL;
         CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE part PARTITION OF parts DEFAULT; ALTER TABLE part REPLICA IDENTITY NOTHING",
    )
    .await;
    let tables = ["nothing", "deferred", "unlogged", "other", "whole", "parts"];
    let found = messages(&source.session, &source, &tables, true).await;
    let identity =
        "has no replica identity: once it is published, the server refuses every UPDATE and DELETE on it";
    assert_eq!(
        found,
        [
            format!("public.nothing {identity}"),
            format!("public.deferred {identity}"),
            "public.unlogged is unlogged: its changes are not in the WAL".into(),
            "the replica identity of public.other lacks the key column id".into(),
            format!("public.part {identity}"),
        ]
    );
    assert_eq!(source.value("SELECT count(*)::text FROM pg_publication").await, "0");
}

#[tokio::test]
async fn servers_that_cannot_be_followed_say_why() {
    let mut little = options();
    little.settings.extend(
        [
            ("wal_level", "replica"),
            ("max_replication_slots", "0"),
            ("max_wal_senders", "0"),
            ("synchronous_standby_names", "*"),
            ("synchronous_commit", "local"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let server = Server::throwaway(little).await.unwrap();
    let source = Source::in_database(Database::create_on(&server).await.unwrap(), DDL).await;
    let found = messages(&source.session, &source, &["t"], true).await.join("\n");
    for part in ["wal_level is replica", "max_replication_slots", "max_wal_senders", "has a `*`"] {
        assert!(found.contains(part), "{part}: {found}");
    }
    let writer = source.another().await;
    writer.batch(&confiture::sql::Sql::literal("BEGIN; INSERT INTO t VALUES (1)")).await.unwrap();
    let warned = messages(&source.session, &source, &["t"], false).await.join("\n");
    assert!(warned.contains(&format!("pid {}", writer.backend_pid())), "{warned}");
}
