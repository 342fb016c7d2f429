//! What a user may say of a migration, besides the mapping.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::mapping::{Strategy, TableName};
use crate::config::{Connection, Mapping};
use crate::schema_to_schema::portion::Portion;
use crate::sql::{Identifier, QualifiedName};

/// Rows from which on a table counts as large, where nothing else is said.
pub const DEFAULT_THRESHOLD_ROWS: u64 = 10_000_000;

/// Everything that a migration is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The old database. It is only read.
    pub source: Connection,
    /// The environment that named the source, to be remembered in the target.
    pub source_name: Option<String>,
    /// The file that the mapping was read from, to be remembered in the target.
    pub mapping_file: Option<String>,
    /// The new database, which has the new schema already.
    pub target: Connection,
    /// The mapping; an empty one maps tables and columns of the same name.
    pub mapping: Mapping,
    /// The strategy for tables of which nothing else is said.
    pub strategy: Option<Strategy>,
    /// Tables to move through a foreign table, whatever the strategy.
    pub fdw_tables: Vec<TableName>,
    /// Tables to move with COPY, whatever the strategy.
    pub copy_tables: Vec<TableName>,
    /// Only these target tables; empty for all.
    pub tables: Vec<TableName>,
    /// Rows from which on `hybrid` uses COPY.
    pub threshold_rows: Option<u64>,
    /// Workers in all, across tables and within one.
    pub parallel: Option<u16>,
    /// A condition on the source's rows, for the tables that have the columns it names.
    pub filter: Option<String>,
    /// Plan what an earlier run copied, to compare it: where no condition is given, that of the run, which the target
    /// remembers.
    pub as_copied: bool,
    /// Target tables of which the migration fills a part: other rows, and columns that the mapping does not write, are left
    /// alone. All tables of the migration, or none.
    pub portions: BTreeMap<QualifiedName, Portion>,
    /// The schema on the target that holds foreign tables.
    pub foreign_schema: Identifier,
    /// Rows that a foreign scan fetches at a time.
    pub fetch_size: u32,
    /// How long this run waits for a lock that somebody else holds.
    pub lock_timeout: Duration,
    /// Empty target tables that hold rows. Must have been confirmed.
    pub truncate: bool,
    /// Start again, whatever an earlier run left.
    pub restart: bool,
    /// How long, in all, the plan may look for rows that the target would refuse; zero for not at all.
    pub probe: Duration,
    /// Show the values of rows that differ.
    pub show_values: bool,
}

impl Options {
    /// The defaults between two databases.
    #[must_use]
    pub fn new(source: Connection, target: Connection, mapping: Mapping) -> Self {
        Self {
            source,
            source_name: None,
            mapping_file: None,
            target,
            mapping,
            strategy: None,
            fdw_tables: Vec::new(),
            copy_tables: Vec::new(),
            tables: Vec::new(),
            threshold_rows: None,
            parallel: None,
            filter: None,
            as_copied: false,
            portions: BTreeMap::new(),
            foreign_schema: Identifier::new("old_schema"),
            fetch_size: 10_000,
            lock_timeout: Duration::from_secs(10),
            truncate: false,
            restart: false,
            probe: Duration::from_secs(4),
            show_values: false,
        }
    }

    /// Workers in all: as told, else four.
    #[must_use]
    pub fn workers(&self) -> usize {
        usize::from(self.parallel.or(self.mapping.parallel).unwrap_or(4).clamp(1, 64))
    }

    /// Rows from which on a table counts as large.
    #[must_use]
    pub fn threshold(&self) -> u64 {
        self.threshold_rows.or(self.mapping.threshold_rows).unwrap_or(DEFAULT_THRESHOLD_ROWS)
    }
}
