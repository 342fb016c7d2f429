//! The WAL feed: a replication slot that is read through `pgoutput`, of which nothing is kept but keys.
//!
//! The order of the WAL is that of commits, and not that in which transactions become visible. So for each batch
//!
//! 1. the caller opens a transaction with the snapshot S;
//! 2. a marker is written after that, by `pg_logical_emit_message`;
//! 3. the stream is read up to the marker: a commit record precedes visibility, so all that S sees has come by then;
//! 4. transactions that S does not see, although they came, are carried over to a later batch;
//! 5. once the batch is on the target, the server may let go of the WAL before the marker, but for a carried transaction's
//!    commit record and all that is behind it.

mod collect;
mod obstacles;
mod pending;
mod pgoutput;
mod slot;
mod stream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

pub use self::slot::SlotLost;

use self::collect::{Collector, PREFIX};
use self::stream::{Shared, Stream};
use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::postgres::feed::{CapturedTable, ChangeFeed, Changes, FeedState, Obstacle, SnapshotImage};
use crate::postgres::replication::Replication;
use crate::sql::{Identifier, Sql};

/// How long transactions that came and are not visible yet are left alone by [`ChangeFeed::wait`].
const CARRIED: Duration = Duration::from_millis(100);

/// A feed that reads the WAL through a replication slot.
pub struct WalFeed {
    session: Session,
    slot: Identifier,
    publication: Identifier,
    tables: usize,
    shared: Arc<Shared>,
    /// Rings for the task that reads; it ends when this is dropped.
    bell: watch::Sender<()>,
    /// Up to where the last batch needs no WAL once it is confirmed.
    confirmable: Option<u64>,
    /// How many transactions had come when the last batch was made.
    seen: u64,
    #[cfg(feature = "failpoints")]
    mutation: Option<Mutation>,
}

/// A fault that the tests must find.
#[cfg(feature = "failpoints")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// Transactions that the snapshot does not see join the batch.
    NoSplit,
    /// The server may let go of a carried transaction.
    ConfirmCarried,
    /// What has come so far is taken for all that the snapshot sees.
    NoMarker,
}

impl WalFeed {
    /// The name of both the slot and the publication of a migration.
    #[must_use]
    pub fn name(migration: &str) -> Identifier {
        slot::name(migration)
    }

    /// What stands in the way of this feed on the server and the tables.
    ///
    /// # Errors
    ///
    /// Where the catalog cannot be read.
    pub async fn obstacles(session: &Session, tables: &[CapturedTable]) -> Result<Vec<Obstacle>> {
        obstacles::read(session, tables).await
    }

    /// The first of `tables` that is not published as a whole, if there is one: its changes are not captured.
    ///
    /// # Errors
    ///
    /// Where the catalog cannot be read.
    pub async fn unpublished<'a>(
        session: &Session,
        tables: &'a [CapturedTable],
        publication: &Identifier,
    ) -> Result<Option<&'a CapturedTable>> {
        let query = Sql::literal(include_str!("../../queries/published.sql"));
        let rows = session.query(&query, &[&publication.as_str()]).await?;
        let published: Vec<u32> = rows.iter().map(|row| row.get(0)).collect();
        Ok(tables.iter().find(|table| !published.contains(&table.oid)))
    }

    /// Publishes the tables and makes a slot, both [named](Self::name) after the migration, and begins to read. Every
    /// transaction that a snapshot taken after this does not see is one that the feed will give.
    ///
    /// # Errors
    ///
    /// Where something stands in the way, or open transactions do not end within `patience`: the error names them. Neither
    /// slot nor publication is left then, unless the connection is lost.
    pub async fn create(
        connection: &Connection,
        tables: &[CapturedTable],
        migration: &str,
        patience: Duration,
    ) -> Result<Self> {
        let session = control(connection).await?;
        let name = slot::name(migration);
        // What an earlier try has left takes one of the slots.
        slot::drop_both(&session, &name, &name).await?;
        if let Some(obstacle) = Self::obstacles(&session, tables).await?.into_iter().find(|one| one.fatal) {
            return Err(Error::refused(obstacle.message).hint(obstacle.hint));
        }
        let made = async {
            slot::publish(&session, &name, tables).await?;
            let replication = slot::make(&session, &name, patience).await?;
            Self::begin(session.clone(), replication, tables, name.clone(), name.clone()).await
        };
        match made.await {
            Ok(feed) => Ok(feed),
            Err(error) => {
                // What cannot be undone now is undone by whoever begins anew.
                if let Err(left) = slot::drop_both(&session, &name, &name).await {
                    return Err(error.hint(format!("the slot or the publication {name} may be left: {left}")));
                }
                Err(error)
            }
        }
    }

    /// Goes on with a slot, from what was last confirmed.
    ///
    /// # Errors
    ///
    /// One with [`SlotLost`] where the slot is gone or no longer has its WAL; [`ErrorKind::Locked`] where somebody else
    /// reads it.
    pub async fn open(
        connection: &Connection,
        tables: &[CapturedTable],
        slot: &str,
        publication: &str,
    ) -> Result<Self> {
        let session = control(connection).await?;
        let (slot, publication) = (Identifier::new(slot), Identifier::new(publication));
        slot::check(&session, &slot).await?;
        slot::free(&session, &slot).await?;
        let replication = Replication::connect(&session).await?;
        Self::begin(session, replication, tables, slot, publication).await
    }

    /// Removes what [`create`](Self::create) made, if it is there; refuses to touch what it did not make.
    ///
    /// # Errors
    ///
    /// Where the slot or the publication is somebody else's, or is in use and its user cannot be ended.
    pub async fn drop_slot_and_publication(
        session: &Session,
        slot: &Identifier,
        publication: &Identifier,
    ) -> Result<()> {
        slot::drop_both(session, slot, publication).await
    }

    /// The slot's name.
    #[must_use]
    pub fn slot(&self) -> &Identifier {
        &self.slot
    }

    /// The publication's name.
    #[must_use]
    pub fn publication(&self) -> &Identifier {
        &self.publication
    }

    /// Has the feed err.
    #[cfg(feature = "failpoints")]
    pub fn mutate(&mut self, mutation: Mutation) {
        self.mutation = Some(mutation);
    }

    async fn begin(
        session: Session,
        mut replication: Replication,
        tables: &[CapturedTable],
        slot: Identifier,
        publication: Identifier,
    ) -> Result<Self> {
        slot::start(&session, &mut replication, &slot, &publication).await?;
        let shared = Arc::new(Shared::default());
        let (bell, heard) = watch::channel(());
        let collector = Collector::new(tables, slot.as_str());
        let stream = Stream {
            replication,
            collector,
            shared: shared.clone(),
            bell: heard,
            session: session.clone(),
            received: 0,
            reported: 0,
        };
        tokio::spawn(stream::run(stream));
        Ok(Self {
            session,
            slot,
            publication,
            tables: tables.len(),
            shared,
            bell,
            confirmable: None,
            seen: 0,
            #[cfg(feature = "failpoints")]
            mutation: None,
        })
    }

    /// Writes a marker, waits until it comes back, and says where its commit record ends.
    async fn reach_marker(&self) -> Result<u64> {
        let query = Sql::literal(include_str!("../../queries/emit_marker.sql"));
        let row = self.session.query_one(&query, &[&PREFIX, &self.slot.as_str()]).await?;
        let written: String = row.get(0);
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let ended = {
                let mut delivery = self.shared.lock();
                if let Some((_, end)) = delivery.marker.as_ref().filter(|(marker, _)| *marker == written) {
                    return Ok(*end);
                }
                delivery.ended.as_mut().map(Option::take)
            };
            if let Some(why) = ended {
                return Err(self.ended(why).await);
            }
            changed.await;
        }
    }

    /// Why the stream ended: the slot was lost, or else the connection.
    async fn ended(&self, why: Option<Error>) -> Error {
        if let Err(lost) = slot::check(&self.session, &self.slot).await
            && SlotLost::of(&lost).is_some()
        {
            return lost;
        }
        match why {
            Some(error) if error.kind() != ErrorKind::Server => error,
            // An internal error of decoding ("could not map filenode … to relation OID") comes again with the same WAL.
            Some(error) if error.sqlstate_code().is_some_and(|code| code.starts_with("XX")) => {
                slot::lost(&self.slot, &format!("the server cannot decode its WAL ({error})"))
            }
            Some(error) => Error::new(ErrorKind::Connect, format!("the server ended the stream: {error}"))
                .hint("see the server's log, then run this again"),
            None => Error::new(ErrorKind::Connect, "the stream of changes has ended")
                .hint("open the feed again: it goes on from the last confirmed batch"),
        }
    }

    async fn next_changes(&mut self, snapshot: &SnapshotImage) -> Result<Changes> {
        self.confirmable = None;
        let begun = Instant::now();
        #[cfg(feature = "failpoints")]
        let skip_marker = self.mutation == Some(Mutation::NoMarker);
        #[cfg(not(feature = "failpoints"))]
        let skip_marker = false;
        let reached = if skip_marker { self.shared.lock().flushed } else { self.reach_marker().await? };
        let lag = begun.elapsed();
        let mut delivery = self.shared.lock();
        let delivery = &mut *delivery;
        #[cfg(feature = "failpoints")]
        let visible = match self.mutation {
            Some(Mutation::NoSplit) => delivery.pending.take_all(),
            _ => delivery.pending.split(snapshot),
        };
        #[cfg(not(feature = "failpoints"))]
        let visible = delivery.pending.split(snapshot);
        for (table, keys) in visible.keys {
            delivery.given.entry(table).or_default().extend(keys);
        }
        delivery.given_row_changes += visible.row_changes;
        self.seen = delivery.delivered;
        self.confirmable = Some(delivery.pending.oldest_commit().map_or(reached, |at| at.min(reached)));
        #[cfg(feature = "failpoints")]
        if self.mutation == Some(Mutation::ConfirmCarried) {
            self.confirmable = Some(delivery.pending.oldest_commit().map_or(reached, |at| at + 1));
        }
        let keys =
            (0..self.tables).map(|table| delivery.given.get(&table).cloned().unwrap_or_default()).collect();
        Ok(Changes { keys, row_changes: delivery.given_row_changes, carried: visible.carried, lag })
    }

    async fn wait_for_more(&self, patience: Duration) -> Result<()> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let (ended, carried) = {
                let mut delivery = self.shared.lock();
                if delivery.delivered > self.seen {
                    return Ok(());
                }
                (delivery.ended.as_mut().map(Option::take), !delivery.pending.is_empty())
            };
            if let Some(why) = ended {
                return Err(self.ended(why).await);
            }
            // When a transaction becomes visible, nothing tells.
            let patience =
                if carried { deadline.min(tokio::time::Instant::now() + CARRIED) } else { deadline };
            if tokio::time::timeout_at(patience, changed).await.is_err() {
                return Ok(());
            }
        }
    }
}

impl ChangeFeed for WalFeed {
    fn changes<'a>(
        &'a mut self,
        _source: &'a Session,
        snapshot: &'a SnapshotImage,
    ) -> BoxFuture<'a, Result<Changes>> {
        self.next_changes(snapshot).boxed()
    }

    fn confirm(&mut self) -> BoxFuture<'_, Result<()>> {
        if let Some(reached) = self.confirmable.take() {
            let mut delivery = self.shared.lock();
            delivery.given.clear();
            delivery.given_row_changes = 0;
            delivery.flushed = delivery.flushed.max(reached);
            drop(delivery);
            // Where nobody hears it, the next batch says why.
            let _ = self.bell.send(());
        }
        std::future::ready(Ok(())).boxed()
    }

    fn wait(&mut self, patience: Duration) -> BoxFuture<'_, Result<()>> {
        self.wait_for_more(patience).boxed()
    }

    fn state(&mut self) -> BoxFuture<'_, Result<FeedState>> {
        slot::state(&self.session, &self.slot).boxed()
    }
}

/// A session for markers and questions, on which nothing waits for a standby or for a lock.
async fn control(connection: &Connection) -> Result<Session> {
    let session = Session::connect(connection).await?;
    session.query(&Sql::literal(include_str!("../../queries/no_timeouts.sql")), &[]).await?;
    // The marker is in the WAL at once, and waits for no standby.
    session.batch(&Sql::literal("SET synchronous_commit = 'local'")).await?;
    Ok(session)
}
