//! What a server shall be like.

use std::{fmt, path::PathBuf};

/// What a server shall be like. The default is what tests want: the newest PostgreSQL on the machine, reachable
/// over its Unix socket only, as fast as a server whose data nobody will miss can be.
#[derive(Clone, Default)]
pub struct Options {
    /// The folder that holds `initdb` and `postgres`. Without it they are [found](crate::Binaries::find).
    pub bin_dir: Option<PathBuf>,
    /// The major version, as in `15`. Without it the newest on the machine.
    pub version: Option<u32>,
    /// Settings of `postgresql.conf`, written after (so stronger than) those that this crate chooses.
    pub settings: Vec<(String, String)>,
    /// Survive a crash of the machine. A throwaway server need not; a kept one always does.
    pub durable: bool,
    /// Also listen on 127.0.0.1, on this port; 0 picks a free one.
    pub tcp_port: Option<u16>,
    /// Lines of `pg_hba.conf`, put before this crate's own: everybody who reaches the socket (only the owner can)
    /// is trusted, everybody who comes over TCP needs a SCRAM password.
    pub hba: Vec<String>,
    /// The superuser's password. Over the Unix socket none is needed.
    pub password: Option<String>,
    /// Speak TLS over TCP.
    pub tls: Option<Tls>,
}

/// The PEM texts that a server needs to speak TLS.
#[derive(Clone)]
pub struct Tls {
    /// The server's certificate, then those between it and the root.
    pub certificate: String,
    /// The private key of the certificate.
    pub key: String,
    /// The root that clients' certificates must come from, when the server asks for them (`clientcert=verify-ca`).
    pub client_ca: Option<String>,
}

/// Neither a password nor a key is ever shown.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("bin_dir", &self.bin_dir)
            .field("version", &self.version)
            .field("settings", &self.settings)
            .field("durable", &self.durable)
            .field("tcp_port", &self.tcp_port)
            .field("hba", &self.hba)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("tls", &self.tls.as_ref().map(|_| "***"))
            .finish()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(***)")
    }
}
