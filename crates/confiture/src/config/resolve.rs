//! Several partial answers to one whole: flag, environment variable, environment file, project file, default.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::mapping::TableName;
use crate::config::settings::{BuildOrder, Layer, Origin, Setting, Settings};
use crate::config::settings_file::{parse_build_order, parse_table_name, parse_timeout};
use crate::config::{DatabaseName, Hooks, Spanned, Surroundings, Template};
use crate::error::Result;

/// How long a statement waits for a lock where nobody says: short enough that the queue behind it stays short.
pub const DEFAULT_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// What the command line said, as text: reading it is done here, so that every source is read by the same rules.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--schema-dir`, as often as it was given.
    pub schema_dirs: Vec<PathBuf>,
    /// `--include`, as often as it was given.
    pub include: Vec<String>,
    /// `--exclude`, as often as it was given.
    pub exclude: Vec<String>,
    /// `--order`.
    pub build_order: Option<String>,
    /// `--migrations-dir`.
    pub migrations_dir: Option<PathBuf>,
    /// `--history-table`.
    pub history_table: Option<String>,
    /// `--lock-timeout`.
    pub lock_timeout: Option<String>,
    /// `--statement-timeout`.
    pub statement_timeout: Option<String>,
    /// `--scratch-url`.
    pub scratch_url: Option<String>,
}

/// Decides every setting; the first layer that says something wins. `layers` are strongest first, `root` is the
/// project's folder, where the default folders are.
#[must_use]
pub fn resolve_settings(layers: &[&Layer], root: &Path) -> Settings {
    /// The strongest layer's word, else the default.
    macro_rules! first {
        ($field:ident, $default:expr) => {
            layers
                .iter()
                .find_map(|layer| layer.$field.clone())
                .unwrap_or_else(|| Setting::new($default, Origin::Default))
        };
    }
    Settings {
        schema_dirs: first!(schema_dirs, vec![root.join("db/schema")]),
        include: first!(include, Vec::new()),
        exclude: first!(exclude, Vec::new()),
        build_order: first!(build_order, BuildOrder::Names),
        build_seed: first!(build_seed, false),
        seeds_dir: first!(seeds_dir, root.join("db/seeds")),
        migrations_dir: first!(migrations_dir, root.join("db/migrations")),
        history_table: first!(history_table, TableName { schema: None, name: "confiture_migrations".into() }),
        production: first!(production, false),
        lock_timeout: first!(lock_timeout, DEFAULT_LOCK_TIMEOUT),
        statement_timeout: first!(statement_timeout, Duration::ZERO),
        scratch_url: layers
            .iter()
            .find_map(|layer| layer.scratch_url.clone())
            .map_or(Setting::new(None, Origin::Default), |setting| setting.map(Some)),
        hooks: first!(hooks, Hooks::default()),
    }
}

impl Layer {
    /// The layer of the command line. Its paths start from the working folder.
    ///
    /// # Errors
    ///
    /// A value that cannot be read, with the flag's name.
    pub fn from_flags(flags: &Flags, surroundings: &Surroundings) -> Result<Self> {
        let folder = &surroundings.folder;
        let paths: Vec<_> = flags.schema_dirs.iter().map(|path| folder.join(path)).collect();
        Ok(Self {
            schema_dirs: some_list(paths, Origin::Flag("--schema-dir")),
            include: some_list(flags.include.clone(), Origin::Flag("--include")),
            exclude: some_list(flags.exclude.clone(), Origin::Flag("--exclude")),
            build_order: read_flag(flags.build_order.as_deref(), "--order", parse_build_order)?,
            build_seed: None,
            seeds_dir: None,
            migrations_dir: flags
                .migrations_dir
                .as_ref()
                .map(|path| Setting::new(folder.join(path), Origin::Flag("--migrations-dir"))),
            history_table: read_flag(flags.history_table.as_deref(), "--history-table", parse_table_name)?,
            production: None,
            lock_timeout: read_flag(flags.lock_timeout.as_deref(), "--lock-timeout", parse_timeout)?,
            statement_timeout: read_flag(
                flags.statement_timeout.as_deref(),
                "--statement-timeout",
                parse_timeout,
            )?,
            scratch_url: read_flag(flags.scratch_url.as_deref(), "--scratch-url", literal)?,
            hooks: None,
        })
    }

    /// The layer of the environment variables. Their paths start from the working folder. There is none for
    /// `production`: a variable forgotten in a shell must not take the question away.
    ///
    /// # Errors
    ///
    /// A value that cannot be read, with the variable's name.
    pub fn from_variables(surroundings: &Surroundings) -> Result<Self> {
        let folder = &surroundings.folder;
        let list = |name: &'static str, separator: char| {
            let text = surroundings.variable(name).unwrap_or_default();
            let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect::<Vec<_>>()
        };
        let schema_dirs = list("CONFITURE_SCHEMA_DIR", ':').iter().map(|path| folder.join(path)).collect();
        Ok(Self {
            schema_dirs: some_list(schema_dirs, Origin::Variable("CONFITURE_SCHEMA_DIR")),
            include: some_list(list("CONFITURE_INCLUDE", ','), Origin::Variable("CONFITURE_INCLUDE")),
            exclude: some_list(list("CONFITURE_EXCLUDE", ','), Origin::Variable("CONFITURE_EXCLUDE")),
            build_order: read_variable(surroundings, "CONFITURE_BUILD_ORDER", parse_build_order)?,
            build_seed: None,
            seeds_dir: read_variable(surroundings, "CONFITURE_SEEDS_DIR", |path| Ok(folder.join(path)))?,
            migrations_dir: read_variable(surroundings, "CONFITURE_MIGRATIONS_DIR", |path| {
                Ok(folder.join(path))
            })?,
            history_table: read_variable(surroundings, "CONFITURE_HISTORY_TABLE", parse_table_name)?,
            production: None,
            lock_timeout: read_variable(surroundings, "CONFITURE_LOCK_TIMEOUT", parse_timeout)?,
            statement_timeout: read_variable(surroundings, "CONFITURE_STATEMENT_TIMEOUT", parse_timeout)?,
            scratch_url: read_variable(surroundings, "CONFITURE_SCRATCH_URL", literal)?,
            hooks: None,
        })
    }
}

/// What names the database, strongest first: a flag, `CONFITURE_ENV`, `DATABASE_URL`, the project's
/// `default_environment`. `None` where nothing does.
///
/// # Errors
///
/// A name that is none, with where it came from.
pub fn resolve_database_name(
    flag: Option<(&'static str, &str)>,
    surroundings: &Surroundings,
    default_environment: Option<&Spanned<String>>,
) -> Result<Option<Setting<DatabaseName>>> {
    if let Some(named) = read_flag_of(flag, DatabaseName::parse)? {
        return Ok(Some(named));
    }
    for variable in ["CONFITURE_ENV", "DATABASE_URL"] {
        if let Some(named) = read_variable(surroundings, variable, DatabaseName::parse)? {
            return Ok(Some(named));
        }
    }
    let Some(default) = default_environment else { return Ok(None) };
    let name = DatabaseName::parse(&default.value).map_err(|error| default.locate(error))?;
    let origin = default.place.clone().map_or(Origin::Default, Origin::ProjectFile);
    Ok(Some(Setting::new(name, origin)))
}

fn some_list<T>(list: Vec<T>, origin: Origin) -> Option<Setting<Vec<T>>> {
    (!list.is_empty()).then(|| Setting::new(list, origin))
}

fn read_flag<T>(
    text: Option<&str>,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T>,
) -> Result<Option<Setting<T>>> {
    read_flag_of(text.map(|text| (name, text)), parse)
}

fn read_flag_of<T>(
    flag: Option<(&'static str, &str)>,
    parse: impl Fn(&str) -> Result<T>,
) -> Result<Option<Setting<T>>> {
    flag.map(|(name, text)| {
        let value = parse(text).map_err(|error| error.context(name))?;
        Ok(Setting::new(value, Origin::Flag(name)))
    })
    .transpose()
}

fn read_variable<T>(
    surroundings: &Surroundings,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T>,
) -> Result<Option<Setting<T>>> {
    let text = surroundings.variable(name);
    text.map(|text| {
        let value = parse(text).map_err(|error| error.context(name))?;
        Ok(Setting::new(value, Origin::Variable(name)))
    })
    .transpose()
}

/// Text from the command line or from a variable, where the shell has done the expanding.
#[expect(clippy::unnecessary_wraps, reason = "has the shape of the other readers")]
fn literal(text: &str) -> Result<Template> {
    Ok(Template::literal(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, ProjectFile};

    /// Which sources say something, and who must win.
    struct Case {
        flags: &'static str,
        variable: &'static str,
        environment: &'static str,
        project: &'static str,
        expected: &'static str,
    }

    const fn case(
        flags: &'static str,
        variable: &'static str,
        environment: &'static str,
        project: &'static str,
        expected: &'static str,
    ) -> Case {
        Case { flags, variable, environment, project, expected }
    }

    /// Every setting that every source may have: key, flag, variable, two values as they are written and as shown.
    fn resolve(key: &str, case: &Case) -> (String, String) {
        let flag = || (!case.flags.is_empty()).then(|| case.flags.to_owned());
        let only = |name: &str| if name == key { flag() } else { None };
        let flags = Flags {
            schema_dirs: only("schema_dirs").into_iter().map(PathBuf::from).collect(),
            include: only("include").into_iter().collect(),
            exclude: only("exclude").into_iter().collect(),
            build_order: only("build.order"),
            migrations_dir: only("migrations_dir").map(PathBuf::from),
            history_table: only("history_table"),
            lock_timeout: only("lock_timeout"),
            statement_timeout: only("statement_timeout"),
            scratch_url: only("scratch_url"),
        };
        let variable = match key {
            "schema_dirs" => "CONFITURE_SCHEMA_DIR".to_owned(),
            key => format!("CONFITURE_{}", key.to_uppercase().replace('.', "_")),
        };
        let surroundings = Surroundings {
            variables: [(variable, case.variable.to_owned())].into(),
            folder: "/shop/web".into(),
            ..Surroundings::default()
        };
        let file = |value: &str| match key.split_once('.') {
            _ if value.is_empty() => String::new(),
            Some((outer, inner)) => format!("{outer}: {{ {inner}: {value} }}\n"),
            None => format!("{key}: {value}\n"),
        };
        let root = Path::new("/shop");
        let environment = Environment::parse(&file(case.environment), "local.yaml".as_ref(), root).unwrap();
        let project = ProjectFile::parse(&file(case.project), "confiture.yaml".as_ref(), root).unwrap();
        let settings = resolve_settings(
            &[
                &Layer::from_flags(&flags, &surroundings).unwrap(),
                &Layer::from_variables(&surroundings).unwrap(),
                &environment.settings,
                &project.settings,
            ],
            root,
        );
        let row = settings.rows().into_iter().find(|(name, ..)| *name == key).unwrap();
        (row.1, row.2.to_string())
    }

    #[test]
    fn flag_before_variable_before_environment_before_project_before_default() {
        // The first filled column wins: flag, variable, environment file, project file; then what is shown.
        let table: &[(&str, &[Case])] = &[
            (
                "lock_timeout",
                &[
                    case("1s", "2s", "3s", "4s", "1s"),
                    case("", "2s", "3s", "4s", "2s"),
                    case("", "", "3s", "4s", "3s"),
                    case("", "", "", "4s", "4s"),
                    case("", "", "", "", "5s"),
                    case("0", "2s", "3s", "4s", "no limit"),
                ],
            ),
            (
                "statement_timeout",
                &[
                    case("1s", "2s", "3s", "4s", "1s"),
                    case("", "2s", "3s", "4s", "2s"),
                    case("", "", "3s", "4s", "3s"),
                    case("", "", "", "4s", "4s"),
                    case("", "", "", "", "no limit"),
                ],
            ),
            // Flags and variables start from the working folder, files from the project's.
            (
                "schema_dirs",
                &[
                    case("a", "b:../c", "[d, e]", "f", "/shop/web/a"),
                    case("", "b:../c", "[d, e]", "f", "/shop/web/b, /shop/web/../c"),
                    case("", "", "[d, e]", "f", "/shop/d, /shop/e"),
                    case("", "", "", "f", "/shop/f"),
                    case("", "", "", "", "/shop/db/schema"),
                    case("/abs", "", "", "", "/abs"),
                ],
            ),
            (
                "build.order",
                &[
                    case("dependencies", "names", "names", "names", "dependencies"),
                    case("", "dependencies", "names", "names", "dependencies"),
                    case("", "", "dependencies", "names", "dependencies"),
                    case("", "", "", "dependencies", "dependencies"),
                    case("", "", "", "", "names"),
                ],
            ),
            (
                "migrations_dir",
                &[
                    case("a", "b", "c", "d", "/shop/web/a"),
                    case("", "b", "c", "d", "/shop/web/b"),
                    case("", "", "c", "d", "/shop/c"),
                    case("", "", "", "d", "/shop/d"),
                    case("", "", "", "", "/shop/db/migrations"),
                ],
            ),
            (
                "history_table",
                &[
                    case("a.A", "b", "c", "d", "a.a"),
                    case("", "b", "c", "d", "b"),
                    case("", "", "c", "d", "c"),
                    case("", "", "", "d", "d"),
                    case("", "", "", "", "confiture_migrations"),
                ],
            ),
            (
                "include",
                &[
                    case("a", "b,c", "d", "e", "a"),
                    case("", "b, c,", "d", "e", "b, c"),
                    case("", "", "[d]", "e", "d"),
                    // An empty list is a word too: this environment includes everything.
                    case("", "", "[]", "e", ""),
                    case("", "", "", "e", "e"),
                    case("", "", "", "", ""),
                ],
            ),
            (
                "exclude",
                &[case("a", "b", "c", "d", "a"), case("", "b", "c", "d", "b"), case("", "", "c", "d", "c")],
            ),
            // Neither a flag nor a variable takes the question away.
            (
                "production",
                &[
                    case("false", "false", "true", "false", "true"),
                    case("", "", "false", "true", "false"),
                    case("", "", "", "true", "true"),
                    case("", "", "", "", "false"),
                ],
            ),
            ("scratch_url", &[case("postgres:///a", "", "", "", "***"), case("", "", "", "", "embedded")]),
        ];
        for (key, cases) in table {
            for case in *cases {
                let (shown, origin) = resolve(key, case);
                let [flag, variable] =
                    if *key == "production" { ["", ""] } else { [case.flags, case.variable] };
                let expected_origin = [
                    (flag, "--"),
                    (variable, "CONFITURE_"),
                    (case.environment, "local.yaml:1:"),
                    (case.project, "confiture.yaml:1:"),
                    ("default", "default"),
                ];
                let (_, expected_origin) =
                    expected_origin.into_iter().find(|(said, _)| !said.is_empty()).unwrap();
                assert_eq!(shown, case.expected, "{key}");
                assert!(origin.starts_with(expected_origin), "{key}: {origin} is not {expected_origin}");
            }
        }
    }

    #[test]
    fn the_database_is_named_by_flag_then_variable_then_url_then_project() {
        let project =
            Spanned::at(crate::Place { file: "confiture.yaml".into(), line: 1, column: 22 }, "d".to_owned());
        for (flag, env, url, default, expected) in [
            (Some("a"), "b", "postgres:///c", true, Some(("a", "--env"))),
            (None, "b", "postgres:///c", true, Some(("b", "CONFITURE_ENV"))),
            (None, "", "postgres:///c", true, Some(("a connection string", "DATABASE_URL"))),
            (None, "", "", true, Some(("d", "confiture.yaml:1:22"))),
            (None, "", "", false, None),
        ] {
            let surroundings = Surroundings {
                variables: [("CONFITURE_ENV", env), ("DATABASE_URL", url)]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
                ..Surroundings::default()
            };
            let flag = flag.map(|text| ("--env", text));
            let name = resolve_database_name(flag, &surroundings, default.then_some(&project)).unwrap();
            let shown = name.map(|name| (name.value.to_string(), name.origin.to_string()));
            let expected = expected.map(|(name, origin)| (name.to_owned(), origin.to_owned()));
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn a_wrong_value_says_which_flag_or_variable_it_is() {
        let flags = Flags { lock_timeout: Some("soon".into()), ..Flags::default() };
        let error = Layer::from_flags(&flags, &Surroundings::default()).unwrap_err();
        assert_eq!(error.message(), "--lock-timeout: \"soon\" is not a length of time");

        let variables = [("CONFITURE_HISTORY_TABLE".to_owned(), "a b".to_owned())].into();
        let surroundings = Surroundings { variables, ..Surroundings::default() };
        let error = Layer::from_variables(&surroundings).unwrap_err();
        assert_eq!(error.message(), "CONFITURE_HISTORY_TABLE: `a b` is not a table's name");

        let variables = [("DATABASE_URL".to_owned(), "mysql://me:hunter2@h/x".to_owned())].into();
        let surroundings = Surroundings { variables, ..Surroundings::default() };
        let error = resolve_database_name(None, &surroundings, None).unwrap_err();
        assert_eq!(error.message(), "DATABASE_URL: \"mysql://\" is not a PostgreSQL URL");
    }
}
