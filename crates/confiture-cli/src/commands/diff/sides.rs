//! What the two sides of a comparison are, and where scratch databases are made.

use std::path::{Path, PathBuf};

use confiture::build::{SchemaBuilder, Tree};
use confiture::config::{BuildOrder, Connection, Flags, Settings};
use confiture::event::Execution;
use confiture::migrate::{holds_migrations, read_folder, read_way_up};
use confiture::postgres::roles;
use confiture::project::{Naming, Project};
use confiture::schema_diff::Source;
use confiture::sql::SplitScript;
use confiture::{Error, Result, disk};

use crate::database::{self, Database};
use crate::scratches::Scratches;

/// What was named.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// By the user, with what: a file, a folder, an environment, a URL.
    Named(&'static str, String),
    /// A database, and nothing else.
    Database(&'static str, Option<String>),
    /// The project's migrations.
    Migrations,
    /// The project's DDL files.
    Schema,
}

/// What is needed to find the sides.
pub(super) struct Ends<'a> {
    pub(super) project: &'a Project,
    pub(super) flags: &'a Flags,
    pub(super) settings: &'a Settings,
}

/// A side, and the database that it is: one on the local server is there as long as this is held.
pub(super) struct Side {
    pub(super) source: Source,
    database: Option<Database>,
}

impl Side {
    /// The live database, where it is one.
    fn live(&self) -> Option<&Connection> {
        match &self.source {
            Source::Live(connection) => Some(connection),
            Source::Scripts(_) => None,
        }
    }

    /// Lets go of the database.
    pub(super) fn leave(self) {
        drop(self.database);
    }
}

impl Ends<'_> {
    /// Where scratch databases are made: of the version of the side that is a live database.
    pub(super) async fn scratches(&self, [from, to]: [&Side; 2]) -> Result<Scratches> {
        Scratches::find(self.project, self.settings, false, from.live().or(to.live())).await
    }

    /// Reads files, or finds a database.
    pub(super) async fn source(&self, place: &Place) -> Result<Side> {
        let scripts = |scripts| Ok(Side { source: Source::Scripts(scripts), database: None });
        match place {
            Place::Schema => scripts(self.tree(&self.project.schema_dirs(self.settings), false).await?),
            Place::Migrations => scripts(migrations(&self.settings.migrations_dir.value)?),
            Place::Named(_, name)
                if name.ends_with(".sql") || disk::is_file(Path::new(name)) && !is_yaml(name) =>
            {
                scripts(vec![read_way_up(disk::read_script(Path::new(name))?)?])
            }
            Place::Named(_, name) if disk::is_folder(Path::new(name)) => {
                let folder = PathBuf::from(name);
                if holds_migrations(&folder)? {
                    return scripts(migrations(&folder)?);
                }
                let mut scripts = self.tree(&[folder], true).await?;
                leave_ways_back(&mut scripts);
                Ok(Side { source: Source::Scripts(scripts), database: None })
            }
            Place::Named(with, name) => {
                // Text for PostgreSQL may hold a password.
                let also =
                    |error: Error| match name.contains("://") || name.contains('=') || name.contains('@') {
                        false => error.hint(format!("`{name}` is no file and no folder either")),
                        true => error,
                    };
                self.database(with, Some(name)).await.map_err(also)
            }
            Place::Database(with, name) => self.database(with, name.as_deref()).await,
        }
    }

    async fn database(&self, with: &'static str, name: Option<&str>) -> Result<Side> {
        let naming = Naming { named: name.map(|name| (with, name)), database_url: None };
        let found = database::find(self.project, naming, self.flags).await?;
        Ok(Side { source: Source::Live(Box::new(found.connection.clone())), database: Some(found) })
    }

    async fn tree(&self, folders: &[PathBuf], anywhere: bool) -> Result<Vec<SplitScript>> {
        let tree = Tree {
            root: self.project.root.clone(),
            schema_dirs: folders.to_vec(),
            anywhere: anywhere || !self.flags.schema_dirs.is_empty(),
            include: self.settings.include.value.clone(),
            exclude: self.settings.exclude.value.clone(),
            order: self.settings.build_order.value,
            seeds: None,
        };
        let builder = SchemaBuilder::new(tree);
        if self.settings.build_order.value == BuildOrder::Dependencies {
            // Roles that the files make may be there on the project's server.
            let mut files = builder.files()?.into_iter();
            let alone = files.any(|file| !roles::made_in(file.script.script.text()).is_empty());
            let scratches = Scratches::find(self.project, self.settings, alone, None).await?;
            return builder.files_by_need(scratches.connection(), &Execution::unattended()).await;
        }
        Ok(builder.files()?.into_iter().map(|file| file.script).collect())
    }
}

fn is_yaml(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// Diesel, Hasura and others keep `down.sql` beside `up.sql`, or `x-down.sql` beside `x-up.sql`: only the way up makes a schema.
fn leave_ways_back(scripts: &mut Vec<SplitScript>) {
    let files: Vec<PathBuf> = scripts.iter().map(|script| script.script.file().to_owned()).collect();
    let mut keep = files.iter().map(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let ways_up = [("down", "up"), ("undo", "do")].into_iter().filter_map(|(back, up)| {
            let stem = name.strip_suffix(".sql")?.strip_suffix(back)?;
            (stem.is_empty() || stem.ends_with(['.', '-', '_']))
                .then(|| file.with_file_name(format!("{stem}{up}.sql")))
        });
        !ways_up.into_iter().any(|up| files.contains(&up))
    });
    scripts.retain(|_| keep.next().unwrap_or(true));
}

fn migrations(folder: &Path) -> Result<Vec<SplitScript>> {
    Ok(read_folder(folder)?.migrations.into_iter().map(|migration| migration.up.script).collect())
}
