//! Sequences.

use crate::sql::{Identifier, QualifiedName};

/// A sequence and where it stands.
#[derive(Debug, Clone)]
pub struct Sequence {
    /// Schema and name.
    pub name: QualifiedName,
    /// `smallint`, `integer` or `bigint`.
    pub data_type: String,
    /// `START`.
    pub start: i64,
    /// `INCREMENT`.
    pub increment: i64,
    /// `MINVALUE`.
    pub min: i64,
    /// `MAXVALUE`.
    pub max: i64,
    /// `CACHE`.
    pub cache: i64,
    /// `CYCLE`.
    pub cycle: bool,
    /// The last value handed out; `None` where it was never used, or where the role may not read it.
    pub last_value: Option<i64>,
    /// The column that owns it.
    pub owned_by: Option<(QualifiedName, Identifier)>,
    /// True behind an identity column.
    pub identity: bool,
}
