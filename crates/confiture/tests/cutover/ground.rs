//! Databases, and a PgBouncer before them.

use std::process::Command;

use confiture::config::{Connection, Surroundings};
use confiture::postgres::pgbouncer::PgBouncer;
use confiture::{Error, disk};
use local_postgres::testing::Database;
use local_postgres::{PgBouncer as Bouncer, PgBouncerOptions};

/// A PgBouncer with one entry, `app`, that leads to a database.
pub(crate) async fn bouncer(database: &Database<'_>, settings: &[(&str, &str)], more: &str) -> Bouncer {
    let leads_to = format!("{}{more}", Bouncer::leads_to(database.server(), database.name()));
    let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let options = PgBouncerOptions {
        databases: vec![("app".into(), leads_to)],
        settings,
        users: vec![("looker".into(), "seen".into()), ("writer".into(), "pass word".into())],
    };
    Bouncer::start(options).await.unwrap()
}

pub(crate) fn connection(url: &str) -> Connection {
    disk::resolve_connection(Connection::parse(url, &Surroundings::default()).unwrap()).unwrap()
}

/// Its console.
pub(crate) async fn console(bouncer: &Bouncer) -> PgBouncer {
    PgBouncer::connect(&connection(&bouncer.admin_url())).await.unwrap()
}

/// What psql answers, or complains about.
pub(crate) fn try_psql(url: &str, sql: &str) -> Result<String, String> {
    let output =
        Command::new("psql").args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim_end().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

pub(crate) fn psql(url: &str, sql: &str) -> String {
    try_psql(url, sql).unwrap_or_else(|error| panic!("{error}\n{sql}"))
}

/// The oracle of the console: what psql sees there.
pub(crate) fn paused(bouncer: &Bouncer) -> String {
    let rows = psql(&bouncer.admin_url(), "SHOW DATABASES");
    let app = rows.lines().find(|row| row.starts_with("app|")).unwrap();
    // … | current_connections | paused | disabled
    let columns: Vec<_> = app.split('|').collect();
    columns[columns.len() - 2].to_owned()
}

/// Message and hints.
pub(crate) fn shown(error: &Error) -> String {
    let mut lines = vec![error.to_string()];
    lines.extend(error.server_detail().map(|detail| format!("  detail: {detail}")));
    lines.extend(error.hints().iter().map(|hint| format!("  hint: {hint}")));
    lines.join("\n")
}
