//! Fingerprints of rows: for every bucket of keys a count and a sum of row hashes, which the server computes.
//!
//! A sum does not depend on order, so both sides may be scanned in any order, in parts, by as many workers as there are,
//! each by its own pages; equal parts add up to equal wholes. The buckets say where a difference is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Result;
use crate::postgres::{Row, Session};
use crate::schema_to_schema::plan::{PageRange, RowQuery, TablePlan};
use crate::sql::{Sql, sql};

/// Buckets that rows are told into by a hash of their key; a power of two.
pub(crate) const BUCKETS: i64 = 1024;

/// Rows and the sum of their hashes, by bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) buckets: BTreeMap<i32, (i64, i128)>,
}

impl Fingerprint {
    /// Rows in all.
    pub(crate) fn rows(&self) -> i64 {
        self.buckets.values().map(|(rows, _)| rows).sum()
    }

    /// The buckets in which two fingerprints differ.
    pub(crate) fn differing(&self, other: &Self) -> Vec<i32> {
        let all: std::collections::BTreeSet<i32> =
            self.buckets.keys().chain(other.buckets.keys()).copied().collect();
        all.into_iter().filter(|bucket| self.buckets.get(bucket) != other.buckets.get(bucket)).collect()
    }

    fn add(&mut self, rows: &[Row]) {
        for row in rows {
            let sum: i128 = row.get::<_, &str>(2).parse().unwrap_or_default();
            let (count, total) = self.buckets.entry(row.get(0)).or_default();
            *count += row.get::<_, i64>(1);
            *total += sum;
        }
    }
}

/// One side of a table: what to hash and where from.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    /// Expressions of the key, for the bucket; empty where rows have none.
    pub(crate) key: Vec<Sql>,
    /// All columns as they are hashed.
    pub(crate) hashed: Vec<Sql>,
    /// All columns as they are shown.
    pub(crate) shown: Vec<Sql>,
    /// The relations, joins and conditions.
    pub(crate) query: RowQuery,
    /// A query in place of relations, as `(query) AS s (columns)`.
    pub(crate) derived: Option<Sql>,
}

impl Side {
    /// What the mapping gives.
    pub(crate) fn of_source(table: &TablePlan) -> Self {
        let derived = table
            .query
            .statement
            .as_ref()
            .map(|query| sql!("FROM ({}\n) AS s ({})", query, table.column_list()));
        let compared = || table.columns.iter().map(|column| &column.compared_source);
        Self {
            key: keys(table, &compared().map(|column| &column.hashed).collect::<Vec<_>>()),
            hashed: compared().map(|column| column.hashed.clone()).collect(),
            shown: compared().map(|column| column.shown.clone()).collect(),
            query: table.query.clone(),
            derived,
        }
    }

    /// What the target holds.
    pub(crate) fn of_target(table: &TablePlan, query: RowQuery) -> Self {
        let compared = || table.columns.iter().map(|column| &column.compared_target);
        Self {
            key: keys(table, &compared().map(|column| &column.hashed).collect::<Vec<_>>()),
            hashed: compared().map(|column| column.hashed.clone()).collect(),
            shown: compared().map(|column| column.shown.clone()).collect(),
            query,
            derived: None,
        }
    }

    /// `FROM …` over one range.
    pub(crate) fn from(&self, range: &PageRange) -> Sql {
        match &self.derived {
            Some(derived) => derived.clone(),
            None => self.query.from_where(range),
        }
    }

    /// The key's hash, or the row's where there is no key.
    pub(crate) fn key_hash(&self) -> Sql {
        if self.key.is_empty() { self.row_hash() } else { hash(&self.key) }
    }

    /// The row's hash.
    pub(crate) fn row_hash(&self) -> Sql {
        hash(&self.hashed)
    }

    /// The query that takes the fingerprint of one range.
    fn fingerprint(&self, range: &PageRange) -> Sql {
        let (key, row, from) = (self.key_hash(), self.row_hash(), self.from(range));
        sql!(
            "SELECT bucket::pg_catalog.int4, pg_catalog.count(*), pg_catalog.sum(hash)::text
             FROM (SELECT {} & {} AS bucket, {} AS hash {}) AS hashed
             GROUP BY bucket",
            key,
            BUCKETS - 1,
            row,
            from
        )
    }
}

fn keys(table: &TablePlan, hashed: &[&Sql]) -> Vec<Sql> {
    let position = |name| table.columns.iter().position(|column| &column.target == name);
    table.key.iter().filter_map(position).map(|index| hashed[index].clone()).collect()
}

/// The hash of a record is a sum over its columns, and a sum of sums would not change when two rows exchange a value: so
/// it is hashed once more. As a double, because the server's hash of a `bigint` keeps 32 bits of it, and that of a double
/// 53; as text it would be all 64, at half the speed.
fn hash(values: &[Sql]) -> Sql {
    sql!(
        "pg_catalog.hashfloat8extended(CAST(pg_catalog.hash_record_extended(ROW({}), 0) AS pg_catalog.float8), 0)",
        Sql::join(", ", values)
    )
}

/// What a session that reads in a snapshot beside the application goes back to after every look, so that it keeps no lock:
/// a TRUNCATE would wait for that, and everybody else for the TRUNCATE.
pub(crate) const LOOK: &str = "SAVEPOINT confiture_look";

/// Lets go of the locks that were taken since [`LOOK`].
pub(crate) async fn let_go(session: &Session) -> Result<()> {
    session.batch(&Sql::literal("ROLLBACK TO SAVEPOINT confiture_look")).await
}

/// Takes the fingerprint of `ranges`, with all of `sessions` at once; `hashed` is told of the rows of each range. Where it
/// `lets_go`, sessions keep no lock from one range to the next.
pub(crate) async fn take(
    side: &Side,
    ranges: &[PageRange],
    sessions: &[Session],
    lets_go: bool,
    hashed: &(dyn Fn(u64) + Sync),
) -> Result<Fingerprint> {
    let next = Arc::new(AtomicUsize::new(0));
    let workers = sessions.iter().map(|session| {
        let next = Arc::clone(&next);
        async move {
            let mut part = Fingerprint::default();
            while let Some(range) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
                let rows = session.query(&side.fingerprint(range), &[]).await?;
                if lets_go {
                    let_go(session).await?;
                }
                part.add(&rows);
                hashed(rows.iter().map(|row| row.get::<_, i64>(1).unsigned_abs()).sum());
            }
            Ok::<_, crate::Error>(part)
        }
    });
    let mut whole = Fingerprint::default();
    for part in futures_util::future::try_join_all(workers).await? {
        for (bucket, (rows, sum)) in part.buckets {
            let (count, total) = whole.buckets.entry(bucket).or_default();
            *count += rows;
            *total += sum;
        }
    }
    Ok(whole)
}
