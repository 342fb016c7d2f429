//! A table of which nobody can say what changed (it was truncated, the slot was lost, too much of it changed at once):
//! compared with its source within the batch, so that only what differs is read and written again.
//!
//! Both sides are hashed, bucket by bucket of their keys, in the batch's snapshot of the source and in what the target had
//! before the batch. Then the rows of the buckets that differ are staged like those of any other keys.

use futures_util::future::{try_join, try_join_all};

use crate::error::{Error, Result};
use crate::schema_to_schema::chunk::cut;
use crate::schema_to_schema::failpoint;
use crate::schema_to_schema::fingerprint::{self, BUCKETS, LOOK, Side};
use crate::schema_to_schema::live::applier::Applier;
use crate::schema_to_schema::live::stage::Share;
use crate::schema_to_schema::portion::held_query;
use crate::schema_to_schema::sessions::Sessions;
use crate::schema_to_schema::snapshot;
use crate::sql::{Sql, sql};

/// Rows, and bytes, below which reading everything again is quicker.
const SMALL: (u64, u64) = (10_000, 4 << 20);

/// Buckets that differ from which on everything is read again.
const MOST: usize = 512;

/// The rows that are read again, and how the target's and the source's are told.
pub(crate) struct Differing {
    /// True of the source's rows.
    pub(crate) source: Sql,
    /// Which of the target's rows.
    pub(crate) target: Share,
}

impl Applier {
    /// Looks which rows of the table at `index` differ in the open batch, from what the target had before it. `None` where
    /// everything has to be read: the table is small, or most of it differs. An empty one where nothing differs.
    pub(crate) async fn differing(&self, index: usize) -> Result<Option<Option<Differing>>> {
        let table = &self.migration.plan.tables[index];
        if table.rows < SMALL.0 && table.bytes < SMALL.1 {
            return Ok(None);
        }
        let sessions = Sessions::default();
        let found = self.differing_buckets(index, &sessions).await;
        sessions.end(&self.migration.source, &self.migration.target, found.is_err()).await;
        failpoint::reached("batch: table compared");
        let (source, target, buckets) = found?;
        if buckets.len() > MOST {
            return Ok(None);
        }
        if buckets.is_empty() {
            return Ok(Some(None));
        }
        let is_among = |side: &Side| {
            let buckets = Sql::join(", ", buckets.iter().map(|bucket| sql!("{}", i64::from(*bucket))));
            sql!("({} & {}) = ANY (ARRAY[{}]::pg_catalog.int8[])", side.key_hash(), BUCKETS - 1, buckets)
        };
        Ok(Some(Some(Differing { source: is_among(&source), target: Share::Where(is_among(&target)) })))
    }

    async fn differing_buckets(&self, index: usize, sessions: &Sessions) -> Result<(Side, Side, Vec<i32>)> {
        let migration = &self.migration;
        let table = &migration.plan.tables[index];
        let relation = migration.target_catalog.relations.get(&table.target).ok_or_else(|| {
            Error::config(format!("the target no longer has the table {}", table.target.short()))
        })?;
        let export = Sql::literal("SELECT pg_catalog.pg_export_snapshot()");
        let exported: String = self.source.query_one(&export, &[]).await?.get(0);
        let (mut readers, mut writers) = (Vec::new(), Vec::new());
        for _ in 0..migration.plan.workers {
            readers.push(sessions.open_source(&migration.options).await?);
            writers.push(sessions.open_target(&migration.options).await?);
        }
        let join = async |reader| {
            snapshot::join(reader, &exported).await?;
            reader.batch(&Sql::literal(LOOK)).await
        };
        try_join_all(readers.iter().map(join)).await?;
        let source = Side::of_source(table);
        let target = Side::of_target(table, held_query(table, &migration.target_catalog, relation));
        let (from, to) =
            (cut(&source.query.storage, readers.len()), cut(&target.query.storage, writers.len()));
        let (given, held) = try_join(
            fingerprint::take(&source, &from, &readers, true, &|_| {}),
            fingerprint::take(&target, &to, &writers, false, &|_| {}),
        )
        .await?;
        let differing = given.differing(&held);
        Ok((source, target, differing))
    }
}
