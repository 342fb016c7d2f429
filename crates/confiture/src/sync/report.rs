//! What a sync did. Plain data, without values.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sql::QualifiedName;
use crate::sync::plan::{Applied, CopyFormat};

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The tables, in the plan's order.
    pub tables: Vec<TableReport>,
    /// Indexes and constraints that were built after the load.
    pub rebuilt: usize,
    /// Sequences that were set.
    pub sequences: usize,
    /// What the scan saw.
    pub scan: ScanReport,
    /// `pg_current_snapshot()` of the source: all rows are of this moment, but those of tables that an earlier run loaded.
    pub snapshot: String,
    /// Warnings, one sentence each.
    pub warnings: Vec<String>,
    /// From beginning to end.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::event::as_milliseconds")]
    pub elapsed: Duration,
}

/// What was done with one table.
#[derive(Debug, Clone, Serialize)]
pub struct TableReport {
    /// The table.
    pub table: QualifiedName,
    /// Rows that were written.
    pub rows: u64,
    /// Bytes that were written, in COPY's format.
    pub bytes: u64,
    /// How they travelled.
    pub format: CopyFormat,
    /// Its columns.
    pub columns: Vec<ColumnReport>,
    /// The order-independent sum of all rows' hashes, as the target gives them back.
    pub checksum: String,
    /// The source's snapshot that its rows are of.
    pub snapshot: String,
    /// How long its rows took.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::event::as_milliseconds")]
    pub elapsed: Duration,
}

/// What was done with one column.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// Its rule in words.
    pub rule: String,
    /// Where the rule was applied.
    pub applied: Applied,
    /// Values that were masked in the stream.
    pub masked: u64,
    /// Of those, the ones that came out as they went in.
    pub unchanged: u64,
}

/// What the scan saw.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct ScanReport {
    /// Original values that were looked for.
    pub fingerprints: u64,
    /// Original values that there was no room for.
    pub not_looked_for: u64,
    /// Texts of the target that were searched.
    pub texts: u64,
    /// Columns in which something was found.
    pub findings: Vec<Finding>,
    /// Columns that look as if they held personal data, and are kept: a remark, no proof.
    pub suspicious: Vec<Finding>,
}

/// A column and what was seen in it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Finding {
    /// `public.users.bio`.
    pub column: String,
    /// What: `an original value of a masked column`, `email`.
    pub what: String,
    /// In how many values.
    pub values: u64,
}
