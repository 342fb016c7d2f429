//! The user's project on disk: finds its root, reads its configuration, and turns what a command was told into a
//! [`Target`]: a database and the settings to treat it with.

use std::path::{Component, Path, PathBuf};

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
        let files = disk::files_below(&self.root.join(ENVIRONMENTS))?;
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
        // Alone, a URL is the name itself.
        let instead = naming.database_url.filter(|_| naming.named.is_some());
        let database = match (instead, &name.value, &environment) {
            (Some(url), ..) => Some(Database::Text(Template::literal(url))),
            (None, _, Some(environment)) => environment.database.clone(),
            (None, DatabaseName::Connection(text), _) => {
                Some(Database::Text(Template::literal(text.expose())))
            }
            (None, name, None) => Some(Database::Text(Template::literal(name.to_string()))),
        };
        Ok(Target { name, environment, settings, database, surroundings: self.surroundings.clone() })
    }

    /// Where scratch databases are made: what `scratch_url` says, else the embedded server.
    ///
    /// # Errors
    ///
    /// As [`Target::database`].
    pub fn scratch(&self, settings: &Settings) -> Result<TargetDatabase> {
        match settings.scratch_url.value.clone().map(Database::Text) {
            Some(database) => find_database(&database, EMBEDDED_DATABASE, &self.surroundings),
            None => Ok(TargetDatabase::Embedded(EMBEDDED_DATABASE.to_owned())),
        }
    }

    /// A path of the settings as seen from the root: `db/schema`, wherever the command was started.
    ///
    /// # Errors
    ///
    /// A path outside of the project.
    pub fn below_root(&self, path: &Path) -> Result<PathBuf> {
        let is_straight = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        if let Ok(below) = path.strip_prefix(&self.root)
            && is_straight(below)
        {
            return Ok(below.to_owned());
        }
        let real = disk::canonical(path)?;
        let below = real.strip_prefix(disk::canonical(&self.root)?).map_err(|_| {
            Error::config(format!("{} is outside of the project", path.display())).hint(
                "only what is in a project's folder is read: start Confiture in the folder's own project",
            )
        })?;
        Ok(below.to_owned())
    }

    /// The schema folders of `settings` as a build takes them: said from the root on where they lie below it. What is outside or
    /// not there keeps its name, for the build to judge.
    #[must_use]
    pub fn schema_dirs(&self, settings: &Settings) -> Vec<PathBuf> {
        let said = |folder: &PathBuf| match self.below_root(folder) {
            Ok(below) => below,
            Err(_) if self.root.as_os_str().is_empty() => folder.clone(),
            Err(_) => disk::canonical(folder).unwrap_or_else(|_| folder.clone()),
        };
        settings.schema_dirs.value.iter().map(said).collect()
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
            DatabaseName::Environment(called) if *called != environment.name.value => {
                let error = Error::config(format!(
                    "the environment {called} calls itself `{}`",
                    environment.name.value
                ));
                Err(environment
                    .name
                    .locate(error)
                    .hint(format!("write `name: {called}`, or rename the file")))
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
        let environment = self.environment.as_ref().map(|environment| environment.name.value.as_str());
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
fn find_root(folder: &Path) -> Result<PathBuf> {
    let depth = disk::canonical(folder)?.components().count();
    let is_root = |folder: &PathBuf| {
        disk::is_file(&folder.join(PROJECT_FILE))
            || disk::is_folder(&folder.join(ENVIRONMENTS))
            || disk::is_folder(&folder.join("db/schema"))
            || disk::exists(&folder.join(".git"))
    };
    Ok(upwards(folder).take(depth).find(is_root).unwrap_or_else(|| folder.to_owned()))
}

/// `folder` and those above it, named the way it is: from the empty path, `..` is one up, so that errors show short paths.
fn upwards(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::iter::successors(Some(folder.to_owned()), |folder| match folder.components().next_back() {
        Some(Component::Normal(_)) => folder.parent().map(Path::to_owned),
        _ => Some(folder.join("..")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use std::fs;

    /// A project with two environments, seen from a folder inside of it.
    struct Shop(tempfile::TempDir);

    impl Shop {
        fn new() -> Self {
            let shop = Self(tempfile::tempdir().unwrap());
            shop.write("confiture.yaml", "default_environment: local\nlock_timeout: 3s\n");
            shop.write("db/environments/local.yaml", "name: local\ndatabase_url: postgresql://me@h/local\n");
            shop.write(
                "db/environments/production.yaml",
                "database_url: postgresql://me@h/${DB}\nproduction: true\nlock_timeout: 2s\n",
            );
            fs::create_dir_all(shop.0.path().join("web/src")).unwrap();
            shop
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn open(&self, variables: &[(&str, &str)]) -> Project {
            let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let surroundings = Surroundings {
                variables: variables.collect(),
                folder: self.0.path().join("web/src"),
                ..Surroundings::default()
            };
            Project::open(&surroundings).unwrap()
        }

        /// Where `named` leads, or the error with its place and hints.
        fn find(&self, project: &Project, named: Option<&str>) -> String {
            let naming = Naming { named: named.map(|text| ("--env", text)), database_url: None };
            let found = project.target(naming, &Flags::default()).and_then(|target| target.database());
            let text = match found {
                Ok(TargetDatabase::Server(connection)) => connection.to_string(),
                Ok(TargetDatabase::Embedded(name)) => format!("embedded {name}"),
                Err(error) => {
                    let place = error.place().map(|place: &Place| format!("{place}: ")).unwrap_or_default();
                    format!("{place}{error}\n  {}", error.hints().join("\n  "))
                }
            };
            text.replace(self.0.path().to_str().unwrap(), "ROOT")
        }
    }

    #[test]
    fn every_way_to_name_a_database_works_from_a_folder_inside() {
        let shop = Shop::new();
        let project = shop.open(&[("DB", "sales")]);
        assert_eq!(project.root, shop.0.path());
        for (named, expected) in [
            (None, "me@h:5432/local"),
            (Some("local"), "me@h:5432/local"),
            (Some("production"), "me@h:5432/sales"),
            (Some("local.yaml"), "me@h:5432/local"),
            (Some("../../db/environments/production.yaml"), "me@h:5432/sales"),
            (Some("postgresql://you@there/x"), "you@there:5432/x"),
            (Some("host=there user=you dbname=y"), "you@there:5432/y"),
            (Some("embedded"), "embedded confiture"),
            (Some("embedded:z"), "embedded z"),
        ] {
            assert_eq!(shop.find(&project, named), expected, "{named:?}");
        }
    }

    #[test]
    fn a_name_that_leads_nowhere_says_what_there_is() {
        let shop = Shop::new();
        let project = shop.open(&[]);
        shop.write("db/environments/staging.yaml", "name: production\n");
        shop.write("db/environments/empty.yaml", "");
        let all = ["prodution", "locl.yaml", "production", "staging", "empty"]
            .map(|named| shop.find(&project, Some(named)));
        insta::assert_snapshot!(all.join("\n"), @r#"
        --env: there is no environment `prodution`
          did you mean `production`?
          the environments in ROOT/db/environments are: empty, local, production, staging
        --env: there is no file locl.yaml, also not in db/environments
          did you mean `local`?
          the environments in ROOT/db/environments are: empty, local, production, staging
        ROOT/db/environments/production.yaml:1:33: environment variable DB is not set
          set DB, or give a default in the file: ${DB:-default}
        ROOT/db/environments/staging.yaml:1:7: the environment staging calls itself `production`
          write `name: staging`, or rename the file
        ROOT/db/environments/empty.yaml names no database
          write database_url or database into it, or name one with --database-url
        "#);
    }

    #[test]
    fn with_nothing_named_the_choice_is_shown() {
        let shop = Shop::new();
        shop.write("confiture.yaml", "default_environment: lokal\n");
        let misspelt = shop.find(&shop.open(&[]), None);
        let variable = shop.find(&shop.open(&[("CONFITURE_ENV", "prod")]), None);
        shop.write("confiture.yaml", "");
        let nothing = shop.find(&shop.open(&[]), None);
        insta::assert_snapshot!([misspelt, variable, nothing].join("\n"), @r#"
        ROOT/confiture.yaml:1:22: there is no environment `lokal`
          did you mean `local`?
          the environments in ROOT/db/environments are: local, production
        CONFITURE_ENV: there is no environment `prod`
          the environments in ROOT/db/environments are: local, production
        no database is named
          name one with --env, set DATABASE_URL, or write default_environment into confiture.yaml
          the environments in ROOT/db/environments are: local, production
        "#);
    }

    #[test]
    fn a_url_beside_a_name_takes_the_place_of_its_database_and_of_nothing_else() {
        let shop = Shop::new();
        let naming =
            Naming { named: Some(("--env", "production")), database_url: Some("postgresql://you@there/x") };
        // The environment's own ${DB} is not set, and not needed.
        let target = shop.open(&[]).target(naming, &Flags::default()).unwrap();
        let TargetDatabase::Server(connection) = target.database().unwrap() else { panic!("not a server") };
        assert_eq!(connection.to_string(), "you@there:5432/x");
        assert!(target.settings.production.value);
        assert_eq!(target.settings.lock_timeout.value.as_secs(), 2);
    }

    #[test]
    fn a_database_url_of_the_shell_does_not_touch_a_named_environment() {
        let shop = Shop::new();
        let project = shop.open(&[("DATABASE_URL", "postgresql://you@there/x")]);
        assert_eq!(shop.find(&project, Some("local")), "me@h:5432/local");
        assert_eq!(shop.find(&project, None), "you@there:5432/x");
    }

    #[test]
    fn folders_above_are_named_as_the_folder_is() {
        for (folder, expected) in [
            ("", ["", "..", "../..", "../../.."]),
            ("a/b", ["a/b", "a", "", ".."]),
            ("/a/b/c", ["/a/b/c", "/a/b", "/a", "/"]),
        ] {
            let found: Vec<_> = upwards(Path::new(folder)).take(4).collect();
            assert_eq!(found, expected.map(PathBuf::from), "{folder}");
        }
    }

    #[test]
    fn a_path_is_seen_from_the_root() {
        let shop = Shop::new();
        let project = shop.open(&[]);
        let inside = shop.0.path().join("web/src");
        for (path, expected) in [
            (shop.0.path().join("db/not/there"), "db/not/there"),
            (inside.join("../../db/environments"), "db/environments"),
            (inside.clone(), "web/src"),
            (shop.0.path().to_owned(), ""),
        ] {
            assert_eq!(project.below_root(&path).unwrap(), Path::new(expected), "{}", path.display());
        }
        let error = project.below_root(&inside.join("../../..")).unwrap_err();
        assert!(error.message().ends_with("is outside of the project"), "{error}");
    }

    #[test]
    fn the_nearest_folder_that_looks_like_one_is_the_root() {
        for mark in ["confiture.yaml", "db/environments/x.yaml", "db/schema/x.sql", ".git/HEAD"] {
            let outer = tempfile::tempdir().unwrap();
            let inner = outer.path().join("inner");
            for folder in [outer.path(), inner.as_path()] {
                let path = folder.join(mark);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            fs::create_dir_all(inner.join("a/b")).unwrap();
            assert_eq!(find_root(&inner.join("a/b")).unwrap(), inner, "{mark}");
            assert_eq!(find_root(outer.path()).unwrap(), outer.path(), "{mark}");
        }
    }
}
