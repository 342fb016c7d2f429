//! One connection to a server, with settings pinned so that values read the same on every server.

use std::sync::Arc;

use bytes::Bytes;
use tokio_postgres::error::Severity;
use tokio_postgres::types::ToSql;
use tokio_postgres::{CopyInSink, CopyOutStream, Row, SimpleQueryMessage, Statement};

use super::connect::{self, Connected};
use super::server_error;
use crate::config::Connection;
use crate::error::{Error, Result};
use crate::sql::Sql;

/// A connection to one database. Its clones are the same connection, which closes when the last is dropped and what
/// runs is done; [`Session::cancel`] ends that at once.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    connected: Connected,
    connection: Connection,
}

/// A parameter of a query: `&value`.
pub type Parameter<'a> = &'a (dyn ToSql + Sync);

impl Session {
    /// Connects, logs in, and pins the settings that decide how values read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`](crate::ErrorKind::Connect), with what to look at for each cause;
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a root certificate that cannot be read.
    pub async fn connect(connection: &Connection) -> Result<Self> {
        let connected = connect::connect(connection, connect::Peer::Server).await?;
        Ok(Self { inner: Arc::new(Inner { connected, connection: connection.clone() }) })
    }

    /// Where this session is connected to.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.inner.connection
    }

    /// True once the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.client().is_closed()
    }

    /// The server's version as `server_version_num` has it: 150018 is 15.18.
    #[must_use]
    pub fn server_version(&self) -> u32 {
        self.inner.connected.server_version
    }

    /// The process that serves this session, as `pg_stat_activity.pid` has it.
    #[must_use]
    pub fn backend_pid(&self) -> i32 {
        self.inner.connected.backend_pid
    }

    /// True where another process answers now than at the beginning: a pooler is in between. Without a prepared statement, which a
    /// pooler may lose.
    ///
    /// # Errors
    ///
    /// Where the connection is lost.
    pub async fn is_served_by_another(&self) -> Result<bool> {
        let query = self.client().simple_query("SELECT pg_catalog.pg_backend_pid()");
        let answer = query.await.map_err(|error| self.refused(error))?;
        let pid = answer.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse::<i32>().ok(),
            _ => None,
        });
        Ok(pid != Some(self.backend_pid()))
    }

    /// Asks the server to cancel the statement that this session runs, over a connection of its own. The statement then
    /// fails with SQLSTATE 57014; nothing happens where none runs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`](crate::ErrorKind::Connect), where the request does not reach the server.
    pub async fn cancel(&self) -> Result<()> {
        connect::cancel(self.connection(), &self.inner.connected).await
    }

    /// What the server has warned of since this was asked last, without row values: a `GRANT` that granted nothing, a `VACUUM` that
    /// left a table out.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<String> {
        self.inner.connected.warnings.take()
    }

    /// The connection underneath, for one that goes to the same place.
    pub(super) fn connected(&self) -> &Connected {
        &self.inner.connected
    }

    /// The driver's client, for what only this floor does.
    pub(super) fn client(&self) -> &tokio_postgres::Client {
        &self.inner.connected.client
    }

    /// Runs one or more statements without parameters; several are one implicit transaction.
    pub async fn batch(&self, sql: &Sql) -> Result<()> {
        self.client().batch_execute(sql.as_str()).await.map_err(|error| self.refused(error))
    }

    /// Runs several statements without parameters in one round trip, and returns how many rows each touched.
    pub async fn counts(&self, sql: &Sql) -> Result<Vec<u64>> {
        let messages = self.client().simple_query(sql.as_str()).await.map_err(|error| self.refused(error))?;
        let count = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        };
        Ok(messages.iter().filter_map(count).collect())
    }

    /// Does `work`, whose statements run on this session, in one transaction: committed where it succeeds, rolled back where
    /// it fails.
    ///
    /// # Errors
    ///
    /// Those of `work`, and the server's where it refuses to commit.
    pub async fn transaction<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.batch(&Sql::literal("BEGIN")).await?;
        let result = work.await;
        match &result {
            Ok(_) => self.batch(&Sql::literal("COMMIT")).await?,
            Err(_) if self.is_closed() => {}
            // Why the work failed is what matters.
            Err(_) => drop(self.batch(&Sql::literal("ROLLBACK")).await),
        }
        result
    }

    /// Runs one statement and returns how many rows it touched.
    pub async fn execute(&self, sql: &Sql, parameters: &[Parameter<'_>]) -> Result<u64> {
        self.client().execute(sql.as_str(), parameters).await.map_err(|error| self.refused(error))
    }

    /// Runs one query and returns its rows.
    pub async fn query(&self, sql: &Sql, parameters: &[Parameter<'_>]) -> Result<Vec<Row>> {
        self.client().query(sql.as_str(), parameters).await.map_err(|error| self.refused(error))
    }

    /// Runs a query that [`prepare`](Self::prepare) has made ready.
    pub async fn query_prepared(&self, query: &Statement, parameters: &[Parameter<'_>]) -> Result<Vec<Row>> {
        self.client().query(query, parameters).await.map_err(|error| self.refused(error))
    }

    /// Runs a query that returns exactly one row.
    pub async fn query_one(&self, sql: &Sql, parameters: &[Parameter<'_>]) -> Result<Row> {
        self.client().query_one(sql.as_str(), parameters).await.map_err(|error| self.refused(error))
    }

    /// Runs a query that returns one row or none.
    pub async fn query_opt(&self, sql: &Sql, parameters: &[Parameter<'_>]) -> Result<Option<Row>> {
        self.client().query_opt(sql.as_str(), parameters).await.map_err(|error| self.refused(error))
    }

    /// Runs one query without parameters and returns its rows as texts, as the types' output functions give them; a cast to
    /// `text` gives others: `true` and not `t`.
    pub async fn texts(&self, sql: &Sql) -> Result<Vec<Vec<Option<String>>>> {
        let messages = self.client().simple_query(sql.as_str()).await.map_err(|error| self.refused(error))?;
        let texts = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).map(ToOwned::to_owned)).collect())
            }
            _ => None,
        };
        Ok(messages.iter().filter_map(texts).collect())
    }

    /// Has the server parse and analyse a statement, without running it.
    pub async fn prepare(&self, sql: &Sql) -> Result<Statement> {
        self.client().prepare(sql.as_str()).await.map_err(|error| self.refused(error))
    }

    /// Starts a `COPY … TO STDOUT`.
    pub async fn copy_out(&self, sql: &Sql) -> Result<CopyOutStream> {
        self.client().copy_out(sql.as_str()).await.map_err(|error| self.refused(error))
    }

    /// Starts a `COPY … FROM STDIN`.
    pub async fn copy_in(&self, sql: &Sql) -> Result<CopyInSink<Bytes>> {
        self.client().copy_in(sql.as_str()).await.map_err(|error| self.refused(error))
    }

    /// Turns a driver's error into ours, without row values.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the driver's error ends here: its text holds row values"
    )]
    #[must_use]
    pub fn refused(&self, error: tokio_postgres::Error) -> Error {
        match error.as_db_error() {
            Some(server) if matches!(server.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) => {
                connect::cut(self.connection(), server)
            }
            Some(server) => server_error::refused(server),
            None if connect::is_lost(&error) => {
                connect::lost(self.connection(), &self.inner.connected.last_words)
            }
            // A number of parameters or rows, a type: no values. What is underneath may have some.
            None => Error::unexpected(error.to_string()),
        }
    }
}
