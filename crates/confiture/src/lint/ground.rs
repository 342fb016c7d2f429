//! What is known of the database that the scripts are for. Data: whoever has a connection reads it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cursor::Name;

/// What a database says of itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ground {
    /// `server_version_num`: 150018 is 15.18.
    pub version: u32,
    /// The schemas in which a name without one is looked for, in order.
    pub search_path: Vec<String>,
    /// Its tables and materialized views, by schema and name.
    #[serde(skip)]
    pub tables: BTreeMap<(String, String), Table>,
}

/// A table that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Rows, as the server estimates them; `None` where it has never counted.
    pub rows: Option<u64>,
    /// Bytes, without indexes; `None` where they could not be counted without waiting for a lock.
    pub bytes: Option<u64>,
    /// It is partitioned.
    pub is_partitioned: bool,
    /// Columns and their types as the server writes them: `character varying(20)`.
    pub columns: BTreeMap<String, String>,
    /// Columns of which a validated check says that they are not null.
    pub checked_not_null: Vec<String>,
    /// It has a unique index over whole rows: without one, `REFRESH … CONCURRENTLY` is refused.
    pub has_unique_index: bool,
}

/// Below these a scan or a rewrite is over before anybody notices.
const SMALL_ROWS: u64 = 10_000;
const SMALL_BYTES: u64 = 8 << 20;

impl Table {
    /// True where a scan or a rewrite takes a few milliseconds.
    #[must_use]
    pub fn is_small(&self) -> bool {
        !self.is_partitioned
            && self.bytes.is_some_and(|bytes| bytes < SMALL_BYTES)
            && self.rows.is_none_or(|rows| rows < SMALL_ROWS)
    }

    /// How large it is, in words.
    pub(super) fn size(&self) -> String {
        size_in_words(self.rows, self.bytes)
    }
}

/// `about 1200 rows, 96 kB`.
pub(crate) fn size_in_words(rows: Option<u64>, bytes: Option<u64>) -> String {
    let rows = rows.map_or(String::new(), |rows| match rows {
        1 => "about 1 row, ".to_owned(),
        rows => format!("about {rows} rows, "),
    });
    let Some(bytes) = bytes else { return format!("{rows}an unknown size") };
    match bytes {
        bytes if bytes < 1 << 20 => format!("{rows}{} kB", bytes.div_ceil(1 << 10)),
        bytes if bytes < 1 << 30 => format!("{rows}{} MB", bytes >> 20),
        bytes => format!("{rows}{} GB", bytes >> 30),
    }
}

impl Ground {
    /// The table that `name` means.
    #[must_use]
    pub fn table(&self, name: &Name) -> Option<&Table> {
        let in_schema = |schema: &str| self.tables.get(&(schema.to_owned(), name.name.as_str().to_owned()));
        match &name.schema {
            Some(schema) => in_schema(schema.as_str()),
            None => self.search_path.iter().find_map(|schema| in_schema(schema)),
        }
    }

    /// True where no table is called so, in whatever schema a script may look for it.
    #[must_use]
    pub fn lacks(&self, name: &Name) -> bool {
        let is_called = |(schema, table): &(String, String)| {
            table == name.name.as_str() && name.schema.as_ref().is_none_or(|wanted| wanted.as_str() == schema)
        };
        !self.tables.keys().any(is_called)
    }

    /// The major version: 15.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.version / 10_000
    }
}
