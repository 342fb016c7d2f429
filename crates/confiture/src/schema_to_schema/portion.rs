//! The part of a target table that a migration fills, where others have rows and columns in it too.
//!
//! Such a table is followed like any other, but: columns that the mapping does not write keep their values; rows that are not
//! of the portion are neither changed nor deleted; and a row that comes with the key of one of those is refused.

use crate::catalog::{Catalog, Relation};
use crate::error::Result;
use crate::postgres::Session;
use crate::schema_to_schema::plan::{RowQuery, TablePlan};
use crate::schema_to_schema::verify::target_query;
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// Which rows of a target table are the migration's: those for which the conditions hold. Without any, all.
#[derive(Debug, Clone, Default)]
pub struct Portion {
    /// What the conditions call a row of the table.
    pub alias: Identifier,
    /// Joins that they speak of.
    pub joins: Sql,
    /// The conditions.
    pub filters: Vec<Sql>,
}

impl Portion {
    /// True of a row `t` for which the conditions hold; `None` where that is every row.
    fn holds(&self) -> Option<Sql> {
        if self.filters.is_empty() && self.joins.is_empty() {
            return None;
        }
        let mut query = sql!("EXISTS (SELECT FROM (SELECT t.*) AS {} {}", self.alias, self.joins);
        if !self.filters.is_empty() {
            let filters = self.filters.iter().map(|filter| sql!("({}\n)", filter));
            query.push(&sql!("\nWHERE {}", Sql::join(" AND ", filters)));
        }
        query.push(&Sql::literal("\n)"));
        Some(query)
    }
}

/// The statements that keep to a portion.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    /// Of the target.
    oid: u32,
    /// True of a row `t`, by its values.
    holds: Sql,
    /// `ARRAY[t.a::text, …]`
    key: Sql,
}

impl Keeper {
    /// `None` where all rows are the migration's.
    pub(crate) fn new(table: &TablePlan, relation: &Relation) -> Option<Self> {
        let holds = table.portion.as_ref()?.holds()?;
        let key = table.key.iter().map(|name| sql!("CAST(t.{} AS pg_catalog.text)", name));
        Some(Self { oid: relation.oid, holds, key: sql!("ARRAY[{}]", Sql::join(", ", key)) })
    }

    /// True of a row `t` that is the migration's: by its values, or because the migration itself has given it values by
    /// which it would not be.
    pub(crate) fn owns(&self) -> Sql {
        sql!(
            "({} OR EXISTS (SELECT FROM confiture.outside AS o WHERE o.relation = {} AND o.key = {}))",
            self.holds,
            i64::from(self.oid),
            self.key
        )
    }

    /// Whether a staged row has the key of a row that is not the migration's.
    pub(crate) fn meets_others(&self, target: &QualifiedName, rows: &QualifiedName, same: &Sql) -> Sql {
        sql!(
            "SELECT EXISTS (SELECT FROM {} AS t JOIN {} AS s ON {} WHERE NOT {})",
            target,
            rows,
            same,
            self.owns()
        )
    }

    /// Remembers which of the staged rows are the migration's though their values say otherwise, and forgets the `keys` of
    /// which that is no longer so.
    pub(crate) fn remember(
        &self,
        target: &QualifiedName,
        keys: &QualifiedName,
        rows: &QualifiedName,
        same: &Sql,
    ) -> Sql {
        let oid = i64::from(self.oid);
        sql!(
            "DELETE FROM confiture.outside AS o WHERE o.relation = {} AND o.key IN (SELECT {} FROM {} AS t);
             INSERT INTO confiture.outside (relation, key)
             SELECT {}, {} FROM {} AS t JOIN {} AS s ON {} WHERE NOT {} ON CONFLICT DO NOTHING",
            oid,
            self.key,
            keys,
            oid,
            self.key,
            target,
            rows,
            same,
            self.holds
        )
    }
}

/// The target's own rows, as far as they are the migration's, as a query like that of the mapping.
pub(crate) fn held_query(table: &TablePlan, catalog: &Catalog, relation: &Relation) -> RowQuery {
    let mut query = target_query(catalog, relation);
    if let Some(keeper) = Keeper::new(table, relation) {
        let remembers = catalog.relations.contains_key(&QualifiedName::new("confiture", "outside"));
        query.filters.push(if remembers { keeper.owns() } else { keeper.holds });
    }
    query
}

/// Makes what remembers rows outside of their portion, in a ledger that is there.
pub(crate) async fn create(session: &Session) -> Result<()> {
    let create = Sql::literal(
        "CREATE TABLE IF NOT EXISTS confiture.outside (
             relation pg_catalog.oid NOT NULL,  -- the table
             key text[] NOT NULL,               -- the text of each of its key columns
             PRIMARY KEY (relation, key)
         )",
    );
    session.batch(&create).await
}
