//! Reaching a server: TLS in every mode, a password from every place, and what is said when it fails.
//! The oracle is psql, which reads the same connection strings.

#[allow(dead_code, reason = "shared by several test programs")]
mod connecting;

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use confiture::ErrorKind;
use confiture::config::{Connection, Surroundings};
use confiture::postgres::Session;
use confiture::sql::{Literal, Sql, sql};
use connecting::{PASSWORD, PASSWORD_IN_URL, connect, failure, psql, server, surroundings};
use local_postgres::testing::shared_server;
use local_postgres::{Options, Server, Tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority's certificate, and one for `db.test` that it signed.
fn certificates() -> (String, Tls) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    // Unlike the server's, which OpenSSL would else take for self-signed.
    authority.distinguished_name.push(DnType::CommonName, "an authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["db.test".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .unwrap();
    (authority_pem, Tls { certificate: certificate.pem(), key: key.serialize_pem(), client_ca: None })
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

const HAS_TLS: &str = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

async fn text_of(session: &Session, query: &'static str) -> String {
    session.query_one(&Sql::literal(query), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn every_sslmode_does_what_libpq_does() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, tls) = certificates();
    let (other_authority, _) = certificates();
    let self_signed = tls.certificate.clone();
    let with_tls = server(Options { tls: Some(tls), ..Options::default() }).await;
    let without_tls = server(Options::default()).await;
    let right = write(folder.path(), "right.pem", &authority).display().to_string();
    let wrong = write(folder.path(), "wrong.pem", &other_authority).display().to_string();
    let pinned = write(folder.path(), "pinned.pem", &self_signed).display().to_string();
    // Whether the server has TLS, the host, the parameters, and whether the session has TLS or the error.
    let cases = [
        (true, "db.test", "sslmode=disable".to_owned(), Ok("false")),
        (true, "db.test", "sslmode=prefer".into(), Ok("true")),
        (true, "db.test", "sslmode=require".into(), Ok("true")),
        (true, "db.test", format!("sslmode=require sslrootcert={right}"), Ok("true")),
        (true, "other.test", format!("sslmode=require sslrootcert={right}"), Ok("true")),
        (true, "db.test", format!("sslmode=require sslrootcert={wrong}"), Err("not signed by an authority")),
        (true, "other.test", format!("sslmode=verify-ca sslrootcert={right}"), Ok("true")),
        (
            true,
            "db.test",
            format!("sslmode=verify-ca sslrootcert={wrong}"),
            Err("not signed by an authority"),
        ),
        (true, "db.test", format!("sslmode=verify-full sslrootcert={right}"), Ok("true")),
        (
            true,
            "other.test",
            format!("sslmode=verify-full sslrootcert={right}"),
            Err("not for the host name \"other.test\""),
        ),
        (
            true,
            "127.0.0.1",
            format!("sslmode=verify-full sslrootcert={right}"),
            Err("not for the host name \"127.0.0.1\""),
        ),
        (
            true,
            "db.test",
            format!("sslmode=verify-full sslrootcert={wrong}"),
            Err("not signed by an authority"),
        ),
        (true, "db.test", "channel_binding=require".into(), Ok("true")),
        (
            true,
            "db.test",
            "channel_binding=require sslmode=disable".into(),
            Err("did not use channel binding"),
        ),
        (false, "db.test", "sslmode=disable".into(), Ok("false")),
        (false, "db.test", "sslmode=prefer".into(), Ok("false")),
        (false, "db.test", "sslmode=require".into(), Err("does not offer TLS, and sslmode=require")),
        (
            false,
            "db.test",
            format!("sslmode=verify-full sslrootcert={right}"),
            Err("does not offer TLS, and sslmode=verify-full"),
        ),
    ];
    let password = [("PGPASSWORD", PASSWORD)];
    for (has_tls, host, parameters, expected) in cases {
        let server = if has_tls { &with_tls } else { &without_tls };
        let text = format!(
            "host={host} hostaddr=127.0.0.1 port={} dbname=postgres user=postgres gssencmode=disable {parameters}",
            server.port()
        );
        let oracle = psql(server, &text, &password, HAS_TLS);
        match expected {
            Ok(tls) => {
                let session = connect(&text, &surroundings(&password))
                    .await
                    .unwrap_or_else(|error| panic!("{text}: {}", connecting::everything(&error)));
                assert_eq!(text_of(&session, HAS_TLS).await, tls, "{text}");
                assert_eq!(oracle.as_deref(), Ok(tls), "{text}");
            }
            Err(message) => {
                let error = failure(&text, &password).await;
                assert_eq!(error.kind(), ErrorKind::Connect);
                assert!(error.message().contains(message), "{text}: {error}");
                assert!(error.message().contains(&format!("postgres@{host}:{}", server.port())), "{error}");
                assert!(oracle.is_err(), "psql connects with {text}");
            }
        }
    }
    // The server's own certificate as the trusted one.
    let text = format!(
        "host=db.test hostaddr=127.0.0.1 port={} dbname=postgres sslmode=verify-full sslrootcert={pinned}",
        with_tls.port()
    );
    connect(&text, &surroundings(&password)).await.unwrap();
    for (root, message) in [("/none.pem", "does not exist"), ("/dev/null", "no usable certificate")] {
        let text = format!("host=db.test hostaddr=127.0.0.1 sslmode=verify-ca sslrootcert={root}");
        let error = failure(&text, &[]).await;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(message), "{error}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, client) = certificates();
    let (_, stranger) = certificates();
    let (_, tls) = certificates();
    let hba = vec!["hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca".to_owned()];
    let tls = Tls { client_ca: Some(authority), ..tls };
    let server = server(Options { tls: Some(tls), hba, ..Options::default() }).await;
    let parameters = |name: &str, tls: &Tls| {
        let certificate = write(folder.path(), &format!("{name}.crt"), &tls.certificate);
        let key = write(folder.path(), &format!("{name}.key"), &tls.key);
        format!("&sslcert={}&sslkey={}", certificate.display(), key.display())
    };
    let url = format!(
        "postgresql://postgres:{PASSWORD_IN_URL}@127.0.0.1:{}/postgres?gssencmode=disable&sslmode=require",
        server.port()
    );
    let good = format!("{url}{}", parameters("good", &client));
    let session = connect(&good, &surroundings(&[])).await.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(text_of(&session, HAS_TLS).await, "true");
    assert_eq!(psql(&server, &good, &[], HAS_TLS).as_deref(), Ok("true"));
    for bad in [url.clone(), format!("{url}{}", parameters("bad", &stranger))] {
        let error = failure(&bad, &[]).await;
        assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
        assert!(psql(&server, &bad, &[], HAS_TLS).is_err());
    }
    let error = failure(&format!("{url}&sslcert=/none&sslkey=/none"), &[]).await;
    assert_eq!(error.message(), "the file /none (sslcert) does not exist");
}

/// A server whose `pg_hba.conf` wants TLS, and one that wants none of it.
#[tokio::test]
async fn what_pg_hba_says_about_tls_is_said() {
    let (_, tls) = certificates();
    let hba =
        vec!["hostnossl all tls_only all reject".to_owned(), "hostssl all plain_only all reject".to_owned()];
    let server = server(Options { tls: Some(tls), hba, ..Options::default() }).await;
    let admin = connect(&server.url("postgres"), &surroundings(&[])).await.unwrap();
    for role in ["tls_only", "plain_only"] {
        let role = confiture::sql::Identifier::new(role);
        admin.batch(&sql!("CREATE ROLE {} LOGIN PASSWORD 'x'", role)).await.unwrap();
    }
    let url = |role: &str, mode: &str| {
        format!(
            "postgresql://{role}:x@127.0.0.1:{}/postgres?gssencmode=disable&sslmode={mode}",
            server.port()
        )
    };
    let error = failure(&url("tls_only", "disable"), &[]).await;
    assert_eq!(error.sqlstate_code(), Some("28000"));
    assert!(error.hints()[0].contains("sslmode=require"), "{error:?}");
    let error = failure(&url("plain_only", "require"), &[]).await;
    assert_eq!(error.sqlstate_code(), Some("28000"));
    // `prefer` goes on without TLS, as psql does.
    let session = connect(&url("plain_only", "prefer"), &surroundings(&[])).await.unwrap();
    assert_eq!(text_of(&session, HAS_TLS).await, "false");
    assert_eq!(psql(&server, &url("plain_only", "prefer"), &[], HAS_TLS).as_deref(), Ok("false"));
}

#[tokio::test]
async fn a_password_comes_from_each_of_its_places() {
    let server = server(Options::default()).await;
    let port = server.port();
    let folder = tempfile::tempdir().unwrap();
    let in_pgpass = PASSWORD.replace('\\', r"\\").replace(':', r"\:");
    write(
        folder.path(),
        ".pgpass",
        &format!("# comment\nother:*:*:*:no\n127.0.0.1:{port}:postgres:*:{in_pgpass}\n"),
    );
    write(
        folder.path(),
        ".pg_service.conf",
        &format!("[app]\nhost=127.0.0.1\nport={port}\npassword={PASSWORD}\n"),
    );
    write(folder.path(), "secret", &format!("{PASSWORD}\n"));
    let in_folder = |variables: &[(&str, &str)]| Surroundings {
        home: Some(folder.path().into()),
        folder: folder.path().into(),
        ..surroundings(variables)
    };
    let quoted = PASSWORD.replace('\\', r"\\").replace('\'', r"\'");
    let (file, service) = (folder.path().join(".pgpass"), folder.path().join(".pg_service.conf"));
    let (file, service) = (file.to_str().unwrap(), service.to_str().unwrap());
    let plain = format!("host=127.0.0.1 port={port} dbname=postgres user=postgres");
    let cases: [(String, &[(&str, &str)]); 7] = [
        (format!("postgresql://postgres:{PASSWORD_IN_URL}@127.0.0.1:{port}/postgres"), &[]),
        (format!("postgresql://127.0.0.1:{port}/postgres?user=postgres&password={PASSWORD_IN_URL}"), &[]),
        (format!("{plain} password='{quoted}'"), &[]),
        (plain.clone(), &[("PGPASSWORD", PASSWORD)]),
        (plain.clone(), &[("PGPASSFILE", file)]),
        (format!("{plain} passfile={file}"), &[]),
        ("service=app dbname=postgres user=postgres".into(), &[("PGSERVICEFILE", service)]),
    ];
    for (text, variables) in cases {
        connect(&text, &surroundings(variables)).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        psql(&server, &text, variables, "SELECT 1").unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    connect(&plain, &in_folder(&[])).await.unwrap();
    connect("dbname=postgres", &in_folder(&[("PGSERVICE", "app")])).await.unwrap();
    let mut request = Connection::parse(&plain, &Surroundings { home: None, ..in_folder(&[]) }).unwrap();
    request.set("password_file", "secret").unwrap();
    Session::connect(&confiture::disk::resolve_connection(request).unwrap()).await.unwrap();
    // A file that others may read is not used, and the failure says so.
    std::fs::set_permissions(folder.path().join(".pgpass"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = connect(&plain, &in_folder(&[])).await.err().unwrap();
    assert!(
        error.message().ends_with("asks for the password of role \"postgres\", and none is given"),
        "{error}"
    );
    assert!(error.hints().iter().any(|hint| hint.contains("chmod 600")), "{error:?}");
}

#[tokio::test]
async fn each_refusal_is_told_apart() {
    let server =
        server(Options { hba: vec!["host all barred all reject".into()], ..Options::default() }).await;
    let admin = connect(&server.url("postgres"), &surroundings(&[])).await.unwrap();
    for statement in [
        "CREATE ROLE barred LOGIN",
        "CREATE ROLE nologin",
        "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0",
        "CREATE ROLE stranger LOGIN",
        "CREATE DATABASE closed",
        "REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
        "CREATE DATABASE shut ALLOW_CONNECTIONS false",
    ] {
        admin.batch(&Sql::literal(statement)).await.unwrap();
    }
    let port = server.port();
    let free_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let socket = server.socket_dir().display();
    let local =
        |user: &str, database: &str| format!("host={socket} port={port} user={user} dbname={database}");
    let tcp = |rest: &str| format!("host=127.0.0.1 port={port} user=postgres dbname=postgres {rest}");
    let cases = [
        (tcp("password=wrong"), Some("28P01"), "wrong password for role \"postgres\""),
        (tcp(""), None, "asks for the password of role \"postgres\", and none is given"),
        (tcp("user=barred"), Some("28000"), "pg_hba.conf"),
        (local("nobody", "postgres"), Some("28000"), "role \"nobody\" does not exist"),
        (local("nologin", "postgres"), Some("28000"), "role \"nologin\" is not permitted to log in"),
        (local("postgres", "nowhere"), Some("3D000"), "the database \"nowhere\" does not exist"),
        (local("crowded", "postgres"), Some("53300"), "the server has no connection left"),
        (local("stranger", "closed"), Some("42501"), "permission denied for database \"closed\""),
        (local("postgres", "shut"), Some("55000"), "not currently accepting connections"),
        (local("postgres", "postgres") + " options='-c nonsense=1'", Some("42704"), "nonsense"),
        (format!("host=127.0.0.1 port={free_port}"), None, "the connection was refused"),
        ("host=/nonexistent".into(), None, "there is no socket /nonexistent/.s.PGSQL.5432"),
        ("host=no-such-host.invalid".into(), None, "the host name \"no-such-host.invalid\" is not known"),
    ];
    for (text, sqlstate, message) in cases {
        let error = failure(&text, &[]).await;
        assert_eq!(error.kind(), ErrorKind::Connect, "{text}");
        assert!(error.message().starts_with("cannot connect to "), "{error}");
        assert!(error.message().contains(message), "{text}: {error}");
        assert_eq!(error.sqlstate_code(), sqlstate, "{text}");
    }
}

/// Something that takes connections and says nothing, hangs up, or says what PostgreSQL never would.
#[tokio::test]
async fn what_is_no_server_is_told_apart() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("host=127.0.0.1 port={} connect_timeout=2", silent.local_addr().unwrap().port());
    let error = failure(&text, &[]).await;
    assert!(error.message().ends_with("no answer within 2 s"), "{error}");

    for (answer, message) in
        [("", "was closed before the login was done"), ("NHTTP/1.1 400 Bad Request\r\n", "")]
    {
        let rude = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = rude.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for connection in rude.incoming() {
                let _ = connection.unwrap().write_all(answer.as_bytes());
            }
        });
        let error = failure(&format!("host=127.0.0.1 port={port} connect_timeout=5"), &[]).await;
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.message().contains(message), "{error}");
    }
}

#[tokio::test]
async fn endpoints_are_tried_in_order() {
    let server = shared_server().await;
    let (socket, port) = (server.socket_dir().display(), server.port());
    let session = connect(
        &format!("host=/nonexistent,{socket} port={port} dbname=postgres connect_timeout=0"),
        &surroundings(&[]),
    )
    .await
    .unwrap();
    assert_eq!(text_of(&session, "SELECT current_user::text").await, "postgres");
    let text = format!("host={socket},/nonexistent port={port} dbname=postgres target_session_attrs=standby");
    let error = failure(&text, &[]).await;
    assert!(error.message().contains(&format!("{socket}:{port}: it is a primary")), "{error}");
    assert!(error.message().contains(&format!("/nonexistent:{port}: there is no socket")), "{error}");
    // A refused login ends the search.
    let error = failure(&format!("host={socket},/nonexistent port={port} dbname=nowhere"), &[]).await;
    assert!(error.message().ends_with("the database \"nowhere\" does not exist"), "{error}");
    let read_only =
        format!("host={socket} port={port} dbname=postgres options='-c default_transaction_read_only=on'");
    connect(&format!("{read_only} target_session_attrs=read-only"), &surroundings(&[])).await.unwrap();
    let error = failure(&format!("{read_only} target_session_attrs=read-write"), &[]).await;
    assert!(error.message().contains("it takes no writes"), "{error}");
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let server = Server::throwaway(Options::default()).await.unwrap();
    let url = server.url("postgres");
    let session = connect(&url, &surroundings(&[])).await.unwrap();
    let pid = text_of(&session, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)").await;
    // A smart shutdown waits for the session and lets nobody else in.
    let stopped = std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(stopped.success());
    let error = loop {
        match connect(&url, &surroundings(&[])).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate_code(), Some("57P03"), "{error}");
    assert!(error.message().contains("the server does not take connections now"), "{error}");
}

#[tokio::test]
async fn a_session_that_is_cut_says_why() {
    let server = shared_server().await;
    let admin = connect(&server.url("postgres"), &surroundings(&[])).await.unwrap();
    let victim = connect(&server.url("postgres"), &surroundings(&[])).await.unwrap();
    let terminate = Sql::literal("SELECT pg_terminate_backend($1, 10000)");
    let sleep = Sql::literal("SELECT pg_sleep(600)");
    let (error, _) = tokio::join!(async { victim.batch(&sleep).await.unwrap_err() }, async {
        wait_until_active(&admin, victim.backend_pid()).await;
        admin.query(&terminate, &[&victim.backend_pid()]).await.unwrap()
    });
    assert_eq!((error.kind(), error.sqlstate_code()), (ErrorKind::Connect, Some("57P01")));
    assert!(error.message().contains("was cut: "), "{error}");
    assert!(victim.is_closed());

    let idle = connect(&server.url("postgres"), &surroundings(&[])).await.unwrap();
    admin.query(&terminate, &[&idle.backend_pid()]).await.unwrap();
    let error = idle.batch(&Sql::literal("SELECT 1")).await.unwrap_err();
    assert_eq!((error.kind(), error.sqlstate_code()), (ErrorKind::Connect, Some("57P01")), "{error:?}");
    assert!(error.message().contains(&idle.connection().to_string()), "{error}");
}

async fn wait_until_active(admin: &Session, pid: i32) {
    let query =
        Sql::literal("SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'");
    while admin.query_one(&query, &[&pid]).await.unwrap().get::<_, i64>(0) == 0 {}
}

#[tokio::test]
async fn cancels_what_runs_over_socket_tcp_and_tls() {
    let (_, tls) = certificates();
    let server = server(Options { tls: Some(tls), ..Options::default() }).await;
    let tcp = format!("postgresql://postgres:{PASSWORD_IN_URL}@127.0.0.1:{}/postgres", server.port());
    let admin = connect(&server.url("postgres"), &surroundings(&[])).await.unwrap();
    for text in [server.url("postgres"), format!("{tcp}?sslmode=disable"), format!("{tcp}?sslmode=require")] {
        let session = connect(&text, &surroundings(&[])).await.unwrap();
        let sleep = Sql::literal("SELECT pg_sleep(600)");
        let (error, ()) = tokio::join!(async { session.batch(&sleep).await.unwrap_err() }, async {
            wait_until_active(&admin, session.backend_pid()).await;
            session.cancel().await.unwrap();
        });
        assert_eq!(error.sqlstate_code(), Some("57014"));
        assert_eq!(text_of(&session, "SELECT 'alive'").await, "alive");
    }
}

#[tokio::test]
async fn a_session_knows_its_server_and_its_settings() {
    let server = shared_server().await;
    let url = server.url("postgres");
    let session = connect(
        &format!("{url}&options=-c%20TimeZone%3DAsia%2FTokyo%20-c%20search_path%3Dapp"),
        &surroundings(&[]),
    )
    .await
    .unwrap();
    let version = psql(server, &url, &[], "SHOW server_version_num").unwrap();
    assert_eq!(session.server_version().to_string(), version);
    assert_eq!(text_of(&session, "SELECT pg_backend_pid()::text").await, session.backend_pid().to_string());
    assert_eq!(text_of(&session, "SHOW application_name").await, "confiture");
    assert_eq!(text_of(&session, "SHOW search_path").await, "app");
    // What decides how values read is ours, whatever the options say.
    assert_eq!(text_of(&session, "SHOW TimeZone").await, "UTC");
    let literal = sql!("SELECT {}", Literal("it's"));
    assert_eq!(session.query_one(&literal, &[]).await.unwrap().get::<_, &str>(0), "it's");
}
