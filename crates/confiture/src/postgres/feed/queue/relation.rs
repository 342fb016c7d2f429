//! The tables and partitions that are captured, as the server has them now.

use super::capture::Capture;
use crate::catalog::Oid;
use crate::error::Result;
use crate::postgres::Session;
use crate::postgres::feed::CapturedTable;
use crate::sql::{QualifiedName, Sql};

/// A captured table, or a partition of one.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) oid: Oid,
    pub(super) name: QualifiedName,
    /// As `pg_class.relkind` has it.
    pub(super) kind: String,
    pub(super) is_partition: bool,
    /// True where a subscription writes to it.
    pub(super) is_subscribed: bool,
    /// True where it inherits from a table, and is no partition.
    pub(super) is_child: bool,
    /// True where tables inherit from it that are no partitions.
    pub(super) is_parent: bool,
    /// True where a trigger may change the rows of an UPDATE before they are written.
    pub(super) has_before_update: bool,
    /// True where the role owns it.
    pub(super) is_ours: bool,
    pub(super) owner: String,
}

/// How each of `tables` is captured. One that is no longer there has no relations.
pub(super) async fn read_captures<'a>(
    session: &Session,
    tables: &'a [CapturedTable],
) -> Result<Vec<Capture<'a>>> {
    let query = Sql::literal(include_str!("../../queries/queue/relations.sql"));
    let oids: Vec<Oid> = tables.iter().map(|table| table.oid).collect();
    let rows = session.query(&query, &[&oids]).await?;
    let relations = |table: &CapturedTable| {
        let own = rows.iter().filter(|row| row.get::<_, Oid>("root") == table.oid);
        own.map(|row| Relation {
            oid: row.get("oid"),
            name: QualifiedName::new(row.get::<_, String>("nspname"), row.get::<_, String>("relname")),
            kind: row.get("kind"),
            is_partition: row.get("is_partition"),
            is_subscribed: row.get("is_subscribed"),
            is_child: row.get("is_child"),
            is_parent: row.get("is_parent"),
            has_before_update: row.get("has_before_update"),
            is_ours: row.get("is_ours"),
            owner: row.get("owner"),
        })
        .collect()
    };
    Ok(tables.iter().map(|table| Capture::new(table, relations(table))).collect())
}
