//! The small shell script that stands between a server and the programs that want it.
//!
//! A program that is killed with `kill -9` cannot stop its server. So the server's parent is not this program but a
//! shell that reads a pipe: the system closes our end whenever and however we end, and the shell then stops the
//! server. This needs no signal handlers, no `unsafe` and no second program to install.

use std::{
    fs::File,
    io::{self, Write},
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{Error, ErrorKind, Result, account::Account};

const SCRIPT: &str = include_str!("supervise.sh");

/// How long a server may take to start; a kept one may have to recover from a crash first.
const START_LIMIT: Duration = Duration::from_secs(180);
pub(crate) const POLL: Duration = Duration::from_millis(2);

/// What kind of server the shell looks after, and the files that it needs for that.
pub(crate) enum Role {
    /// The folder's lock.
    Throwaway { lock: File },
    /// Both ends of the named pipe.
    Kept { read: File, write: File },
}

/// The shell, when this program started it, and our end of its pipe.
#[derive(Debug)]
pub(crate) struct Supervisor {
    shell: Option<Child>,
    pipe: Option<File>,
}

impl Supervisor {
    /// Starts the shell for a server in `folder`. From here on the folder is looked after; the server itself starts
    /// with [`start`](Self::start).
    pub(crate) fn spawn(
        role: Role,
        account: Account,
        folder: &Path,
        data: &Path,
        postgres: &Path,
    ) -> Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(SCRIPT).arg("supervise");
        command.arg(if matches!(role, Role::Throwaway { .. }) { "throwaway" } else { "kept" });
        command.args([folder, data, postgres]).stderr(Stdio::null()).current_dir("/");
        // Ctrl-C reaches the whole process group of the terminal; the server is to hear of it through the pipe only.
        command.process_group(0);
        clean_environment(&mut command);
        account.apply(&mut command);
        let (stdin, stdout, write) = match role {
            // Nothing is written there. The shell just holds the lock as long as it lives.
            Role::Throwaway { lock } => (Stdio::piped(), Stdio::from(lock), None),
            Role::Kept { read, write } => (Stdio::from(read), Stdio::null(), Some(write)),
        };
        let mut shell = command
            .stdin(stdin)
            .stdout(stdout)
            .spawn()
            .map_err(|error| Error::system("run", Path::new("/bin/sh"), error))?;
        let pipe = write.or_else(|| shell.stdin.take().map(|stdin| File::from(OwnedFd::from(stdin))));
        Ok(Self { shell: Some(shell), pipe })
    }

    /// The shell that another program started, reached through the named pipe.
    pub(crate) fn of_other(pipe: File) -> Self {
        Self { shell: None, pipe: Some(pipe) }
    }

    /// Starts the server and waits until it takes connections.
    pub(crate) fn start(&mut self, folder: &Path, data: &Path) -> Result<()> {
        let stale = PidFile::text(data);
        self.send("start").map_err(|error| Error::system("start the server in", folder, error))?;
        let begin = Instant::now();
        loop {
            let text = PidFile::text(data);
            if text != stale && PidFile::parse(&text).is_some_and(|pid_file| pid_file.ready) {
                return Ok(());
            }
            if folder.join("exited").exists() || self.exited().is_some() {
                return Err(Error::new(ErrorKind::Failed, "the local PostgreSQL server did not start")
                    .because(last_words(folder)));
            }
            if begin.elapsed() > START_LIMIT {
                return Err(Error::new(
                    ErrorKind::Failed,
                    format!("the local PostgreSQL server is not ready after {} s", START_LIMIT.as_secs()),
                )
                .because(last_words(folder)));
            }
            thread::sleep(POLL);
        }
    }

    pub(crate) fn send(&mut self, line: &str) -> io::Result<()> {
        match &mut self.pipe {
            Some(pipe) => pipe.write_all(format!("{line}\n").as_bytes()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.shell.as_mut()?.try_wait().ok().flatten()
    }

    /// Lets go of the pipe, and waits for nothing. A thread takes note of the shell's end, which would stay in the
    /// list of processes otherwise.
    pub(crate) fn release(&mut self) {
        self.pipe = None;
        if let Some(mut shell) = self.shell.take() {
            let reaper = thread::Builder::new().name("local-postgres".into()).spawn(move || shell.wait());
            if let Err(error) = reaper {
                tracing::debug!(%error, "nobody waits for the local server's shell");
            }
        }
    }

    /// Lets go of the pipe, and waits until the server and the shell are gone.
    pub(crate) fn end(&mut self) {
        self.pipe = None;
        if let Some(Err(error)) = self.shell.as_mut().map(Child::wait) {
            tracing::warn!(%error, "cannot wait for the local server's shell");
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.release();
    }
}

/// What a server writes about itself into its data folder: `postmaster.pid`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: u32,
    pub(crate) port: u16,
    pub(crate) socket_dir: PathBuf,
    pub(crate) ready: bool,
}

impl PidFile {
    pub(crate) fn read(data: &Path) -> Option<Self> {
        Self::parse(&Self::text(data))
    }

    fn text(data: &Path) -> String {
        std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default()
    }

    /// One value per line: pid, data folder, start time, port, socket folder, listen address, shared memory, status.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        Some(Self {
            pid: lines.first()?.trim().parse().ok()?,
            port: lines.get(3)?.trim().parse().ok()?,
            socket_dir: lines.get(4)?.into(),
            ready: lines.get(7).is_some_and(|status| status.trim() == "ready"),
        })
    }
}

/// Messages in English, and none of the caller's settings for libpq.
pub(crate) fn clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C").env("TZ", "UTC");
}

/// The end of the server's log.
pub(crate) fn last_words(folder: &Path) -> String {
    let log = std::fs::read(folder.join("log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_tells_whether_the_server_is_ready() {
        let starting = "17\n/d\n1700000000\n5432\n/s\n\n  123 4\nstarting\n";
        let expected = PidFile { pid: 17, port: 5432, socket_dir: "/s".into(), ready: false };
        assert_eq!(PidFile::parse(starting), Some(expected));
        assert!(PidFile::parse(&starting.replace("starting", "ready   ")).unwrap().ready);
        assert_eq!(PidFile::parse("17\n/d\n1700000000\n5432\n"), None);
    }
}
