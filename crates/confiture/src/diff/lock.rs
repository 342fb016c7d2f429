//! What a statement locks, and what it does with the rows meanwhile.

use std::collections::HashMap;

use serde::{Serialize, Serializer};

use crate::diff::compare::quoted;
use crate::diff::rename::{Rename, reversed, table_after};
use crate::lint::{Ground, size_in_words};
use crate::sql::LockMode;

/// A lock that a statement takes on something that was there before the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// Which statement of its step, from 0 on.
    pub statement: usize,
    /// The table, view or sequence.
    pub relation: String,
    /// How strong it is.
    #[serde(serialize_with = "by_name")]
    pub mode: LockMode,
    /// Every row is read.
    pub reads: bool,
    /// Every row is written anew.
    pub rewrites: bool,
    /// How many rows the live table has, as its server estimates them.
    pub rows: Option<u64>,
    /// How many bytes they are, without indexes.
    pub bytes: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn by_name<S: Serializer>(mode: &LockMode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(mode.name())
}

impl Lock {
    /// `locks app.users (about 1200 rows, 96 kB): SHARE, nobody writes while the rows are read`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let size = match (self.rows, self.bytes) {
            (None, None) => String::new(),
            (rows, bytes) => format!(" ({})", size_in_words(rows, bytes)),
        };
        let meanwhile = match (self.rewrites, self.reads) {
            (true, _) => " while every row is written anew",
            (false, true) => " while every row is read",
            (false, false) => "",
        };
        let (mode, blocks) = (self.mode.name(), self.mode.blocks());
        format!("locks {}{size}: {mode}, {blocks}{meanwhile}", self.relation)
    }
}

/// How large the tables of a live database are, by their quoted names.
#[derive(Debug, Clone, Default)]
pub struct Sizes(HashMap<String, (Option<u64>, Option<u64>)>);

impl Sizes {
    /// Those of a database whose schema is one side of a comparison.
    #[must_use]
    pub fn of(ground: &Ground) -> Self {
        let one = |((schema, name), table): (&(String, String), &crate::lint::Table)| {
            (format!("{}.{}", quoted(schema), quoted(name)), (table.rows, table.bytes))
        };
        Self(ground.tables.iter().map(one).collect())
    }

    /// The tables that have another name on the other side have it here, too.
    pub fn know(&mut self, renames: &[Rename]) {
        let back = reversed(renames);
        for (name, size) in self.0.clone() {
            for other in [table_after(&name, renames), table_after(&name, &back)] {
                self.0.entry(other).or_insert(size);
            }
        }
    }

    /// Rows and bytes.
    #[must_use]
    pub fn get(&self, table: &str) -> (Option<u64>, Option<u64>) {
        self.0.get(table).copied().unwrap_or_default()
    }
}
