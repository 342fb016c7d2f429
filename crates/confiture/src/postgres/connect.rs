//! Getting through to a server: the endpoints in order, TLS, the login, and what to say when it fails.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::SslMode as DriverSslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::copy_sync::{CopySync, WithCopySync};
use super::login_error::{Failure, describe, of_socket};
use super::server_error::refused;
use super::socket::{self, Socket};
use super::tls;
use super::warnings::{self, Warnings};
use crate::config::{ChannelBinding, Connection, Endpoint, SslMode, TargetServer};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::{Literal, Sql, sql};

/// A connection that logged in and has its settings pinned.
pub(super) struct Connected {
    pub(super) client: Client,
    /// Which of the endpoints it is, and the address that it was looked up to.
    pub(super) endpoint: Endpoint,
    pub(super) address: Option<IpAddr>,
    /// The TLS that it has, for cancelling over the same.
    pub(super) tls: Option<MakeRustlsConnect>,
    pub(super) server_version: u32,
    pub(super) backend_pid: i32,
    /// Why the connection ended, once it has.
    pub(super) last_words: LastWords,
    /// What the server has warned of.
    pub(super) warnings: Warnings,
}

/// What ended a connection that nobody was waiting on.
pub(super) type LastWords = Arc<OnceLock<tokio_postgres::Error>>;

/// Who is expected to answer.
#[derive(Clone, Copy)]
pub(super) enum Peer {
    /// A PostgreSQL server, or a pooler on its behalf.
    Server,
    /// The admin console of a PgBouncer, which knows no SQL.
    Console,
}

/// Tries the endpoints in order, and the addresses of each. A server that answers and refuses the login ends the
/// search, as in libpq: another might take a password that is not meant for it.
pub(super) async fn connect(connection: &Connection, peer: Peer) -> Result<Connected> {
    let tls = tls::connector(connection)?;
    let mut failures: Vec<(&Endpoint, Failure)> = Vec::new();
    for endpoint in &connection.endpoints {
        match try_endpoint(connection, peer, endpoint, tls.as_ref()).await {
            Ok(connected) => return Ok(connected),
            Err(failure) => {
                let is_final = failure.is_final;
                failures.push((endpoint, failure));
                if is_final {
                    break;
                }
            }
        }
    }
    Err(report(connection, failures))
}

/// One error for all endpoints that failed.
pub(super) fn report(connection: &Connection, failures: Vec<(&Endpoint, Failure)>) -> Error {
    let several = failures.len() > 1;
    let mut said = Vec::new();
    let mut error_of = None;
    for (endpoint, failure) in failures {
        said.push(if several { format!("{endpoint}: {}", failure.what) } else { failure.what.clone() });
        error_of = Some(failure);
    }
    let mut error =
        Error::new(ErrorKind::Connect, format!("cannot connect to {connection}: {}", said.join("; ")));
    if let Some(last) = error_of {
        error = match last.source {
            Some(source) => error.sqlstate(source.sqlstate.clone()).because(source),
            None => error,
        };
        for hint in last.hints {
            error = error.hint(hint);
        }
    }
    error
}

async fn try_endpoint(
    connection: &Connection,
    peer: Peer,
    endpoint: &Endpoint,
    tls: Option<&MakeRustlsConnect>,
) -> Result<Connected, Failure> {
    if endpoint.is_unix_socket() {
        // As libpq: no TLS over a Unix socket, whatever `sslmode` says.
        return try_address(connection, peer, endpoint, None, None).await;
    }
    let mut last = None;
    for address in addresses(connection, endpoint).await? {
        match try_address(connection, peer, endpoint, Some(address), tls).await {
            Err(failure) if !failure.is_final => last = Some(failure),
            finished => return finished,
        }
    }
    Err(last.unwrap_or_else(|| Failure::unknown_host(endpoint)))
}

async fn addresses(connection: &Connection, endpoint: &Endpoint) -> Result<Vec<IpAddr>, Failure> {
    if let Some(address) = endpoint.address {
        return Ok(vec![address]);
    }
    let looked_up =
        in_time(connection, tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port))).await?;
    Ok(looked_up
        .map_err(|_| Failure::unknown_host(endpoint))?
        .map(|address: SocketAddr| address.ip())
        .collect())
}

/// One address: with TLS, and where TLS is only preferred, without it if that is what keeps the server from answering.
async fn try_address(
    connection: &Connection,
    peer: Peer,
    endpoint: &Endpoint,
    address: Option<IpAddr>,
    tls: Option<&MakeRustlsConnect>,
) -> Result<Connected, Failure> {
    let config = driver_config(connection, endpoint);
    let describe = |error, with_tls| {
        let failure = describe(error, connection, endpoint, with_tls);
        match (peer, &failure.source) {
            // A server: it is no use to make that database.
            (Peer::Console, Some(source)) if source.sqlstate == "3D000" => Failure::not_pgbouncer(),
            _ => failure,
        }
    };
    let Some(tls) = tls else {
        let socket = open(connection, endpoint, address).await?;
        let logged_in = in_time(connection, log_in_plain(&config, socket)).await?;
        let logged_in = logged_in.map_err(|error| describe(error, false))?;
        return settle(connection, peer, endpoint, address, logged_in, None).await;
    };
    let mut with_tls = config.clone();
    with_tls.ssl_mode(match connection.ssl_mode {
        SslMode::Disable | SslMode::Prefer => DriverSslMode::Prefer,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => DriverSslMode::Require,
    });
    let socket = open(connection, endpoint, address).await?;
    match in_time(connection, log_in_with_tls(&with_tls, socket, tls, &endpoint.host)).await? {
        Ok(logged_in) => settle(connection, peer, endpoint, address, logged_in, Some(tls.clone())).await,
        Err(error) => {
            let failure = describe(error, true);
            if connection.ssl_mode == SslMode::Prefer && failure.may_do_without_tls {
                // Should this fail as well, the first failure says more.
                let again = async {
                    let socket = socket::open(connection, endpoint, address).await.ok()?;
                    log_in_plain(&config, socket).await.ok()
                };
                if let Ok(Some(logged_in)) = in_time(connection, again).await {
                    return settle(connection, peer, endpoint, address, logged_in, None).await;
                }
            }
            Err(failure)
        }
    }
}

pub(super) async fn in_time<F: Future>(connection: &Connection, work: F) -> Result<F::Output, Failure> {
    tokio::time::timeout(connection.connect_timeout, work)
        .await
        .map_err(|_| Failure::timeout(connection.connect_timeout))
}

/// Opens the socket, in time.
async fn open(
    connection: &Connection,
    endpoint: &Endpoint,
    address: Option<IpAddr>,
) -> Result<Socket, Failure> {
    let opened = in_time(connection, socket::open(connection, endpoint, address)).await?;
    opened.map_err(|error| of_socket(&error, endpoint))
}

/// What the driver needs to know for the login; the socket is opened by us.
pub(super) fn driver_config(connection: &Connection, endpoint: &Endpoint) -> Config {
    let mut config = Config::new();
    config
        .dbname(&connection.database)
        .user(&connection.user)
        .application_name("confiture")
        .ssl_mode(DriverSslMode::Disable)
        .channel_binding(match connection.channel_binding {
            ChannelBinding::Disable => tokio_postgres::config::ChannelBinding::Disable,
            ChannelBinding::Prefer => tokio_postgres::config::ChannelBinding::Prefer,
            ChannelBinding::Require => tokio_postgres::config::ChannelBinding::Require,
        });
    if let Some(password) = connection.password.as_ref().or(endpoint.password.as_ref()) {
        config.password(password.expose());
    }
    if let Some(options) = &connection.options {
        config.options(options);
    }
    config
}

async fn log_in_plain(config: &Config, socket: Socket) -> Result<(Client, Ears), tokio_postgres::Error> {
    let (client, driver) = config.connect_raw(CopySync::new(socket), NoTls).await?;
    Ok((client, drive(driver)))
}

async fn log_in_with_tls(
    config: &Config,
    socket: Socket,
    tls: &MakeRustlsConnect,
    host: &str,
) -> Result<(Client, Ears), tokio_postgres::Error> {
    let (client, driver) =
        config.connect_raw(CopySync::new(socket), WithCopySync(tls_for(tls, host))).await?;
    Ok((client, drive(driver)))
}

/// What is heard of a connection beside answers.
type Ears = (LastWords, Warnings);

/// Runs the driver's side of a connection, and keeps the error that ends it.
fn drive<S, T>(mut driver: tokio_postgres::Connection<S, T>) -> Ears
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ears = Ears::default();
    let (last_words, heard) = ears.clone();
    tokio::spawn(async move {
        // The driver is dropped, and with it what the client waits on, only after the error is kept.
        if let Err(error) = warnings::drive(&mut driver, &heard).await {
            let _ = last_words.set(error);
        }
    });
    ears
}

/// What every session is told first.
pub(super) const PIN: &str = include_str!("queries/pin_settings.sql");

/// Says who answers.
const IDENTIFY: &str = "SELECT pg_backend_pid(), current_setting('server_version_num'), pg_is_in_recovery(), \
     current_setting('transaction_read_only');";

/// All that is said first; the one row that comes back is that of [`IDENTIFY`].
fn first_words(connection: &Connection) -> Sql {
    let actor = connection.actor.as_deref().unwrap_or_default();
    sql!("{}SET confiture.actor = {};\n{}", Sql::literal(PIN), Literal(actor), Sql::literal(IDENTIFY))
}

/// Pins the settings and asks who answers, in one round trip.
async fn settle(
    connection: &Connection,
    peer: Peer,
    endpoint: &Endpoint,
    address: Option<IpAddr>,
    (client, (last_words, warnings)): (Client, Ears),
    tls: Option<MakeRustlsConnect>,
) -> Result<Connected, Failure> {
    let words = first_words(connection);
    let question = match peer {
        Peer::Server => words.as_str(),
        Peer::Console => "SHOW VERSION",
    };
    let answer = in_time(connection, client.simple_query(question)).await?.map_err(|error| {
        match (peer, error.as_db_error()) {
            (Peer::Console, Some(_)) => Failure::not_pgbouncer(),
            (Peer::Server, Some(server)) => Failure::of_settings(&refused(server)),
            (_, None) => Failure::closed(),
        }
    })?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let field = |index| row.and_then(|row| row.get(index)).unwrap_or_default();
    if let Peer::Console = peer {
        let server_version = pgbouncer_version(field(0)).ok_or_else(Failure::not_pgbouncer)?;
        let endpoint = endpoint.clone();
        return Ok(Connected {
            client,
            endpoint,
            address,
            tls,
            server_version,
            backend_pid: 0,
            last_words,
            warnings,
        });
    }
    let (in_recovery, read_only) = (field(2) == "t", field(3) == "on");
    let unfit = match connection.target {
        TargetServer::ReadWrite if read_only => Some("it takes no writes"),
        TargetServer::ReadOnly if !read_only => Some("it takes writes"),
        TargetServer::Primary if in_recovery => Some("it is a standby"),
        TargetServer::Standby if !in_recovery => Some("it is a primary"),
        _ => None,
    };
    if let Some(why) = unfit {
        return Err(Failure::unfit(why));
    }
    let backend_pid = field(0).parse().map_err(|_| Failure::not_postgresql())?;
    let server_version = field(1).parse().map_err(|_| Failure::not_postgresql())?;
    let endpoint = endpoint.clone();
    Ok(Connected { client, endpoint, address, tls, server_version, backend_pid, last_words, warnings })
}

/// `PgBouncer 1.18.0` as 11800.
fn pgbouncer_version(text: &str) -> Option<u32> {
    let numbers = text.strip_prefix("PgBouncer ")?.split(|other: char| !other.is_ascii_digit());
    let mut numbers = numbers.map_while(|number| number.parse::<u32>().ok());
    Some(numbers.next()? * 10_000 + numbers.next()? * 100 + numbers.next().unwrap_or(0))
}

/// Turns the end of a connection into an error, with the server's reason where it gave one.
pub(super) fn lost(connection: &Connection, last_words: &LastWords) -> Error {
    let reason = last_words.get().and_then(tokio_postgres::Error::as_db_error);
    match reason {
        Some(server) => cut(connection, server),
        None => Error::new(ErrorKind::Connect, format!("the connection to {connection} was lost"))
            .hint("the server stopped or crashed, or the network between was cut: see the server's log, then run this again"),
    }
}

/// The server itself ended the connection (severity FATAL or PANIC), and said why.
pub(super) fn cut(connection: &Connection, server: &tokio_postgres::error::DbError) -> Error {
    let error = refused(server);
    let hint = match server.code().code() {
        "57P01" => "the server is stopping, or somebody ended this session: run this again when it is up",
        "57P02" | "57P03" => "the server is restarting: run this again when it is up",
        "57P05" | "25P03" | "25P04" => {
            "a timeout of the server ended the session: see idle_session_timeout, idle_in_transaction_session_timeout and transaction_timeout"
        }
        _ => "see the server's log",
    };
    let cut = Error::new(
        ErrorKind::Connect,
        format!("the connection to {connection} was cut: {}", error.message()),
    )
    .sqlstate(server.code().code())
    .hint(hint);
    cut.because(super::server_error::ServerError::from_driver(server))
}

/// The TLS of one connection. It takes every name; one that is none fails in the handshake.
fn tls_for(tls: &MakeRustlsConnect, host: &str) -> TlsOf<Socket> {
    match MakeTlsConnect::<Socket>::make_tls_connect(&mut tls.clone(), host) {
        Ok(tls) => tls,
        Err(never) => match never {},
    }
}

type TlsOf<S> = <MakeRustlsConnect as MakeTlsConnect<S>>::TlsConnect;

/// Cancels what a session runs, over a connection of its own.
pub(super) async fn cancel(connection: &Connection, connected: &Connected) -> Result<()> {
    let token = connected.client.cancel_token();
    let endpoint = &connected.endpoint;
    let cancelled = in_time(connection, async {
        let socket = socket::open(connection, endpoint, connected.address).await.ok()?;
        match &connected.tls {
            Some(tls) => token.cancel_query_raw(socket, tls_for(tls, &endpoint.host)).await.ok(),
            None => token.cancel_query_raw(socket, NoTls).await.ok(),
        }
    });
    match cancelled.await {
        Ok(Some(())) => Ok(()),
        Ok(None) | Err(_) => {
            Err(Error::new(ErrorKind::Connect, format!("the request to cancel did not reach {connection}")))
        }
    }
}

/// True for an error of the transport, and not of a statement or a value.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    error.is_closed()
        || std::error::Error::source(error).is_some_and(|source| source.downcast_ref::<io::Error>().is_some())
}
