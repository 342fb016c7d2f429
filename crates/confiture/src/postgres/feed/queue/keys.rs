//! The keys that are in the queues, read in a snapshot.

use futures_util::future::try_join_all;
use tokio_postgres::SimpleQueryMessage;

use super::capture::{key_column, qualified, segments};
use super::segment::is_new;
use crate::error::Result;
use crate::postgres::Session;
use crate::postgres::feed::{CapturedTable, KeySet, SnapshotImage};
use crate::sql::{Sql, sql};

/// So many rows of a table are read at once; where there are more, a cursor reads them.
const FEW: usize = 1000;

/// How many keys a cursor gives at a time.
const FETCHED: usize = 4000;

/// The keys of all rows of the queues of `tables` that the open transaction sees and `since` does not, and how many rows there
/// were.
///
/// Most batches are small, and then all tables together take one round trip.
pub(super) async fn read(
    source: &Session,
    tables: &[&CapturedTable],
    since: Option<&SnapshotImage>,
) -> Result<Vec<(KeySet, u64)>> {
    let mut read = try_join_all(tables.iter().map(|table| read_few(source, table, since))).await?;
    for (table, read) in tables.iter().zip(&mut read) {
        if read.1 == FEW as u64 && !read.0.is_whole() {
            *read = read_many(source, table, since).await?;
        }
    }
    Ok(read)
}

async fn read_few(
    source: &Session,
    table: &CapturedTable,
    since: Option<&SnapshotImage>,
) -> Result<(KeySet, u64)> {
    let mut keys = KeySet::default();
    let query = sql!("{} LIMIT {}", new_rows(table, since), FEW);
    let rows = take(source, &query, table, &mut keys).await?;
    Ok((keys, rows as u64))
}

/// Reading ends early where the set says that the whole table has changed. A cursor, because a `COPY` cannot be ended without
/// the transaction; and no DISTINCT, because the set has every key once, and the server need not sort what may be large.
async fn read_many(
    source: &Session,
    table: &CapturedTable,
    since: Option<&SnapshotImage>,
) -> Result<(KeySet, u64)> {
    let fetch = sql!("FETCH {} FROM confiture_keys", FETCHED);
    let mut query = sql!("DECLARE confiture_keys NO SCROLL CURSOR FOR {}; {}", new_rows(table, since), fetch);
    let (mut keys, mut rows) = (KeySet::default(), 0);
    loop {
        let fetched = take(source, &query, table, &mut keys).await?;
        rows += fetched as u64;
        if fetched < FETCHED || keys.is_whole() {
            break;
        }
        query.clone_from(&fetch);
    }
    source.batch(&Sql::literal("CLOSE confiture_keys")).await?;
    Ok((keys, rows))
}

fn new_rows(table: &CapturedTable, since: Option<&SnapshotImage>) -> Sql {
    let columns = Sql::join(", ", (1..=table.key.len()).map(key_column));
    let is_new = is_new(since);
    let select =
        |segment| sql!("SELECT whole, inserted, {} FROM {} WHERE {}", columns, qualified(segment), is_new);
    Sql::join(" UNION ALL ", segments(table.oid).map(select))
}

/// Adds what a query returns; the simple protocol, because its values are text as the types' output functions give it.
async fn take(source: &Session, query: &Sql, table: &CapturedTable, keys: &mut KeySet) -> Result<usize> {
    let refused = |error| source.refused(error).context(format!("reading the queue of {}", table.name));
    let messages = source.client().simple_query(query.as_str()).await.map_err(refused)?;
    let mut rows = 0;
    let mut columns: Vec<&str> = Vec::new();
    for message in &messages {
        let SimpleQueryMessage::Row(row) = message else { continue };
        rows += 1;
        if row.get(0) == Some("t") {
            keys.insert_whole();
            continue;
        }
        columns.clear();
        columns.extend((2..row.len()).map(|index| row.get(index).unwrap_or_default()));
        match row.get(1) {
            Some("t") => keys.insert_new(&columns),
            _ => keys.insert(&columns),
        }
    }
    Ok(rows)
}
