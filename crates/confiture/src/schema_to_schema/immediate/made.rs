//! What stands in the database of ours, as the catalog has it: no plan is needed to end it.

use crate::catalog::Oid;
use crate::error::Result;
use crate::postgres::Session;
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// A trigger of ours.
pub(super) struct Trigger {
    pub(super) relation: QualifiedName,
    pub(super) oid: Oid,
    pub(super) name: Identifier,
    /// True of one that a partition has of its root.
    pub(super) is_clone: bool,
}

impl Trigger {
    /// Has it fire always, or never. Takes a SHARE ROW EXCLUSIVE lock.
    pub(super) fn enable(&self, fires: bool) -> Sql {
        let how = Sql::literal(if fires { "ENABLE ALWAYS" } else { "DISABLE" });
        sql!("ALTER TABLE {} {} TRIGGER {}", self.relation, how, self.name)
    }
}

/// The triggers that carry writes to the other side.
pub(super) async fn immediate(session: &Session) -> Result<Vec<Trigger>> {
    triggers(session, "^immediate_[0-9]+(_truncate)?$", None).await
}

/// The triggers that capture the changes of `tables` for the queue.
pub(super) async fn capturing(session: &Session, tables: &[Oid]) -> Result<Vec<Trigger>> {
    triggers(session, "^capture_[0-9]+(_(new|old|truncate))?$", Some(tables)).await
}

/// The captures that stand still: those of the tables whose writes are carried.
pub(super) async fn still(session: &Session) -> Result<Vec<Trigger>> {
    let relations = Sql::literal(
        "SELECT DISTINCT t.tgrelid FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
         WHERE p.pronamespace = pg_catalog.to_regnamespace('confiture') AND p.proname ~ '^capture_[0-9]+' AND t.tgenabled = 'D'",
    );
    let oids: Vec<Oid> = session.query(&relations, &[]).await?.iter().map(|row| row.get(0)).collect();
    capturing(session, &oids).await
}

async fn triggers(session: &Session, functions: &str, tables: Option<&[Oid]>) -> Result<Vec<Trigger>> {
    let query = Sql::literal(include_str!("../../postgres/queries/immediate_triggers.sql"));
    let rows = session.query(&query, &[&functions, &tables]).await?;
    let trigger = |row: &crate::postgres::Row| Trigger {
        relation: QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1)),
        oid: row.get(2),
        name: Identifier::new(row.get::<_, String>(3)),
        is_clone: row.get(4),
    };
    Ok(rows.iter().map(trigger).collect())
}

/// The statements that remove views and functions once no trigger calls them.
pub(super) async fn drop_rest(session: &Session) -> Result<Vec<Sql>> {
    let query = Sql::literal(
        "SELECT relname::text, true FROM pg_catalog.pg_class
         WHERE relnamespace = pg_catalog.to_regnamespace('confiture') AND relkind = 'v' AND relname ~ '^immediate_[0-9]+$'
         UNION ALL
         SELECT proname::text, false FROM pg_catalog.pg_proc
         WHERE pronamespace = pg_catalog.to_regnamespace('confiture') AND proname ~ '^immediate_[0-9]+(_truncate)?$'",
    );
    let drop = |row: &crate::postgres::Row| {
        let name = QualifiedName::new("confiture", row.get::<_, String>(0));
        match row.get(1) {
            true => sql!("DROP VIEW IF EXISTS {}", name),
            false => sql!("DROP FUNCTION IF EXISTS {}()", name),
        }
    };
    Ok(session.query(&query, &[]).await?.iter().map(drop).collect())
}
