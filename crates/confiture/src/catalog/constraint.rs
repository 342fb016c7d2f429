//! Constraints of tables.

use crate::sql::{Identifier, QualifiedName};

/// A table constraint.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// Its name.
    pub name: Identifier,
    /// What kind it is.
    pub kind: ConstraintKind,
    /// `pg_get_constraintdef`: all that follows `ADD CONSTRAINT name`.
    pub definition: String,
    /// The constrained columns in order; empty for a CHECK over none.
    pub columns: Vec<Identifier>,
    /// For a foreign key: what it refers to.
    pub references: Option<(QualifiedName, Vec<Identifier>)>,
    /// For primary key, unique and exclusion: the index behind it, in the table's schema.
    pub index: Option<Identifier>,
    /// False for `NOT VALID`.
    pub validated: bool,
    /// False for `NOT ENFORCED` (PostgreSQL 18).
    pub enforced: bool,
    /// `DEFERRABLE`.
    pub deferrable: bool,
    /// True where a parent's constraint made it (`conparentid <> 0` or `coninhcount > 0`).
    pub inherited: bool,
    /// Its comment.
    pub comment: Option<String>,
}

/// The kinds of constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    /// `PRIMARY KEY`.
    PrimaryKey,
    /// `UNIQUE`.
    Unique,
    /// `EXCLUDE`.
    Exclusion,
    /// `CHECK`.
    Check,
    /// `FOREIGN KEY`.
    ForeignKey,
    /// `CREATE CONSTRAINT TRIGGER`.
    Trigger,
}
