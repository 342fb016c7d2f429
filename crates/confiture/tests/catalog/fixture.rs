//! Databases to read.

use confiture::catalog::{Catalog, Relation};
use confiture::config::{Connection, Endpoint};
use confiture::postgres::{Session, read_catalog};
use confiture::sql::{Identifier, QualifiedName, Sql};
use local_postgres::testing::Database;

/// The schema with something of everything.
pub(crate) const RICH: &str = include_str!("rich.sql");

/// A new database that holds what `script` makes.
pub(crate) async fn database(script: &str) -> Database<'static> {
    let database = Database::create().await.unwrap();
    session(&database).await.batch(&Sql::from_user(script)).await.unwrap();
    database
}

pub(crate) async fn session(database: &Database<'_>) -> Session {
    Session::connect(&connection(database)).await.unwrap()
}

pub(crate) fn connection(database: &Database<'_>) -> Connection {
    let server = database.server();
    let host = server.socket_dir().to_str().unwrap();
    Connection::new(Endpoint::new(host, server.port()), server.user(), database.name())
}

pub(crate) async fn rich() -> (Database<'static>, Session, Catalog) {
    let database = database(RICH).await;
    let session = session(&database).await;
    let catalog = read_catalog(&session).await.unwrap();
    (database, session, catalog)
}

/// The single value of a query, as text.
pub(crate) async fn text(session: &Session, sql: &str) -> String {
    session.query_one(&Sql::from_user(sql), &[]).await.unwrap().get(0)
}

pub(crate) fn name(schema: &str, name: &str) -> QualifiedName {
    QualifiedName::new(schema, name)
}

pub(crate) fn relation<'a>(catalog: &'a Catalog, schema: &str, relation: &str) -> &'a Relation {
    catalog
        .relations
        .get(&name(schema, relation))
        .unwrap_or_else(|| panic!("no relation {schema}.{relation}"))
}

pub(crate) fn names(names: &[Identifier]) -> Vec<&str> {
    names.iter().map(Identifier::as_str).collect()
}
