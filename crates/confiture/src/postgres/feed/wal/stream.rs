//! The task that reads the stream for as long as the feed lives.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::collect::{Collector, Delivered};
use super::pending::Pending;
use super::pgoutput::{self, Message};
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::postgres::replication::{Copied, Replication};
use crate::sql::Sql;

/// How often the server hears from us without asking.
const STATUS: Duration = Duration::from_secs(10);

/// How soon it hears that it may let go of WAL in which there was nothing for us.
const NEWS: Duration = Duration::from_secs(1);

/// How many messages are read before anything else is looked at.
const AT_ONCE: usize = 1024;

/// A stream that brings more pieces than this in a [`WINDOW`] is busy.
const BUSY: u32 = 256;

/// Over how long the pieces are counted.
const WINDOW: Duration = Duration::from_millis(10);

/// How long a busy stream is left alone, by the whole [thread](super::thread). A Unix socket holds about 280 pieces, which
/// the server sends in twice this time.
const NAP: Duration = Duration::from_micros(100);

/// A message of ours that waits to come back.
pub(super) struct Marker {
    pub(super) content: String,
    pub(super) begun: Instant,
}

/// What the task and the feed share.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<Delivery>,
    /// Told when something in `state` has changed.
    pub(super) changed: Notify,
}

/// What was delivered.
#[derive(Default)]
pub(super) struct Delivery {
    pub(super) pending: Pending,
    /// The last of our own messages: which one, where its commit record ends, and when it came.
    pub(super) marker: Option<(String, u64, Instant)>,
    /// How many transactions with keys have come.
    pub(super) delivered: u64,
    /// Up to where the server need not keep WAL for us.
    pub(super) flushed: u64,
    /// Why the stream ended.
    pub(super) ended: Option<Option<Error>>,
}

impl Delivery {
    /// Where the marker's commit record ends, and how long it was under way; `None` while it has not come.
    pub(super) fn reached(&self, marker: &Marker) -> Option<(u64, Duration)> {
        let (_, end, at) = self.marker.as_ref().filter(|(content, ..)| *content == marker.content)?;
        Some((*end, at.duration_since(marker.begun)))
    }

    fn take(&mut self, delivered: Delivered) {
        let marker = match delivered {
            Delivered::Changes { transaction, marker } => {
                if !transaction.keys.is_empty() {
                    // Before it has committed, there is nothing to make a batch of.
                    self.delivered += u64::from(transaction.commit_at.is_some());
                    self.pending.push(transaction);
                }
                marker
            }
            Delivered::Commit { number, at, marker } => {
                self.pending.commit(number, at);
                self.delivered += 1;
                marker
            }
            Delivered::Abort { number } => {
                self.pending.abort(number);
                None
            }
        };
        if let Some((marker, end)) = marker {
            self.marker = Some((marker, end, Instant::now()));
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Delivery> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task's ends.
pub(super) struct Stream {
    pub(super) replication: Replication,
    pub(super) collector: Collector,
    pub(super) shared: Arc<Shared>,
    /// Rung when the flushed position was raised; closed when the feed is gone.
    pub(super) bell: watch::Receiver<()>,
    /// For questions to the catalog.
    pub(super) session: Session,
    /// Up to where the server has sent.
    pub(super) received: u64,
    /// What of the flushed position the server knows.
    pub(super) reported: u64,
}

/// Reads until the feed is dropped, or the stream breaks.
pub(super) async fn run(mut stream: Stream) {
    match stream.read().await {
        Ok(()) => stream.replication.end().await,
        Err(error) => {
            stream.shared.lock().ended = Some(Some(error));
            stream.shared.changed.notify_waiters();
        }
    }
}

impl Stream {
    async fn read(&mut self) -> Result<()> {
        let mut status_due = Instant::now() + STATUS;
        let (mut window, mut pieces) = (Instant::now(), 0);
        loop {
            tokio::select! {
                rung = self.bell.changed() => {
                    if rung.is_err() {
                        return Ok(());
                    }
                    self.report().await?;
                    status_due = Instant::now() + STATUS;
                }
                () = tokio::time::sleep_until(status_due) => {
                    self.report().await?;
                    status_due = Instant::now() + STATUS;
                }
                copied = self.replication.receive() => {
                    let mut is_news = self.take(copied?).await?;
                    if self.shared.lock().flushed > self.reported {
                        status_due = status_due.min(Instant::now() + NEWS);
                    }
                    // While more is there already, nothing else is asked.
                    for _ in 0..AT_ONCE {
                        if !self.replication.has_buffered() {
                            break;
                        }
                        let copied = self.replication.receive().await?;
                        is_news |= self.take(copied).await?;
                        pieces += 1;
                    }
                    pieces += 1;
                    // Once for all of them: whoever waits would look at each, and most are small.
                    if is_news {
                        self.shared.changed.notify_waiters();
                    }
                    if pieces > BUSY && !self.replication.has_buffered() {
                        std::thread::sleep(NAP);
                    }
                    if window.elapsed() > WINDOW {
                        (window, pieces) = (Instant::now(), pieces.min(BUSY + 1) / 2);
                    }
                }
            }
        }
    }

    async fn report(&mut self) -> Result<()> {
        let flushed = self.shared.lock().flushed;
        let news = (flushed > self.reported).then_some(flushed);
        self.reported = flushed;
        self.replication.report(self.received, news).await
    }

    /// Takes a piece of the stream; true where it ended a transaction, or a part of one.
    async fn take(&mut self, copied: Copied) -> Result<bool> {
        match copied {
            Copied::KeepAlive { wal_end, reply_requested, .. } => {
                self.received = self.received.max(wal_end.as_u64());
                if !self.collector.is_underway() {
                    let mut delivery = self.shared.lock();
                    // All that was committed before has been delivered; and where it has been confirmed as well, or there
                    // was nothing for us in it, the server may let go of it.
                    if delivery.pending.is_empty() {
                        delivery.flushed = delivery.flushed.max(wal_end.as_u64());
                    }
                }
                if reply_requested {
                    self.report().await?;
                }
                Ok(false)
            }
            Copied::XLogData { data, wal_start, .. } => {
                self.received = self.received.max(wal_start.as_u64());
                let message = pgoutput::parse(&data, self.collector.is_streaming())?;
                if let Message::Relation(relation) = &message
                    && self.collector.is_strange(relation.oid)
                {
                    self.adopt(relation.oid).await?;
                }
                let Some(delivered) = self.collector.take(message)? else { return Ok(false) };
                if matches!(delivered, Delivered::Commit { .. }) {
                    for relation in self.collector.orphans() {
                        self.adopt(relation).await?;
                    }
                }
                self.shared.lock().take(delivered);
                Ok(true)
            }
        }
    }

    /// Asks the catalog which table a new partition belongs to.
    async fn adopt(&mut self, relation: u32) -> Result<()> {
        let query = Sql::literal("SELECT relid::oid FROM pg_catalog.pg_partition_ancestors($1::oid)");
        let ancestors = self.session.query(&query, &[&relation]).await?;
        let table = ancestors.iter().find_map(|row| self.collector.table(row.get(0)));
        self.collector.adopt(relation, table)
    }
}
