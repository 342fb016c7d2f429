//! A PgBouncer of one's own, in front of local servers.

use std::{
    env,
    fmt::Write as _,
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Error, ErrorKind, Result, SUPERUSER, Server,
    account::Account,
    place,
    server::blocking,
    supervisor::{POLL, clean_environment, last_words},
};

const SCRIPT: &str = include_str!("supervise-pgbouncer.sh");

/// The port, and so the socket's name: its folder has no other.
const PORT: u16 = 6432;

const START_LIMIT: Duration = Duration::from_secs(30);

/// What a [`PgBouncer`] is like.
#[derive(Clone, Debug, Default)]
pub struct PgBouncerOptions {
    /// The section `[databases]`: names and what follows `=`, which [`PgBouncer::leads_to`] makes.
    pub databases: Vec<(String, String)>,
    /// More of the section `[pgbouncer]`; without any, transactions are pooled and nobody is asked for a password.
    pub settings: Vec<(String, String)>,
    /// Roles and passwords, beside the superuser, who commands the console.
    pub users: Vec<(String, String)>,
}

/// A running PgBouncer on a Unix socket. It ends with this value and with this program, however that ends, and leaves
/// nothing behind.
#[derive(Debug)]
pub struct PgBouncer {
    folder: PathBuf,
    shell: Child,
}

impl PgBouncer {
    /// Where the program is, where it is: many systems keep it out of `PATH`.
    #[must_use]
    pub fn program() -> Option<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let more = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
        env::split_paths(&path).chain(more).map(|folder| folder.join("pgbouncer")).find(|path| path.is_file())
    }

    /// What an entry of `[databases]` says to lead to a database of `server`, as its superuser.
    #[must_use]
    pub fn leads_to(server: &Server, database: &str) -> String {
        let host = server.socket_dir().display();
        format!("host={host} port={} dbname={database} user={SUPERUSER}", server.port())
    }

    /// Starts one.
    ///
    /// # Errors
    /// When there is no PgBouncer on this machine ([`ErrorKind::NotInstalled`]), or it does not start.
    pub async fn start(options: PgBouncerOptions) -> Result<Self> {
        blocking(move || start(&options)).await
    }

    /// Its `pgbouncer.ini`.
    #[must_use]
    pub fn ini(&self) -> PathBuf {
        self.folder.join("pgbouncer.ini")
    }

    /// The URL of a database, for an ordinary client and the superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_of(SUPERUSER, database)
    }

    /// The URL of a database, for a role.
    #[must_use]
    pub fn url_of(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@/{database}?host={}&port={PORT}", self.folder.display())
    }

    /// The URL of the console.
    #[must_use]
    pub fn admin_url(&self) -> String {
        self.url("pgbouncer")
    }

    /// The folder of its socket, its file and its log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The port: the socket's name.
    #[must_use]
    pub fn port(&self) -> u16 {
        PORT
    }

    /// Sends it a signal, such as `KILL`, `STOP` or `CONT`. After `KILL` it is gone when this returns.
    ///
    /// # Errors
    /// When its shell is gone.
    pub fn signal(&mut self, name: &str) -> Result<()> {
        self.order(&format!("signal {name}"))
    }

    /// Starts it again, after it was killed, with its file as that is now.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.order("start")?;
        let begin = Instant::now();
        while !self.answers() {
            if begin.elapsed() > START_LIMIT || self.folder.join("exited").exists() {
                return Err(Error::new(ErrorKind::Failed, "the local PgBouncer did not start")
                    .because(last_words(&self.folder)));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn answers(&self) -> bool {
        UnixStream::connect(self.folder.join(format!(".s.PGSQL.{PORT}"))).is_ok()
    }

    /// Has the shell do something, and waits until it is done.
    fn order(&mut self, line: &str) -> Result<()> {
        use std::io::Write as _;
        let gone = || Error::new(ErrorKind::System, "the shell of the local PgBouncer is gone");
        let done = self.folder.join("done");
        drop(std::fs::remove_file(&done));
        let pipe = self.shell.stdin.as_mut().ok_or_else(gone)?;
        pipe.write_all(format!("{line}\n").as_bytes()).map_err(|error| gone().because(error))?;
        while !done.exists() {
            if !matches!(self.shell.try_wait(), Ok(None)) {
                return Err(gone());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        if let Err(error) = self.shell.wait() {
            tracing::warn!(%error, "cannot wait for the local PgBouncer's shell");
        }
    }
}

fn start(options: &PgBouncerOptions) -> Result<PgBouncer> {
    let program = PgBouncer::program().ok_or_else(|| {
        Error::new(ErrorKind::NotInstalled, "there is no PgBouncer on this machine")
            .hint("install the package pgbouncer")
    })?;
    let account = Account::for_server()?;
    let (folder, lock) = place::new_throwaway_folder(account)?;
    for (name, text) in [("pgbouncer.ini", ini(&folder, options)), ("users", users(options))] {
        fs_err::write(folder.join(name), text)?;
        account.give(&folder.join(name))?;
    }
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(SCRIPT).arg("supervise").args([&folder, &program]).current_dir("/");
    command.stdin(Stdio::piped()).stdout(lock).stderr(Stdio::null()).process_group(0);
    clean_environment(&mut command);
    account.apply(&mut command);
    let shell = command.spawn().map_err(|error| Error::system("run", Path::new("/bin/sh"), error))?;
    let mut bouncer = PgBouncer { folder, shell };
    bouncer.restart()?;
    Ok(bouncer)
}

fn ini(folder: &Path, options: &PgBouncerOptions) -> String {
    let here = folder.display();
    let mut text = "[databases]\n".to_owned();
    // Writing to a string does not fail.
    for (name, value) in &options.databases {
        let _ = writeln!(text, "{name} = {value}");
    }
    let _ = writeln!(
        text,
        "\n[pgbouncer]\nunix_socket_dir = {here}\nlisten_addr =\nlisten_port = {PORT}\nauth_type = trust\nauth_file = {here}/users\n\
         admin_users = {SUPERUSER}\npool_mode = transaction\nlogfile =\npidfile =\nserver_tls_sslmode = disable\n\
         max_client_conn = 500"
    );
    for (name, value) in &options.settings {
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

fn users(options: &PgBouncerOptions) -> String {
    let superuser = (SUPERUSER.to_owned(), String::new());
    // As `auth_file` has it: a quote is doubled.
    let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = String::new();
    for (name, password) in options.users.iter().chain([&superuser]) {
        let _ = writeln!(text, "{} {}", quote(name), quote(password));
    }
    text
}
