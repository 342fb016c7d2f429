//! What a user may write where a command takes a database.

use std::fmt;
use std::path::PathBuf;

use crate::config::Secret;
use crate::error::{Error, Result};

/// A database, as a user names it: `--env`, `--from`, `--to`, `--source`, `--target`, `--config`, `--database-url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseName {
    /// `staging`: the environment of `db/environments/staging.yaml`.
    Environment(String),
    /// `db/environments/staging.yaml`, `local.yaml`: an environment file.
    File(PathBuf),
    /// `postgresql://…`, `host=… dbname=…`, `service=…`: text for PostgreSQL, which may hold a password.
    Connection(Secret),
    /// `embedded`, `embedded:NAME`: a database on the server that Confiture runs itself.
    Embedded(Option<String>),
}

impl DatabaseName {
    /// Tells by its shape what `text` is. Nothing is looked up.
    ///
    /// # Errors
    ///
    /// Text that can be none of the four. The error never shows it where it might hold a password.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text == "embedded" {
            return Ok(Self::Embedded(None));
        }
        if let Some(name) = text.strip_prefix("embedded:") {
            return match name {
                "" => Err(Error::config("after \"embedded:\" comes the name of a database")
                    .hint("write embedded:NAME, or embedded alone")),
                _ => Ok(Self::Embedded(Some(name.to_owned()))),
            };
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return match scheme {
                "postgresql" | "postgres" => Ok(Self::Connection(Secret::new(text))),
                _ => Err(not_postgresql(scheme)),
            };
        }
        if is_connection_string(text) {
            return Ok(Self::Connection(Secret::new(text)));
        }
        // `postgres:/user:password@host/db`: nobody calls a file so.
        if text.split_once('@').is_some_and(|(before, _)| before.contains(':')) {
            return Err(Error::config("the name of a database has an `@` as in a URL, and is none")
                .hint("a URL begins with postgresql://"));
        }
        let is_yaml = [".yaml", ".yml"].iter().any(|ending| text.to_ascii_lowercase().ends_with(ending));
        if is_yaml || text.contains(['/', '\\']) {
            return Ok(Self::File(text.into()));
        }
        if is_environment_name(text) {
            return Ok(Self::Environment(text.to_owned()));
        }
        let error = match text {
            "" => Error::config("a database's name is empty"),
            _ => Error::config("this names no database"),
        };
        Err(error.hint(
            "name an environment (staging), a file (db/environments/staging.yaml), a URL (postgresql://user@host/name), \
             a connection string (host=… dbname=…) or embedded",
        ))
    }
}

/// The name, as it may be shown: of a connection's text only that it is one.
impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => f.write_str(name),
            Self::File(path) => path.display().fmt(f),
            Self::Connection(_) => f.write_str("a connection string"),
            Self::Embedded(None) => f.write_str("embedded"),
            Self::Embedded(Some(name)) => write!(f, "embedded:{name}"),
        }
    }
}

/// True for what an environment, and so its file, may be called.
pub(crate) fn is_environment_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// True for `key=value` and for `key = value`: a parameter's name, and an equals sign.
fn is_connection_string(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        let name = name.trim();
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// The scheme is shown only where it can be nothing but one.
fn not_postgresql(scheme: &str) -> Error {
    let message = if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-".contains(&byte)) {
        format!("\"{scheme}://\" is not a PostgreSQL URL")
    } else {
        "this is not a PostgreSQL URL".to_owned()
    };
    let hint = match scheme {
        "postgresql+psycopg" | "postgresql+psycopg2" | "postgresql+asyncpg" | "jdbc:postgresql" => {
            "write postgresql://, without the driver's name"
        }
        _ => "write postgresql://user@host:port/database",
    };
    Error::config(message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(text: &str) -> DatabaseName {
        DatabaseName::Connection(Secret::new(text))
    }

    fn environment(text: &str) -> DatabaseName {
        DatabaseName::Environment(text.into())
    }

    #[test]
    fn tells_by_shape() {
        for (text, expected) in [
            ("local", environment("local")),
            (" new_production ", environment("new_production")),
            ("eu-west.1", environment("eu-west.1")),
            ("embedded", DatabaseName::Embedded(None)),
            ("embedded:shop", DatabaseName::Embedded(Some("shop".into()))),
            ("embedded2", environment("embedded2")),
            ("local.yaml", DatabaseName::File("local.yaml".into())),
            ("Local.YML", DatabaseName::File("Local.YML".into())),
            ("db/environments/local.yaml", DatabaseName::File("db/environments/local.yaml".into())),
            ("./a=b/local.yaml", DatabaseName::File("./a=b/local.yaml".into())),
            ("conf/prod", DatabaseName::File("conf/prod".into())),
            ("postgresql://me:pw@h/x?a=b.yaml", connection("postgresql://me:pw@h/x?a=b.yaml")),
            ("postgres:///x", connection("postgres:///x")),
            ("host=/run/postgresql dbname=x", connection("host=/run/postgresql dbname=x")),
            ("service = app", connection("service = app")),
            ("hots=typo", connection("hots=typo")),
        ] {
            assert_eq!(DatabaseName::parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none_of_them() {
        for (text, message) in [
            ("", "a database's name is empty"),
            ("embedded:", "after \"embedded:\" comes the name of a database"),
            ("mysql://me:hunter2@h/x", "\"mysql://\" is not a PostgreSQL URL"),
            ("jdbc:postgresql://h/x?password=hunter2", "this is not a PostgreSQL URL"),
            ("hunter2@db://h", "this is not a PostgreSQL URL"),
            ("hunter2 db", "this names no database"),
            ("-e", "this names no database"),
            ("postgres:/me:hunter2@h/x", "the name of a database has an `@` as in a URL, and is none"),
            ("me:hunter2@h/x", "the name of a database has an `@` as in a URL, and is none"),
        ] {
            let error = DatabaseName::parse(text).unwrap_err();
            assert_eq!(error.message(), message, "{text}");
            assert!(!format!("{error:?}").contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_connection_is_never_shown() {
        let name = connection("postgresql://me:hunter2@h/x");
        assert!(!format!("{name} {name:?}").contains("hunter2"));
    }
}
