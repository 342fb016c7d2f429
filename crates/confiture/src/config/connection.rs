//! How to reach one database.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Secret;

/// Everything that a connection needs, resolved: nothing is left to look up but host names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Where to try, in order.
    pub endpoints: Vec<Endpoint>,
    /// The database's name.
    pub database: String,
    /// The role to log in as.
    pub user: String,
    /// The password, from wherever it came.
    pub password: Option<Secret>,
    /// How TLS is used.
    pub ssl_mode: SslMode,
    /// Certificates to trust, as a PEM file; `None`: those of the system.
    pub ssl_root_cert: Option<PathBuf>,
    /// How long one endpoint may take to answer.
    pub connect_timeout: Duration,
    /// Settings for the server, as `options` of libpq: `-c search_path=app`.
    pub options: Option<String>,
}

/// One server address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A host name, an address, or (from a `/` on) the folder of a Unix socket.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// libpq's `sslmode`, without `allow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS where the server has it.
    #[default]
    Prefer,
    /// TLS, with any certificate.
    Require,
    /// TLS, with a certificate that a trusted authority signed.
    VerifyCa,
    /// TLS, with a trusted certificate for this very host name.
    VerifyFull,
}

impl Connection {
    /// The same server and role, another database.
    #[must_use]
    pub fn with_database(&self, database: impl Into<String>) -> Self {
        Self { database: database.into(), ..self.clone() }
    }
}

/// `user@host:port/database`: what may be shown. Never the password.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.user)?;
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{}:{}", endpoint.host, endpoint.port)?;
        }
        write!(f, "/{}", self.database)
    }
}
