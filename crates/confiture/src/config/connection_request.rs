//! From what was written to a [`Connection`], with the defaults that libpq has, in its order:
//! the text itself, the service, the environment, the password file, what PostgreSQL does by default.
//!
//! Two steps, because nothing here opens a file: [`Connection::parse`] reads the text, and
//! [`ConnectionRequest::resolve`] is handed the [`ConnectionFiles`] to look into.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::connection_parameter::{PARAMETERS, check_supported, find, unknown};
use super::{
    ChannelBinding, ClientCertificate, Connection, Endpoint, Keepalive, Secret, SslMode, Surroundings,
    TargetServer, connection_string, password_file, service_file,
};
use crate::error::{Error, Result};

/// The folders of Unix sockets that PostgreSQL has by default: Debian's and Red Hat's, and everyone else's.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// Where `pg_service.conf` is for the whole machine, where `PGSYSCONFDIR` does not say it.
const SERVICE_FOLDERS: [&str; 2] = ["/etc/postgresql-common", "/etc"];

/// The files that a connection may need, read by whoever may read files.
pub trait ConnectionFiles {
    /// The file, or `None` where there is no such file.
    ///
    /// # Errors
    ///
    /// Where it exists and cannot be read.
    fn read(&self, path: &Path) -> Result<Option<ConnectionFile>>;
}

/// A small file: a password file, a service file, a certificate.
#[derive(Clone, Default)]
pub struct ConnectionFile {
    /// What it says.
    pub text: String,
    /// Its Unix permission bits, where the system has such.
    pub mode: Option<u32>,
}

/// Files by path, for callers that have them at hand.
impl ConnectionFiles for BTreeMap<PathBuf, ConnectionFile> {
    fn read(&self, path: &Path) -> Result<Option<ConnectionFile>> {
        Ok(self.get(path).cloned())
    }
}

/// A database as the user named it, before anything was looked up.
#[derive(Clone)]
pub struct ConnectionRequest {
    settings: BTreeMap<&'static str, Setting>,
    surroundings: Surroundings,
}

/// The value of one parameter, and where it is from.
#[derive(Clone)]
struct Setting {
    value: String,
    /// ` (from PGSSLMODE)`, or nothing for what the user wrote here.
    from: String,
    /// Whether an error may show it.
    shown: bool,
}

impl Connection {
    /// Reads a PostgreSQL URL or a `key=value` connection string.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), which never shows a password, however malformed the text.
    pub fn parse(text: &str, surroundings: &Surroundings) -> Result<ConnectionRequest> {
        let read = connection_string::parse(text)?;
        let mut request = ConnectionRequest::from_surroundings(surroundings);
        for (name, value) in read.settings {
            request.settings.insert(name, Setting { value, from: String::new(), shown: read.shown });
        }
        Ok(request)
    }

    /// True where `text` begins as a PostgreSQL URL or is a `key=value` string: neither a file's nor an
    /// environment's name.
    #[must_use]
    pub fn is_connection_string(text: &str) -> bool {
        connection_string::is_url(text.trim()) || text.contains("://") || text.contains('=')
    }
}

impl ConnectionRequest {
    /// The database that the environment alone names: `PGHOST`, `PGDATABASE` and their kin.
    #[must_use]
    pub fn from_surroundings(surroundings: &Surroundings) -> Self {
        Self { settings: BTreeMap::new(), surroundings: surroundings.clone() }
    }

    /// Sets one parameter by its name in libpq (`host`, `dbname`, …), or `password_file`: a file with nothing but the
    /// password. A relative path starts at the folder of the surroundings.
    ///
    /// # Errors
    ///
    /// Where there is no such parameter.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> Result<&mut Self> {
        let parameter = find(name).ok_or_else(|| unknown(name, true))?;
        self.settings
            .insert(parameter.name, Setting { value: value.into(), from: String::new(), shown: true });
        Ok(self)
    }

    /// Looks into the service file, the password file and the environment for all that was left open.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config): a value that means nothing, a parameter that is not supported, a
    /// service that is not defined, a named file that does not exist.
    pub fn resolve(mut self, files: &dyn ConnectionFiles) -> Result<Connection> {
        self.take_password_file(files)?;
        self.take_service(files)?;
        self.take_environment();
        for (name, setting) in &self.settings {
            if let Some(parameter) = find(name) {
                check_supported(parameter, &setting.value, &setting.from)?;
            }
        }
        let user = match (self.text("user"), &self.surroundings.user) {
            (Some(user), _) => user.to_owned(),
            (None, Some(user)) => user.clone(),
            (None, None) => {
                return Err(
                    Error::config("no user name is given").hint("write postgresql://USER@…, or set PGUSER")
                );
            }
        };
        let (ssl_mode, ssl_root_cert) = self.tls(files)?;
        let mut connection = Connection {
            database: self.text("dbname").unwrap_or(&user).to_owned(),
            endpoints: self.endpoints()?,
            password: self.text("password").map(Secret::new),
            ssl_mode,
            ssl_root_cert,
            client_certificate: self.client_certificate()?,
            channel_binding: self.word("channel_binding", CHANNEL_BINDINGS)?.unwrap_or_default(),
            options: self.text("options").map(str::to_owned),
            target: self.word("target_session_attrs", TARGETS)?.unwrap_or_default(),
            keepalive: self.keepalive()?,
            ..Connection::new(Endpoint::new("", 0), user, "")
        };
        match self.number::<i32>("connect_timeout", "a number of seconds")? {
            None => {}
            // As libpq: zero and less is for ever, and one second is too short to be meant.
            Some(seconds) if seconds <= 0 => connection.connect_timeout = Duration::MAX,
            Some(seconds) => {
                connection.connect_timeout = Duration::from_secs(seconds.unsigned_abs().max(2).into());
            }
        }
        if connection.password.is_none() {
            self.look_for_password(&mut connection, files)?;
        }
        Ok(connection)
    }

    /// The value of a parameter, where it is set and not empty.
    fn text(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(|setting| setting.value.as_str()).filter(|value| !value.is_empty())
    }

    /// The error for a value that means nothing.
    fn wrong(&self, name: &str, expected: &str) -> Error {
        match self.settings.get(name) {
            Some(Setting { value, from, shown: true }) => {
                Error::config(format!("{name}{from} is {expected}, not \"{value}\""))
            }
            Some(Setting { from, .. }) => Error::config(format!("{name}{from} is {expected}")),
            None => Error::config(format!("{name} is {expected}")),
        }
    }

    fn number<N: FromStr>(&self, name: &str, expected: &str) -> Result<Option<N>> {
        self.text(name).map(|text| text.trim().parse().map_err(|_| self.wrong(name, expected))).transpose()
    }

    fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*meaning));
        }
        let all = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let error = self.wrong(name, &format!("one of {all}"));
        let nearest = words
            .iter()
            .map(|(word, _)| (strsim::jaro_winkler(text, word), *word))
            .filter(|(likeness, _)| *likeness > 0.85)
            .max_by(|left, right| left.0.total_cmp(&right.0));
        Err(match nearest {
            Some((_, nearest)) => error.hint(format!("did you mean \"{nearest}\"?")),
            None => error,
        })
    }

    fn insert_default(&mut self, name: &'static str, value: String, from: &str) {
        self.settings.entry(name).or_insert_with(|| Setting {
            value,
            from: format!(" (from {from})"),
            shown: true,
        });
    }

    /// `password_file`: where the user named one, it is what they wrote; it comes before the service and the environment.
    fn take_password_file(&mut self, files: &dyn ConnectionFiles) -> Result<()> {
        let Some(path) = self.text("password_file") else { return Ok(()) };
        let path = self.surroundings.folder.join(path);
        let file = files.read(&path)?.ok_or_else(|| {
            Error::config(format!("the password file {} does not exist", path.display()))
                .hint("it holds nothing but the password; relative paths start at the file that names it")
        })?;
        let password = file.text.lines().next().unwrap_or_default().to_owned();
        if password.is_empty() {
            return Err(Error::config(format!("the password file {} is empty", path.display())));
        }
        self.insert_default("password", password, "password_file");
        Ok(())
    }

    /// The parameters of the service, where one is named.
    fn take_service(&mut self, files: &dyn ConnectionFiles) -> Result<()> {
        let service = self.text("service").or_else(|| self.surroundings.variable("PGSERVICE"));
        let Some(service) = service.map(str::to_owned) else { return Ok(()) };
        let named = self.text("servicefile").or_else(|| self.surroundings.variable("PGSERVICEFILE"));
        let (own, must_exist) = match named {
            Some(path) => (Some(PathBuf::from(path)), true),
            None => (self.in_home(".pg_service.conf"), false),
        };
        let mut paths: Vec<PathBuf> = own.into_iter().collect();
        match self.surroundings.variable("PGSYSCONFDIR") {
            Some(folder) => paths.push(Path::new(folder).join("pg_service.conf")),
            None => {
                paths.extend(SERVICE_FOLDERS.iter().map(|folder| Path::new(folder).join("pg_service.conf")));
            }
        }
        for (index, path) in paths.iter().enumerate() {
            let Some(file) = files.read(path)? else {
                if must_exist && index == 0 {
                    return Err(Error::config(format!("the service file {} does not exist", path.display())));
                }
                continue;
            };
            if let Some(settings) = service_file::find_service(&file.text, &service, path)? {
                for (name, value) in settings {
                    self.insert_default(name, value, &path.display().to_string());
                }
                return Ok(());
            }
        }
        let looked = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        Err(Error::config(format!("the service \"{service}\" is not defined"))
            .hint(format!("write a section [{service}] in one of: {looked}")))
    }

    /// The environment variables that libpq reads.
    fn take_environment(&mut self) {
        for parameter in PARAMETERS {
            let Some(variable) = parameter.variable else { continue };
            let Some(value) = self.surroundings.variable(variable).map(str::to_owned) else { continue };
            self.insert_default(parameter.name, value, variable);
        }
    }

    /// Hosts, addresses and ports, one to one.
    fn endpoints(&self) -> Result<Vec<Endpoint>> {
        let list = |name| self.text(name).map(|text| text.split(',').map(str::trim).collect::<Vec<_>>());
        let hosts = list("host");
        let addresses = list("hostaddr");
        let ports = list("port").unwrap_or_else(|| vec![""]);
        let count = hosts.as_ref().or(addresses.as_ref()).map_or(1, Vec::len);
        if addresses.as_ref().is_some_and(|addresses| addresses.len() != count) {
            return Err(Error::config(format!("hostaddr must have as many entries as host: {count}")));
        }
        if ports.len() != 1 && ports.len() != count {
            return Err(Error::config(format!("port must have one entry, or as many as host: {count}")));
        }
        let mut endpoints = Vec::new();
        for index in 0..count {
            let at = |list: &Option<Vec<&str>>| list.as_ref().map_or("", |list| list[index]).to_owned();
            let (host, address) = (at(&hosts), at(&addresses));
            let port = match ports[if ports.len() == 1 { 0 } else { index }] {
                "" => 5432,
                text => match text.parse::<u16>() {
                    Ok(port) if port > 0 => port,
                    _ => return Err(self.wrong("port", "a number from 1 to 65535")),
                },
            };
            let address = match address.as_str() {
                "" => None,
                text => Some(
                    text.parse::<IpAddr>().map_err(|_| self.wrong("hostaddr", "an IPv4 or IPv6 address"))?,
                ),
            };
            if host.starts_with('@') {
                return Err(Error::config(
                    "abstract Unix sockets (a host that begins with \"@\") are not supported",
                ));
            }
            match (host.as_str(), address) {
                ("", None) => endpoints.extend(SOCKET_FOLDERS.map(|folder| Endpoint::new(folder, port))),
                ("", Some(address)) => {
                    endpoints.push(Endpoint {
                        address: Some(address),
                        ..Endpoint::new(address.to_string(), port)
                    });
                }
                (_, address) => endpoints.push(Endpoint { address, ..Endpoint::new(host, port) }),
            }
        }
        Ok(endpoints)
    }

    /// `sslmode` and `sslrootcert`, with `~/.postgresql/root.crt` as libpq has it.
    fn tls(&self, files: &dyn ConnectionFiles) -> Result<(SslMode, Option<PathBuf>)> {
        if self.text("sslmode") == Some("allow") {
            let from = &self.settings["sslmode"].from;
            return Err(Error::config(format!("sslmode=allow{from} is not supported"))
                .hint("write sslmode=prefer: TLS where the server has it"));
        }
        let mode = self.word("sslmode", SSL_MODES)?;
        match self.text("sslrootcert") {
            Some("system") => match mode {
                None | Some(SslMode::VerifyFull) => Ok((SslMode::VerifyFull, None)),
                Some(mode) => Err(Error::config(format!(
                    "sslmode={mode} is too weak for sslrootcert=system"
                ))
                .hint("anyone can have a certificate that the system trusts: write sslmode=verify-full")),
            },
            Some(path) => Ok((mode.unwrap_or_default(), Some(self.surroundings.folder.join(path)))),
            None => {
                let mode = mode.unwrap_or_default();
                let looks = matches!(mode, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull);
                let own = self.in_home(".postgresql/root.crt").filter(|_| looks);
                let exists = own.as_deref().map(|path| files.read(path)).transpose()?.flatten().is_some();
                Ok((mode, own.filter(|_| exists)))
            }
        }
    }

    /// `sslcert` and `sslkey`, both or none.
    fn client_certificate(&self) -> Result<Option<ClientCertificate>> {
        match (self.text("sslcert"), self.text("sslkey")) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(ClientCertificate {
                certificate: self.surroundings.folder.join(certificate),
                key: self.surroundings.folder.join(key),
            })),
            (Some(_), None) => {
                Err(Error::config("sslcert is given without sslkey")
                    .hint("name the PEM file of its private key"))
            }
            (None, Some(_)) => {
                Err(Error::config("sslkey is given without sslcert")
                    .hint("name the PEM file of its certificate"))
            }
        }
    }

    fn keepalive(&self) -> Result<Keepalive> {
        let mut keepalive = Keepalive::default();
        if let Some(enabled) = self.number::<i32>("keepalives", "0 or 1")? {
            keepalive.enabled = enabled != 0;
        }
        // As libpq: zero is the default.
        let seconds = |name| self.number::<u32>(name, "a number of seconds").map(|n| n.filter(|n| *n > 0));
        if let Some(idle) = seconds("keepalives_idle")? {
            keepalive.idle = Duration::from_secs(idle.into());
        }
        if let Some(interval) = seconds("keepalives_interval")? {
            keepalive.interval = Duration::from_secs(interval.into());
        }
        if let Some(probes) = self.number::<u32>("keepalives_count", "a number")?.filter(|n| *n > 0) {
            keepalive.probes = probes;
        }
        let timeout = self.number::<u32>("tcp_user_timeout", "a number of milliseconds")?;
        keepalive.user_timeout =
            timeout.filter(|n| *n > 0).map(|milliseconds| Duration::from_millis(milliseconds.into()));
        Ok(keepalive)
    }

    /// `~/.pgpass`, or what `passfile` or `PGPASSFILE` names instead.
    fn look_for_password(&self, connection: &mut Connection, files: &dyn ConnectionFiles) -> Result<()> {
        let path = self.text("passfile").map(PathBuf::from).or_else(|| self.in_home(".pgpass"));
        let Some(path) = path else { return Ok(()) };
        let file = match files.read(&path) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(()),
            // The server may not want a password at all.
            Err(error) => {
                connection.notes.push(error.message().to_owned());
                return Ok(());
            }
        };
        if file.mode.is_some_and(|mode| mode & 0o077 != 0) {
            let path = path.display();
            connection.notes.push(format!("{path} was ignored, as others may read it: chmod 600 {path}"));
            return Ok(());
        }
        let (database, user) = (&connection.database, &connection.user);
        let found: Vec<_> = connection
            .endpoints
            .iter()
            .map(|endpoint| {
                let host = match endpoint.host.as_str() {
                    folder if SOCKET_FOLDERS.contains(&folder) => "localhost",
                    host => host,
                };
                password_file::find_password(&file.text, host, endpoint.port, database, user).map(Secret::new)
            })
            .collect();
        if found.windows(2).all(|pair| pair[0] == pair[1]) {
            connection.password = found.into_iter().next().flatten();
        } else {
            for (endpoint, password) in connection.endpoints.iter_mut().zip(found) {
                endpoint.password = password;
            }
        }
        Ok(())
    }

    fn in_home(&self, name: &str) -> Option<PathBuf> {
        self.surroundings.home.as_ref().map(|home| home.join(name))
    }
}

const SSL_MODES: &[(&str, SslMode)] = &[
    ("disable", SslMode::Disable),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

const CHANNEL_BINDINGS: &[(&str, ChannelBinding)] = &[
    ("disable", ChannelBinding::Disable),
    ("prefer", ChannelBinding::Prefer),
    ("require", ChannelBinding::Require),
];

const TARGETS: &[(&str, TargetServer)] = &[
    ("any", TargetServer::Any),
    ("read-write", TargetServer::ReadWrite),
    ("read-only", TargetServer::ReadOnly),
    ("primary", TargetServer::Primary),
    ("standby", TargetServer::Standby),
];

/// The names of what is set. Never a value: one of them may be the password.
impl fmt::Debug for ConnectionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.settings.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
