//! The arguments that all of these commands have: which database, which folder.

use std::path::PathBuf;

use confiture::config::{Flags, Settings};
use confiture::migrate::{Folder, Migrator, Options, read_folder};
use confiture::project::{Naming, Project};
use confiture::{Error, Result, disk};

use crate::database::{self, Database};

/// Which database, which folder.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Whereabouts {
    /// The database: an environment's name, an environment file, a PostgreSQL URL or DSN, or `embedded`.
    #[arg(short, long, value_name = "DATABASE")]
    pub(crate) config: Option<String>,

    /// The same as --config.
    #[arg(short, long, value_name = "DATABASE", conflicts_with = "config")]
    pub(crate) env: Option<String>,

    /// As --config; beside it, this database with that environment's settings.
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,

    #[command(flatten)]
    pub(crate) files: Files,

    /// Where applied migrations are recorded: name or schema.name.
    #[arg(long, value_name = "TABLE")]
    pub(crate) history_table: Option<String>,
}

/// Which folder.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Files {
    /// The folder of migrations.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) migrations_dir: Option<PathBuf>,
}

/// How long is waited, for whom.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Patience {
    /// How long a migration waits for locks, before it lets go of everything and tries again.
    #[arg(long, value_name = "TIME")]
    pub(crate) lock_timeout: Option<String>,

    /// How often it tries.
    #[arg(long, value_name = "TIMES", default_value_t = 10)]
    pub(crate) lock_attempts: u32,

    /// How long a statement may run.
    #[arg(long, value_name = "TIME")]
    pub(crate) statement_timeout: Option<String>,

    /// How many seconds another run is waited for.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) wait: u64,
}

impl Whereabouts {
    pub(crate) fn naming(&self) -> Naming<'_> {
        let named = self.config.as_deref().map(|name| ("--config", name));
        let named = named.or(self.env.as_deref().map(|name| ("--env", name)));
        Naming { named, database_url: self.database_url.as_deref() }
    }

    pub(crate) fn flags(&self, patience: Option<&Patience>) -> Flags {
        Flags {
            migrations_dir: self.files.migrations_dir.clone(),
            history_table: self.history_table.clone(),
            lock_timeout: patience.and_then(|patience| patience.lock_timeout.clone()),
            statement_timeout: patience.and_then(|patience| patience.statement_timeout.clone()),
            ..Flags::default()
        }
    }

    /// The folder, read, and the database, found.
    pub(crate) async fn find(&self, project: &Project, patience: Option<&Patience>) -> Result<Found> {
        self.find_with(project, &self.flags(patience), patience).await
    }

    /// As [`find`](Self::find), with more flags.
    pub(crate) async fn find_with(
        &self,
        project: &Project,
        flags: &Flags,
        patience: Option<&Patience>,
    ) -> Result<Found> {
        let database = database::find(project, self.naming(), flags).await?;
        let folder = read_there(&database.settings)?;
        let mut options =
            Options { folder: project.root.clone(), ..Options::from_settings(&database.settings) };
        if let Some(patience) = patience {
            options.lock_attempts = patience.lock_attempts;
            options.wait_for_run = std::time::Duration::from_secs(patience.wait);
        }
        let migrator = Migrator::new(database.connection.clone(), folder, options);
        Ok(Found { migrator, database })
    }
}

/// The folder that settings name.
pub(crate) fn read(settings: &Settings) -> Result<Folder> {
    read_folder(&settings.migrations_dir.value)
}

/// As [`read`], of a folder that has to be there: a mistyped one would pass for one in which there is nothing to do.
pub(crate) fn read_there(settings: &Settings) -> Result<Folder> {
    let path = &settings.migrations_dir.value;
    if disk::is_folder(path) {
        return read(settings);
    }
    Err(Error::config(format!("the migrations folder {} does not exist", path.display()))
        .hint("name another with --migrations-dir, or with `migrations_dir` in confiture.yaml")
        .hint("`confiture migrate generate NAME` makes it with the first migration; git keeps an empty folder only with a file in it, such as .gitkeep"))
}

/// Migrations and their database.
pub(crate) struct Found {
    pub(crate) migrator: Migrator,
    /// Held as long as the migrator is used: a local server runs meanwhile.
    pub(crate) database: Database,
}
