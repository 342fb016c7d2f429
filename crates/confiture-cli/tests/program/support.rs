//! A folder to call the program in, and what came out of it.

use std::path::Path;
use std::process::{Command, Stdio};

/// A project's folder; what is in it goes with it.
pub(crate) struct Project(tempfile::TempDir);

/// What the program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The local server runs as another user when the tests run as root, and has to reach its folder.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(folder.path(), open).expect("permissions");
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// The program, in this folder, with nothing of the caller's environment but where programs are.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_confiture"));
        command.args(arguments).current_dir(self.path()).env_clear().stdin(Stdio::null());
        for name in ["PATH", "HOME", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("LC_ALL", "C.UTF-8");
        command
    }

    /// Calls the program and waits.
    pub(crate) fn call(&self, arguments: &[&str]) -> Said {
        self.finish(self.command(arguments))
    }

    /// Waits for a command; the folder's path and the program's speed are made the same everywhere.
    pub(crate) fn finish(&self, mut command: Command) -> Said {
        let output = command.output().expect("the program starts");
        let text = |bytes: &[u8]| {
            let folder = self.path().to_str().expect("UTF-8");
            String::from_utf8_lossy(bytes).replace(folder, "PROJECT")
        };
        Said {
            status: output.status.code().expect("an exit status"),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Said {
    /// The same with every duration as TIME and `old` as `new`: for snapshots of what takes its time.
    pub(crate) fn steady(mut self, names: &[(&str, &str)]) -> Self {
        for stream in [&mut self.stdout, &mut self.stderr] {
            for (old, new) in names {
                *stream = stream.replace(old, new);
            }
            *stream = stream.split('\n').map(without_times).collect::<Vec<_>>().join("\n");
        }
        self
    }

    /// The one JSON object on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Status and both streams, for a snapshot; spaces at the end of a line cannot be seen in one, so they go.
impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "status {}", self.status)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            writeln!(f, "--- {name}")?;
            text.lines().try_for_each(|line| writeln!(f, "{}", line.trim_end()))?;
        }
        Ok(())
    }
}

/// `12 ms`, `0.3 sec`: TIME.
fn without_times(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    for index in (1..words.len()).rev() {
        let number = words[index - 1].trim_start_matches('(');
        let is_time = ["ms", "sec"].iter().any(|unit| words[index].starts_with(unit));
        if is_time && number.parse::<f64>().is_ok() {
            let unit = words.remove(index);
            let after = unit.trim_start_matches("ms").trim_start_matches("sec").to_owned();
            let before = if words[index - 1].starts_with('(') { "(" } else { "" };
            words[index - 1] = format!("{before}TIME{after}");
        }
    }
    words.join(" ")
}
