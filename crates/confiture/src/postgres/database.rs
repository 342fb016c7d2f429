//! The databases of a server: which there are, who uses them, making, renaming and dropping them.

use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::sql::{Identifier, Sql, sql};

/// The databases that exist on almost every server and that somebody who wants to create another connects to.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// What is to be known before a database is made.
#[derive(Debug, Clone)]
pub struct Server {
    /// The role, as the server knows it.
    pub role: Identifier,
    /// The role may create databases.
    pub may_create: bool,
    /// The server's version, as `server_version_num` gives it.
    pub version: i32,
    /// The asked database exists.
    pub exists: bool,
    /// A digest of all that decides, besides the script, what a script makes of a new database: settings, locale, and the
    /// state of `template1`.
    pub circumstances: String,
}

/// True for the databases that are connected to in order to make others.
#[must_use]
pub fn is_maintenance(name: &Identifier) -> bool {
    MAINTENANCE.contains(&name.as_str())
}

/// Connects to a database that is not the one which is to be made or dropped.
///
/// # Errors
///
/// That of the first try. Where no server has answered, there is no second.
pub async fn connect_to_maintenance(connection: &Connection) -> Result<Session> {
    connect_beside(connection, &connection.database).await
}

/// Connects to the database for maintenance that is not called `other`: for the same `other` to the same one, whatever
/// database `connection` is to, so that all meet there (advisory locks are per database).
///
/// # Errors
///
/// As [`connect_to_maintenance`].
pub async fn connect_beside(connection: &Connection, other: &str) -> Result<Session> {
    let mut first = None;
    for name in MAINTENANCE.into_iter().filter(|name| *name != other) {
        match Session::connect(&connection.with_database(name)).await {
            Ok(session) => return Ok(session),
            Err(error) if error.sqlstate_code().is_none() => return Err(error),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| Error::new(ErrorKind::Connect, "there is no maintenance database")))
}

/// Reads what is to be known before the database `name` is made.
pub async fn read_server(maintenance: &Session, name: &Identifier) -> Result<Server> {
    let query = Sql::literal(include_str!("queries/server.sql"));
    let row = maintenance.query_one(&query, &[&name.as_str()]).await?;
    Ok(Server {
        role: Identifier::new(row.get::<_, String>("role")),
        may_create: row.get("may_create"),
        version: row.get("version"),
        exists: row.get("target_exists"),
        circumstances: row.get("circumstances"),
    })
}

/// What users have made in the database of `session`, as `pg_describe_object` puts it: a few examples and the count of
/// all. What belongs to extensions does not count.
pub async fn read_user_objects(session: &Session) -> Result<(Vec<String>, u64)> {
    let rows = session.query(&Sql::literal(include_str!("queries/user_objects.sql")), &[]).await?;
    let count = rows.first().map_or(0, |row| row.get::<_, i64>("total"));
    Ok((rows.iter().map(|row| row.get("description")).collect(), count.unsigned_abs()))
}

/// Who else is connected to the database `name`, one line each.
pub async fn read_users_of(maintenance: &Session, name: &Identifier) -> Result<Vec<String>> {
    let rows = maintenance
        .query(&Sql::literal(include_str!("queries/database_users.sql")), &[&name.as_str()])
        .await?;
    Ok(rows.iter().map(|row| row.get("who")).collect())
}

/// Ends the connections of others to the database `name`: what runs there is lost.
pub async fn end_users_of(maintenance: &Session, name: &Identifier) -> Result<()> {
    let statement = Sql::literal(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
         WHERE datname = $1::text AND pid <> pg_catalog.pg_backend_pid() AND backend_type = 'client backend'",
    );
    maintenance.query(&statement, &[&name.as_str()]).await?;
    Ok(())
}

/// Makes a database, as a copy of `template` where one is given.
///
/// The server's own way to copy is kept: measured with 100 tables on a durable disk, `WAL_LOG` (its default from 15 on)
/// takes 20 to 65 ms where `FILE_COPY` with its two checkpoints takes 36 to 115.
pub async fn create(maintenance: &Session, name: &Identifier, template: Option<&Identifier>) -> Result<()> {
    let statement = match template {
        Some(template) => sql!("CREATE DATABASE {} TEMPLATE {}", name, template),
        None => sql!("CREATE DATABASE {}", name),
    };
    maintenance.batch(&statement).await
}

/// Makes a copy of `template` that nobody will keep. Where no disk is waited for, as on a server for tests, the files are
/// copied: measured with an empty template, that takes a quarter of the work.
pub async fn create_scratch(maintenance: &Session, name: &Identifier, template: &Identifier) -> Result<()> {
    let waits_for_disk = Sql::literal("SELECT pg_catalog.current_setting('fsync')::bool");
    let is_old = maintenance.server_version() < 150_000;
    if is_old || maintenance.query_one(&waits_for_disk, &[]).await?.get(0) {
        return create(maintenance, name, Some(template)).await;
    }
    maintenance.batch(&sql!("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)).await
}

/// Drops a database, if it is there, with whoever is connected to it. Only for what we made ourselves.
pub async fn drop_ours(maintenance: &Session, name: &Identifier) -> Result<()> {
    maintenance.batch(&sql!("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)).await
}

/// The comment of a database, `None` where there is no such database.
pub async fn read_comment(maintenance: &Session, name: &Identifier) -> Result<Option<Option<String>>> {
    let query = Sql::literal(
        "SELECT pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database WHERE datname = $1::text",
    );
    Ok(maintenance.query_opt(&query, &[&name.as_str()]).await?.map(|row| row.get(0)))
}

/// True where there is a database of this name.
pub async fn exists(maintenance: &Session, name: &Identifier) -> Result<bool> {
    Ok(read_comment(maintenance, name).await?.is_some())
}

/// The subscriptions in the database `name`, as long as which it cannot be dropped.
pub async fn read_subscriptions_of(maintenance: &Session, name: &Identifier) -> Result<Vec<String>> {
    let query = Sql::literal(
        "SELECT subname::text FROM pg_catalog.pg_subscription \
         WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = $1::text)",
    );
    Ok(maintenance.query(&query, &[&name.as_str()]).await?.iter().map(|row| row.get(0)).collect())
}

/// Waits until the last connection to the database `name` has gone: a backend lives on for a moment after its client
/// has closed, and the server, if it meets one, waits for 100 ms before it looks again.
pub async fn wait_until_unused(maintenance: &Session, name: &Identifier) -> Result<()> {
    for _ in 0..500 {
        if read_users_of(maintenance, name).await?.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Drops a schema where it is there, ours to drop, and empty. Looks first: `DROP SCHEMA … RESTRICT` locks everything in it
/// exclusively before it refuses, and would deadlock with whoever writes to one of its tables.
pub(crate) async fn drop_empty_schema(session: &Session, schema: &Identifier) -> Result<()> {
    let is_empty = Sql::literal(
        "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_depend
                            WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid = namespace.oid AND deptype = 'n')
         FROM pg_catalog.pg_namespace AS namespace WHERE nspname = $1",
    );
    let row = session.query_opt(&is_empty, &[&schema.as_str()]).await?;
    if !row.is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    match session.batch(&sql!("DROP SCHEMA IF EXISTS {} RESTRICT", schema)).await {
        Err(error) if matches!(error.sqlstate_code(), Some("2BP01" | "42501")) => Ok(()),
        outcome => outcome,
    }
}
