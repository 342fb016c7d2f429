//! The user's project on disk: finds its root, reads its configuration, and turns what a command was told into a
//! [`Target`]: a database and the settings to treat it with.

use std::path::{Path, PathBuf};

use crate::config::{
    Connection, Database, DatabaseAddress, DatabaseName, Environment, Flags, Layer, Origin, ProjectFile,
    Setting, Settings, Surroundings, Template, resolve_database_name, resolve_settings,
};
use crate::disk;
use crate::error::{Error, Result};

const ENVIRONMENTS: &str = "db/environments";
const PROJECT_FILE: &str = "confiture.yaml";

/// The database of the embedded server where nobody says its name.
pub const EMBEDDED_DATABASE: &str = "confiture";

/// A project's folder and what `confiture.yaml` in it says.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder, as seen from the working folder of the surroundings.
    pub root: PathBuf,
    /// `confiture.yaml`; empty where there is none.
    pub file: ProjectFile,
    surroundings: Surroundings,
}

/// What a command was told about its database.
#[derive(Debug, Clone, Copy, Default)]
pub struct Naming<'a> {
    /// The flag and its value: `("--env", "local")`, `("--config", "db/environments/local.yaml")`.
    pub named: Option<(&'static str, &'a str)>,
    /// `--database-url`: alone it is the name; beside a name it takes the place of that environment's database.
    pub database_url: Option<&'a str>,
}

/// A database, found, and the settings that go with it.
#[derive(Debug, Clone)]
pub struct Target {
    /// What named it, and who said so.
    pub name: Setting<DatabaseName>,
    /// Its environment; `None` where a URL, a connection string or `embedded` was named.
    pub environment: Option<Environment>,
    /// The settings.
    pub settings: Settings,
    database: Option<Database>,
    surroundings: Surroundings,
}

/// Where a target's database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetDatabase {
    /// On a server.
    Server(Box<Connection>),
    /// On the server that Confiture runs itself, under this name.
    Embedded(String),
}

impl Project {
    /// Finds the project that the working folder belongs to, and reads its `confiture.yaml`.
    ///
    /// The root is the nearest folder, upwards, that has `confiture.yaml`, `db/environments`, `db/schema` or `.git`;
    /// else the working folder itself.
    ///
    /// # Errors
    ///
    /// A `confiture.yaml` that cannot be read.
    pub fn open(surroundings: &Surroundings) -> Result<Self> {
        let root = find_root(&surroundings.folder)?;
        let path = root.join(PROJECT_FILE);
        let file = match disk::read_text_if_present(&path)? {
            Some(text) => ProjectFile::parse(&text, &path, &root)?,
            None => ProjectFile::default(),
        };
        Ok(Self { root, file, surroundings: surroundings.clone() })
    }

    /// The names of the environments in `db/environments`, sorted.
    ///
    /// # Errors
    ///
    /// A folder that cannot be read.
    pub fn environment_names(&self) -> Result<Vec<String>> {
        let files = disk::list_files(&self.root.join(ENVIRONMENTS))?;
        let in_folder = files.iter().filter(|file| file.components().count() == 1);
        let yaml = in_folder.filter(|file| file.extension().is_some_and(|e| e == "yaml" || e == "yml"));
        let mut names: Vec<_> =
            yaml.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
        names.dedup();
        Ok(names)
    }

    /// The settings of a command that works without a database.
    ///
    /// # Errors
    ///
    /// A flag or a variable that cannot be read.
    pub fn settings(&self, flags: &Flags) -> Result<Settings> {
        self.settings_with(flags, &Layer::default())
    }

    /// Finds what a command works with. Nothing is connected to, and no variable of the file is filled in yet.
    ///
    /// # Errors
    ///
    /// An environment or a file that does not exist, with those that do; a file, flag or variable that cannot be read;
    /// nothing that names a database.
    pub fn target(&self, naming: Naming<'_>, flags: &Flags) -> Result<Target> {
        let named = naming.named.or(naming.database_url.map(|url| ("--database-url", url)));
        let default = self.file.default_environment.as_ref();
        let Some(name) = resolve_database_name(named, &self.surroundings, default)? else {
            return Err(self.nothing_named()?);
        };
        let environment = self.read_environment(&name)?;
        let silent = Layer::default();
        let settings = self.settings_with(
            flags,
            environment.as_ref().map_or(&silent, |environment| &environment.settings),
        )?;
        let database = match (naming.database_url, &name.value, &environment) {
            (Some(url), ..) => Some(Database::Text(Template::literal(url))),
            (None, _, Some(environment)) => environment.database.clone(),
            (None, DatabaseName::Connection(text), _) => {
                Some(Database::Text(Template::literal(text.expose())))
            }
            (None, name, None) => Some(Database::Text(Template::literal(name.to_string()))),
        };
        Ok(Target { name, environment, settings, database, surroundings: self.surroundings.clone() })
    }

    fn settings_with(&self, flags: &Flags, environment: &Layer) -> Result<Settings> {
        let flags = Layer::from_flags(flags, &self.surroundings)?;
        let variables = Layer::from_variables(&self.surroundings)?;
        Ok(resolve_settings(&[&flags, &variables, environment, &self.file.settings], &self.root))
    }

    fn read_environment(&self, name: &Setting<DatabaseName>) -> Result<Option<Environment>> {
        let path = match &name.value {
            DatabaseName::Connection(_) | DatabaseName::Embedded(_) => return Ok(None),
            DatabaseName::Environment(called) => self.find_environment(called),
            DatabaseName::File(path) => self.find_file(path),
        };
        let Some(path) = path else { return Err(self.not_found(name)?) };
        let environment = Environment::parse(&disk::read_text(&path)?, &path, &self.root)?;
        match &name.value {
            // A copy whose `name` was forgotten would call itself what it is not, in every question and report.
            DatabaseName::Environment(called) if *called != environment.name => {
                Err(Error::config(format!("the environment {called} calls itself `{}`", environment.name))
                    .at(crate::Place { file: path, line: 1, column: 1 })
                    .hint(format!("write `name: {called}` into it, or rename the file")))
            }
            _ => Ok(Some(environment)),
        }
    }

    fn find_environment(&self, name: &str) -> Option<PathBuf> {
        let folder = self.root.join(ENVIRONMENTS);
        ["yaml", "yml"]
            .map(|ending| folder.join(format!("{name}.{ending}")))
            .into_iter()
            .find(|path| disk::is_file(path))
    }

    /// A file is looked for from the working folder on, then among the environments: `-c local.yaml`.
    fn find_file(&self, path: &Path) -> Option<PathBuf> {
        let places = [self.surroundings.folder.join(path), self.root.join(ENVIRONMENTS).join(path)];
        places.into_iter().find(|path| disk::is_file(path))
    }

    /// The error that there is no such environment, with those that there are.
    fn not_found(&self, name: &Setting<DatabaseName>) -> Result<Error> {
        let names = self.environment_names()?;
        let (message, called) = match &name.value {
            DatabaseName::File(path) => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                (format!("there is no file {}, also not in {ENVIRONMENTS}", path.display()), stem)
            }
            name => (format!("there is no environment `{name}`"), name.to_string()),
        };
        let error = Error::config(message);
        let error = match &name.origin {
            Origin::ProjectFile(place) => error.at(place.clone()),
            Origin::Default => error,
            origin => error.context(origin),
        };
        Ok(error.did_you_mean(&called, names.iter().map(String::as_str)).hint(self.choice(&names)))
    }

    fn nothing_named(&self) -> Result<Error> {
        let names = self.environment_names()?;
        Ok(Error::usage("no database is named")
            .hint("name one with --env, set DATABASE_URL, or write default_environment into confiture.yaml")
            .hint(self.choice(&names)))
    }

    fn choice(&self, names: &[String]) -> String {
        let folder = self.root.join(ENVIRONMENTS);
        match names {
            [] => format!("{} has no environments; `confiture init` writes some", folder.display()),
            names => format!("the environments in {} are: {}", folder.display(), names.join(", ")),
        }
    }
}

impl Target {
    /// Where the database is: fills in variables and reads the files for passwords and services.
    ///
    /// # Errors
    ///
    /// A variable that is not set; text that names no database; an environment that has none.
    pub fn database(&self) -> Result<TargetDatabase> {
        let Some(database) = &self.database else {
            let file = self.environment.as_ref().map(|environment| environment.file.display().to_string());
            return Err(Error::config(format!("{} names no database", file.unwrap_or_default()))
                .hint("write database_url or database into it, or name one with --database-url"));
        };
        let environment = self.environment.as_ref().map(|environment| environment.name.as_str());
        find_database(database, environment.unwrap_or(EMBEDDED_DATABASE), &self.surroundings)
    }

    /// Where scratch databases are made; `None`: on the embedded server, under names of their own.
    ///
    /// # Errors
    ///
    /// As [`Target::database`].
    pub fn scratch(&self) -> Result<Option<TargetDatabase>> {
        let scratch = self.settings.scratch_url.value.clone().map(Database::Text);
        scratch.map(|database| find_database(&database, EMBEDDED_DATABASE, &self.surroundings)).transpose()
    }
}

fn find_database(
    database: &Database,
    embedded_name: &str,
    surroundings: &Surroundings,
) -> Result<TargetDatabase> {
    match database.address(surroundings)? {
        DatabaseAddress::Embedded(name) => {
            Ok(TargetDatabase::Embedded(name.unwrap_or_else(|| embedded_name.to_owned())))
        }
        DatabaseAddress::Server(request) => {
            let connection = disk::resolve_connection(request).map_err(|error| match database.place() {
                Some(place) => error.or_at(place),
                None => error,
            })?;
            Ok(TargetDatabase::Server(Box::new(connection)))
        }
    }
}

/// The nearest folder, upwards from `folder`, that looks like a project's root; else `folder`.
///
/// It is named the way `folder` is: from an empty one, `..` is one up, so that errors show short paths.
fn find_root(folder: &Path) -> Result<PathBuf> {
    let depth = disk::canonical(folder)?.components().count();
    let mut candidate = folder.to_owned();
    for _ in 0..depth {
        let is_root = disk::is_file(&candidate.join(PROJECT_FILE))
            || disk::is_folder(&candidate.join(ENVIRONMENTS))
            || disk::is_folder(&candidate.join("db/schema"))
            || disk::exists(&candidate.join(".git"));
        if is_root {
            return Ok(candidate);
        }
        candidate = match candidate.parent() {
            Some(parent) if candidate.is_absolute() => parent.to_owned(),
            _ => candidate.join(".."),
        };
    }
    Ok(folder.to_owned())
}
