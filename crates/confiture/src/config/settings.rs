//! The settings that a command runs with, each with where it came from.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::mapping::TableName;
use crate::config::{Hooks, Template};
use crate::error::Place;

/// A value and who decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// A value and its origin.
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// The same origin, another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: change(self.value), origin: self.origin }
    }
}

/// Who decided a setting, strongest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line: `--lock-timeout`.
    Flag(&'static str),
    /// An environment variable: `CONFITURE_LOCK_TIMEOUT`.
    Variable(&'static str),
    /// The environment's file.
    EnvironmentFile(Place),
    /// `confiture.yaml`.
    ProjectFile(Place),
    /// Nobody: it is Confiture's own default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::EnvironmentFile(place) | Self::ProjectFile(place) => place.fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// In which order the files of a schema run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BuildOrder {
    /// That of their names.
    #[default]
    Names,
    /// What needs something runs after it: found out by trying.
    Dependencies,
}

impl BuildOrder {
    /// As files and flags say it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Dependencies => "dependencies",
        }
    }
}

/// What one source of settings says; `None` where it is silent. Paths are ready to be opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layer {
    /// `schema_dirs`: the folders of DDL.
    pub schema_dirs: Option<Setting<Vec<PathBuf>>>,
    /// `include`: only files that match one of these patterns.
    pub include: Option<Setting<Vec<String>>>,
    /// `exclude`: no files that match one of these patterns.
    pub exclude: Option<Setting<Vec<String>>>,
    /// `build.order`.
    pub build_order: Option<Setting<BuildOrder>>,
    /// `build.seed`.
    pub build_seed: Option<Setting<bool>>,
    /// `seeds_dir`.
    pub seeds_dir: Option<Setting<PathBuf>>,
    /// `migrations_dir`.
    pub migrations_dir: Option<Setting<PathBuf>>,
    /// `history_table`.
    pub history_table: Option<Setting<TableName>>,
    /// `production`.
    pub production: Option<Setting<bool>>,
    /// `lock_timeout`; zero: no limit.
    pub lock_timeout: Option<Setting<Duration>>,
    /// `statement_timeout`; zero: no limit.
    pub statement_timeout: Option<Setting<Duration>>,
    /// `scratch_url`.
    pub scratch_url: Option<Setting<Template>>,
    /// `hooks`.
    pub hooks: Option<Setting<Hooks>>,
}

/// Every setting, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folders of DDL, in order.
    pub schema_dirs: Setting<Vec<PathBuf>>,
    /// Only files that match one of these patterns; empty: all.
    pub include: Setting<Vec<String>>,
    /// No files that match one of these patterns.
    pub exclude: Setting<Vec<String>>,
    /// In which order the files of the schema run.
    pub build_order: Setting<BuildOrder>,
    /// True where seeds run after the schema.
    pub build_seed: Setting<bool>,
    /// The folder of seeds.
    pub seeds_dir: Setting<PathBuf>,
    /// The folder of migrations.
    pub migrations_dir: Setting<PathBuf>,
    /// Where applied migrations are recorded.
    pub history_table: Setting<TableName>,
    /// True where anything destructive is asked about first.
    pub production: Setting<bool>,
    /// How long a statement waits for a lock; zero: for ever.
    pub lock_timeout: Setting<Duration>,
    /// How long a statement may run; zero: for ever.
    pub statement_timeout: Setting<Duration>,
    /// The server for scratch databases; `None`: the embedded one.
    pub scratch_url: Setting<Option<Template>>,
    /// What runs before and after migrations.
    pub hooks: Setting<Hooks>,
}

impl Settings {
    /// Every setting as key, value and origin, in the order of the documentation: what `--verbose` shows.
    #[must_use]
    pub fn rows(&self) -> Vec<(&'static str, String, &Origin)> {
        let paths = |paths: &[PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        let table = |name: &TableName| match &name.schema {
            Some(schema) => format!("{schema}.{}", name.name),
            None => name.name.to_string(),
        };
        let scratch = if self.scratch_url.value.is_some() { "***" } else { "embedded" };
        vec![
            ("schema_dirs", paths(&self.schema_dirs.value), &self.schema_dirs.origin),
            ("include", self.include.value.join(", "), &self.include.origin),
            ("exclude", self.exclude.value.join(", "), &self.exclude.origin),
            ("build.order", self.build_order.value.word().to_owned(), &self.build_order.origin),
            ("build.seed", self.build_seed.value.to_string(), &self.build_seed.origin),
            ("seeds_dir", self.seeds_dir.value.display().to_string(), &self.seeds_dir.origin),
            ("migrations_dir", self.migrations_dir.value.display().to_string(), &self.migrations_dir.origin),
            ("history_table", table(&self.history_table.value), &self.history_table.origin),
            ("production", self.production.value.to_string(), &self.production.origin),
            ("lock_timeout", shown(self.lock_timeout.value), &self.lock_timeout.origin),
            ("statement_timeout", shown(self.statement_timeout.value), &self.statement_timeout.origin),
            ("scratch_url", scratch.to_owned(), &self.scratch_url.origin),
            ("hooks", self.hooks.value.len().to_string(), &self.hooks.origin),
        ]
    }
}

fn shown(timeout: Duration) -> String {
    if timeout.is_zero() { "no limit".to_owned() } else { format!("{timeout:?}") }
}
