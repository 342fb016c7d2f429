use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{
    ChannelBinding, Connection, ConnectionFile, Endpoint, Secret, SslMode, Surroundings, TargetServer,
};
use crate::error::{Error, Result};

type Files = BTreeMap<PathBuf, ConnectionFile>;

fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
    Surroundings {
        variables: variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        home: Some("/home/me".into()),
        user: Some("me".into()),
        folder: "/project".into(),
    }
}

fn file(text: &str) -> ConnectionFile {
    ConnectionFile { text: text.into(), mode: Some(0o100_600) }
}

fn files(all: &[(&str, &str)]) -> Files {
    all.iter().map(|(path, text)| (PathBuf::from(path), file(text))).collect()
}

fn resolve(text: &str) -> Result<Connection> {
    Connection::parse(text, &surroundings(&[]))?.resolve(&Files::new())
}

fn resolve_with(text: &str, variables: &[(&str, &str)], all: &[(&str, &str)]) -> Result<Connection> {
    Connection::parse(text, &surroundings(variables))?.resolve(&files(all))
}

fn password(connection: &Connection) -> Option<&str> {
    connection.password.as_ref().map(Secret::expose)
}

#[test]
fn reads_urls_and_pairs_as_libpq_does() {
    // text, what it shows, password
    let cases = [
        ("postgresql://", "me@/var/run/postgresql:5432,/tmp:5432/me", None),
        ("postgres://h", "me@h:5432/me", None),
        ("postgres://u@h", "u@h:5432/u", None),
        ("postgresql://u:p@h:1/d", "u@h:1/d", Some("p")),
        ("postgresql://u:p@/d", "u@/var/run/postgresql:5432,/tmp:5432/d", Some("p")),
        ("postgresql://u%40x:p%2Fq%3A%20%C3%A9@h/d%20b", "u@x@h:5432/d b", Some("p/q: é")),
        ("postgresql://u:a:b#c@h/d", "u@h:5432/d", Some("a:b#c")),
        ("postgresql://u:p?q@h/d", "u@h:5432/d", Some("p?q")),
        ("postgresql://a:1,b,[::1]:3/d", "me@a:1,b:5432,[::1]:3/d", None),
        ("postgresql://%2Frun%2Fpg:6000/d", "me@/run/pg:6000/d", None),
        ("postgresql:///d?host=/run/pg&port=7", "me@/run/pg:7/d", None),
        ("postgresql://h?user=u&password=p%26q&dbname=d", "u@h:5432/d", Some("p&q")),
        ("postgresql:///d?host=a,b&port=9", "me@a:9,b:9/d", None),
        (
            "  host=h  port = 7 dbname='my db' user=u password='it\\'s \\\\ p'",
            "u@h:7/my db",
            Some("it's \\ p"),
        ),
        ("host=h password=a\\ b\\\\c user=u", "u@h:5432/u", Some("a b\\c")),
        ("host='' user=u", "u@/var/run/postgresql:5432,/tmp:5432/u", None),
        ("host=a,b port=1,2 user=u", "u@a:1,b:2/u", None),
        ("hostaddr=10.0.0.1 dbname=d", "me@10.0.0.1:5432/d", None),
        // The last one written counts.
        ("host=a host=b", "me@b:5432/me", None),
    ];
    for (text, shown, expected) in cases {
        let connection = resolve(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(connection.to_string(), shown, "{text}");
        assert_eq!(password(&connection), expected, "{text}");
    }
}

#[test]
fn reads_every_other_parameter() {
    let connection = resolve(
        "host=db hostaddr=10.0.0.1 sslmode=verify-full sslrootcert=ca.pem connect_timeout=7 channel_binding=require \
         options='-c search_path=app' target_session_attrs=read-write keepalives=0 keepalives_idle=5 \
         keepalives_interval=6 keepalives_count=7 tcp_user_timeout=8000 application_name=other",
    )
    .unwrap();
    assert_eq!(
        connection.endpoints,
        [Endpoint { address: Some("10.0.0.1".parse().unwrap()), ..Endpoint::new("db", 5432) }]
    );
    assert_eq!(connection.ssl_mode, SslMode::VerifyFull);
    assert_eq!(connection.ssl_root_cert.as_deref(), Some(Path::new("/project/ca.pem")));
    assert_eq!(connection.connect_timeout, Duration::from_secs(7));
    assert_eq!(connection.channel_binding, ChannelBinding::Require);
    assert_eq!(connection.options.as_deref(), Some("-c search_path=app"));
    assert_eq!(connection.target, TargetServer::ReadWrite);
    let keepalive = connection.keepalive;
    assert!(!keepalive.enabled);
    assert_eq!((keepalive.idle.as_secs(), keepalive.interval.as_secs(), keepalive.probes), (5, 6, 7));
    assert_eq!(keepalive.user_timeout, Some(Duration::from_secs(8)));
}

#[test]
fn sslmode_and_its_certificates() {
    let cases = [
        ("host=h", SslMode::Prefer, None),
        ("postgresql://h?ssl=true", SslMode::Require, None),
        ("host=h sslrootcert=system", SslMode::VerifyFull, None),
        ("host=h sslmode=verify-ca sslrootcert=/ca", SslMode::VerifyCa, Some("/ca")),
    ];
    for (text, mode, root) in cases {
        let connection = resolve(text).unwrap();
        assert_eq!(connection.ssl_mode, mode, "{text}");
        assert_eq!(connection.ssl_root_cert.as_deref(), root.map(Path::new), "{text}");
    }
    let own = [("/home/me/.postgresql/root.crt", "")];
    let connection = resolve_with("host=h sslmode=require", &[], &own).unwrap();
    assert_eq!(connection.ssl_root_cert.as_deref(), Some(Path::new("/home/me/.postgresql/root.crt")));
    assert_eq!(resolve_with("host=h", &[], &own).unwrap().ssl_root_cert, None);
}

#[test]
fn what_is_written_wins_over_service_over_environment_over_defaults() {
    let service = "[app]\nhost=from-service\nport=1\nuser=from-service\n";
    let all = [("/home/me/.pg_service.conf", service)];
    let variables = [
        ("PGSERVICE", "app"),
        ("PGPORT", "2"),
        ("PGUSER", "from-env"),
        ("PGDATABASE", "from-env"),
        ("PGSSLMODE", "require"),
        ("PGCONNECT_TIMEOUT", "1"),
    ];
    let connection = resolve_with("user=written", &variables, &all).unwrap();
    assert_eq!(connection.to_string(), "written@from-service:1/from-env");
    assert_eq!(connection.ssl_mode, SslMode::Require);
    assert_eq!(connection.connect_timeout, Duration::from_secs(2));
    // The written service wins over PGSERVICE.
    let error = resolve_with("service=other", &variables, &all).unwrap_err();
    assert_eq!(error.message(), "the service \"other\" is not defined");
}

#[test]
fn service_files_are_looked_for_as_libpq_does() {
    let system = ("/sys/pg_service.conf", "[app]\nhost=system\n");
    let own = ("/home/me/.pg_service.conf", "[mine]\nhost=mine\n");
    let named = ("/named", "[app]\nhost=named\n");
    let cases: [(&[_], &[_], &str); 3] = [
        (&[("PGSYSCONFDIR", "/sys")], &[system, own], "me@system:5432/me"),
        (&[("PGSERVICEFILE", "/named"), ("PGSYSCONFDIR", "/sys")], &[system, named], "me@named:5432/me"),
        (&[], &[("/etc/postgresql-common/pg_service.conf", "[app]\nhost=debian\n")], "me@debian:5432/me"),
    ];
    for (variables, all, shown) in cases {
        assert_eq!(resolve_with("service=app", variables, all).unwrap().to_string(), shown);
    }
    let error = resolve_with("service=app", &[("PGSERVICEFILE", "/none")], &[]).unwrap_err();
    assert_eq!(error.message(), "the service file /none does not exist");
}

#[test]
fn the_password_comes_from_the_first_place_that_has_one() {
    let pgpass = ("/home/me/.pgpass", "*:*:*:*:from-pgpass\n");
    let service = ("/home/me/.pg_service.conf", "[s]\npassword=from-service\n[t]\nhost=h\n");
    let passfile = ("/pf", "h:*:*:me:from-passfile\n");
    let all = [pgpass, service, passfile];
    let cases: [(&str, &[_], Option<&str>); 7] = [
        ("postgres://me:written@h?service=s", &[("PGPASSWORD", "env")], Some("written")),
        ("host=h service=s", &[("PGPASSWORD", "env")], Some("from-service")),
        ("host=h service=t", &[("PGPASSWORD", "env")], Some("env")),
        ("host=h", &[], Some("from-pgpass")),
        ("host=h passfile=/pf", &[], Some("from-passfile")),
        ("host=h", &[("PGPASSFILE", "/pf")], Some("from-passfile")),
        ("host=h user=other passfile=/pf", &[], None),
    ];
    for (text, variables, expected) in cases {
        assert_eq!(password(&resolve_with(text, variables, &all).unwrap()), expected, "{text}");
    }
}

#[test]
fn a_password_file_holds_nothing_but_the_password() {
    let all = files(&[("/project/secret", "it's:it\\\n")]);
    let mut request = Connection::parse("host=h", &surroundings(&[("PGPASSWORD", "env")])).unwrap();
    request.set("password_file", "secret").unwrap();
    assert_eq!(password(&request.clone().resolve(&all).unwrap()), Some("it's:it\\"));
    request.set("password_file", "/none").unwrap();
    assert_eq!(request.resolve(&all).unwrap_err().message(), "the password file /none does not exist");
}

#[test]
fn pgpass_knows_the_default_socket_as_localhost_and_each_endpoint_by_itself() {
    let text = "localhost:5432:*:*:socket\n/run/pg:*:*:*:folder\na:1:*:*:of-a\nb:*:*:*:of-b\n";
    let all = [("/home/me/.pgpass", text)];
    let of = |text| resolve_with(text, &[], &all).unwrap();
    assert_eq!(password(&of("dbname=d")), Some("socket"));
    assert_eq!(password(&of("host=/tmp")), Some("socket"));
    assert_eq!(password(&of("host=/run/pg")), Some("folder"));
    let several = of("host=a,b,c port=1");
    assert_eq!(password(&several), None);
    let each: Vec<_> =
        several.endpoints.iter().map(|endpoint| endpoint.password.as_ref().map(Secret::expose)).collect();
    assert_eq!(each, [Some("of-a"), Some("of-b"), None]);
}

#[test]
fn a_pgpass_that_others_may_read_is_ignored_with_a_note() {
    for (mode, ignored) in [(0o100_600, false), (0o100_400, false), (0o100_640, true), (0o100_604, true)] {
        let mut all = files(&[("/home/me/.pgpass", "*:*:*:*:p\n")]);
        all.values_mut().for_each(|file| file.mode = Some(mode));
        let connection = Connection::parse("host=h", &surroundings(&[])).unwrap().resolve(&all).unwrap();
        assert_eq!(connection.password.is_none(), ignored, "{mode:o}");
        assert_eq!(connection.notes.len(), usize::from(ignored), "{mode:o}");
    }
}

fn told(error: &Error) -> String {
    format!("{} | {}", error.message(), error.hints().join(" | "))
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let cases = [
        ("host=h prot=5", "unknown connection parameter \"prot\" | did you mean \"port\"?"),
        ("host=h database=d", "unknown connection parameter \"database\" | did you mean \"dbname\"?"),
        (
            "host=h sslmode=allow",
            "sslmode=allow is not supported | write sslmode=prefer: TLS where the server has it",
        ),
        (
            "host=h sslmode=verify_full",
            "sslmode is one of disable, prefer, require, verify-ca, verify-full, not \"verify_full\" | did you mean \"verify-full\"?",
        ),
        ("postgres://h:70000/d", "port is a number from 1 to 65535, not \"70000\" | "),
        ("host=a,b,c port=1,2", "port must have one entry, or as many as host: 3 | "),
        ("host=h sslcert=me.crt", "sslcert is given without sslkey | name the PEM file of its private key"),
        (
            "host=h requirepeer=me",
            "requirepeer is not supported | the owner of a Unix socket is not checked: leave requirepeer out",
        ),
        (
            "host=h gssencmode=require",
            "this value of gssencmode is not supported | logging in with Kerberos is not supported: use a password for this role",
        ),
        ("mysql://h/d", "\"mysql://\" is not a PostgreSQL URL | write postgresql://user@host:port/database"),
        (
            "host=h sslrootcert=system sslmode=require",
            "sslmode=require is too weak for sslrootcert=system | anyone can have a certificate that the system trusts: write sslmode=verify-full",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(told(&resolve(text).unwrap_err()), expected, "{text}");
    }
    let error = resolve_with("host=h", &[("PGSSLMODE", "requier")], &[]).unwrap_err();
    assert!(error.message().starts_with("sslmode (from PGSSLMODE) is one of"), "{error}");
}

/// Every malformed text here holds `s3cr` and `et`, the pieces of a password.
#[test]
fn no_error_shows_a_piece_of_a_password() {
    let texts = [
        "postgresql://u:s3cr/et@h/d",
        "postgresql://u:s3cr@et@h/d",
        "postgresql://u:s3cr%et@h/d",
        "postgresql://u:s3cr%00et@h/d",
        "postgresql://u:s3cr%ffet@h/d",
        "postgresql://u:s3cr/x?et@h",
        "postgresql://u:s3cr/?et=1@h",
        "postgresql://u:s3cr/x?sslmode=et@h",
        "postgresql://u:s3cr?connect_timeout=et@h/d?port=x",
        "postgresql://s3cr:[et",
        "mysql://u:s3cret@h/d",
        "u:s3cret@h/d",
        "host=h password=s3cr et",
        "host=h password=s3cr et=1",
        "host=h password=s3cr port=et",
        "host=h password='s3cr et",
        "host=h password='s3cr' et' port=1",
        "host=h port=1 password='s3cr'et port=x",
        "s3cret",
    ];
    for text in texts {
        let error = resolve(text).expect_err(text);
        let all = format!("{error:?} {}", told(&error)).replace("between", "").replace("Secret", "");
        assert!(!all.contains("s3cr"), "{text}: {all}");
        let words: Vec<_> = all.split(|c: char| !c.is_alphanumeric()).collect();
        assert!(!words.contains(&"et"), "{text}: {all}");
    }
}

#[test]
fn debug_shows_no_password() {
    let request =
        Connection::parse("postgresql://u:s3cret@h", &surroundings(&[("PGPASSWORD", "s3cret")])).unwrap();
    assert!(!format!("{request:?}").contains("s3cret"));
    let connection = request.resolve(&Files::new()).unwrap();
    assert!(!format!("{connection:?} {connection}").contains("s3cret"));
}
