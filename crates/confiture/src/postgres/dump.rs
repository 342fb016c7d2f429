//! What `pg_dump` says of a database, with the program run as a program.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::config::mapping::TableName;
use crate::config::{ChannelBinding, Connection, SslMode};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::QualifiedName;

/// What to leave out of a dump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DumpOptions {
    /// The history of migrations, which is no schema of the user's.
    pub history_table: Option<TableName>,
    /// The ledgers of other tools, which are none either.
    pub ledgers: Vec<QualifiedName>,
    /// Say who owns what.
    pub owners: bool,
    /// Say who may do what.
    pub privileges: bool,
}

/// The schema of the database as `pg_dump --schema-only` says it. The password goes through the program's environment,
/// which only its own user can read; nothing is on its argument list.
///
/// # Errors
///
/// A program that does not start; what it says when it fails.
pub async fn dump_schema(program: &Path, connection: &Connection, options: DumpOptions) -> Result<String> {
    let mut command = Command::new(program);
    command.args(["--schema-only", "--no-password", "--no-subscriptions", "--encoding=UTF8"]);
    if !options.owners {
        command.arg("--no-owner");
    }
    if !options.privileges {
        command.arg("--no-privileges");
    }
    // What Confiture itself keeps; a pattern of pg_dump is literal between quotes.
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    if let Some(table) = &options.history_table {
        let schema = table.schema.as_ref().map_or_else(|| "*".to_owned(), |schema| quoted(schema.as_str()));
        command.arg(format!("--exclude-table={schema}.{}", quoted(table.name.as_str())));
    }
    for QualifiedName { schema, name } in &options.ledgers {
        command.arg(format!("--exclude-table={}.{}", quoted(schema.as_str()), quoted(name.as_str())));
    }
    command.arg("--exclude-schema=confiture");
    describe(&mut command, connection);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command
        .output()
        .await
        .map_err(|error| Error::unexpected(format!("{} does not start", program.display())).because(error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said =
            said.lines().map(|line| line.trim_start_matches("pg_dump: ").trim_start_matches("error: "));
        return Err(Error::new(
            ErrorKind::Server,
            format!("{} failed: {}", program.display(), said.collect::<Vec<_>>().join("; ")),
        )
        .hint("it reads the whole catalog, and locks every table in ACCESS SHARE mode: the role needs SELECT on all of them"));
    }
    String::from_utf8(output.stdout).map_err(|_| Error::unexpected("pg_dump did not write UTF-8"))
}

/// Says in the program's environment where to connect: there a service of the caller's would win over everything.
fn describe(command: &mut Command, connection: &Connection) {
    for name in
        ["PGSERVICE", "PGSERVICEFILE", "PGHOSTADDR", "PGPASSWORD", "PGPASSFILE", "PGSSLROOTCERT", "PGOPTIONS"]
    {
        command.env_remove(name);
    }
    let each = |of: fn(&crate::config::Endpoint) -> String| {
        connection.endpoints.iter().map(of).collect::<Vec<_>>().join(",")
    };
    command
        .env("PGHOST", each(|endpoint| endpoint.host.clone()))
        .env("PGPORT", each(|endpoint| endpoint.port.to_string()))
        .env("PGUSER", &connection.user)
        .env("PGDATABASE", &connection.database)
        .env("PGCONNECT_TIMEOUT", connection.connect_timeout.as_secs().max(2).to_string())
        .env("PGAPPNAME", "confiture")
        .env("PGCLIENTENCODING", "UTF8")
        .env(
            "PGSSLMODE",
            match connection.ssl_mode {
                SslMode::Disable => "disable",
                SslMode::Prefer => "prefer",
                SslMode::Require => "require",
                SslMode::VerifyCa => "verify-ca",
                SslMode::VerifyFull => "verify-full",
            },
        )
        .env(
            "PGCHANNELBINDING",
            match connection.channel_binding {
                ChannelBinding::Disable => "disable",
                ChannelBinding::Prefer => "prefer",
                ChannelBinding::Require => "require",
            },
        );
    if connection.endpoints.iter().any(|endpoint| endpoint.address.is_some()) {
        command.env(
            "PGHOSTADDR",
            each(|endpoint| endpoint.address.map(|address| address.to_string()).unwrap_or_default()),
        );
    }
    let endpoint_password = connection.endpoints.first().and_then(|endpoint| endpoint.password.as_ref());
    if let Some(password) = connection.password.as_ref().or(endpoint_password) {
        command.env("PGPASSWORD", password.expose());
    }
    if let Some(certificate) = &connection.ssl_root_cert {
        command.env("PGSSLROOTCERT", certificate);
    }
    if let Some(client) = &connection.client_certificate {
        command.env("PGSSLCERT", &client.certificate).env("PGSSLKEY", &client.key);
    }
    if let Some(options) = &connection.options {
        command.env("PGOPTIONS", options);
    }
}
