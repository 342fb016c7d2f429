//! Tables and what can be read like one.

use crate::catalog::{Column, Constraint, ConstraintKind, Index, Oid, Trigger};
use crate::sql::{Identifier, QualifiedName};

/// A table, partitioned table, view, materialized view or foreign table.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Schema and name.
    pub name: QualifiedName,
    /// `pg_class.oid`, which differs from database to database.
    pub oid: Oid,
    /// What kind it is.
    pub kind: RelationKind,
    /// `UNLOGGED`.
    pub unlogged: bool,
    /// The owner's name.
    pub owner: Identifier,
    /// The columns in the order of their numbers, dropped ones left out.
    pub columns: Vec<Column>,
    /// Constraints, by name. Those of PostgreSQL 18 for NOT NULL are left out: columns say it.
    pub constraints: Vec<Constraint>,
    /// Indexes, by name, those behind constraints included.
    pub indexes: Vec<Index>,
    /// Triggers of users, by name; those behind foreign keys are left out.
    pub triggers: Vec<Trigger>,
    /// What it is a partition of or inherits from.
    pub parents: Vec<QualifiedName>,
    /// True for a partition; its bound is then `partition_bound`.
    pub is_partition: bool,
    /// `FOR VALUES …` of a partition.
    pub partition_bound: Option<String>,
    /// `RANGE (created_at)` of a partitioned table.
    pub partition_key: Option<String>,
    /// Row security is enabled for others than the owner.
    pub row_security: bool,
    /// Row security binds the owner too.
    pub force_row_security: bool,
    /// `pg_class.relreplident`: `d`, `n`, `f` or `i`.
    pub replica_identity: char,
    /// Rows by the planner's estimate; `None` where the table was never analysed. For a partitioned table that never was:
    /// the sum of its leaves, `None` where one with pages has no estimate.
    pub row_estimate: Option<u64>,
    /// Pages of 8 KiB in the main fork, now (`pg_relation_size`), 0 for what has no storage.
    pub pages: u32,
    /// Bytes of heap and TOAST, without indexes, now.
    pub bytes: u64,
    /// Bytes of the indexes, now.
    pub index_bytes: u64,
}

/// What kind of relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// An ordinary table (`r`).
    Table,
    /// A partitioned table (`p`), which has no rows of its own.
    PartitionedTable,
    /// A view (`v`).
    View,
    /// A materialized view (`m`).
    MaterializedView,
    /// A foreign table (`f`).
    ForeignTable,
}

impl Relation {
    /// True for the history of incremental migrations, whatever it is called: each database has its own.
    #[must_use]
    pub fn is_migration_history(&self) -> bool {
        const COLUMNS: [&str; 7] =
            ["version", "checksum", "statements", "state", "step", "running", "applied_at"];
        let has = |name: &&str| self.columns.iter().any(|column| column.name.as_str() == *name);
        self.is_table() && COLUMNS.iter().all(has)
    }

    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &Identifier) -> Option<&Column> {
        self.columns.iter().find(|column| &column.name == name)
    }

    /// True where rows can be written with COPY: ordinary and partitioned tables.
    #[must_use]
    pub fn is_table(&self) -> bool {
        matches!(self.kind, RelationKind::Table | RelationKind::PartitionedTable)
    }

    /// The columns that identify a row: the primary key's, else those of the first unique, complete, non-deferrable
    /// index over plain NOT NULL columns. `None` where there is no such index.
    #[must_use]
    pub fn key(&self) -> Option<Vec<Identifier>> {
        let primary =
            self.constraints.iter().find(|constraint| constraint.kind == ConstraintKind::PrimaryKey);
        if let Some(primary) = primary {
            return Some(primary.columns.clone());
        }
        let not_null = |name: &Identifier| self.column(name).is_some_and(|column| column.not_null);
        self.indexes
            .iter()
            .filter(|index| index.unique && index.valid && index.immediate && !index.partial)
            .filter_map(|index| index.key_columns.as_ref())
            .find(|columns| columns.iter().all(not_null))
            .cloned()
    }
}
