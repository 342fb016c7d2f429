//! What a server says when it refuses a statement, made safe to show: SQLSTATE, names and places stay, row values go.

use std::fmt;

use tokio_postgres::error::{DbError, ErrorPosition};

use super::redact::{redact, redact_context};
use crate::error::{Error, ErrorKind};

/// The server's error, free of row values: the source of an [`Error`] of kind [`ErrorKind::Server`].
///
/// The driver's own error never becomes a source, as its text holds the server's DETAIL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerError {
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The message, without row values.
    pub message: String,
    /// Where in the statement, in characters from 1.
    pub position: Option<usize>,
    /// The schema that it is about.
    pub schema: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// The data type.
    pub data_type: Option<String>,
    /// The constraint or index.
    pub constraint: Option<String>,
}

impl ServerError {
    /// The server's error under one of ours.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error).and_then(|source| source.downcast_ref())
    }

    pub(super) fn from_driver(server: &DbError) -> Self {
        let owned = |name: Option<&str>| name.map(str::to_owned);
        Self {
            sqlstate: server.code().code().to_owned(),
            message: message(server),
            position: match server.position() {
                Some(ErrorPosition::Original(position)) => Some(*position as usize),
                _ => None,
            },
            schema: owned(server.schema()),
            table: owned(server.table()),
            column: owned(server.column()),
            data_type: owned(server.datatype()),
            constraint: owned(server.constraint()),
        }
    }
}

/// The names alone: the message is the error's own.
impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SQLSTATE {}", self.sqlstate)?;
        if let Some(table) = &self.table {
            let schema = self.schema.as_deref().map(|schema| format!("{schema}.")).unwrap_or_default();
            write!(f, ", table {schema}{table}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        if let Some(data_type) = &self.data_type {
            write!(f, ", type {data_type}")?;
        }
        if let Some(constraint) = &self.constraint {
            write!(f, ", constraint {constraint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

/// The error for a statement that the server refused.
pub(super) fn refused(server: &DbError) -> Error {
    let safe = ServerError::from_driver(server);
    let mut error = Error::new(ErrorKind::Server, safe.message.clone()).sqlstate(safe.sqlstate.clone());
    if let Some(detail) = detail(server, &safe) {
        error = error.detail(detail);
    }
    if let Some(hint) = server.hint() {
        error = error.hint(if holds_values(server) { redact(hint, &names(server)) } else { hint.to_owned() });
    }
    if let Some(hint) = hint(server) {
        error = error.hint(hint);
    }
    error.because(safe)
}

/// Classes whose texts hold row values (22 data exception, 23 integrity constraint), or whatever a function of the
/// user's puts there (P0 PL/pgSQL, 38 and 39 external routines), or another server's words (HV foreign data).
fn holds_values(server: &DbError) -> bool {
    // A broken foreign key names both tables, one of which is in no field; its values are in DETAIL alone. And a setting's
    // value is not a row's.
    if server.routine() == Some("ri_ReportViolation") || server.file() == Some("guc.c") {
        return false;
    }
    matches!(server.code().code().get(..2), Some("22" | "23" | "44" | "P0" | "38" | "39" | "HV"))
        // RAISE with a SQLSTATE of the user's choice.
        || server.routine() == Some("exec_stmt_raise")
}

/// Classes whose DETAIL names objects, processes or settings, and never a row.
fn has_safe_detail(server: &DbError) -> bool {
    let class = server.code().code().get(..2).unwrap_or_default();
    let safe = ["08", "0A", "25", "28", "2B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58"];
    safe.contains(&class) && !holds_values(server)
}

fn names(server: &DbError) -> [&str; 5] {
    [server.schema(), server.table(), server.column(), server.datatype(), server.constraint()]
        .map(Option::unwrap_or_default)
}

/// What the server says, without row values.
pub(super) fn message(server: &DbError) -> String {
    if holds_values(server) { redact(server.message(), &names(server)) } else { server.message().to_owned() }
}

/// DETAIL where it is safe, the names that the message does not have, and where it happened.
fn detail(server: &DbError, safe: &ServerError) -> Option<String> {
    let mut lines = Vec::new();
    if has_safe_detail(server) {
        lines.extend(server.detail().map(str::to_owned));
    }
    if names(server).iter().any(|name| !name.is_empty()) {
        let named = safe.to_string();
        lines.extend(named.split_once(", ").map(|(_, names)| names.to_owned()));
    }
    lines.extend(server.where_().map(redact_context).unwrap_or_default());
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// What the user can do next, for the errors that people meet.
fn hint(server: &DbError) -> Option<&'static str> {
    let message = server.message();
    let hint = match server.code().code() {
        // No privilege helps.
        "42501" if message.starts_with("must be owner of ") => {
            "connect as the owner of the object, or as a member of that role"
        }
        "42501" => "connect as the owner of the object, or have its owner GRANT the privilege to this role",
        "53100" => "the server's disk is full: free space on it or enlarge it, then run this again",
        "53200" if server.hint().is_none() => {
            "the server is out of memory: lower maintenance_work_mem or work_mem, or give the server more"
        }
        "53300" => "close connections that are not needed, or raise max_connections on the server",
        "53400" => "a limit of the server's configuration is reached: its log says which",
        "55P03" => {
            "another transaction holds a lock on it: find it with SELECT pid, query FROM pg_stat_activity WHERE \
             state <> 'idle', then try again, or allow more time by lock_timeout"
        }
        "55006" => "somebody else uses it: close their connections, then try again",
        "40P01" | "40001" => "another transaction was in the way: run this again",
        "57014" => "the statement was cancelled, by a user or by statement_timeout",
        "25006" => {
            "this server or transaction takes no writes: connect to the primary (target_session_attrs=read-write), or \
             look at default_transaction_read_only"
        }
        "42P01" => "check the spelling, the schema, and search_path",
        "42703" if server.hint().is_none() => "check the spelling: names in double quotes keep their case",
        "3F000" => "create the schema first, or check the spelling",
        "22001" => "a value is longer than its column allows: widen the column, or shorten the value",
        "22P02" | "22007" => "a value does not read as its type: convert it, or mend it",
        "22003" => "a number does not fit its column's type: widen the column",
        "23502" => "a value is missing: give the column a default, or the row a value",
        "23503" => {
            "a row refers to a row that is not there: load the referenced table first, or mend the data"
        }
        "23505" => "two rows have the same key: look for duplicates of the constraint's columns",
        "23514" => "a row breaks the rule of the constraint: mend the data, or loosen the rule",
        "P0001" => {
            "a function of the database raised this; numbers and quoted parts are left out, as they may be data"
        }
        // Until PostgreSQL 15 the control file's path, since 16 the name.
        "58P01" | "0A000" if message.contains("/extension/") || is_missing_extension(server) => {
            "install the package with this extension on the server's machine (often postgresql-contrib, or \
             postgresql-NN-NAME); a managed server has a list of those it allows"
        }
        _ => return None,
    };
    Some(hint)
}

/// PostgreSQL 16 on: `extension "x" is not available`. The source file says it in every language.
fn is_missing_extension(server: &DbError) -> bool {
    server.code().code() == "0A000" && server.file() == Some("extension.c")
}
