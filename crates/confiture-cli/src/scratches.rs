//! Where scratch databases are made.

use confiture::Result;
use confiture::config::{Connection, Settings};
use confiture::postgres::Session;
use confiture::project::Project;
use local_postgres::{Binaries, Options, Server};

use crate::database::{self, Database, on_server, server_error};

/// The server for them.
pub(crate) enum Scratches {
    /// On the server that was named; it runs as long as this is held, where it is one of ours.
    Named(Box<Database>),
    /// On a server of our own: the project's, where it runs, else one for the occasion.
    Ours(Box<Server>, Box<Connection>),
}

impl Scratches {
    /// With `alone`, not on the project's server. A server of our own is of the major version of the `live` one, where this machine
    /// has it.
    pub(crate) async fn find(
        project: &Project,
        settings: &Settings,
        alone: bool,
        live: Option<&Connection>,
    ) -> Result<Self> {
        if settings.scratch_url.value.is_some() {
            return Ok(Self::Named(Box::new(database::scratch(project, settings).await?)));
        }
        let version = match live {
            Some(connection) => Some(Session::connect(connection).await?.server_version() / 10_000),
            None => None,
        };
        let found = match alone {
            true => None,
            false => Server::find(database::server_folder(project)).await.map_err(server_error)?,
        };
        let other = version
            .filter(|version| found.as_ref().is_none_or(|found| found.binaries().version().major != *version))
            .filter(|version| Binaries::find(Some(*version)).is_ok());
        let server = match (found, other) {
            (Some(server), None) => server,
            (_, version) => {
                let options = Options { version, ..Options::default() };
                Server::throwaway(options).await.map_err(server_error)?
            }
        };
        let connection = on_server(&server, "postgres");
        Ok(Self::Ours(Box::new(server), Box::new(connection)))
    }

    pub(crate) fn connection(&self) -> &Connection {
        match self {
            Self::Named(database) => &database.connection,
            Self::Ours(_, connection) => connection,
        }
    }

    /// Lets go of the server: one for the occasion ends, one that was only found runs on.
    pub(crate) fn leave(self) {
        match self {
            Self::Named(database) => drop(database),
            Self::Ours(server, _) => drop(server),
        }
    }
}
