//! `db/environments/NAME.yaml`: one database and how it is treated.

use std::path::{Path, PathBuf};

use crate::config::settings::{Layer, Origin};
use crate::config::settings_file::{fields_of, finish, read_layer};
use crate::config::yaml::{self, Fields, Node, Value};
use crate::config::{Connection, ConnectionRequest, DatabaseName, Spanned, Surroundings, Template};
use crate::error::{Error, Place, Result};

/// An environment's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `name`, or else what the file is called.
    pub name: Spanned<String>,
    /// The file, as the user would name it.
    pub file: PathBuf,
    /// `database_url` or `database`. `None` where the file has neither: then only commands without a database work.
    pub database: Option<Database>,
    /// The settings that it decides.
    pub settings: Layer,
}

/// The database of an environment, as written: variables are filled in when it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// `database_url`, or what a command names directly: a URL, a connection string, `embedded`, `embedded:NAME`.
    Text(Template),
    /// `database`: parameters by their names in libpq.
    Parts {
        /// Name and value.
        parameters: Vec<(&'static str, Template)>,
        /// The project's folder, where relative paths start.
        root: PathBuf,
    },
}

/// A database that can be looked for: where it is, before files for passwords and services are read.
#[derive(Clone)]
pub enum DatabaseAddress {
    /// On a server.
    Server(ConnectionRequest),
    /// On the server that Confiture runs itself, by the database's name where one is given.
    Embedded(Option<String>),
}

/// The keys of `database`, and what libpq calls them.
const PARTS: [(&str, &str); 14] = [
    ("host", "host"),
    ("port", "port"),
    ("database", "dbname"),
    ("user", "user"),
    ("password", "password"),
    ("password_file", "password_file"),
    ("passfile", "passfile"),
    ("service", "service"),
    ("sslmode", "sslmode"),
    ("sslrootcert", "sslrootcert"),
    ("connect_timeout", "connect_timeout"),
    ("options", "options"),
    ("channel_binding", "channel_binding"),
    ("target_session_attrs", "target_session_attrs"),
];

impl Environment {
    /// Reads a file's text. `file` is what errors call it; relative paths in it start from `root`, the project's folder.
    ///
    /// # Errors
    ///
    /// What is not YAML, a key that is not known, a value that cannot be read: with file, line and column.
    pub fn parse(text: &str, file: &Path, root: &Path) -> Result<Self> {
        let document = yaml::parse(text, file)?;
        let mut fields = fields_of(&document, "database_url: ${DATABASE_URL}")?;
        let name = fields.take("name").map(Node::as_spanned_text).transpose()?;
        let stem = || file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let environment = Self {
            name: name.unwrap_or_else(|| Spanned::nowhere(stem())),
            file: file.to_owned(),
            database: read_database(&mut fields, root)?,
            settings: read_layer(&mut fields, root, Origin::EnvironmentFile)?,
        };
        finish(fields, |entry| match entry.key.as_str() {
            "default_environment" => Some("`default_environment` belongs into confiture.yaml"),
            key if PARTS.iter().any(|(part, _)| *part == key) => {
                Some("connection parameters belong under `database:`, or into `database_url`")
            }
            _ => None,
        })?;
        Ok(environment)
    }
}

fn read_database(fields: &mut Fields<'_>, root: &Path) -> Result<Option<Database>> {
    let url = fields.take("database_url");
    let parts = fields.take_entry("database");
    match (url, parts) {
        (Some(_), Some(parts)) => Err(Error::config("the file has both `database_url` and `database`")
            .at(parts.place.clone())
            .hint("keep one of the two")),
        (Some(url), None) => Ok(Some(Database::Text(Template::read(url)?))),
        (None, Some(parts)) => read_parts(&parts.value, root).map(Some),
        (None, None) => Ok(None),
    }
}

fn read_parts(node: &Node, root: &Path) -> Result<Database> {
    // Text here may be a URL with its password: it is not shown.
    if matches!(node.value, Value::Scalar(_) | Value::Null) {
        return Err(node
            .error("`database` must be a map of connection parameters: host, port, database, user, …")
            .hint("for a URL, the key is `database_url`"));
    }
    let mut fields = node.fields()?;
    let mut parameters = Vec::new();
    for (key, name) in PARTS {
        if let Some(value) = fields.take(key) {
            parameters.push((name, Template::read(value)?));
        }
    }
    finish(fields, |entry| match entry.key.as_str() {
        "dbname" | "name" | "db" => Some("did you mean `database`?"),
        "username" | "role" => Some("did you mean `user`?"),
        "ssl_mode" | "ssl" | "tls" => Some("did you mean `sslmode`?"),
        _ => None,
    })?;
    Ok(Database::Parts { parameters, root: root.to_owned() })
}

impl Database {
    /// Where it stands in the user's file.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Text(template) => template.place(),
            Self::Parts { parameters, .. } => parameters.first().and_then(|(_, value)| value.place()),
        }
    }

    /// Fills in the variables and reads the result.
    ///
    /// # Errors
    ///
    /// A variable that is not set, and text that names no database, with their places and never with the text.
    pub fn address(&self, surroundings: &Surroundings) -> Result<DatabaseAddress> {
        match self {
            Self::Text(template) => {
                let text = template.expand(surroundings)?;
                read_address(text.expose(), surroundings).map_err(|error| match template.place() {
                    Some(place) => error.or_at(place),
                    None => error,
                })
            }
            Self::Parts { parameters, root } => {
                let mut request = ConnectionRequest::from_surroundings(surroundings);
                for (name, template) in parameters {
                    let value = template.expand(surroundings)?;
                    request.set(name, with_folder(name, value.expose(), root))?;
                }
                Ok(DatabaseAddress::Server(request))
            }
        }
    }
}

fn read_address(text: &str, surroundings: &Surroundings) -> Result<DatabaseAddress> {
    match DatabaseName::parse(text)? {
        DatabaseName::Connection(text) => {
            Connection::parse(text.expose(), surroundings).map(DatabaseAddress::Server)
        }
        DatabaseName::Embedded(name) => Ok(DatabaseAddress::Embedded(name)),
        // What looks like a name may be a password gone astray.
        DatabaseName::Environment(_) | DatabaseName::File(_) => {
            Err(Error::config("this is neither a PostgreSQL URL nor a connection string")
                .hint("write postgresql://user@host:port/database, \"host=… dbname=…\", or embedded"))
        }
    }
}

/// Files named in a project's file are looked for in the project, wherever the command was started.
fn with_folder(name: &str, value: &str, root: &Path) -> String {
    let is_file =
        matches!(name, "password_file" | "passfile") || (name == "sslrootcert" && value != "system");
    if is_file && !value.is_empty() && !value.starts_with('~') {
        root.join(value).to_string_lossy().into_owned()
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn parse(text: &str) -> Result<Environment> {
        Environment::parse(text, "db/environments/staging.yaml".as_ref(), "/shop".as_ref())
    }

    fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
        Surroundings {
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            user: Some("me".into()),
            folder: "/elsewhere".into(),
            ..Surroundings::default()
        }
    }

    /// `file:line:column: message`, then the hints.
    fn shown(error: &Error) -> String {
        let place = error.place().map(|place| format!("{place}: ")).unwrap_or_default();
        let hints = error.hints().iter().map(|hint| format!("\n  {hint}"));
        format!("{place}{error}{}", hints.collect::<String>())
    }

    fn connect(text: &str, variables: &[(&str, &str)]) -> Result<Connection> {
        match parse(text)?.database.unwrap().address(&surroundings(variables))? {
            DatabaseAddress::Server(request) => request.resolve(&BTreeMap::new()),
            DatabaseAddress::Embedded(name) => panic!("embedded: {name:?}"),
        }
    }

    #[test]
    fn reads_every_key() {
        let environment = parse(
            "name: eu\ndatabase_url: postgresql://h/x\nschema_dirs: [db/a, /abs]\ninclude: '*.sql'\nexclude:\n  - old/*\n\
             migrations_dir: m\nhistory_table: ops.history\nproduction: true\nlock_timeout: 2s\nstatement_timeout: 1h\n\
             scratch_url: ${SCRATCH}\n",
        )
        .unwrap();
        let settings = environment.settings;
        assert_eq!(environment.name.value, "eu");
        assert_eq!(settings.schema_dirs.unwrap().value, [PathBuf::from("/shop/db/a"), "/abs".into()]);
        assert_eq!(settings.include.unwrap().value, ["*.sql"]);
        assert_eq!(settings.exclude.unwrap().value, ["old/*"]);
        assert_eq!(settings.migrations_dir.unwrap().value, PathBuf::from("/shop/m"));
        assert_eq!(settings.history_table.unwrap().value.schema, Some("ops".into()));
        assert!(settings.production.unwrap().value);
        assert_eq!(settings.lock_timeout.unwrap().value, Duration::from_secs(2));
        assert_eq!(settings.statement_timeout.unwrap().value, Duration::from_secs(3600));
        let scratch = settings.scratch_url.unwrap().value;
        assert_eq!(scratch.expand(&surroundings(&[("SCRATCH", "embedded")])).unwrap().expose(), "embedded");
    }

    #[test]
    fn an_empty_file_is_an_environment_without_a_database() {
        let environment = parse("# nothing yet\nexclude:\n  # - old/*\n").unwrap();
        assert_eq!((environment.name.value.as_str(), environment.database), ("staging", None));
        assert_eq!(environment.settings, Layer::default());
    }

    #[test]
    fn a_url_and_its_parts_reach_the_same_database() {
        let variables = [("PW", "p%40 ss"), ("RAW", "p@ ss")];
        let url = connect("database_url: postgresql://app:${PW}@db:5433/shop?sslmode=require\n", &variables)
            .unwrap();
        let parts = connect(
            "database:\n  host: db\n  port: ${PORT:-5433}\n  database: shop\n  user: app\n  password: ${RAW}\n  sslmode: require\n",
            &variables,
        )
        .unwrap();
        assert_eq!(url, parts);
        assert_eq!(parts.password.unwrap().expose(), "p@ ss");
    }

    #[test]
    fn files_of_a_project_are_looked_for_in_the_project() {
        let environment =
            parse("database:\n  host: db\n  password_file: secrets/db\n  sslrootcert: system\n").unwrap();
        let DatabaseAddress::Server(request) =
            environment.database.unwrap().address(&surroundings(&[])).unwrap()
        else {
            panic!("not a server")
        };
        let files =
            [("/shop/secrets/db".into(), crate::config::ConnectionFile { text: "pw\n".into(), mode: None })];
        let connection = request.resolve(&BTreeMap::from(files)).unwrap();
        assert_eq!(connection.password.unwrap().expose(), "pw");
    }

    #[test]
    fn embedded_is_a_database_too() {
        for (text, expected) in [
            ("database_url: embedded", None),
            ("database_url: embedded:shop", Some("shop")),
            ("database_url: ${UNSET:-embedded:shop_test}", Some("shop_test")),
        ] {
            let address = parse(text).unwrap().database.unwrap().address(&surroundings(&[])).unwrap();
            let DatabaseAddress::Embedded(name) = address else { panic!("{text}") };
            assert_eq!(name.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        let mut all = String::new();
        for text in [
            "name: staging\nhistroy_table: x\n",
            "include_dirs: [db]\n",
            "host: db\n",
            "default_environment: local\n",
            "database_url: a\ndatabase: {host: b}\n",
            "database:\n  host: db\n  dbname: shop\n",
            "database:\n  host: db\n  pasword: hunter2\n",
            "database: postgresql://me:hunter2@h/x\n",
            "database_url: [postgresql://me:hunter2@h/x]\n",
            "postgresql://me:hunter2@h/x\n",
            "database_url:\n",
            "production: maybe\n",
            "lock_timeout: soon\n",
            "schema_dirs: []\n",
            "schema_dirs: [db/a, '']\n",
            "history_table: a.b.c\n",
            "- name: staging\n",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            all.push_str(&format!("{}\n", shown(&error)));
        }
        insta::assert_snapshot!(all, @r#"
        db/environments/staging.yaml:2:1: unknown key `histroy_table`
          did you mean `history_table`?
          known keys: name, database_url, database, build, schema_dirs, include, exclude, seeds_dir, migrations_dir, history_table, production, lock_timeout, statement_timeout, scratch_url, hooks
        db/environments/staging.yaml:1:1: unknown key `include_dirs`
          `schema_dirs` lists the folders of DDL
        db/environments/staging.yaml:1:1: unknown key `host`
          connection parameters belong under `database:`, or into `database_url`
        db/environments/staging.yaml:1:1: unknown key `default_environment`
          `default_environment` belongs into confiture.yaml
        db/environments/staging.yaml:2:1: the file has both `database_url` and `database`
          keep one of the two
        db/environments/staging.yaml:3:3: unknown key `dbname`
          did you mean `database`?
        db/environments/staging.yaml:3:3: unknown key `pasword` in `database`
          did you mean `password`?
          known keys: host, port, database, user, password, password_file, passfile, service, sslmode, sslrootcert, connect_timeout, options, channel_binding, target_session_attrs
        db/environments/staging.yaml:1:11: `database` must be a map of connection parameters: host, port, database, user, …
          for a URL, the key is `database_url`
        db/environments/staging.yaml:1:15: `database_url` must be text, not a list
        db/environments/staging.yaml:1:1: the file must be a map of `key: value`
          for example: database_url: ${DATABASE_URL}
        db/environments/staging.yaml:1:1: `database_url` must be text, but nothing is written
        db/environments/staging.yaml:1:13: `production` must be true or false, not `maybe`
        db/environments/staging.yaml:1:15: `lock_timeout`: "soon" is not a length of time
          write for example 300ms, 5s or 2min; a number alone is milliseconds, and 0 means no limit
        db/environments/staging.yaml:1:14: `schema_dirs` names no folder
          name at least one folder of DDL files, or leave `schema_dirs` out for db/schema
        db/environments/staging.yaml:1:21: `schema_dirs[1]` must be text, not empty text
        db/environments/staging.yaml:1:16: `history_table`: `a.b.c` is not a table's name
          write name or schema.name; put what is not plain letters, digits and _ into double quotes
        db/environments/staging.yaml:1:1: the file must be a map of `key: value`, not a list
        "#);
    }

    #[test]
    fn errors_of_a_database_say_where_and_never_show_it() {
        let mut all = String::new();
        for text in [
            "database_url: postgresql://me:hunter2@${DB_HOST}/x\n",
            "database:\n  password: hunter2\n  host: \"${DB_HOST}\"\n",
            "database_url: hunter2\n",
            "database_url: mysql://me:hunter2@h/x\n",
            "database_url: postgresql://me:hunter2@x@h/x\n",
            "database_url: ${PASSWORD}\n",
        ] {
            let error = connect(text, &[("PASSWORD", "hunter2")]).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            all.push_str(&format!("{}\n", shown(&error)));
        }
        insta::assert_snapshot!(all, @r#"
        db/environments/staging.yaml:1:39: environment variable DB_HOST is not set
          set DB_HOST, or give a default in the file: ${DB_HOST:-default}
        db/environments/staging.yaml:3:10: environment variable DB_HOST is not set
          set DB_HOST, or give a default in the file: ${DB_HOST:-default}
        db/environments/staging.yaml:1:15: this is neither a PostgreSQL URL nor a connection string
          write postgresql://user@host:port/database, "host=… dbname=…", or embedded
        db/environments/staging.yaml:1:15: "mysql://" is not a PostgreSQL URL
          write postgresql://user@host:port/database
        db/environments/staging.yaml:1:15: the URL has an "@" too many
          in a URL, percent-encode these characters of a user name or password: @ as %40, / as %2F, : as %3A, % as %25
        db/environments/staging.yaml:1:15: this is neither a PostgreSQL URL nor a connection string
          write postgresql://user@host:port/database, "host=… dbname=…", or embedded
        "#);
    }

    /// A password that YAML cannot read without quotes must not come back in the error that says so.
    #[test]
    fn a_password_that_is_not_yaml_is_not_shown() {
        let mut all = String::new();
        for password in [
            "%hunter2",
            "@hunter2",
            "`hunter2",
            "*hunter2",
            "!hunter2",
            "\"hunter2",
            "'hunter2",
            "{hunter2",
            "[hunter2",
            "hunter2: x",
            "|hunter2",
            ">hunter2",
            "- hunter2",
        ] {
            let error = parse(&format!("database:\n  host: db\n  password: {password}\n")).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            all.push_str(&format!("{}\n", shown(&error)));
        }
        insta::assert_snapshot!(all, @r#"
        db/environments/staging.yaml:3:13: not valid YAML: unexpected character: `%'
          text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`)
        db/environments/staging.yaml:3:13: not valid YAML: unexpected character: `@'
          text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`)
        db/environments/staging.yaml:3:13: not valid YAML: unexpected character: ``'
          text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`)
        db/environments/staging.yaml:3:13: this alias names no anchor
          text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`)
        db/environments/staging.yaml:3:13: YAML tags mean nothing here
          remove the tag; text that starts with ! wants quotes around all of it
        db/environments/staging.yaml:3:13: this quote is never closed
          close it, or double a quote that is part of the text
        db/environments/staging.yaml:3:13: this quote is never closed
          close it, or double a quote that is part of the text
        db/environments/staging.yaml:4:1: a `{` above is not closed, or a comma is missing
          text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`)
        db/environments/staging.yaml:4:1: a `[` above is not closed, or a comma is missing
          text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`)
        db/environments/staging.yaml:3:20: a second `:` in this value, or a line indented wrongly
          text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`)
        db/environments/staging.yaml:3:13: not valid YAML: while scanning a block scalar, did not find expected comment or line break
          text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`)
        db/environments/staging.yaml:3:13: not valid YAML: while scanning a block scalar, did not find expected comment or line break
          text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`)
        db/environments/staging.yaml:3:13: not valid YAML: block sequence entries are not allowed in this context
          text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`)
        "#);
    }
}
