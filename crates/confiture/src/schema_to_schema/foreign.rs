//! The FDW strategy: foreign tables on the target that read the source, and `INSERT … SELECT` over them.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::Catalog;
use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::schema_to_schema::copy::Moved;
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::plan::{Plan, Route, TablePlan};
use crate::schema_to_schema::{relations, statement};
use crate::sql::{Identifier, Literal, QualifiedName, Sql, sql};

/// The foreign server's name; one migration has one source.
const SERVER: &str = "confiture_source";

/// The source relations that the plan's FDW tables read.
pub(crate) fn needed(plan: &Plan, source: &Catalog, foreign_schema: &Identifier) -> BTreeSet<QualifiedName> {
    let mut needed = BTreeSet::new();
    for table in plan.tables.iter().filter(|table| table.route == Route::Fdw) {
        needed.extend(needed_by(table, source, foreign_schema));
    }
    needed
}

/// Those that one of them reads.
pub(crate) fn needed_by(
    table: &TablePlan,
    source: &Catalog,
    foreign_schema: &Identifier,
) -> Vec<QualifiedName> {
    match &table.query.statement {
        Some(query) => {
            let names = statement::foreign_tables(query.as_str(), foreign_schema);
            names.iter().filter_map(|name| find_anywhere(source, name)).collect()
        }
        None => {
            let mut needed = select(table, source, foreign_schema).1;
            needed.extend(table.query.storage.first().and(table.source.clone()));
            needed
        }
    }
}

/// A table of this name: through the search path, else wherever it is.
fn find_anywhere(source: &Catalog, name: &Identifier) -> Option<QualifiedName> {
    let found = source.find(None, name).map(|relation| relation.name.clone());
    found.or_else(|| source.relations.keys().find(|relation| &relation.name == name).cloned())
}

/// Makes the foreign server, the user mapping and the foreign tables. Run again, it makes them anew: nothing of an
/// earlier run is left, and nothing that is not ours is touched.
pub(crate) async fn set_up(
    session: &Session,
    options: &Options,
    tables: &BTreeSet<QualifiedName>,
) -> Result<()> {
    let schema = &options.foreign_schema;
    extension(session).await?;
    session
        .transaction(set_up_in_transaction(session, options, tables))
        .await
        .map_err(|error| error.context(format!("setting up foreign tables in the target's schema {schema}")))
}

async fn extension(session: &Session) -> Result<()> {
    let create = Sql::literal("CREATE EXTENSION IF NOT EXISTS postgres_fdw");
    session.batch(&create).await.map_err(|error| match error.sqlstate_code() {
        Some("42501") => error.context("the extension postgres_fdw is not installed in the target")
            .hint("have a superuser run: CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO …")
            .hint("or move every table with COPY: --strategy copy"),
        Some("0A000" | "58P01") => error.context("the target's server does not have postgres_fdw")
            .hint("install PostgreSQL's contrib modules there (Debian: postgresql-contrib), or use --strategy copy"),
        _ => error,
    })
}

async fn set_up_in_transaction(
    session: &Session,
    options: &Options,
    tables: &BTreeSet<QualifiedName>,
) -> Result<()> {
    let schema = &options.foreign_schema;
    remove_in_transaction(session, schema).await?;
    let exists = Sql::literal("SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)");
    if session.query_one(&exists, &[&schema.as_str()]).await?.get(0) {
        return Err(Error::refused(format!(
            "the schema {schema} is there already, and Confiture did not make it"
        ))
        .hint("name another one: --foreign-schema NAME"));
    }
    let server = Identifier::new(SERVER);
    session
        .batch(&sql!("CREATE SCHEMA {}; COMMENT ON SCHEMA {} IS {}", schema, schema, Literal(OURS)))
        .await?;
    session
        .batch(&sql!(
            "CREATE SERVER {} FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({})",
            server,
            option_list(&server_options(&options.source, options.fetch_size))
        ))
        .await
        .map_err(explain_import)?;
    let mapping = option_list(&user_options(&options.source));
    session
        .batch(&sql!("CREATE USER MAPPING FOR CURRENT_USER SERVER {} OPTIONS ({})", server, mapping))
        .await?;
    reach(session, options, &server).await.map_err(explain_import)?;
    let mut by_schema: BTreeMap<&Identifier, Vec<&Identifier>> = BTreeMap::new();
    for table in tables {
        by_schema.entry(&table.schema).or_default().push(&table.name);
    }
    for (from, names) in by_schema {
        let names = Sql::join(", ", names);
        let import = sql!(
            "IMPORT FOREIGN SCHEMA {} LIMIT TO ({}) FROM SERVER {} INTO {}",
            from,
            names,
            server,
            schema
        );
        session.batch(&import).await.map_err(explain_import)?;
    }
    session
        .execute(&Sql::literal("UPDATE confiture.migration SET foreign_schema = $1"), &[&schema.as_str()])
        .await?;
    Ok(())
}

/// Has the target's server connect to the source, by importing nothing. From PostgreSQL 16 on, `connect_timeout` does not
/// count there: a source that does not answer would be waited for without end.
async fn reach(session: &Session, options: &Options, server: &Identifier) -> Result<()> {
    let patience = options.source.connect_timeout.as_secs().clamp(2, 600) + 3;
    let limit = |milliseconds| sql!("SET LOCAL statement_timeout = {}", milliseconds);
    session.batch(&limit(i64::try_from(patience * 1000).unwrap_or(i64::MAX))).await?;
    let nothing = sql!(
        "IMPORT FOREIGN SCHEMA pg_catalog LIMIT TO (confiture_reaches_it) FROM SERVER {} INTO {}",
        server,
        options.foreign_schema
    );
    match session.batch(&nothing).await {
        Ok(()) => session.batch(&limit(0)).await,
        Err(error) if error.sqlstate_code() == Some("57014") => {
            let message = format!("no answer within {patience} s");
            Err(Error::new(ErrorKind::Server, message).sqlstate("08001"))
        }
        Err(error) => Err(error),
    }
}

fn explain_import(error: Error) -> Error {
    match error.sqlstate_code() {
        Some("08001") => error
            .context("the target's server cannot reach the source")
            .hint("the target connects to the source by itself: look at firewalls, pg_hba.conf and the host name as seen from there")
            .hint("or let the rows go through this machine: --strategy copy"),
        Some("42501") => error.hint("GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw to this role, or use --strategy copy"),
        // The server's rule for roles that are no superusers.
        Some("2F003") => error.hint("a role that is no superuser can use postgres_fdw only with a password for the source: give the source one, or use --strategy copy"),
        Some("42704") => error.hint("the foreign table needs that type on the target; use --strategy copy for this table"),
        Some("42P07") => error.hint("two schemas of the source have tables of this name; use --strategy copy for one of them"),
        _ => error,
    }
}

/// The comment by which our foreign schema is recognised.
const OURS: &str = "Foreign tables of Confiture; removed by `confiture migrate schema-to-schema cleanup`";

/// Removes the foreign tables, the schema, the user mapping and the server, as far as they are ours.
pub(crate) async fn remove(session: &Session, schema: &Identifier) -> Result<bool> {
    session.transaction(remove_in_transaction(session, schema)).await
}

async fn remove_in_transaction(session: &Session, schema: &Identifier) -> Result<bool> {
    let ours = Sql::literal(
        "SELECT class.relname FROM pg_catalog.pg_foreign_table AS foreign_table
         JOIN pg_catalog.pg_class AS class ON class.oid = foreign_table.ftrelid
         JOIN pg_catalog.pg_foreign_server AS server ON server.oid = foreign_table.ftserver
         JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
         WHERE server.srvname = $1 AND namespace.nspname = $2",
    );
    for row in session.query(&ours, &[&SERVER, &schema.as_str()]).await? {
        let table = QualifiedName::new(schema.clone(), row.get::<_, String>(0));
        session.batch(&sql!("DROP FOREIGN TABLE {}", table)).await?;
    }
    let made = Sql::literal(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace
                        WHERE nspname = $1 AND pg_catalog.obj_description(oid, 'pg_namespace') = $2)",
    );
    let made: bool = session.query_one(&made, &[&schema.as_str(), &OURS]).await?.get(0);
    if made {
        session.batch(&sql!("DROP SCHEMA {}", schema)).await.map_err(|error| {
            error.hint(format!(
                "the schema {schema} holds objects that Confiture did not make: move them elsewhere"
            ))
        })?;
    }
    let server = Identifier::new(SERVER);
    let there = Sql::literal("SELECT EXISTS (SELECT FROM pg_catalog.pg_foreign_server WHERE srvname = $1)");
    let there: bool = session.query_one(&there, &[&SERVER]).await?.get(0);
    if there {
        session
            .batch(&sql!(
                "DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER {}; DROP SERVER {}",
                server,
                server
            ))
            .await?;
    }
    Ok(made || there)
}

/// Moves one table by its `INSERT … SELECT` on the target.
pub(crate) async fn insert(
    table: &TablePlan,
    source: &Catalog,
    foreign_schema: &Identifier,
    session: &Session,
) -> Result<Moved> {
    let query = match &table.query.statement {
        Some(query) => query.clone(),
        None => select(table, source, foreign_schema).0,
    };
    let rows = session
        .execute(&table.insert_statement(&query), &[])
        .await
        .map_err(|error| error.context(format!("moving {} over a foreign table", table.target.short())))?;
    Ok(Moved { rows, bytes: 0 })
}

/// The SELECT that defines the table's rows, over foreign tables.
fn select(table: &TablePlan, source: &Catalog, foreign_schema: &Identifier) -> (Sql, Vec<QualifiedName>) {
    let mut found = Vec::new();
    let mut foreign = |text: &Sql, in_from: bool| {
        let (sql, relations) = relations::to_foreign(text.as_str(), in_from, source, foreign_schema);
        found.extend(relations);
        sql
    };
    let expressions = Sql::join(
        ", ",
        table.columns.iter().map(|column| foreign(&column.inserted, false)).collect::<Vec<_>>(),
    );
    let joins = foreign(&table.query.joins, true);
    let filters: Vec<Sql> =
        table.query.filters.iter().map(|filter| sql!("({}\n)", foreign(filter, false))).collect();
    let driving = table.source.as_ref().expect("a mapped table has a source").name.clone();
    let driving = QualifiedName::new(foreign_schema.clone(), driving);
    let mut text = sql!("SELECT {} FROM {} AS {} {}", expressions, driving, table.query.alias, joins);
    if !filters.is_empty() {
        text.push(&sql!("\nWHERE {}", Sql::join(" AND ", &filters)));
    }
    (text, found)
}

fn server_options(source: &Connection, fetch_size: u32) -> Vec<(&'static str, String)> {
    let hosts: Vec<&str> = source.endpoints.iter().map(|endpoint| endpoint.host.as_str()).collect();
    let ports: Vec<String> = source.endpoints.iter().map(|endpoint| endpoint.port.to_string()).collect();
    let mut options = vec![
        ("host", hosts.join(",")),
        ("port", ports.join(",")),
        ("dbname", source.database.clone()),
        ("fetch_size", fetch_size.to_string()),
        ("updatable", "false".to_owned()),
        ("connect_timeout", source.connect_timeout.as_secs().max(2).to_string()),
        ("sslmode", source.ssl_mode.to_string()),
    ];
    if let Some(root) = &source.ssl_root_cert {
        options.push(("sslrootcert", root.display().to_string()));
    }
    options
}

fn user_options(source: &Connection) -> Vec<(&'static str, String)> {
    let mut options = vec![("user", source.user.clone())];
    if let Some(password) = &source.password {
        options.push(("password", password.expose().to_owned()));
    }
    options
}

fn option_list(options: &[(&'static str, String)]) -> Sql {
    Sql::join(", ", options.iter().map(|(name, value)| sql!("{} {}", Identifier::new(*name), Literal(value))))
}
