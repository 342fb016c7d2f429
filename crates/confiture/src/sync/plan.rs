//! What a sync would do, as data.

use serde::{Deserialize, Serialize};

use crate::sql::{Identifier, QualifiedName, Sql, sql};
use crate::sync::shuffle::PAGES;

/// What a sync would do.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Where rows come from.
    pub source: String,
    /// Where they go.
    pub target: String,
    /// The tables, the largest first.
    pub tables: Vec<TablePlan>,
    /// What somebody should know before it runs.
    pub notes: Vec<String>,
    /// What two runs with one key have in common; nothing where no rule needs a key.
    pub key_id: Option<String>,
    /// True where the key is gone after the run.
    pub ephemeral_key: bool,
    /// Tables outside of the sync whose foreign keys refer to synced ones: their rows must find their keys again.
    pub referring: Vec<QualifiedName>,
    /// Sessions that read the source at once; and that write, in quarantine.
    pub workers: usize,
    /// Tables wait in a schema of their own until all are there.
    pub quarantine: bool,
    /// What the target's server needs to have free until the end, about.
    pub bytes_needed: u64,
    /// What these tables hold on the target now, which is free again when all is done.
    pub bytes_there: u64,
    /// What the target's disk has free; nothing where it is not this machine's, as no SQL tells.
    pub bytes_free: Option<u64>,
    /// What a manifest shows of the rules: equal rules, equal digest.
    pub digest: String,
}

/// One table.
#[derive(Debug, Clone, Serialize)]
pub struct TablePlan {
    /// The table, of the same name on both sides.
    pub table: QualifiedName,
    /// The columns that are written, in their order in the target.
    pub columns: Vec<ColumnPlan>,
    /// What runs on the source: nothing else of the table leaves it.
    #[serde(serialize_with = "as_text")]
    pub select: Sql,
    /// How rows travel.
    pub format: CopyFormat,
    /// Rows by the planner's estimate.
    pub rows: u64,
    /// Bytes in the source's heap.
    pub bytes: u64,
    /// Chosen rows only.
    pub subset: bool,
    /// Parts have no fewer pages.
    #[serde(skip)]
    pub(crate) smallest_part: u32,
    /// Read in parts of a fixed size, within which rows exchange values.
    #[serde(skip)]
    pub(crate) windows: bool,
    #[serde(skip)]
    pub(crate) storage: Vec<Storage>,
    #[serde(skip)]
    pub(crate) sent: Vec<Sql>,
    /// Digest of its columns, types and rules: equal ones make equal rows of equal rows.
    #[serde(skip)]
    pub(crate) identity: String,
}

/// One column.
#[derive(Debug, Clone, Serialize)]
pub struct ColumnPlan {
    /// Its name.
    pub name: Identifier,
    /// Its type.
    pub data_type: String,
    /// Its rule in words.
    pub rule: String,
    /// Where the rule is applied.
    pub applied: Applied,
    /// Who chose the rule.
    pub chosen_by: &'static str,
}

/// Where a rule is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// The value is kept.
    Nowhere,
    /// The source computes it: the value never leaves it.
    OnSource,
    /// The source sends less than the value, and the stream makes the rest of it.
    OnFragment,
    /// The value is masked in this program's memory.
    InStream,
}

/// COPY's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CopyFormat {
    /// The types mean the same bytes on both sides.
    Binary,
    /// Every value is written out and read again.
    Text,
}

/// 32 MiB: less is not worth a statement.
pub(crate) const SMALLEST_PART: u32 = 4096;

/// Where rows of a table are.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub(crate) relation: QualifiedName,
    pub(crate) pages: u32,
}

/// A part of a table that is read at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageRange {
    pub(crate) storage: usize,
    /// First page, and the page after the last; `None` for all.
    pub(crate) pages: Option<(u32, u32)>,
}

impl TablePlan {
    /// The rows of one range.
    pub(crate) fn select_range(&self, range: &PageRange) -> Sql {
        let storage = &self.storage[range.storage];
        let select = sql!("SELECT {} FROM ONLY {}", Sql::join(", ", &self.sent), storage.relation);
        match range.pages {
            None => select,
            Some((first, u32::MAX)) => {
                sql!("{} WHERE ctid >= '({},0)'::pg_catalog.tid", select, first)
            }
            Some((first, end)) => sql!(
                "{} WHERE ctid >= '({},0)'::pg_catalog.tid AND ctid < '({},0)'::pg_catalog.tid",
                select,
                first,
                end
            ),
        }
    }

    /// The parts that `workers` share.
    pub(crate) fn ranges(&self, workers: usize) -> Vec<PageRange> {
        let mut ranges = Vec::new();
        for (storage, part) in self.storage.iter().enumerate() {
            if self.windows {
                // The last one is the larger: a window of one row would have nobody to exchange with.
                let last = (part.pages / PAGES).saturating_sub(1);
                let full = (0..last).map(|n| (n * PAGES, (n + 1) * PAGES));
                let all = full.chain([(last * PAGES, u32::MAX)]);
                ranges.extend(all.map(|pages| PageRange { storage, pages: Some(pages) }));
                continue;
            }
            let size =
                (part.pages / (u32::try_from(workers).unwrap_or(1).max(1) * 4)).max(self.smallest_part);
            let mut first = 0;
            if workers == 1 || part.pages < self.smallest_part.saturating_mul(2) {
                ranges.push(PageRange { storage, pages: None });
                continue;
            }
            while part.pages - first > size + size / 2 {
                ranges.push(PageRange { storage, pages: Some((first, first + size)) });
                first += size;
            }
            // The relation may have grown.
            ranges.push(PageRange { storage, pages: Some((first, u32::MAX)) });
        }
        ranges
    }

    /// `public.users (id, name)`, or another table of the same columns.
    pub(crate) fn columns_of(&self, table: &QualifiedName) -> Sql {
        if self.columns.is_empty() {
            return sql!("{}", table);
        }
        sql!("{} ({})", table, Sql::join(", ", self.columns.iter().map(|column| &column.name)))
    }

    /// The option of both COPY statements.
    pub(crate) fn format_option(&self) -> Sql {
        Sql::literal(match self.format {
            CopyFormat::Binary => "(FORMAT binary)",
            CopyFormat::Text => "",
        })
    }
}

impl Plan {
    /// How many columns are masked.
    #[must_use]
    pub fn masked_columns(&self) -> usize {
        self.tables
            .iter()
            .flat_map(|table| &table.columns)
            .filter(|column| column.applied != Applied::Nowhere)
            .count()
    }
}

fn as_text<S: serde::Serializer>(sql: &Sql, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(sql.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_a_table_once_and_end_open() {
        let table = |pages| TablePlan {
            table: QualifiedName::new("public", "t"),
            columns: Vec::new(),
            select: Sql::default(),
            format: CopyFormat::Binary,
            rows: 0,
            bytes: 0,
            subset: false,
            windows: false,
            smallest_part: SMALLEST_PART,
            storage: vec![Storage { relation: QualifiedName::new("public", "t"), pages }],
            sent: Vec::new(),
            identity: String::new(),
        };
        // Windows are the same for every number of workers.
        let windowed = TablePlan { windows: true, ..table(1000) };
        assert_eq!(windowed.ranges(1), windowed.ranges(7));
        let pages = |range: &PageRange| range.pages.unwrap();
        assert_eq!(
            windowed.ranges(4).iter().map(pages).collect::<Vec<_>>(),
            [(0, 256), (256, 512), (512, u32::MAX)]
        );
        assert_eq!(table(100).ranges(4), [PageRange { storage: 0, pages: None }]);
        let ranges: Vec<(u32, u32)> =
            table(100_000).ranges(4).iter().filter_map(|range| range.pages).collect();
        assert_eq!((ranges[0].0, ranges.last().unwrap().1), (0, u32::MAX));
        assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0) && ranges.len() > 8);
    }
}
