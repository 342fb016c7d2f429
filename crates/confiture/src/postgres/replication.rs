//! A connection in replication mode, which the driver does not know.
//!
//! The driver logs in: TLS in every `sslmode`, channel binding and what is said when it fails are those of a
//! [`Session`]. One parameter more goes out with its first message, and when the login is done the stream is taken back
//! from it.

mod lent;

use std::time::{SystemTime, UNIX_EPOCH};

use pgwire_replication::PgWireError;
use pgwire_replication::protocol::framing::{MessageReader, write_copy_data, write_query};
use pgwire_replication::protocol::replication::{PG_EPOCH_MICROS, parse_copy_data};
use pgwire_replication::protocol::{BackendMessage, ErrorFields};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode as DriverSslMode;

pub(super) use pgwire_replication::protocol::replication::ReplicationCopyData as Copied;

use self::lent::{Duplex, Lent, Loan, Tap};
use super::Session;
use super::connect::{driver_config, in_time, report};
use super::login_error::describe;
use super::socket;
use crate::config::{Connection, SslMode};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Sql;

/// A row of a simple query: texts, `None` for NULL.
pub(super) type TextRow = Vec<Option<String>>;

/// A connection in replication mode: commands first, then a stream of WAL.
pub(super) struct Replication {
    stream: BufReader<Box<dyn Duplex>>,
    reader: MessageReader,
    connection: Connection,
}

impl Replication {
    /// Logs in at the very server that `session` is connected to, and pins the settings that decide how values read.
    pub(super) async fn connect(session: &Session) -> Result<Self> {
        let connection = session.connection().clone();
        let stream = log_in(session).await?;
        let stream = BufReader::with_capacity(128 << 10, stream);
        let mut replication = Self { stream, reader: MessageReader::new(), connection };
        replication.query(&Sql::literal(include_str!("queries/pin_settings.sql"))).await?;
        replication.query(&Sql::literal(include_str!("queries/no_timeouts.sql"))).await?;
        Ok(replication)
    }

    /// Runs SQL or a replication command, and returns the rows.
    pub(super) async fn query(&mut self, sql: &Sql) -> Result<Vec<TextRow>> {
        self.send(sql).await?;
        let (mut rows, mut refused) = (Vec::new(), None);
        loop {
            let message = self.read().await?;
            match message.tag {
                b'D' => rows.push(text_row(&message.payload)),
                b'E' => refused = Some(self.refused(&message.payload)),
                b'Z' => return refused.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    /// Sends `START_REPLICATION`; from then on there is only [`receive`](Self::receive) and [`report`](Self::report).
    pub(super) async fn start(&mut self, command: &Sql) -> Result<()> {
        self.send(command).await?;
        let mut refused = None;
        loop {
            let message = self.read().await?;
            match message.tag {
                b'W' => return Ok(()),
                b'E' => refused = Some(self.refused(&message.payload)),
                b'Z' => return Err(refused.unwrap_or_else(|| self.lost())),
                _ => {}
            }
        }
    }

    /// The next piece of the stream. Nothing is lost where this future is dropped before it is done.
    pub(super) async fn receive(&mut self) -> Result<Copied> {
        loop {
            let message = self.read().await?;
            match message.tag {
                b'd' => return parse_copy_data(message.payload).map_err(|error| self.broken(&error)),
                b'E' => return Err(self.refused(&message.payload)),
                b'c' | b'C' | b'Z' => return Err(self.lost()),
                _ => {}
            }
        }
    }

    /// True where a piece has already been read from the socket, at least in part.
    pub(super) fn has_buffered(&self) -> bool {
        self.stream.buffer().len() > 5
    }

    /// Tells the server that all up to `received` has come, and, where there is news, up to where its WAL is no longer needed.
    ///
    /// The second is taken back at once (the slot keeps it): a server that stops waits until its walsenders' clients have
    /// flushed all, and one with synchronous standbys counts those that flush.
    pub(super) async fn report(&mut self, received: u64, flushed: Option<u64>) -> Result<()> {
        if let Some(flushed) = flushed {
            self.send_status(received.max(flushed), flushed).await?;
        }
        self.send_status(received, 0).await
    }

    async fn send_status(&mut self, received: u64, flushed: u64) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let now = i64::try_from(now).unwrap_or(i64::MAX) - PG_EPOCH_MICROS;
        let mut status = vec![b'r'];
        // Received, flushed, applied, when; and no answer is asked for.
        for position in [received, flushed, flushed] {
            status.extend_from_slice(&position.to_be_bytes());
        }
        status.extend_from_slice(&now.to_be_bytes());
        status.push(0);
        write_copy_data(&mut self.stream, &status).await.map_err(|error| self.broken(&error))
    }

    /// Says goodbye, so that the server frees the slot at once.
    pub(super) async fn end(mut self) {
        // `Terminate`. Where the connection is gone already, so is the slot's user.
        let _ = self.stream.write_all(b"X\0\0\0\x04").await;
        let _ = self.stream.shutdown().await;
    }

    async fn send(&mut self, sql: &Sql) -> Result<()> {
        write_query(&mut self.stream, sql.as_str()).await.map_err(|error| self.broken(&error))
    }

    async fn read(&mut self) -> Result<BackendMessage> {
        match self.reader.read(&mut self.stream).await {
            Ok(message) => Ok(message),
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn broken(&self, error: &PgWireError) -> Error {
        match error {
            PgWireError::Io(_) => self.lost(),
            // Of the protocol: no values are in these.
            _ => {
                Error::new(ErrorKind::Connect, format!("the replication stream of {} broke", self.connection))
                    .detail(error.to_string())
                    .hint("run this again")
            }
        }
    }

    fn lost(&self) -> Error {
        Error::new(ErrorKind::Connect, format!("the replication connection to {} was lost", self.connection))
            .hint("the server stopped or crashed, or the network between was cut: see the server's log, then run this again")
    }

    /// What the server said. The texts of replication commands hold names and positions only.
    fn refused(&self, payload: &[u8]) -> Error {
        let fields = ErrorFields::parse(payload);
        let message = fields.message.unwrap_or_default();
        let kind = match fields.severity.as_deref() {
            Some("FATAL" | "PANIC") => ErrorKind::Connect,
            _ => ErrorKind::Server,
        };
        let message = match kind {
            ErrorKind::Connect => {
                format!("the replication connection to {} was cut: {message}", self.connection)
            }
            _ => message,
        };
        let mut error = Error::new(kind, message).sqlstate(fields.code.unwrap_or_default());
        if kind == ErrorKind::Connect {
            error = error.hint("the server is stopping, or somebody ended this session: run this again");
        }
        match fields.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// The columns of a `DataRow`.
fn text_row(payload: &[u8]) -> TextRow {
    let mut columns = Vec::new();
    let mut rest = payload.get(2..).unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        match usize::try_from(i32::from_be_bytes(*length)) {
            Ok(length) => {
                let (text, after) = after.split_at(length.min(after.len()));
                columns.push(Some(String::from_utf8_lossy(text).into_owned()));
                rest = after;
            }
            Err(_) => {
                columns.push(None);
                rest = after;
            }
        }
    }
    columns
}

/// The stream after a login in replication mode.
async fn log_in(session: &Session) -> Result<Box<dyn Duplex>> {
    let (connection, connected) = (session.connection(), session.connected());
    let endpoint = &connected.endpoint;
    let mut config = driver_config(connection, endpoint);
    let loan = Loan::default();
    // Where TLS is only preferred, the server need not have it.
    let tls = match connection.ssl_mode {
        SslMode::Prefer if !is_encrypted(session).await? => None,
        _ => connected.tls.as_ref(),
    };
    let outcome = in_time(connection, async {
        let socket = socket::open(connection, endpoint, connected.address).await.ok()?;
        Some(match tls.filter(|_| connected.address.is_some()) {
            Some(tls) => {
                config.ssl_mode(DriverSslMode::Require);
                let tap = Tap::new(tls, &endpoint.host, &loan).ok()?;
                config.connect_raw(socket, tap).await.map(drop)
            }
            None => config.connect_raw(Lent::new(Box::new(socket), &loan), NoTls).await.map(drop),
        })
    });
    let outcome = match outcome.await {
        Ok(outcome) => outcome,
        Err(failure) => return Err(report(connection, vec![(endpoint, failure)])),
    };
    match outcome {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            let failure = describe(error, connection, endpoint, tls.is_some());
            return Err(explain(report(connection, vec![(endpoint, failure)])));
        }
        None => {
            return Err(Error::new(ErrorKind::Connect, format!("cannot connect to {connection} again"))
                .hint("the server answered a moment ago: see its log, then run this again"));
        }
    }
    loan.take().ok_or_else(|| Error::unexpected("the driver kept the stream"))
}

async fn is_encrypted(session: &Session) -> Result<bool> {
    let query =
        Sql::literal("SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()");
    Ok(session.query_opt(&query, &[]).await?.is_some_and(|row| row.get(0)))
}

/// What the login of a replication connection may lack beyond that of a session.
fn explain(error: Error) -> Error {
    match error.sqlstate_code() {
        Some("42501" | "28000") => error
            .hint("following the WAL needs a role with the REPLICATION attribute: ALTER ROLE … REPLICATION"),
        Some("53300") => error.hint(
            "each stream of WAL takes one of max_wal_senders: raise it, or end streams that nobody needs",
        ),
        _ => error,
    }
}
