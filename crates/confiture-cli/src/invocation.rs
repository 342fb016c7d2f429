//! One call of the program: what it writes to and what it may know of the process around it.

use std::env;
use std::path::{Path, PathBuf};

use confiture::config::Surroundings;
use confiture::{Error, Result};

use crate::args::Global;
use crate::terminal::Terminal;

/// Everything that a command gets beside its own arguments.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// What is written to.
    pub(crate) terminal: Terminal,
    /// What was called, as JSON output names it.
    pub(crate) command: &'static str,
    /// Where it was called.
    pub(crate) began_in: Option<PathBuf>,
}

impl Invocation {
    /// Looks at the streams; reads no more of the environment than their looks need.
    pub(crate) fn new(global: &Global, command: &'static str) -> Self {
        Self { terminal: Terminal::new(global), command, began_in: env::current_dir().ok() }
    }

    /// Goes to the project's folder (`--project`): every relative path starts there.
    pub(crate) fn enter(&self, project: Option<&Path>) -> Result<()> {
        let Some(folder) = project else { return Ok(()) };
        env::set_current_dir(folder).map_err(|error| {
            Error::usage(format!("cannot enter the project's folder {}: {error}", folder.display()))
        })
    }

    /// The environment variables, the home folder, the user's name.
    pub(crate) fn surroundings(&self) -> Surroundings {
        // A variable that is not UTF-8 cannot be named in our files, so it is left out.
        let variables = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let variables: std::collections::BTreeMap<_, _> = variables.collect();
        // As libpq does it: the system knows who runs this, where `USER` may be missing (cron, containers) or another's (su).
        let named = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| variables.get(*name)).cloned();
        let user = whoami::username().ok().or_else(named);
        // From an empty folder on, paths come out as short as the user would write them.
        let folder = PathBuf::new();
        Surroundings { home: env::home_dir().filter(|home| home != &PathBuf::new()), user, folder, variables }
    }
}
