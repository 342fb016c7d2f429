//! The queue feed: triggers write the keys of changed rows into a queue on the source. It needs no more than the owner of the
//! tables has.
//!
//! Every row of the queue holds the transaction that wrote it. A position is a snapshot: a batch has the rows that its
//! snapshot sees and the last confirmed one does not, so commits that come in another order than begins play no part. The
//! position is kept by the caller, with the rows that it stands for; the queue itself knows no reader.
//!
//! One reader, then: what one has confirmed may be gone for another. So a queue says who reads it (`reader.rs`).

mod capture;
mod gap;
mod keys;
mod obstacle;
mod reader;
mod relation;
mod segment;
mod set_up;

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};

pub use gap::{Gap, gaps};
pub use obstacle::obstacles;
pub use reader::{KnownQueue, Reader, claim, claim_statement, queues, refuse_others};
pub use set_up::{LockPatience, set_up, set_up_statements, tear_down};

use super::{CapturedTable, ChangeFeed, Changes, FeedState, SnapshotImage};
use crate::catalog::Oid;
use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::sql::{Sql, sql};

/// A segment of so many bytes is full: about 40 thousand keys.
const FULL: u64 = 2 << 20;

/// A segment that could not be emptied is tried again after this long, and then less and less often.
const RETRY: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(10)];

/// How often it is asked for something new: often after there was something, seldom when all is quiet.
const POLL: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(500)];

/// The keys that triggers have written, read in order of snapshots.
pub struct QueueFeed {
    session: Session,
    tables: Vec<Queue>,
    /// The last confirmed snapshot.
    since: Option<SnapshotImage>,
    /// The snapshot of the last changes, not yet confirmed.
    given: Option<SnapshotImage>,
}

/// The queue of one table.
struct Queue {
    table: CapturedTable,
    /// When emptying is tried again, and how long to wait after that.
    retry: Option<(Instant, Duration)>,
    /// Since when it was tried in vain.
    stuck_since: Option<Instant>,
}

impl QueueFeed {
    /// Reads the queue of `tables` from the confirmed snapshot `since` on; `None` is everything that is in it.
    ///
    /// # Errors
    ///
    /// Where the source cannot be reached.
    pub async fn open(
        connection: &Connection,
        tables: Vec<CapturedTable>,
        since: Option<SnapshotImage>,
    ) -> Result<Self> {
        let session = Session::connect(connection).await?;
        session
            .batch(&Sql::literal(
                "SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off;
                 SET lock_timeout = '1s'",
            ))
            .await?;
        let queue = |table| Queue { table, retry: None, stuck_since: None };
        Ok(Self { session, tables: tables.into_iter().map(queue).collect(), since, given: None })
    }

    /// A statement that begins a transaction which carries changes of the other side here: a queue, which would carry them
    /// back, leaves it out. For that transaction alone: a pooler may give the session to the application next.
    #[must_use]
    pub fn leave_out() -> Sql {
        sql!("SELECT pg_catalog.set_config({}, 'yes', true)", crate::sql::Literal(capture::LEAVE_OUT))
    }

    /// The last confirmed snapshot.
    #[must_use]
    pub fn since(&self) -> Option<&SnapshotImage> {
        self.since.as_ref()
    }

    fn oids(&self) -> Vec<Oid> {
        self.tables.iter().map(|queue| queue.table.oid).collect()
    }

    /// The bytes of all segments; an error where one is gone, for then changes were missed.
    async fn sizes(&self, session: &Session) -> Result<Vec<[u64; 2]>> {
        let sizes = segment::read_sizes(session, &self.oids()).await?;
        let whole = |(queue, sizes): (&Queue, [Option<u64>; 2])| match sizes {
            [Some(first), Some(second)] => Ok([first, second]),
            _ => Err(Error::new(
                ErrorKind::Found,
                format!("the queue of {} is gone from the source: changes were missed", queue.table.name),
            )
            .hint("set the capture up again, then compare the whole table")),
        };
        self.tables.iter().zip(sizes).map(whole).collect()
    }

    /// Empties segments that are confirmed, and has triggers write to the empty one of a table whose other is full. Never
    /// waits, and never makes anybody wait.
    async fn rotate(&mut self, sizes: &[[u64; 2]]) -> Result<()> {
        let Some(since) = &self.since else { return Ok(()) };
        for (queue, sizes) in self.tables.iter_mut().zip(sizes) {
            let oid = queue.table.oid;
            let is_due = queue.retry.is_none_or(|(at, _)| at <= Instant::now());
            if sizes.iter().all(|size| *size < FULL) && !(sizes[0] > 0 && sizes[1] > 0) || !is_due {
                continue;
            }
            let active = segment::read_active(&self.session, oid).await?;
            let other = 1 - active;
            if sizes[other] > 0 && !segment::empty(&self.session, oid, other, since).await? {
                let pause = queue.retry.map_or(RETRY[0], |(_, pause)| (pause * 2).min(RETRY[1]));
                queue.retry = Some((Instant::now() + pause, pause));
                queue.stuck_since.get_or_insert_with(Instant::now);
                continue;
            }
            (queue.retry, queue.stuck_since) = (None, None);
            if sizes[active] >= FULL {
                segment::switch(&self.session, oid, other).await?;
            }
        }
        Ok(())
    }

    async fn read(&mut self, source: &Session, snapshot: &SnapshotImage) -> Result<Changes> {
        let started = Instant::now();
        let sizes = self.sizes(source).await?;
        // Here and not when a batch is confirmed: until its transaction ends, the source's session uses what it has read.
        self.rotate(&sizes).await?;
        // A segment without a page holds no row that a snapshot could see.
        let filled = self.tables.iter().zip(&sizes).filter(|(_, sizes)| **sizes != [0, 0]);
        let filled: Vec<&CapturedTable> = filled.map(|(queue, _)| &queue.table).collect();
        let mut read = keys::read(source, &filled, self.since.as_ref()).await?.into_iter();
        let mut changes = Changes::default();
        for sizes in sizes {
            let (keys, rows) = if sizes == [0, 0] { None } else { read.next() }.unwrap_or_default();
            changes.row_changes += rows;
            changes.keys.push(keys);
        }
        // A commit that the snapshot sees and a crash takes back would come again under a number that counts as read.
        self.session.query(&Sql::literal(include_str!("../../queries/queue/flush.sql")), &[]).await?;
        self.given = Some(snapshot.clone());
        changes.lag = started.elapsed();
        Ok(changes)
    }

    /// True where a row is in a queue that no confirmed batch has had.
    async fn has_news(&mut self) -> Result<bool> {
        let sizes = self.sizes(&self.session).await?;
        self.rotate(&sizes).await?;
        let is_new = segment::is_new(self.since.as_ref());
        let exists = self.tables.iter().zip(&sizes).flat_map(|(queue, sizes)| {
            let segments = capture::segments(queue.table.oid).into_iter().zip(sizes);
            segments.filter(|(_, size)| **size > 0).map(|(segment, _)| {
                sql!("EXISTS (SELECT FROM {} WHERE {})", capture::qualified(segment), is_new)
            })
        });
        let exists = Sql::join(" OR ", exists);
        if exists.is_empty() {
            return Ok(false);
        }
        Ok(self.session.query_one(&sql!("SELECT {}", exists), &[]).await?.get(0))
    }

    async fn wait_for_news(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        let (mut pause, mut seen) = (POLL[0], None);
        loop {
            // Where no transaction began or ended, none has written.
            let now = Sql::literal("SELECT pg_catalog.pg_current_snapshot()::text");
            let now: String = self.session.query_one(&now, &[]).await?.get(0);
            if seen.as_ref() != Some(&now) {
                if self.has_news().await? {
                    return Ok(());
                }
                seen = Some(now);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(POLL[1]);
        }
    }

    async fn look(&mut self) -> Result<FeedState> {
        let mut state = FeedState::default();
        let query = Sql::literal(
            "SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(class.oid))::pg_catalog.int8
             FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS captured (oid)
             CROSS JOIN pg_catalog.unnest(ARRAY['_0', '_1']) AS segment (suffix)
             JOIN pg_catalog.pg_class AS class
                 ON class.oid = pg_catalog.to_regclass('confiture.queue_' || captured.oid || suffix)",
        );
        let bytes: Option<i64> = self.session.query_one(&query, &[&self.oids()]).await?.get(0);
        state.retained_bytes = bytes.unwrap_or_default().cast_unsigned();
        let sizes = self.sizes(&self.session).await?;
        for (queue, sizes) in self.tables.iter().zip(sizes) {
            // Both full, and the one that is not written to cannot be emptied: somebody has it in use.
            if queue.stuck_since.is_none() || sizes.iter().any(|size| *size < FULL) {
                continue;
            }
            let holders = Sql::literal(include_str!("../../queries/queue/segment_holders.sql"));
            let oid = queue.table.oid;
            let names: Vec<String> =
                capture::segments(oid).map(|name| capture::qualified(name).to_string()).into();
            let row = self.session.query_opt(&holders, &[&names]).await?;
            let megabytes = sizes.iter().sum::<u64>() >> 20;
            let who = row.map_or_else(
                || "changes are applied".to_owned(),
                |row| format!("{} ends", row.get::<_, &str>(0)),
            );
            state.warnings.push(format!(
                "the queue of {} has {megabytes} MB and cannot be emptied until {who}",
                queue.table.name
            ));
        }
        Ok(state)
    }
}

impl ChangeFeed for QueueFeed {
    fn begin(&mut self) -> BoxFuture<'_, Result<()>> {
        self.given = None;
        Box::pin(std::future::ready(Ok(())))
    }

    fn changes<'a>(
        &'a mut self,
        source: &'a Session,
        snapshot: &'a SnapshotImage,
    ) -> BoxFuture<'a, Result<Changes>> {
        Box::pin(self.read(source, snapshot))
    }

    fn confirm(&mut self) -> BoxFuture<'_, Result<()>> {
        if let Some(given) = self.given.take() {
            self.since = Some(given);
        }
        Box::pin(async { Ok(()) })
    }

    fn wait(&mut self, patience: Duration) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.wait_for_news(patience))
    }

    fn state(&mut self) -> BoxFuture<'_, Result<FeedState>> {
        Box::pin(self.look())
    }
}
