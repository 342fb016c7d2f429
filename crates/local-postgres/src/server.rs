//! A running server.

use std::{
    fmt::Write,
    net::TcpListener,
    path::{Path, PathBuf},
};

use crate::{
    Binaries, Error, ErrorKind, Options, Result, SUPERUSER,
    account::Account,
    data::{self, Address},
    kept, place,
    supervisor::{PidFile, Role, Supervisor},
};

/// A PostgreSQL server on this machine. Dropping it lets go of it: a throwaway server is then stopped, and its folder
/// removed, before `drop` returns.
#[derive(Debug)]
pub struct Server {
    pub(crate) binaries: Binaries,
    pub(crate) folder: PathBuf,
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
    pub(crate) hold: Hold,
}

/// What ties a server to this program.
#[derive(Debug)]
pub(crate) enum Hold {
    /// The server is this program's alone.
    Throwaway(Supervisor),
    /// The server runs at least as long as somebody holds it.
    Kept(Supervisor),
    /// A kept server that this program does not hold, but may stop.
    Found,
    /// Somebody else looks after the server.
    Nothing,
}

impl Server {
    /// Starts a server that leaves nothing behind: neither after [`stop`](Self::stop) or `drop`, nor when this
    /// program ends by Ctrl-C or `kill -9`.
    ///
    /// Its data is in memory when there is room (`/dev/shm`), in the temporary folder otherwise.
    ///
    /// # Errors
    /// When there is no PostgreSQL on this machine ([`ErrorKind::NotInstalled`]), or the server does not start.
    pub async fn throwaway(options: Options) -> Result<Self> {
        let password = options.password.clone();
        let server = blocking(move || start_throwaway(&options)).await?;
        if let Some(password) = password {
            server.set_password(&password).await?;
        }
        Ok(server)
    }

    /// The server whose data is in the folder `dir`, made when it does not exist. When another program's server runs
    /// there, this is that one, with the options that it was started with.
    ///
    /// The server stops when the last program that holds it drops it or ends, however it ends, unless one of them
    /// called [`keep_running`](Self::keep_running). It always survives crashes: [`Options::durable`] is implied.
    ///
    /// # Errors
    /// When there is no fitting PostgreSQL on this machine ([`ErrorKind::NotInstalled`]), the folder cannot be used
    /// ([`ErrorKind::Unusable`]), or the server does not start.
    pub async fn keep(dir: impl AsRef<Path>, options: Options) -> Result<Self> {
        let dir = dir.as_ref().to_owned();
        let password = options.password.clone();
        let started = blocking(move || kept::keep(&dir, &options)).await?;
        if let Some(password) = password.filter(|_| started.new) {
            started.server.set_password(&password).await?;
        }
        Ok(started.server)
    }

    /// The server that runs in the folder `dir`, if one does. This does not hold it: it may stop at any time.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn find(dir: impl AsRef<Path>) -> Result<Option<Self>> {
        let dir = dir.as_ref().to_owned();
        blocking(move || kept::find(&dir)).await
    }

    /// Lets a [kept](Self::keep) server run on when no program holds it any more, until it is
    /// [stopped](Self::stop).
    ///
    /// # Errors
    /// When the server stopped in the meantime.
    pub async fn keep_running(mut self) -> Result<Self> {
        blocking(move || kept::keep_running(&mut self).map(|()| self)).await
    }

    /// The folder of the Unix socket: what libpq calls the host.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The port: of the socket's name, and of TCP when [`Options::tcp_port`] asked for it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's name.
    #[must_use]
    pub fn user(&self) -> &'static str {
        SUPERUSER
    }

    /// The URL of a database, over the Unix socket:
    /// `postgresql://postgres@/orders?host=%2Fdev%2Fshm%2Flocal-postgres-1f&port=5432`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let host = percent_encode(&self.socket_dir.display().to_string());
        format!("postgresql://{SUPERUSER}@/{}?host={host}&port={}", percent_encode(database), self.port)
    }

    /// The programs that run it.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The folder of the programs that run it.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        self.binaries.dir()
    }

    /// The path of a client program such as `psql` or `pg_dump`; see [`Binaries::program`].
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.binaries.program(name)
    }

    /// The folder that holds the server's data, socket and log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The pid of the server's first process; none when it has ended, or was only [attached](Self::attach).
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        PidFile::read(&self.folder.join("data")).map(|pid_file| pid_file.pid)
    }

    /// Stops the server, whoever else holds it, and waits until it is gone. A server that was only
    /// [attached](Self::attach) runs on.
    ///
    /// # Errors
    /// When a kept server does not stop.
    pub async fn stop(self) -> Result<()> {
        blocking(move || match &self.hold {
            Hold::Kept(_) | Hold::Found => kept::stop(&self.folder),
            Hold::Throwaway(_) | Hold::Nothing => Ok(()),
        })
        .await
    }

    /// One line that names this server to another program, for [`attach`](Self::attach).
    #[must_use]
    pub fn address(&self) -> String {
        let encode = |path: &Path| percent_encode(&path.display().to_string());
        format!("socket={}&port={}&bin={}", encode(&self.socket_dir), self.port, encode(self.bin_dir()))
    }

    /// The server that another program started, named by its [`address`](Self::address). It is not stopped by this
    /// program.
    ///
    /// # Errors
    /// When the address is not one, or nobody answers there ([`ErrorKind::Connection`]).
    pub async fn attach(address: &str) -> Result<Self> {
        let part = |name: &str| {
            address
                .trim()
                .split('&')
                .find_map(|part| percent_decode(part.strip_prefix(name)?.strip_prefix('=')?))
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::Unusable,
                        format!("`{address}` is not the address of a local server"),
                    )
                })
        };
        let socket_dir = PathBuf::from(part("socket")?);
        let port = part("port")?;
        let port = port.parse().map_err(|error| {
            Error::new(ErrorKind::Unusable, format!("`{port}` is not a port")).because(error)
        })?;
        let bin_dir = PathBuf::from(part("bin")?);
        let binaries = blocking(move || Binaries::in_dir(&bin_dir)).await?;
        let socket = socket_dir.join(format!(".s.PGSQL.{port}"));
        tokio::net::UnixStream::connect(&socket).await.map_err(|error| {
            Error::new(ErrorKind::Connection, format!("no server answers at {}", socket.display()))
                .because(error)
        })?;
        Ok(Self { binaries, folder: socket_dir.clone(), socket_dir, port, hold: Hold::Nothing })
    }

    /// Runs SQL as the superuser, over the socket.
    pub(crate) async fn execute(&self, database: &str, sql: &str) -> Result<()> {
        let refused =
            |error| Error::new(ErrorKind::Connection, "the local server refused a statement").because(error);
        let mut configuration = tokio_postgres::Config::new();
        configuration.host_path(&self.socket_dir).port(self.port).user(SUPERUSER).dbname(database);
        let (client, connection) = configuration.connect(tokio_postgres::NoTls).await.map_err(refused)?;
        let connection = tokio::spawn(connection);
        let outcome = client.batch_execute(sql).await.map_err(refused);
        drop(client);
        // The end of the connection: the next statement may need that this one is no longer connected.
        let _ = connection.await;
        outcome
    }

    async fn set_password(&self, password: &str) -> Result<()> {
        let password = postgres_protocol::escape::escape_literal(password);
        self.execute(
            "postgres",
            &format!("SET log_statement = 'none'; ALTER ROLE {SUPERUSER} PASSWORD {password}"),
        )
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match &mut self.hold {
            Hold::Throwaway(supervisor) => {
                supervisor.end();
                if let Err(error) = data::remove_if_there(&self.folder) {
                    tracing::warn!(?error, "a throwaway server's folder stays behind");
                }
            }
            // The last one to let go stops it; nobody needs to wait for that.
            Hold::Kept(supervisor) => supervisor.release(),
            Hold::Found | Hold::Nothing => {}
        }
    }
}

/// Two programs may pick the same free port; the one that comes too late picks again.
const PORT_TRIES: u32 = 5;

fn start_throwaway(options: &Options) -> Result<Server> {
    let binaries = choose_binaries(options)?;
    let account = Account::for_server()?;
    let mut tries = 1;
    loop {
        match try_throwaway(&binaries, account, options) {
            Err(error) if options.tcp_port == Some(0) && tries < PORT_TRIES && port_was_taken(&error) => {
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

fn try_throwaway(binaries: &Binaries, account: Account, options: &Options) -> Result<Server> {
    let (folder, lock) = place::new_throwaway_folder(account)?;
    let data = folder.join("data");
    let postgres = binaries.dir().join("postgres");
    let supervisor = Supervisor::spawn(Role::Throwaway { lock }, account, &folder, &data, &postgres)
        .inspect_err(|_| drop(data::remove_if_there(&folder)))?;
    let port = choose_port(options)?;
    // From here on, leaving this function early drops the server and so removes the folder.
    let mut server = Server {
        binaries: binaries.clone(),
        socket_dir: folder.clone(),
        folder: folder.clone(),
        port,
        hold: Hold::Throwaway(supervisor),
    };
    data::create_from_pristine(binaries, account, &data)?;
    data::configure(&data, account, options, &Address { socket_dir: folder.clone(), port })?;
    if let Hold::Throwaway(supervisor) = &mut server.hold {
        supervisor.start(&folder, &data)?;
    }
    Ok(server)
}

pub(crate) fn choose_binaries(options: &Options) -> Result<Binaries> {
    let Some(dir) = &options.bin_dir else { return Binaries::find(options.version) };
    let binaries = Binaries::in_dir(dir)?;
    match options.version {
        Some(major) if binaries.version().major != major => Err(Error::new(
            ErrorKind::NotInstalled,
            format!("{} holds PostgreSQL {}, not {major}", dir.display(), binaries.version()),
        )),
        _ => Ok(binaries),
    }
}

/// The port is also the socket's name; without TCP any will do, as the folder has no other socket.
pub(crate) fn choose_port(options: &Options) -> Result<u16> {
    match options.tcp_port {
        None => Ok(5432),
        Some(0) => {
            let listener = TcpListener::bind(("127.0.0.1", 0))?;
            Ok(listener.local_addr()?.port())
        }
        Some(port) => Ok(port),
    }
}

fn port_was_taken(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|words| words.to_string().contains("Address already in use"))
}

/// Starting a server is file and process work that blocks, so it happens off the async threads. When the caller gives
/// up waiting, the server that comes out is dropped, which stops it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::System, "starting a local server was cut short").because(error))
    })
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn percent_decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut decoded = parts.next()?.as_bytes().to_vec();
    for part in parts {
        decoded.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        decoded.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_comes_back() {
        let odd = "/tmp/it's 100% é&=";
        assert_eq!(percent_encode("/tmp/a b"), "%2Ftmp%2Fa%20b");
        assert_eq!(percent_decode(&percent_encode(odd)).as_deref(), Some(odd));
        assert_eq!(percent_decode("%2"), None);
    }
}
