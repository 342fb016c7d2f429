//! Where two sides of a table differ: keys, and the columns that are not equal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::postgres::Session;
use crate::schema_to_schema::fingerprint::{BUCKETS, Side};
use crate::schema_to_schema::plan::{PageRange, TablePlan};
use crate::sql::{Identifier, Sql, sql};

/// Rows looked at one by one, at most: buckets are added until this many are expected.
const LOOKED_AT: i64 = 200_000;
/// Differences that are told one by one.
const TOLD: usize = 20;

/// A row that is not the same on both sides.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Difference {
    /// What is wrong with it.
    pub kind: DifferenceKind,
    /// The key: column and value, the value masked where it could be personal.
    pub key: Vec<(Identifier, String)>,
    /// The columns that differ.
    pub columns: Vec<ColumnDifference>,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The mapping gives it, the target does not have it.
    Missing,
    /// The target has it, the mapping does not give it.
    Extra,
    /// Both have it, with other values.
    Different,
}

/// A column that is not equal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnDifference {
    /// The target's column.
    pub column: Identifier,
    /// The value that the mapping gives; only where values are to be shown.
    pub source: Option<String>,
    /// The value that the target holds; only where values are to be shown.
    pub target: Option<String>,
}

/// How many rows differ, and some of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Differences {
    /// Rows that the target lacks.
    pub missing: u64,
    /// Rows that the target has too many.
    pub extra: u64,
    /// Rows with other values.
    pub different: u64,
    /// False where there are more than were counted.
    pub complete: bool,
    /// Some of them.
    pub rows: Vec<Difference>,
}

/// One side of a table, with a session that reads it.
pub(crate) struct Reader<'a> {
    pub(crate) side: &'a Side,
    pub(crate) ranges: &'a [PageRange],
    pub(crate) session: &'a Session,
}

/// The values of one row, as the bytes of their text: not all that a server calls text is UTF-8.
type Values = Vec<Option<Vec<u8>>>;
/// By key hash, one row of it.
type Rows = BTreeMap<i64, Values>;

/// Looks at the rows of `buckets` one by one. `expected` is how many rows a bucket has.
pub(crate) async fn find(
    table: &TablePlan,
    buckets: &[i32],
    expected: i64,
    source: Reader<'_>,
    target: Reader<'_>,
    show_values: bool,
) -> Result<Differences> {
    let several = usize::try_from(LOOKED_AT / expected.max(1)).unwrap_or(1).max(1);
    let looked_at = &buckets[..several.min(buckets.len())];
    let (given, held) = tokio::try_join!(hashes(&source, looked_at), hashes(&target, looked_at))?;
    let mut differences =
        Differences { complete: looked_at.len() == buckets.len(), ..Differences::default() };
    let mut told = Vec::new();
    let keys: std::collections::BTreeSet<i64> = given.keys().chain(held.keys()).copied().collect();
    for key in keys {
        let (given, held) =
            (given.get(&key).map_or(&[][..], Vec::as_slice), held.get(&key).map_or(&[][..], Vec::as_slice));
        if given == held {
            continue;
        }
        let kind = match (given.len(), held.len()) {
            (more, less) if more > less => DifferenceKind::Missing,
            (less, more) if less < more => DifferenceKind::Extra,
            _ => DifferenceKind::Different,
        };
        match kind {
            DifferenceKind::Missing => differences.missing += (given.len() - held.len()) as u64,
            DifferenceKind::Extra => differences.extra += (held.len() - given.len()) as u64,
            DifferenceKind::Different => differences.different += given.len() as u64,
        }
        if told.len() < TOLD {
            told.push((key, kind));
        }
    }
    let keys: Vec<i64> = told.iter().map(|(key, _)| *key).collect();
    let (given, held) = tokio::try_join!(values(&source, &keys), values(&target, &keys))?;
    for (key, kind) in told {
        differences.rows.push(tell(table, kind, given.get(&key), held.get(&key), show_values));
    }
    Ok(differences)
}

async fn hashes(reader: &Reader<'_>, buckets: &[i32]) -> Result<BTreeMap<i64, Vec<i64>>> {
    let side = reader.side;
    let mut found: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for range in reader.ranges {
        let query = sql!(
            "SELECT key, hash FROM (SELECT {} AS key, {} AS hash {}) AS hashed
             WHERE (key & {})::pg_catalog.int4 = ANY ($1)",
            side.key_hash(),
            side.row_hash(),
            side.from(range),
            BUCKETS - 1
        );
        for row in reader.session.query(&query, &[&buckets]).await? {
            found.entry(row.get(0)).or_default().push(row.get(1));
        }
    }
    found.values_mut().for_each(|hashes| hashes.sort_unstable());
    Ok(found)
}

async fn values(reader: &Reader<'_>, keys: &[i64]) -> Result<Rows> {
    let side = reader.side;
    let texts =
        side.shown.iter().map(|column| sql!("pg_catalog.textsend(CAST({} AS pg_catalog.text))", column));
    let texts = Sql::join(", ", texts);
    let mut found = Rows::new();
    for range in reader.ranges {
        let query = sql!(
            "SELECT key, texts FROM (SELECT {} AS key, ARRAY[{}]::pg_catalog.bytea[] AS texts {}) AS hashed WHERE key = ANY ($1)",
            side.key_hash(),
            texts,
            side.from(range)
        );
        for row in reader.session.query(&query, &[&keys]).await? {
            found.insert(row.get(0), row.get(1));
        }
    }
    Ok(found)
}

fn tell(
    table: &TablePlan,
    kind: DifferenceKind,
    given: Option<&Values>,
    held: Option<&Values>,
    show_values: bool,
) -> Difference {
    let any = given.or(held);
    let key = table.key.iter().filter_map(|name| {
        let index = table.columns.iter().position(|column| &column.target == name)?;
        let value = any?.get(index)?.as_deref().unwrap_or_default();
        let value = String::from_utf8_lossy(value).into_owned();
        let shown =
            if show_values || is_number(&table.columns[index].data_type) { value } else { "***".to_owned() };
        Some((name.clone(), shown))
    });
    let key = key.collect();
    let mut columns = Vec::new();
    if let (DifferenceKind::Different, Some(given), Some(held)) = (kind, given, held) {
        for (index, column) in
            table.columns.iter().enumerate().filter(|(index, _)| given[*index] != held[*index])
        {
            let shown = |values: &Values| {
                let value = values[index].as_deref().unwrap_or(b"NULL");
                show_values.then(|| String::from_utf8_lossy(value).into_owned())
            };
            columns.push(ColumnDifference {
                column: column.target.clone(),
                source: shown(given),
                target: shown(held),
            });
        }
    }
    Difference { kind, key, columns }
}

/// Keys of these types are numbers that a database made up: they say nothing of a person.
fn is_number(data_type: &str) -> bool {
    matches!(data_type, "smallint" | "integer" | "bigint" | "uuid")
}
