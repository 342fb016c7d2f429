//! From a database's name on the command line to a connection; `embedded` starts the local server on the way.

use std::path::PathBuf;

use confiture::config::{Connection, Endpoint, Flags, Settings};
use confiture::postgres::{database as databases, roles};
use confiture::project::{Naming, Project, Target, TargetDatabase};
use confiture::sql::Identifier;
use confiture::{Error, ErrorKind, Result};
use local_postgres::{Options, Server};

/// A database that can be connected to, and how it is to be treated.
#[derive(Debug)]
pub(crate) struct Database {
    /// Where it is.
    pub(crate) connection: Connection,
    /// The settings of its environment, of the project, and of the command line.
    pub(crate) settings: Settings,
    /// The environment's name, where one was named.
    pub(crate) environment: Option<String>,
    /// The local server where the database is on it: it runs as long as this is held.
    server: Option<Server>,
}

impl Database {
    /// Makes the database where it is one of the local server and not there yet: nobody else would.
    pub(crate) async fn make_if_local(&self) -> Result<()> {
        if self.server.is_none() {
            return Ok(());
        }
        let name = Identifier::new(&self.connection.database);
        let maintenance = databases::connect_to_maintenance(&self.connection).await?;
        if !databases::is_maintenance(&name) && !databases::read_server(&maintenance, &name).await?.exists {
            databases::create(&maintenance, &name, None).await?;
        }
        Ok(())
    }
}

/// Finds the database that `naming` means. Only `embedded` does anything: it starts the server.
pub(crate) async fn find(project: &Project, naming: Naming<'_>, flags: &Flags) -> Result<Database> {
    let target = project.target(naming, flags)?;
    reach(project, target).await
}

async fn reach(project: &Project, target: Target) -> Result<Database> {
    let environment = target.environment.as_ref().map(|environment| environment.name.value.clone());
    let found = reach_database(project, target.database()?, target.settings.clone()).await?;
    Ok(Database { environment, ..found })
}

/// The server on which scratch databases are made: that of `scratch_url`, else the local one.
pub(crate) async fn scratch(project: &Project, settings: &Settings) -> Result<Database> {
    reach_database(project, project.scratch(settings)?, settings.clone()).await
}

/// As [`scratch`]. Where the `texts` make roles, and the server would be the local one, one for the occasion: roles belong to the whole
/// server, and there they meet nobody else's.
pub(crate) async fn scratch_for<'a>(
    project: &Project,
    settings: &Settings,
    mut texts: impl Iterator<Item = &'a str>,
) -> Result<Database> {
    let database = project.scratch(settings)?;
    if !matches!(database, TargetDatabase::Embedded(_)) || texts.all(|text| roles::made_in(text).is_empty()) {
        return reach_database(project, database, settings.clone()).await;
    }
    let server = Server::throwaway(Options::default()).await.map_err(server_error)?;
    let connection = on_server(&server, "postgres");
    Ok(Database { connection, settings: settings.clone(), environment: None, server: Some(server) })
}

async fn reach_database(project: &Project, database: TargetDatabase, settings: Settings) -> Result<Database> {
    let environment = None;
    match database {
        TargetDatabase::Server(connection) => {
            let connection = Connection { actor: actor(), ..*connection };
            Ok(Database { connection, settings, environment, server: None })
        }
        TargetDatabase::Embedded(name) => {
            let server =
                Server::keep(server_folder(project), Options::default()).await.map_err(server_error)?;
            Ok(Database { connection: on_server(&server, name), settings, environment, server: Some(server) })
        }
    }
}

/// A name that PostgreSQL would cut is the name of another database.
pub(crate) fn refuse_long_name(name: &str) -> Result<()> {
    if name.len() <= 63 {
        return Ok(());
    }
    let message = format!("a database's name has at most 63 bytes, and this one has {}: {name}", name.len());
    Err(Error::usage(message).hint("PostgreSQL would cut it, and another database would be meant"))
}

/// Where the project's local server has its data.
pub(crate) fn server_folder(project: &Project) -> PathBuf {
    project.root.join(".confiture/server")
}

/// A database of the local server.
pub(crate) fn on_server(server: &Server, database: impl Into<String>) -> Connection {
    let folder = server.socket_dir().display().to_string();
    let connection = Connection::new(Endpoint::new(folder, server.port()), server.user(), database);
    Connection { actor: actor(), own_server: true, ..connection }
}

/// Who runs this program, and where: `ada@laptop`, as far as the system knows.
fn actor() -> Option<String> {
    let known = [whoami::username().ok(), whoami::hostname().ok()];
    let known: Vec<String> = known
        .into_iter()
        .flatten()
        .map(|name| name.chars().filter(|character| !character.is_control()).take(64).collect())
        .filter(|name: &String| !name.is_empty())
        .collect();
    (!known.is_empty()).then(|| known.join("@"))
}

/// What the local server's crate says, as an error of ours. It never has seen a row.
pub(crate) fn server_error(error: local_postgres::Error) -> Error {
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<std::io::Error>());
    let denied = source.is_some_and(|source| source.kind() == std::io::ErrorKind::PermissionDenied);
    let kind = match error.kind() {
        _ if denied => ErrorKind::Config,
        local_postgres::ErrorKind::NotInstalled | local_postgres::ErrorKind::Connection => ErrorKind::Connect,
        local_postgres::ErrorKind::Unusable => ErrorKind::Config,
        _ => ErrorKind::Unexpected,
    };
    let mut ours = Error::new(kind, error.message());
    if let Some(source) = std::error::Error::source(&error) {
        ours = ours.detail(source.to_string());
    }
    if let Some(advice) = error.advice() {
        ours = ours.hint(advice);
    }
    if denied {
        ours = ours.hint("the local server lives in .confiture in the project's folder: this user must be able to write there");
    }
    ours.because(error)
}
