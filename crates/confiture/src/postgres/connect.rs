//! Getting through to a server: the endpoints in order, TLS, the login, and what to say when it fails.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use tokio_postgres::config::SslMode as DriverSslMode;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::login_error::{Failure, describe};
use super::server_error::refused;
use super::tls;
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
}

/// What ended a connection that nobody was waiting on.
pub(super) type LastWords = Arc<OnceLock<tokio_postgres::Error>>;

/// Tries the endpoints in order, and the addresses of each. A server that answers and refuses the login ends the
/// search, as in libpq: another might take a password that is not meant for it.
pub(super) async fn connect(connection: &Connection) -> Result<Connected> {
    let tls = tls::connector(connection)?;
    let mut failures: Vec<(&Endpoint, Failure)> = Vec::new();
    for endpoint in &connection.endpoints {
        match try_endpoint(connection, endpoint, tls.as_ref()).await {
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
    endpoint: &Endpoint,
    tls: Option<&MakeRustlsConnect>,
) -> Result<Connected, Failure> {
    if endpoint.is_unix_socket() {
        // As libpq: no TLS over a Unix socket, whatever `sslmode` says.
        return try_address(connection, endpoint, None, None).await;
    }
    let mut last = None;
    for address in addresses(connection, endpoint).await? {
        match try_address(connection, endpoint, Some(address), tls).await {
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
    endpoint: &Endpoint,
    address: Option<IpAddr>,
    tls: Option<&MakeRustlsConnect>,
) -> Result<Connected, Failure> {
    let config = driver_config(connection, endpoint, address);
    let describe = |error, with_tls| describe(error, connection, endpoint, with_tls);
    let Some(tls) = tls else {
        let logged_in =
            in_time(connection, log_in_plain(&config)).await?.map_err(|error| describe(error, false))?;
        return settle(connection, endpoint, address, logged_in, None).await;
    };
    let mut with_tls = config.clone();
    with_tls.ssl_mode(match connection.ssl_mode {
        SslMode::Disable | SslMode::Prefer => DriverSslMode::Prefer,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => DriverSslMode::Require,
    });
    match in_time(connection, log_in_with_tls(&with_tls, tls)).await? {
        Ok(logged_in) => settle(connection, endpoint, address, logged_in, Some(tls.clone())).await,
        Err(error) => {
            let failure = describe(error, true);
            if connection.ssl_mode == SslMode::Prefer && failure.may_do_without_tls {
                // Should this fail as well, the first failure says more.
                if let Ok(Ok(logged_in)) = in_time(connection, log_in_plain(&config)).await {
                    return settle(connection, endpoint, address, logged_in, None).await;
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

pub(super) fn driver_config(connection: &Connection, endpoint: &Endpoint, address: Option<IpAddr>) -> Config {
    let mut config = Config::new();
    config
        .host(&endpoint.host)
        .port(endpoint.port)
        .dbname(&connection.database)
        .user(&connection.user)
        .application_name("confiture")
        .connect_timeout(connection.connect_timeout)
        .ssl_mode(DriverSslMode::Disable)
        .channel_binding(match connection.channel_binding {
            ChannelBinding::Disable => tokio_postgres::config::ChannelBinding::Disable,
            ChannelBinding::Prefer => tokio_postgres::config::ChannelBinding::Prefer,
            ChannelBinding::Require => tokio_postgres::config::ChannelBinding::Require,
        });
    if let Some(address) = address {
        config.hostaddr(address);
    }
    if let Some(password) = connection.password.as_ref().or(endpoint.password.as_ref()) {
        config.password(password.expose());
    }
    if let Some(options) = &connection.options {
        config.options(options);
    }
    let keepalive = &connection.keepalive;
    config
        .keepalives(keepalive.enabled)
        .keepalives_idle(keepalive.idle)
        .keepalives_interval(keepalive.interval)
        .keepalives_retries(keepalive.probes);
    if let Some(timeout) = keepalive.user_timeout {
        config.tcp_user_timeout(timeout);
    }
    config
}

async fn log_in_plain(config: &Config) -> Result<(Client, LastWords), tokio_postgres::Error> {
    let (client, driver) = config.connect(NoTls).await?;
    Ok((client, drive(driver)))
}

async fn log_in_with_tls(
    config: &Config,
    tls: &MakeRustlsConnect,
) -> Result<(Client, LastWords), tokio_postgres::Error> {
    let (client, driver) = config.connect(tls.clone()).await?;
    Ok((client, drive(driver)))
}

/// Runs the driver's side of a connection, and keeps the error that ends it.
fn drive(driver: impl Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static) -> LastWords {
    let last_words = LastWords::default();
    let heard = last_words.clone();
    tokio::spawn(async move {
        // Pinned here, so that it is dropped, and with it what the client waits on, only after the error is kept.
        let mut driver = pin!(driver);
        if let Err(error) = driver.as_mut().await {
            let _ = heard.set(error);
        }
    });
    last_words
}

const PIN: &str = include_str!("queries/pin_settings.sql");

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
    endpoint: &Endpoint,
    address: Option<IpAddr>,
    (client, last_words): (Client, LastWords),
    tls: Option<MakeRustlsConnect>,
) -> Result<Connected, Failure> {
    let words = first_words(connection);
    let answer =
        in_time(connection, client.simple_query(words.as_str())).await?.map_err(|error| {
            match error.as_db_error() {
                Some(server) => Failure::of_settings(&refused(server)),
                None => Failure::closed(),
            }
        })?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let field = |index| row.and_then(|row| row.get(index)).unwrap_or_default();
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
    Ok(Connected { client, endpoint, address, tls, server_version, backend_pid, last_words })
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

/// Cancels what a session runs, over a connection of its own.
pub(super) async fn cancel(
    connection: &Connection,
    client: &Client,
    tls: Option<&MakeRustlsConnect>,
) -> Result<()> {
    let token = client.cancel_token();
    let cancelled = in_time(connection, async {
        match tls {
            Some(tls) => token.cancel_query(tls.clone()).await,
            None => token.cancel_query(NoTls).await,
        }
    });
    match cancelled.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => {
            Err(Error::new(ErrorKind::Connect, format!("the request to cancel did not reach {connection}")))
        }
    }
}

/// True for an error of the transport, and not of a statement or a value.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    error.is_closed()
        || std::error::Error::source(error).is_some_and(|source| source.downcast_ref::<io::Error>().is_some())
}
