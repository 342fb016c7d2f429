//! The fence: what keeps the application from writing to the side that is not its own. Statements only.
//!
//! Of the two sides one is always fenced from the moment that a cutover is prepared: first the new one, which only changes of
//! the old one may reach, and from the cutover on the old one. So no client that was switched too early, or too late, writes
//! what nobody carries over: it gets an error that says where the tables are.

use crate::catalog::Oid;
use crate::error::Result;
use crate::postgres::Session;
use crate::postgres::feed::CapturedTable;
use crate::sql::{Identifier, Literal, QualifiedName, Sql, sql};

/// The setting by which a session says that it applies changes of a migration.
const APPLIER: &str = "confiture.applier";

/// The trigger, and with the migration's name the function.
const NAME: &str = "confiture_fence";

/// Says that a session applies the changes of the migration `id`: its fence lets it pass.
pub(crate) async fn pass(session: &Session, id: &str) -> Result<()> {
    let set = Sql::literal("SELECT pg_catalog.set_config($1, $2, false)");
    session.query(&set, &[&APPLIER, &id]).await?;
    Ok(())
}

/// Puts a fence around `tables` that only changes of the migration `id` pass; `active` says where else the tables are. Takes
/// SHARE ROW EXCLUSIVE locks: reading goes on.
///
/// `read_only_sql_transaction` is what a standby answers: drivers and pools drop such a connection and look for the primary.
pub(crate) fn put_up(tables: &[QualifiedName], id: &str, active: &str) -> Vec<Sql> {
    let message = format!("this table has moved: its rows are written on {active}");
    let body = sql!(
        "
BEGIN
    IF pg_catalog.current_setting({}, true) IS DISTINCT FROM {} THEN
        RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction', MESSAGE = {},
            HINT = 'Connect to the other side. See confiture.follow for what is going on.';
    END IF;
    RETURN NULL;
END",
        Literal(APPLIER),
        Literal(id),
        Literal(&message)
    );
    let function = function(id);
    let mut statements = vec![
        sql!(
            "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS {}",
            function,
            Literal(body.as_str())
        ),
        sql!("REVOKE ALL ON FUNCTION {}() FROM PUBLIC", function),
    ];
    for table in tables {
        let trigger = Identifier::new(NAME);
        statements.push(sql!(
            "CREATE OR REPLACE TRIGGER {} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {}
             FOR EACH STATEMENT EXECUTE FUNCTION {}()",
            trigger,
            table,
            function
        ));
        statements.push(sql!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", table, trigger));
    }
    statements
}

/// Takes down every fence of the migration `id`, wherever its tables are by now.
pub(crate) async fn take_down(session: &Session, id: &str) -> Result<Vec<Sql>> {
    let function = function(id);
    let query = Sql::literal(include_str!("../../postgres/queries/fenced.sql"));
    let rows = session.query(&query, &[&function.name.as_str()]).await?;
    let drop = |row: &crate::postgres::Row| {
        let table = QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        sql!("DROP TRIGGER IF EXISTS {} ON {}", Identifier::new(NAME), table)
    };
    let mut statements: Vec<Sql> = rows.iter().map(drop).collect();
    statements.push(sql!("DROP FUNCTION IF EXISTS {}()", function));
    Ok(statements)
}

/// Takes them down at once.
pub(crate) async fn remove(session: &Session, id: &str) -> Result<()> {
    let down = take_down(session, id).await?;
    session.batch(&sql!("SET lock_timeout = '5s'; {}", Sql::join(";\n", down))).await
}

/// The tables that the application may write to by name: the captured ones and their partitions.
pub(crate) fn writable(tables: &[CapturedTable]) -> Vec<QualifiedName> {
    let all = tables.iter().flat_map(|table| {
        std::iter::once(&table.name).chain(table.partitions.iter().map(|(name, _)| name)).cloned()
    });
    all.collect()
}

/// Their OIDs.
pub(crate) fn oids(tables: &[CapturedTable]) -> Vec<Oid> {
    tables.iter().flat_map(CapturedTable::oids).collect()
}

fn function(id: &str) -> QualifiedName {
    QualifiedName::new("confiture", format!("fence_{id}"))
}
