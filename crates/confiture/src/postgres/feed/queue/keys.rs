//! The keys of one table's queue, read in a snapshot.

use tokio_postgres::SimpleQueryMessage;

use super::capture::{key_column, qualified, segments};
use super::segment::is_new;
use crate::error::Result;
use crate::postgres::Session;
use crate::postgres::feed::{CapturedTable, KeySet, SnapshotImage};
use crate::sql::{Sql, sql};

/// How many keys are read at a time.
const FETCHED: usize = 4000;

/// Keys of all rows of a queue that the open transaction sees and `since` does not, and how many rows there were.
///
/// Reading ends early where the set says that the whole table has changed. A cursor, because a `COPY` cannot be ended without
/// the transaction; and no DISTINCT, because the set has every key once, and the server need not sort what may be large.
pub(super) async fn read(
    source: &Session,
    table: &CapturedTable,
    since: Option<&SnapshotImage>,
) -> Result<(KeySet, u64)> {
    let columns = Sql::join(", ", (1..=table.key.len()).map(key_column));
    let is_new = is_new(since);
    let selects = segments(table.oid)
        .map(|segment| sql!("SELECT whole, {} FROM {} WHERE {}", columns, qualified(segment), is_new));
    let mut query = sql!(
        "DECLARE confiture_keys NO SCROLL CURSOR FOR {}; FETCH {} FROM confiture_keys",
        Sql::join(" UNION ALL ", selects),
        FETCHED
    );
    let (mut keys, mut rows) = (KeySet::default(), 0);
    loop {
        let fetched = take(source, &query, &mut keys)
            .await
            .map_err(|error| error.context(format!("reading the queue of {}", table.name)))?;
        rows += fetched as u64;
        if fetched < FETCHED || keys.is_whole() {
            break;
        }
        query = sql!("FETCH {} FROM confiture_keys", FETCHED);
    }
    source.batch(&Sql::literal("CLOSE confiture_keys")).await?;
    Ok((keys, rows))
}

/// Adds what a query returns; the simple protocol, because its values are text as the types' output functions give it.
async fn take(source: &Session, query: &Sql, keys: &mut KeySet) -> Result<usize> {
    let messages =
        source.client().simple_query(query.as_str()).await.map_err(|error| source.refused(error))?;
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
        columns.extend((1..row.len()).map(|index| row.get(index).unwrap_or_default()));
        keys.insert(&columns);
    }
    Ok(rows)
}
