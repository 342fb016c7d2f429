//! One connection to a server, with settings pinned so that values read the same on every server.

use std::sync::Arc;

use bytes::Bytes;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, CopyInSink, CopyOutStream, NoTls, Row, Statement};

use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Sql;

/// A connection to one database. Dropping it closes the connection and so ends what it was doing.
#[derive(Clone)]
pub struct Session {
    client: Arc<Client>,
    connection: Arc<Connection>,
}

/// A parameter of a query: `&value`.
pub type Parameter<'a> = &'a (dyn ToSql + Sync);

impl Session {
    /// Connects, logs in, and pins the settings that decide how values read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`], with what to look at for each cause.
    pub async fn connect(connection: &Connection) -> Result<Self> {
        let mut config = tokio_postgres::Config::new();
        for endpoint in &connection.endpoints {
            config.host(&endpoint.host).port(endpoint.port);
        }
        config.dbname(&connection.database).user(&connection.user).application_name("confiture");
        if let Some(password) = &connection.password {
            config.password(password.expose());
        }
        let (client, driver) = config.connect(NoTls).await.map_err(|error| {
            Error::new(ErrorKind::Connect, format!("cannot connect to {connection}")).because(error)
        })?;
        tokio::spawn(driver);
        let session = Self { client: Arc::new(client), connection: Arc::new(connection.clone()) };
        session.batch(&Sql::literal(include_str!("queries/pin_settings.sql"))).await?;
        Ok(session)
    }

    /// Where this session is connected to.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// True once the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// The driver's client, for what only this floor does.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Runs one or more statements without parameters; several are one implicit transaction.
    pub async fn batch(&self, sql: &Sql) -> Result<()> {
        self.client.batch_execute(sql.as_str()).await.map_err(|error| self.refused(error))
    }

    /// Runs one statement and returns how many rows it touched.
    pub async fn execute(&self, sql: &Sql, parameters: &[Parameter<'_>]) -> Result<u64> {
        self.client.execute(sql.as_str(), parameters).await.map_err(|error| self.refused(error))
    }

    /// Runs one query and returns its rows.
    pub async fn query(&self, sql: &Sql, parameters: &[Parameter<'_>]) -> Result<Vec<Row>> {
        self.client.query(sql.as_str(), parameters).await.map_err(|error| self.refused(error))
    }

    /// Runs a query that returns exactly one row.
    pub async fn query_one(&self, sql: &Sql, parameters: &[Parameter<'_>]) -> Result<Row> {
        self.client.query_one(sql.as_str(), parameters).await.map_err(|error| self.refused(error))
    }

    /// Runs a query that returns one row or none.
    pub async fn query_opt(&self, sql: &Sql, parameters: &[Parameter<'_>]) -> Result<Option<Row>> {
        self.client.query_opt(sql.as_str(), parameters).await.map_err(|error| self.refused(error))
    }

    /// Has the server parse and analyse a statement, without running it.
    pub async fn prepare(&self, sql: &Sql) -> Result<Statement> {
        self.client.prepare(sql.as_str()).await.map_err(|error| self.refused(error))
    }

    /// Starts a `COPY … TO STDOUT`.
    pub async fn copy_out(&self, sql: &Sql) -> Result<CopyOutStream> {
        self.client.copy_out(sql.as_str()).await.map_err(|error| self.refused(error))
    }

    /// Starts a `COPY … FROM STDIN`.
    pub async fn copy_in(&self, sql: &Sql) -> Result<CopyInSink<Bytes>> {
        self.client.copy_in(sql.as_str()).await.map_err(|error| self.refused(error))
    }

    /// Turns a driver's error into ours, without row values.
    pub fn refused(&self, error: tokio_postgres::Error) -> Error {
        match error.as_db_error() {
            Some(server) => {
                Error::new(ErrorKind::Server, server.message()).sqlstate(server.code().code()).because(error)
            }
            None => Error::new(ErrorKind::Connect, format!("the connection to {} was lost", self.connection))
                .because(error),
        }
    }
}
