//! How migrations are run.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::mapping::TableName;
use crate::config::{DEFAULT_LOCK_TIMEOUT, Hooks, Settings};
use crate::migrate::version::Version;

/// What holds for every command of one database.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where applied migrations are recorded.
    pub history_table: TableName,
    /// How long a migration waits for locks before it lets go of all that it holds and tries again; zero: for ever.
    pub lock_timeout: Duration,
    /// How often it tries.
    pub lock_attempts: u32,
    /// How long a statement may run; zero: for ever.
    pub statement_timeout: Duration,
    /// How long another run is waited for.
    pub wait_for_run: Duration,
    /// Lint looks at what is about to be applied.
    pub lint: bool,
    /// Commands and SQL before and after.
    pub hooks: Hooks,
    /// Where the hooks' commands run: the project's folder.
    pub folder: PathBuf,
    /// The database is gone afterwards: what was done before an error does not stay.
    pub in_scratch: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            history_table: TableName { schema: None, name: "confiture_migrations".into() },
            lock_timeout: DEFAULT_LOCK_TIMEOUT,
            lock_attempts: 10,
            statement_timeout: Duration::ZERO,
            wait_for_run: Duration::from_secs(10),
            lint: true,
            hooks: Hooks::default(),
            folder: PathBuf::from("."),
            in_scratch: false,
        }
    }
}

impl Options {
    /// What the settings of a database's environment say.
    #[must_use]
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            history_table: settings.history_table.value.clone(),
            lock_timeout: settings.lock_timeout.value,
            statement_timeout: settings.statement_timeout.value,
            hooks: settings.hooks.value.clone(),
            ..Self::default()
        }
    }
}

/// What `up` applies.
#[derive(Debug, Clone, Default)]
pub struct UpOptions {
    /// The last version; `None`: all.
    pub target: Option<Version>,
    /// Also what is pending below the last applied one.
    pub allow_out_of_order: bool,
    /// Record changed files of applied migrations as they are now.
    pub repair: bool,
    /// Also what the ledger of another tool says is applied, where nothing was taken over from it.
    pub ignore_ledger: bool,
    /// What is known of a statement that was running when an earlier run ended, where nobody can find out.
    pub interrupted: Option<Interrupted>,
}

/// What became of a statement that was running when an earlier run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupted {
    /// It is done: go on behind it.
    Done,
    /// It is not: run it again.
    Again,
}

/// What `down` reverts.
#[derive(Debug, Clone)]
pub struct DownOptions {
    /// How far.
    pub extent: Extent,
    /// As [`UpOptions::interrupted`].
    pub interrupted: Option<Interrupted>,
}

impl Default for DownOptions {
    fn default() -> Self {
        Self { extent: Extent::Steps(1), interrupted: None }
    }
}

/// How far `down` goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// So many migrations.
    Steps(usize),
    /// Everything above this version; `0`: everything.
    To(Version),
}
