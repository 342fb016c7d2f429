//! How to reach one database.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Secret;

/// Everything that a connection needs, resolved: nothing is left to look up but host names.
///
/// Made by [`Connection::parse`] and [`ConnectionRequest::resolve`](crate::config::ConnectionRequest::resolve), or by hand
/// from [`Connection::new`].
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
    /// The certificate to show to a server that asks for one.
    pub client_certificate: Option<ClientCertificate>,
    /// Whether the password exchange must be bound to the TLS connection.
    pub channel_binding: ChannelBinding,
    /// How long one endpoint may take to answer.
    pub connect_timeout: Duration,
    /// How a dead network is noticed.
    pub keepalive: Keepalive,
    /// Settings for the server, as `options` of libpq: `-c search_path=app`.
    pub options: Option<String>,
    /// Which of several servers will do.
    pub target: TargetServer,
    /// Who is at the keyboard, as `ada@laptop`: the audit trail of a migration names them beside the role.
    pub actor: Option<String>,
    /// The server is Confiture's own: roles that are missing may be made on it.
    pub own_server: bool,
    /// What was left aside on the way here, such as a password file that others can read: said when the login fails.
    pub notes: Vec<String>,
}

/// A certificate that proves who the client is, and its key: PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, then those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key, not encrypted.
    pub key: PathBuf,
}

/// One server address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A host name, an address, or (from a `/` on) the folder of a Unix socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The address to connect to instead of looking `host` up; `host` stays the name that a certificate must have.
    pub address: Option<IpAddr>,
    /// This server's own password, where `~/.pgpass` has different ones for the endpoints.
    pub password: Option<Secret>,
}

/// libpq's `sslmode`, without `allow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS where the server has it.
    #[default]
    Prefer,
    /// TLS, with any certificate; with a root certificate given, the same as [`SslMode::VerifyCa`].
    Require,
    /// TLS, with a certificate that a trusted authority signed.
    VerifyCa,
    /// TLS, with a trusted certificate for this very host name.
    VerifyFull,
}

/// libpq's `channel_binding`: proof that the server that checks the password is the one that holds the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where TLS and the server allow it.
    #[default]
    Prefer,
    /// Always: any other login is refused.
    Require,
}

/// libpq's `target_session_attrs`: which of several servers will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetServer {
    /// The first that answers.
    #[default]
    Any,
    /// One whose transactions may write by default.
    ReadWrite,
    /// One whose transactions may not write by default.
    ReadOnly,
    /// One that is not in recovery.
    Primary,
    /// One in recovery.
    Standby,
}

/// TCP keepalive: long statements send nothing, and a router between may forget the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keepalive {
    /// Whether probes are sent at all.
    pub enabled: bool,
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Lost probes until the connection counts as dead.
    pub probes: u32,
    /// How long sent data may stay unacknowledged; `None`: as the system has it.
    pub user_timeout: Option<Duration>,
}

impl Default for Keepalive {
    /// A dead network is noticed after two minutes, instead of the two hours that most systems have.
    fn default() -> Self {
        Self {
            enabled: true,
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(10),
            probes: 6,
            user_timeout: None,
        }
    }
}

impl Endpoint {
    /// A host name, an address, or the folder of a Unix socket, and the port.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, address: None, password: None }
    }

    /// True where `host` is the folder of a Unix socket.
    #[must_use]
    pub fn is_unix_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// `host:port`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl SslMode {
    /// The name that libpq has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Connection {
    /// One endpoint and everything else as it is by default.
    #[must_use]
    pub fn new(endpoint: Endpoint, user: impl Into<String>, database: impl Into<String>) -> Self {
        Self {
            endpoints: vec![endpoint],
            database: database.into(),
            user: user.into(),
            password: None,
            ssl_mode: SslMode::default(),
            ssl_root_cert: None,
            client_certificate: None,
            channel_binding: ChannelBinding::default(),
            connect_timeout: Duration::from_secs(15),
            keepalive: Keepalive::default(),
            options: None,
            target: TargetServer::default(),
            actor: None,
            own_server: false,
            notes: Vec::new(),
        }
    }

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
            write!(f, "{comma}{endpoint}")?;
        }
        write!(f, "/{}", self.database)
    }
}
