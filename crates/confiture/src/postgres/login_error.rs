//! Why a connection could not be made: one clear clause for each cause, and what to do next.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use rustls::CertificateError;
use tokio_postgres::error::DbError;

use super::server_error::ServerError;
use crate::config::{Connection, Endpoint, SslMode};
use crate::error::Error;

/// Why one endpoint did not do.
#[derive(Debug)]
pub(super) struct Failure {
    /// The clause after `cannot connect to …:`.
    pub(super) what: String,
    pub(super) hints: Vec<String>,
    /// The server's error, where it got as far as that.
    pub(super) source: Option<ServerError>,
    /// Whether the endpoints after this one are left alone.
    pub(super) is_final: bool,
    /// Whether the same might work without TLS.
    pub(super) may_do_without_tls: bool,
}

impl Failure {
    fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hints: vec![hint.into()],
            source: None,
            is_final: false,
            may_do_without_tls: false,
        }
    }

    fn last(self) -> Self {
        Self { is_final: true, ..self }
    }

    pub(super) fn unknown_host(endpoint: &Endpoint) -> Self {
        Self::new(
            format!("the host name \"{}\" is not known", endpoint.host),
            "check the spelling, and whether this machine's DNS or VPN knows the name",
        )
    }

    pub(super) fn timeout(after: Duration) -> Self {
        Self::new(
            format!("no answer within {} s", after.as_secs()),
            "check the host and the port, and whether a firewall lets this machine through; connect_timeout=SECONDS allows more time",
        )
    }

    pub(super) fn closed() -> Self {
        Self::new(
            "the connection was closed before the login was done",
            "check that a PostgreSQL server listens on this port, and see its log",
        )
    }

    pub(super) fn not_postgresql() -> Self {
        Self::new("what answers there is not a PostgreSQL server", "check the host and the port").last()
    }

    pub(super) fn not_pgbouncer() -> Self {
        Self::new(
            "what answers there is not the admin console of a PgBouncer",
            "name PgBouncer's own host and port, and its database \"pgbouncer\"",
        )
        .last()
    }

    pub(super) fn unfit(why: &str) -> Self {
        Self::new(
            format!("{why}, which target_session_attrs does not want"),
            "add the hosts of the other servers, or leave target_session_attrs out",
        )
    }

    pub(super) fn of_settings(error: &Error) -> Self {
        let failure = Self::new(
            format!("the settings of the session were refused: {}", error.message()),
            "connect to the server itself instead of to a pooler",
        );
        Self { source: ServerError::of(error).cloned(), ..failure.last() }
    }
}

/// The failure behind the driver's error.
#[allow(clippy::needless_pass_by_value, reason = "used as a function from error to failure")]
pub(super) fn describe(
    error: tokio_postgres::Error,
    connection: &Connection,
    endpoint: &Endpoint,
    with_tls: bool,
) -> Failure {
    if let Some(server) = error.as_db_error() {
        return of_server(server, connection, with_tls);
    }
    let source = error.source();
    if let Some(io) = source.and_then(|source| source.downcast_ref::<io::Error>()) {
        let tls = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        return match tls {
            Some(tls) => of_tls(tls, connection, endpoint),
            None => of_socket(io, endpoint),
        };
    }
    if error.is_closed() {
        return Failure::closed();
    }
    // The driver's kinds are private; its words for these are not data.
    match source.map(ToString::to_string).as_deref() {
        Some("password missing") => no_password(connection),
        Some("server does not support TLS") => Failure::new(
            format!("the server does not offer TLS, and sslmode={} insists on it", connection.ssl_mode),
            "turn TLS on at the server (ssl = on), or where the network is safe write sslmode=prefer",
        )
        .last(),
        Some("server did not use channel binding") => Failure::new(
            "the server did not use channel binding, and channel_binding=require insists on it",
            "it needs TLS and a SCRAM password: check sslmode and password_encryption, or leave channel_binding out",
        )
        .last(),
        Some("unsupported authentication method" | "unsupported SASL mechanism") => Failure::new(
            "the server asks for a login other than by password",
            "have pg_hba.conf ask this role for scram-sha-256: Kerberos, SSPI and OAuth are not supported",
        )
        .last(),
        _ if error.to_string() == "authentication error" => Failure::new(
            "the login failed: the server did not prove that it knows the password",
            "check that this is the right server and the password the right one",
        )
        .last(),
        _ => Failure::not_postgresql(),
    }
}

fn no_password(connection: &Connection) -> Failure {
    let mut failure = Failure::new(
        format!("the server asks for the password of role \"{}\", and none is given", connection.user),
        "set PGPASSWORD, write a line into ~/.pgpass, or name a password_file in the environment file",
    )
    .last();
    failure.hints.extend(connection.notes.iter().cloned());
    failure
}

pub(super) fn of_socket(error: &io::Error, endpoint: &Endpoint) -> Failure {
    let socket = format!("{}/.s.PGSQL.{}", endpoint.host, endpoint.port);
    match error.kind() {
        io::ErrorKind::NotFound if endpoint.is_unix_socket() => Failure::new(
            format!("there is no socket {socket}"),
            "check that the server runs and has its socket there (unix_socket_directories), or name a host: host=localhost",
        ),
        io::ErrorKind::PermissionDenied if endpoint.is_unix_socket() => Failure::new(
            format!("this user may not open the socket {socket}"),
            "run as a user that may, or connect over TCP: host=localhost",
        ),
        io::ErrorKind::ConnectionRefused => Failure::new(
            "the connection was refused",
            "check that the server runs and listens on this port (listen_addresses, port)",
        ),
        io::ErrorKind::TimedOut => Failure::new(
            "no answer",
            "check the host and the port, and whether a firewall lets this machine through",
        ),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Failure::new("the network has no way to it", "check this machine's network, VPN and the address")
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Failure::not_postgresql(),
        // A server that speaks no TLS, or no PostgreSQL, hangs up in the middle of it.
        _ => Failure { may_do_without_tls: true, ..Failure::closed() },
    }
}

fn of_tls(error: &rustls::Error, connection: &Connection, endpoint: &Endpoint) -> Failure {
    use rustls::Error::{AlertReceived, InvalidCertificate};
    let name = endpoint.host.as_str();
    let failure = match error {
        InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => Failure::new(
            "the server's certificate is not signed by an authority that is trusted here",
            match &connection.ssl_root_cert {
                Some(path) => format!("{} does not hold the authority's certificate: get it from whoever runs the server", path.display()),
                None => "name the file with the authority's certificate by sslrootcert; a managed server's provider offers it for download".into(),
            },
        ),
        InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            Failure::new(
                format!("the server's certificate is not for the host name \"{name}\""),
                "connect by a name that the certificate has as its subjectAltName; with sslmode=verify-ca the name is not checked",
            )
        }
        InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Failure::new("the server's certificate has expired", "have it renewed by whoever runs the server")
        }
        InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            Failure::new("the server's certificate is not valid yet", "check this machine's clock")
        }
        InvalidCertificate(_) => Failure::new(
            format!("the server's certificate does not do: {error}"),
            "have it made anew by whoever runs the server, as X.509 version 3 with a subjectAltName",
        ),
        AlertReceived(_) => Failure::new(
            "the server broke the TLS handshake off",
            "the server may ask for a client certificate (sslcert, sslkey), or know only TLS older than 1.2",
        ),
        _ => Failure::new(
            format!("the TLS handshake failed: {error}"),
            "check that a PostgreSQL server listens on this port; PostgreSQL with OpenSSL 1.0.1 or later speaks TLS 1.2",
        ),
    };
    let refused_by_us = connection.ssl_mode != SslMode::Prefer;
    Failure { is_final: refused_by_us, may_do_without_tls: true, ..failure }
}

/// PgBouncer says all by one code.
fn of_pooler(message: &str, connection: &Connection) -> Failure {
    let user = &connection.user;
    let hint = if message.contains("authentication failed") || message.starts_with("no such user") {
        format!(
            "PgBouncer checks \"{user}\" by its auth_file or auth_query: check the password there, and where yours comes \
             from: the URL, password_file, the service, PGPASSWORD, ~/.pgpass, in this order"
        )
    } else if message == "not allowed" {
        format!("the console is for those in admin_users of pgbouncer.ini: add {user}, and RELOAD")
    } else if message.contains("no such database") {
        "check the name, and the section [databases] of pgbouncer.ini".into()
    } else if message.contains("no more connections") {
        "close connections that are not needed, or raise max_client_conn of pgbouncer.ini".into()
    } else {
        "check options in the connection string and PGOPTIONS, which a pooler may not take, and see its log"
            .into()
    };
    Failure::new(message, hint)
}

/// The server answered, and refused. Its own words are shown, in its language; they hold names and addresses only.
fn of_server(server: &DbError, connection: &Connection, with_tls: bool) -> Failure {
    let (user, database) = (&connection.user, &connection.database);
    let message = server.message();
    let mut failure = match (server.code().code(), server.routine()) {
        ("28P01", _) => Failure::new(
            format!("wrong password for role \"{user}\", or no such role"),
            "check where the password comes from: the URL, password_file, the service, PGPASSWORD, ~/.pgpass, in this order",
        ),
        ("28000", Some("InitializeSessionUserId")) => Failure::new(
            message,
            format!(
                "check the user name; to make the role: createuser {user} (or ALTER ROLE … LOGIN where it may not log in)"
            ),
        ),
        ("28000", _) => Failure {
            may_do_without_tls: with_tls,
            ..Failure::new(
                message,
                match (with_tls, &connection.client_certificate) {
                    (false, _) => {
                        "have a line for this host, user and database put into the server's pg_hba.conf; where it has \
                         a hostssl line, write sslmode=require"
                    }
                    (true, None) => {
                        "have a line for this host, user and database put into the server's pg_hba.conf; where its \
                         line says clientcert, give sslcert and sslkey"
                    }
                    (true, Some(_)) => {
                        "have a line for this host, user and database put into the server's pg_hba.conf"
                    }
                },
            )
        },
        ("3D000", _) => Failure::new(
            format!("the database \"{database}\" does not exist"),
            format!("check the name; to make it: createdb {database}"),
        ),
        ("42501", _) => Failure::new(
            message,
            format!("have the database's owner GRANT CONNECT ON DATABASE \"{database}\" TO \"{user}\""),
        ),
        ("53300", _) => Failure::new(
            format!("the server has no connection left: {message}"),
            "close connections that are not needed, or raise max_connections (or the role's or database's CONNECTION LIMIT)",
        ),
        ("57P03", _) => Failure::new(
            format!("the server does not take connections now: {message}"),
            "it is starting up, shutting down or recovering: try again when it is done",
        ),
        ("55000", _) => Failure::new(message, "ALTER DATABASE … ALLOW_CONNECTIONS true lets connections in"),
        ("08P01", None) => of_pooler(message, connection),
        ("22023" | "42704" | "08P01", _) => Failure::new(
            message,
            "check options in the connection string and PGOPTIONS; a pooler may not take them",
        ),
        _ => Failure::new(message, "see the server's log"),
    };
    // As libpq: only a server that cannot take anyone now leads on to the next endpoint.
    failure.is_final = server.code().code() != "57P03";
    if server.code().code() == "28P01" {
        failure.hints.extend(connection.notes.iter().cloned());
    }
    failure.source = Some(ServerError::from_driver(server));
    failure
}
