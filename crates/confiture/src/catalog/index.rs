//! Indexes.

use crate::sql::{Identifier, QualifiedName};

/// An index of a table or materialized view.
#[derive(Debug, Clone)]
pub struct Index {
    /// Its name, in the table's schema.
    pub name: Identifier,
    /// `pg_get_indexdef`: a whole `CREATE INDEX`, schema-qualified.
    pub definition: String,
    /// Plain key columns in order; `None` where one is an expression.
    pub key_columns: Option<Vec<Identifier>>,
    /// `UNIQUE`.
    pub unique: bool,
    /// Behind the primary key.
    pub primary: bool,
    /// Has a `WHERE`.
    pub partial: bool,
    /// False where its uniqueness is checked late (deferrable).
    pub immediate: bool,
    /// `indisvalid`: false after a failed `CREATE INDEX CONCURRENTLY`, or on a partitioned table with missing parts.
    pub valid: bool,
    /// `CLUSTER` was last run with it.
    pub clustered: bool,
    /// It is the table's replica identity.
    pub replica_identity: bool,
    /// The constraint that it serves.
    pub constraint: Option<Identifier>,
    /// The index of the partitioned table that it is attached to.
    pub parent: Option<QualifiedName>,
    /// Its size now, in bytes, as `pg_indexes_size` counts; 0 for one of a partitioned table.
    pub bytes: u64,
    /// Statistics targets set on expression columns (`ALTER INDEX … ALTER COLUMN n SET STATISTICS m`).
    pub statistics: Vec<(i16, i32)>,
    /// Its comment.
    pub comment: Option<String>,
}
