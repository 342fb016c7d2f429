//! Segments of a queue: which rows are new, and how a segment is emptied without anybody waiting.
//!
//! Triggers write to one of two segments. When that has grown, the feed has them write to the other, and truncates the full one
//! once all of its rows are confirmed. No row is ever deleted, so nothing bloats.
//!
//! Whoever has written to a segment holds a lock on it until the end of the transaction, prepared ones too. So under a lock
//! that excludes everybody, all rows that will ever be are there to be looked at; a writer that comes later, even one that
//! read the sequence long before, writes to the segment after it was emptied, and is read from there like any other.

use super::capture::{qualified, segments, sequence};
use crate::catalog::Oid;
use crate::error::Result;
use crate::postgres::Session;
use crate::postgres::feed::SnapshotImage;
use crate::sql::{Literal, Sql, sql};

/// True of the rows that a confirmed snapshot does not see. Exact, and an index finds them.
pub(super) fn is_new(since: Option<&SnapshotImage>) -> Sql {
    let Some(since) = since else { return Sql::literal("true") };
    let began_later = sql!("transaction >= {}::pg_catalog.xid8", Literal(&since.xmax().to_string()));
    let in_progress: Vec<String> = since.in_progress().map(|transaction| transaction.to_string()).collect();
    if in_progress.is_empty() {
        return began_later;
    }
    let in_progress = format!("{{{}}}", in_progress.join(","));
    sql!("({} OR transaction = ANY ({}::pg_catalog.xid8[]))", began_later, Literal(&in_progress))
}

/// The bytes of both segments of every table, in its order, without those of indexes.
pub(super) async fn read_sizes(session: &Session, tables: &[Oid]) -> Result<Vec<[Option<u64>; 2]>> {
    let query = Sql::literal(
        "SELECT pg_catalog.pg_relation_size(pg_catalog.to_regclass('confiture.queue_' || oid || '_0')),
                pg_catalog.pg_relation_size(pg_catalog.to_regclass('confiture.queue_' || oid || '_1'))
         FROM pg_catalog.unnest($1::pg_catalog.oid[]) WITH ORDINALITY AS captured (oid, position)
         ORDER BY position",
    );
    let rows = session.query(&query, &[&tables]).await?;
    let size = |size: Option<i64>| size.map(i64::cast_unsigned);
    Ok(rows.iter().map(|row| [size(row.get(0)), size(row.get(1))]).collect())
}

/// The segment that triggers write to.
pub(super) async fn read_active(session: &Session, table: Oid) -> Result<usize> {
    let sequence = qualified(sequence(table)).to_string();
    let query = sql!("SELECT pg_catalog.pg_sequence_last_value({}::pg_catalog.regclass)", Literal(&sequence));
    let value: Option<i64> = session.query_one(&query, &[]).await?.get(0);
    Ok(usize::from(value == Some(1)))
}

/// Has the triggers write to the segment `to` from now on.
pub(super) async fn switch(session: &Session, table: Oid, to: usize) -> Result<()> {
    let sequence = qualified(sequence(table)).to_string();
    let query = sql!("SELECT pg_catalog.setval({}::pg_catalog.regclass, {})", Literal(&sequence), to);
    session.query(&query, &[]).await.map(|_| ())
}

/// Empties a segment if all of its rows are confirmed and nobody uses it now; says whether it did.
pub(super) async fn empty(
    session: &Session,
    table: Oid,
    segment: usize,
    since: &SnapshotImage,
) -> Result<bool> {
    let segment = qualified(segments(table)[segment].clone());
    let is_new = is_new(Some(since));
    // One statement, so that the lock is not held while the network is slow. It never waits: nobody can queue behind it.
    // The first look is without the lock, the second, which counts, is a new snapshot under it.
    let body = sql!(
        "BEGIN
             IF NOT EXISTS (SELECT FROM {} WHERE {}) THEN
                 LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT;
                 IF NOT EXISTS (SELECT FROM {} WHERE {}) THEN
                     TRUNCATE TABLE {};
                 END IF;
             END IF;
         END",
        segment,
        is_new,
        segment,
        segment,
        is_new,
        segment
    );
    match session.batch(&sql!("DO {}", Literal(body.as_str()))).await {
        Err(error) if error.sqlstate_code() == Some("55P03") => return Ok(false),
        outcome => outcome?,
    }
    let size = sql!(
        "SELECT pg_catalog.pg_relation_size({}::pg_catalog.regclass) = 0",
        Literal(&segment.to_string())
    );
    Ok(session.query_one(&size, &[]).await?.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_is_what_the_snapshot_does_not_see() {
        let new = |snapshot: &str| is_new(Some(&snapshot.parse().unwrap())).to_string();
        assert_eq!(new("7:9:"), "transaction >= '9'::pg_catalog.xid8");
        assert_eq!(
            new("7:9:7,8"),
            "(transaction >= '9'::pg_catalog.xid8 OR transaction = ANY ('{7,8}'::pg_catalog.xid8[]))"
        );
        assert_eq!(is_new(None).as_str(), "true");
    }
}
