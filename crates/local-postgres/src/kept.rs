//! Servers whose data stays, in a folder of the caller's choice.
//!
//! Such a server runs while at least one program holds it, or until it is told to stop once somebody asked it to
//! [run on](Server::keep_running). Holding means having the named pipe `control` open for writing; see
//! `supervise.sh`. The folder holds:
//!
//! - `data`: PostgreSQL's data folder
//! - `log`: what the server said since it last started
//! - `lock`: locked by whoever starts the server, so that of two programs one starts it and the other finds it
//! - `control`: the named pipe; when nobody reads it, no server runs
//! - `location`: where all that is instead, when this folder will not do

use std::{
    fs::{File, OpenOptions, Permissions},
    os::unix::{
        fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Binaries, Error, ErrorKind, Options, Result, Server,
    account::{self, Account},
    data::{self, Address},
    place,
    server::{self, Hold},
    supervisor::{self, POLL, PidFile, Role, Supervisor},
};

/// Where a root's server goes when its user cannot enter the folder asked for.
const SYSTEM_FOLDER: &str = "/var/lib/local-postgres";

/// How long another program's server may take to answer, or to finish its shutdown.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// Joins the server of `dir` when one runs, starts it otherwise.
pub(crate) fn keep(dir: &Path, options: &Options) -> Result<Started> {
    fs_err::create_dir_all(dir)?;
    let dir = fs_err::canonicalize(dir)?;
    check_is_ours(&dir)?;
    let (folder, account) = prepare_folder(&dir)?;
    let lock = fs_err::File::create(dir.join("lock"))?;
    lock.file().lock().map_err(|error| Error::system("lock", lock.path(), error))?;
    loop {
        match open_control(&folder)? {
            Some(pipe) => {
                if let Some(server) = join(&folder, pipe)? {
                    return Ok(Started { server, new: false });
                }
            }
            // Nobody looks after a server there: none runs, unless its shell was killed.
            None => {
                return match find(&dir)? {
                    Some(server) => Ok(Started { server, new: false }),
                    None => Ok(Started { server: start(&folder, account, options)?, new: true }),
                };
            }
        }
    }
}

/// Refuses a folder with other things in it: its owner and permissions are about to change.
fn check_is_ours(dir: &Path) -> Result<()> {
    Account::of_owner(dir)?;
    // In this order: another program may be making the lock, the first thing in the folder, right now.
    if fs_err::read_dir(dir)?.next().is_none() || dir.join("lock").exists() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unusable, format!("{} holds other things than a local server", dir.display()))
        .hint("name a folder that is empty or does not exist"))
}

/// A server, and whether it is this program that started it.
pub(crate) struct Started {
    pub(crate) server: Server,
    pub(crate) new: bool,
}

/// The server that runs in `dir`, without holding it.
pub(crate) fn find(dir: &Path) -> Result<Option<Server>> {
    let Some(folder) = existing_folder(dir)? else { return Ok(None) };
    Account::of_owner(&folder)?;
    let data = folder.join("data");
    let Some(pid_file) = PidFile::read(&data).filter(|pid_file| pid_file.ready) else { return Ok(None) };
    // A server that crashed leaves the file behind, but nobody listens.
    let socket = pid_file.socket_dir.join(format!(".s.PGSQL.{}", pid_file.port));
    if UnixStream::connect(socket).is_err() {
        return Ok(None);
    }
    running(&folder, Hold::Found).map(Some)
}

fn start(folder: &Path, account: Account, options: &Options) -> Result<Server> {
    let data = folder.join("data");
    let binaries = binaries_for(&data, options)?;
    let port = server::choose_port(options)?;
    let socket_dir = socket_folder(folder, account)?;
    let role = create_control(folder, account)?;
    data::remove_file_if_there(&folder.join("exited"))?;
    let mut supervisor = Supervisor::spawn(role, account, folder, &data, &binaries.dir().join("postgres"))?;
    if !data.is_dir() {
        // The rename makes the folder appear whole or not at all.
        let unfinished = folder.join("unfinished");
        data::remove_if_there(&unfinished)?;
        data::create_from_pristine(&binaries, account, &unfinished)?;
        fs_err::rename(&unfinished, &data)?;
    }
    let options = Options { durable: true, ..options.clone() };
    data::configure(&data, account, &options, &Address { socket_dir: socket_dir.clone(), port })?;
    supervisor.start(folder, &data)?;
    Ok(Server { binaries, folder: folder.to_owned(), socket_dir, port, hold: Hold::Kept(supervisor) })
}

/// Holds a server that runs. `None` when it was just ending, and has ended now.
fn join(folder: &Path, pipe: File) -> Result<Option<Server>> {
    let mut supervisor = Supervisor::of_other(pipe);
    if ask(&mut supervisor, folder, "hold")? {
        running(folder, Hold::Kept(supervisor)).map(Some)
    } else {
        Ok(None)
    }
}

/// Lets the server run on when nobody holds it any more.
pub(crate) fn keep_running(server: &mut Server) -> Result<()> {
    let Hold::Kept(supervisor) = &mut server.hold else { return Ok(()) };
    if ask(supervisor, &server.folder, "keep")? {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Failed, format!("the server in {} has stopped", server.folder.display())))
}

/// Stops a server whoever holds it, and waits until it is gone.
pub(crate) fn stop(folder: &Path) -> Result<()> {
    if let Some(pipe) = open_control(folder)? {
        ask(&mut Supervisor::of_other(pipe), folder, "stop")?;
    }
    // Still there when somebody killed its shell; PostgreSQL's own program can stop it all the same.
    if find(folder)?.is_some() { stop_unsupervised(folder) } else { Ok(()) }
}

/// Sends a line and waits for its answer: an answer means that the shell has seen that we hold the pipe.
/// False when the server and its shell ended instead.
fn ask(supervisor: &mut Supervisor, folder: &Path, word: &str) -> Result<bool> {
    let token = format!("{:016x}", place::random());
    let answer = folder.join(format!("answer-{token}"));
    if supervisor.send(&format!("{word} {token}")).is_err() {
        return Ok(false);
    }
    let ended = || matches!(open_control(folder), Ok(None));
    wait_for(|| answer.exists() || ended()).ok_or_else(|| unanswered(folder))?;
    let answered = answer.exists();
    data::remove_file_if_there(&answer)?;
    Ok(answered)
}

fn unanswered(folder: &Path) -> Error {
    Error::new(ErrorKind::Failed, format!("the server in {} does not answer", folder.display()))
        .hint(format!("stop its processes by hand: their pid is in {}/data/postmaster.pid", folder.display()))
}

fn wait_for(condition: impl Fn() -> bool) -> Option<()> {
    let begin = Instant::now();
    while !condition() {
        if begin.elapsed() > ANSWER_LIMIT {
            return None;
        }
        thread::sleep(POLL);
    }
    Some(())
}

fn stop_unsupervised(folder: &Path) -> Result<()> {
    let data = folder.join("data");
    let account = Account::of_owner(&data)?;
    let mut command = Command::new(binaries_of_running(&data)?.dir().join("pg_ctl"));
    command
        .args(["stop", "--mode=fast", "--wait", "--pgdata"])
        .arg(&data)
        .current_dir("/")
        .stdin(Stdio::null());
    supervisor::clean_environment(&mut command);
    let output = account.apply(&mut command).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(unanswered(folder).because(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Our end of the pipe; `None` when nobody reads it.
fn open_control(folder: &Path) -> Result<Option<File>> {
    let control = folder.join("control");
    // With this flag, opening a pipe that nobody reads fails instead of waiting for a reader.
    match OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&control) {
        Ok(pipe) => Ok(Some(pipe)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
        Err(error) => Err(Error::system("open", &control, error)),
    }
}

/// Makes the pipe and opens both ends, the reading one for the shell. Opening the reading end waits for a writer and
/// the other way round, so a third opening, of both ends, breaks the knot.
fn create_control(folder: &Path, account: Account) -> Result<Role> {
    let control = folder.join("control");
    // That of the last server, which nobody reads.
    data::remove_file_if_there(&control)?;
    let mut command = Command::new("mkfifo");
    command.args(["-m", "600"]).arg(&control).current_dir("/").stdin(Stdio::null());
    let output =
        account.apply(&mut command).output().map_err(|error| Error::system("make", &control, error))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(
            Error::new(ErrorKind::System, format!("cannot make {}", control.display())).because(words)
        );
    }
    let both = OpenOptions::new().read(true).write(true).open(&control);
    let both = both.map_err(|error| Error::system("open", &control, error))?;
    let read = fs_err::File::open(&control)?.into_file();
    let write = fs_err::OpenOptions::new().write(true).open(&control)?.into_file();
    drop(both);
    Ok(Role::Kept { read, write })
}

/// The programs for a data folder: those of the version that made it.
fn binaries_for(data: &Path, options: &Options) -> Result<Binaries> {
    let Ok(text) = std::fs::read_to_string(data.join("PG_VERSION")) else {
        return server::choose_binaries(options);
    };
    let major = text.trim().parse().map_err(|error| {
        Error::new(ErrorKind::Unusable, format!("{} is not a data folder", data.display())).because(error)
    })?;
    let hint = format!("install PostgreSQL {major}, or delete {} with all its data", data.display());
    let made_by = format!("the data in {} is of PostgreSQL {major}", data.display());
    if let Some(asked) = options.version.filter(|asked| *asked != major) {
        return Err(Error::new(ErrorKind::Unusable, format!("{made_by}, not {asked}"))
            .hint(format!("ask for version {major}, or delete the folder with all its data")));
    }
    server::choose_binaries(&Options { version: Some(major), ..options.clone() })
        .map_err(|error| Error::new(error.kind(), format!("{made_by}: {error}")).hint(hint))
}

/// A server notes the command that started it beside its data.
fn binaries_of_running(data: &Path) -> Result<Binaries> {
    let options = fs_err::read_to_string(data.join("postmaster.opts"))?;
    let postgres = Path::new(options.split(" \"").next().unwrap_or_default().trim());
    Binaries::in_dir(postgres.parent().unwrap_or(postgres))
}

fn running(folder: &Path, hold: Hold) -> Result<Server> {
    let data = folder.join("data");
    let pid_file = PidFile::read(&data).ok_or_else(|| unanswered(folder))?;
    let binaries = binaries_of_running(&data)?;
    let PidFile { socket_dir, port, .. } = pid_file;
    Ok(Server { binaries, folder: folder.to_owned(), socket_dir, port, hold })
}

/// The folder that a server for `dir` uses, when there is one.
fn existing_folder(dir: &Path) -> Result<Option<PathBuf>> {
    match std::fs::read_to_string(dir.join("location")) {
        Ok(location) => {
            Ok(Some(PathBuf::from(location.trim_end_matches('\n'))).filter(|folder| folder.is_dir()))
        }
        Err(_) if dir.is_dir() => Ok(Some(fs_err::canonicalize(dir)?)),
        Err(_) => Ok(None),
    }
}

/// Chooses and makes the folder for `dir`: `dir` itself, unless we are root and the server's user cannot enter it, as
/// in root's home folder. Then it is one that this user can enter, which `dir` remembers.
fn prepare_folder(dir: &Path) -> Result<(PathBuf, Account)> {
    if let Some(folder) = existing_folder(dir)?.filter(|folder| folder != dir && folder.is_dir()) {
        let account = Account::of_owner(&folder)?;
        return Ok((folder, account));
    }
    let account = Account::of_owner(dir)?;
    if account == Account::Own || dir.parent().is_some_and(|parent| account.can_enter(parent)) {
        fs_err::set_permissions(dir, Permissions::from_mode(0o700))?;
        account.give(dir)?;
        return Ok((dir.to_owned(), account));
    }
    let parent = Path::new(SYSTEM_FOLDER);
    fs_err::create_dir_all(parent)?;
    fs_err::set_permissions(parent, Permissions::from_mode(0o755))?;
    let folder = parent.join(format!("{:016x}", place::hash_of_path(dir)));
    if !folder.is_dir() {
        place::create_private(&folder)?;
    }
    account.give(&folder)?;
    let location =
        folder.to_str().ok_or_else(|| Error::new(ErrorKind::Unusable, "the folder's name is not text"))?;
    data::write(&dir.join("location"), &format!("{location}\n"), Account::Own)?;
    Ok((folder, account))
}

/// The folder for the socket: the server's own, or when its path is too long for a socket, a short one.
fn socket_folder(folder: &Path, account: Account) -> Result<PathBuf> {
    if place::fits_socket(folder) {
        return Ok(folder.to_owned());
    }
    let uid = match account {
        Account::Own => account::own_uid()?,
        Account::Other { uid, .. } => uid,
    };
    let short = PathBuf::from(format!("/tmp/local-postgres-{uid}-{:016x}", place::hash_of_path(folder)));
    if !short.exists() {
        place::create_private(&short)?;
        account.give(&short)?;
    }
    // In /tmp somebody else may have come first.
    let metadata =
        std::fs::symlink_metadata(&short).map_err(|error| Error::system("look at", &short, error))?;
    if metadata.is_dir() && metadata.uid() == uid && metadata.mode() & 0o077 == 0 {
        return Ok(short);
    }
    Err(Error::new(ErrorKind::Unusable, format!("{} is somebody else's", short.display()))
        .hint("delete it, or use a folder with a shorter path for the server"))
}
