//! What a migration did. Plain data.

use std::time::Duration;

use serde::Serialize;

use crate::schema_to_schema::plan::Route;
use crate::schema_to_schema::sequences::AdvancedSequence;
use crate::sql::QualifiedName;

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct MigrationReport {
    /// True where everything had been done before, and nothing was changed.
    pub already_done: bool,
    /// The tables, in the plan's order.
    pub tables: Vec<TableReport>,
    /// Sequences that were advanced.
    pub sequences: Vec<AdvancedSequence>,
    /// Indexes and constraints that were built after the load.
    pub rebuilt: usize,
    /// Foreign keys that rows violate: they are there, but NOT VALID.
    pub violated: Vec<ViolatedForeignKey>,
    /// The snapshot of this run, as `pg_current_snapshot()` shows it; `None` where nothing was to do. Tables that an earlier
    /// run finished have another: [`TableReport::snapshot`].
    pub snapshot: Option<String>,
    /// From beginning to end.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::event::as_milliseconds")]
    pub elapsed: Duration,
}

/// What was done with one table.
#[derive(Debug, Clone, Serialize)]
pub struct TableReport {
    /// The target table.
    pub table: QualifiedName,
    /// What was done.
    pub outcome: Outcome,
    /// How its rows travelled.
    pub route: Route,
    /// Rows in the target now.
    pub rows: u64,
    /// The snapshot of its rows, as `pg_current_snapshot()` showed it. Tables of the same snapshot fit together.
    pub snapshot: String,
    /// Bytes on the wire, in this run.
    pub bytes: u64,
    /// From its first row to its last.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::event::as_milliseconds")]
    pub elapsed: Duration,
}

/// What was done with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Copied from its first row.
    Copied,
    /// Continued: what an earlier run had copied was proven equal to this run's snapshot.
    Continued,
    /// Copied again, because the source had changed since an earlier run.
    CopiedAgain,
    /// Finished by an earlier run.
    AlreadyDone,
}

/// A foreign key that rows violate.
#[derive(Debug, Clone, Serialize)]
pub struct ViolatedForeignKey {
    /// The table that refers.
    pub table: QualifiedName,
    /// The constraint.
    pub name: String,
}
