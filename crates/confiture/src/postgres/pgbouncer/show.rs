//! What the console shows.

use std::fmt;

use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::PgBouncer;
use crate::config::Destination;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Sql;

/// A database as PgBouncer's clients know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// The name that clients use.
    pub name: String,
    /// The server's host, where it is not PgBouncer's default.
    pub host: Option<String>,
    /// The server's port.
    pub port: u16,
    /// The name at the server.
    pub dbname: String,
    /// `session`, `transaction` or `statement`.
    pub pool_mode: String,
    /// True where clients are held back.
    pub paused: bool,
    /// True where new clients are refused.
    pub disabled: bool,
    /// Connections to the server.
    pub connections: u32,
}

impl Database {
    /// Where it leads.
    #[must_use]
    pub fn destination(&self) -> Destination {
        Destination { host: self.host.clone(), port: Some(self.port), dbname: Some(self.dbname.clone()) }
    }

    /// True where that is the same place, with PgBouncer's defaults for what `to` leaves out.
    #[must_use]
    pub fn leads_to(&self, to: &Destination) -> bool {
        self.host == to.host
            && self.port == to.port.unwrap_or(5432)
            && self.dbname == *to.dbname.as_ref().unwrap_or(&self.name)
    }
}

/// A server connection that works for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    /// The server's process, as `pg_stat_activity.pid` has it, where PgBouncer knows it.
    pub pid: Option<u32>,
    /// Who is logged in there.
    pub user: String,
    /// `application_name` of the client, from PgBouncer 1.18 on.
    pub application: Option<String>,
    /// Where the client is.
    pub client: Option<String>,
    /// When the client last asked for something.
    pub since: Option<String>,
    /// `session`, `transaction` or `statement`.
    pub pool_mode: String,
}

/// `pid 4711 of app for 10.0.0.7:50000 ("worker"), asked 2026-03-04 05:06:07 UTC`
impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "pid {pid} of {}", self.user)?,
            None => write!(f, "one of {}", self.user)?,
        }
        if let Some(client) = &self.client {
            write!(f, " for {client}")?;
        }
        if let Some(application) = &self.application {
            write!(f, " (\"{application}\")")?;
        }
        if let Some(since) = &self.since {
            write!(f, ", asked {since}")?;
        }
        Ok(())
    }
}

impl PgBouncer {
    /// All databases but the console.
    ///
    /// # Errors
    ///
    /// Where the console does not answer.
    pub async fn databases(&self) -> Result<Vec<Database>> {
        let pool_mode = self.setting("pool_mode").await?.unwrap_or_else(|| "session".into());
        let rows = self.show(&Sql::literal("SHOW DATABASES")).await?;
        let database = |row: &Shown| {
            Some(Database {
                name: row.text("name")?,
                host: row.text("host"),
                port: row.number("port").unwrap_or(5432),
                dbname: row.text("database")?,
                pool_mode: row.text("pool_mode").unwrap_or_else(|| pool_mode.clone()),
                paused: row.text("paused")? != "0",
                disabled: row.text("disabled").is_some_and(|disabled| disabled != "0"),
                connections: row.number("current_connections").unwrap_or(0),
            })
        };
        Ok(rows.iter().filter_map(database).filter(|database| database.name != "pgbouncer").collect())
    }

    /// One database.
    ///
    /// # Errors
    ///
    /// Where there is none of that name, or the console does not answer.
    pub async fn database(&self, name: &str) -> Result<Database> {
        let mut databases = self.databases().await?;
        match databases.iter().position(|database| database.name == name) {
            Some(at) => Ok(databases.swap_remove(at)),
            None => {
                let error = Error::new(
                    ErrorKind::Server,
                    format!("the PgBouncer of {} knows no database \"{name}\"", self.connection()),
                );
                let names = databases.iter().map(|database| database.name.as_str());
                Err(error
                    .did_you_mean(name, names)
                    .hint("name it as its clients do: the entry in the section [databases] of pgbouncer.ini"))
            }
        }
    }

    /// The server connections of a database that work for a client now.
    ///
    /// # Errors
    ///
    /// Where the console does not answer.
    pub async fn in_use(&self, database: &str) -> Result<Vec<InUse>> {
        let pool_mode = self.database(database).await?.pool_mode;
        let clients = self.show(&Sql::literal("SHOW CLIENTS")).await?;
        let servers = self.show(&Sql::literal("SHOW SERVERS")).await?;
        let busy = |row: &&Shown| {
            row.text("database").as_deref() == Some(database)
                && row.text("state").as_deref() == Some("active")
        };
        let in_use = |row: &Shown| {
            let link = row.text("link");
            let client = clients.iter().find(|client| link.is_some() && client.text("ptr") == link);
            InUse {
                pid: row.number("remote_pid").filter(|pid| *pid > 0),
                user: row.text("user").unwrap_or_default(),
                application: client.and_then(|client| client.text("application_name")),
                client: client.and_then(Shown::address),
                since: row.text("request_time"),
                pool_mode: pool_mode.clone(),
            }
        };
        Ok(servers.iter().filter(busy).map(in_use).collect())
    }

    /// A setting as it is now.
    ///
    /// # Errors
    ///
    /// Where the console does not answer.
    pub async fn setting(&self, name: &str) -> Result<Option<String>> {
        let rows = self.show(&Sql::literal("SHOW CONFIG")).await?;
        Ok(rows.iter().find(|row| row.text("key").as_deref() == Some(name)).and_then(|row| row.text("value")))
    }

    async fn show(&self, command: &Sql) -> Result<Vec<Shown>> {
        let answer = self.ask(command).await?;
        Ok(answer
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(Shown(row)),
                _ => None,
            })
            .collect())
    }
}

/// A row. Which columns there are depends on PgBouncer's version.
struct Shown(SimpleQueryRow);

impl Shown {
    /// A column that is there and says something.
    fn text(&self, column: &str) -> Option<String> {
        let text = self.0.try_get(column).ok()??;
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn number<N: std::str::FromStr>(&self, column: &str) -> Option<N> {
        self.text(column)?.parse().ok()
    }

    fn address(&self) -> Option<String> {
        let address = self.text("addr")?;
        match self.text("port") {
            Some(port) if address != "unix" => Some(format!("{address}:{port}")),
            _ => Some("a Unix socket".into()),
        }
    }
}
