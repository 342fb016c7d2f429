//! Names that are not UTF-8, which only a `SQL_ASCII` database allows.

use super::{ask, query, value};
use crate::error::{Error, ErrorKind};
use crate::postgres::Session;

/// What the server says where bytes cannot be sent as UTF-8: `character_not_in_repertoire`.
const NOT_UTF8: &str = "22021";

/// Where `error` is about bytes that are not UTF-8: an error that says which name has them. Else `error` itself.
pub(super) async fn explain(session: &Session, error: Error) -> Error {
    if error.sqlstate_code() != Some(NOT_UTF8) {
        return error;
    }
    let explained = match culprit(session).await {
        Some((kind, name)) => {
            Error::config(format!("the name of the {kind} \"{name}\" is not UTF-8"))
                .hint("rename it: the database's encoding is SQL_ASCII, which lets any bytes in")
        }
        None => Error::new(ErrorKind::Config, "a definition or comment in the catalog holds text that is not UTF-8")
            .hint("the database's encoding is SQL_ASCII, which lets any bytes in: look for them with pg_dump --schema-only"),
    };
    explained.sqlstate(NOT_UTF8).because(error)
}

/// The first name that is not UTF-8, its strange bytes as `\xe9`.
async fn culprit(session: &Session) -> Option<(String, String)> {
    let rows = ask(session, query!("foreign_names")).await.ok()?;
    rows.iter().find_map(|row| {
        let name = value::<&[u8]>(row, "name").ok()?;
        std::str::from_utf8(name).is_err().then_some(())?;
        Some((value(row, "kind").ok()?, name.escape_ascii().to_string()))
    })
}
