//! What the tests of servers share: other programs that own servers, and a look at what is left of them.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use local_postgres::Server;

/// Asks a server through `psql`, which is not our code.
pub(crate) fn psql(program: &Path, url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new(program).args(["-XAtq", url, "-c", sql]).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

/// Asks one of our servers.
pub(crate) fn ask(server: &Server, sql: &str) -> String {
    psql(&server.program("psql"), &server.url("postgres"), sql).unwrap()
}

/// Another process that owns a server.
pub(crate) struct Owner {
    pub(crate) process: Child,
    pub(crate) url: String,
    pub(crate) address: String,
}

impl Owner {
    /// Starts the program `local-postgres`; a throwaway server without a folder.
    pub(crate) fn start(folder: Option<&Path>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local-postgres"));
        let mut process = command.args(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let (url, address) = (lines.next().unwrap(), lines.next().unwrap());
        Self { process, url, address }
    }

    /// `kill -9`: the owner gets no chance to do anything.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }
}

/// The processes whose command line names `folder`.
pub(crate) fn processes(folder: &Path) -> Vec<String> {
    let output = Command::new("ps").args(["-Aww", "-o", "pid=,args="]).output().unwrap();
    let folder = folder.to_str().unwrap();
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    list.lines().filter(|line| line.contains(folder)).map(str::to_owned).collect()
}

/// `kill -9` for processes that [`processes`] listed.
pub(crate) fn kill_all(processes: &[String]) {
    let pids = processes.iter().map(|line| line.split_whitespace().next().unwrap());
    assert!(Command::new("kill").arg("-9").args(pids).status().unwrap().success());
}

/// Waits for what must become true soon, as another process makes it so.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(20), "still not so after 20 s: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A folder's path that does not exist yet, in a folder that is removed at the end.
pub(crate) fn new_folder() -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    std::fs::set_permissions(parent.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let folder = parent.path().join("project/server");
    (parent, folder)
}
