//! What the library may know of the process around it, passed in by the caller.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Environment variables, the home folder, the user's name, the working folder.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// The user's home folder, where `~/.pgpass` and `~/.pg_service.conf` are.
    pub home: Option<PathBuf>,
    /// The operating system's name of the user: PostgreSQL's default user name.
    pub user: Option<String>,
    /// The folder that relative paths start from: absolute, or empty for the process's own, which makes for short paths in
    /// what is shown.
    pub folder: PathBuf,
}

impl Surroundings {
    /// An environment variable's value, where it is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}
