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
//!
//! A large transaction comes before it has ended, so that the server need not keep it on disk until then and its keys are
//! here when they are wanted. Its parts are pending like others; what has not committed is seen by no snapshot.

mod collect;
mod obstacles;
mod pending;
mod pgoutput;
mod slot;
mod stream;
mod thread;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::slot::SlotLost;

use self::collect::{Collector, LEFT_OUT, PREFIX};
use self::pending::Visible;
use self::stream::{Delivery, Marker, Shared, Stream};
use self::thread::Thread;
use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::postgres::feed::{CapturedTable, ChangeFeed, Changes, FeedState, KeySet, Obstacle, SnapshotImage};
use crate::postgres::replication::Replication;
use crate::sql::{Identifier, Literal, Sql, sql};

/// Keys that are worth a query before all have come.
const AHEAD: usize = if cfg!(feature = "failpoints") { 16 } else { 1 << 14 };

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
    /// That of the batch that has begun.
    marker: Option<Marker>,
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

    /// A statement that begins a transaction which carries changes of the other side here: the feed with this slot, which would
    /// carry them back, leaves it out.
    #[must_use]
    pub fn leave_out(slot: &Identifier) -> Sql {
        let content = format!("{}:{}", slot.as_str(), LEFT_OUT);
        sql!(
            "SELECT pg_catalog.pg_logical_emit_message(true, {}::text, {}::text)",
            Literal(PREFIX),
            Literal(&content)
        )
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
        Self::create_for(connection, tables, migration, patience, &Execution::unattended()).await
    }

    /// The same, which says to `execution` whose open transactions it waits for.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub async fn create_for(
        connection: &Connection,
        tables: &[CapturedTable],
        migration: &str,
        patience: Duration,
        execution: &Execution,
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
            let thread = Thread::start()?;
            let replication = slot::make(&session, &name, patience, &thread, execution).await?;
            Self::start(session.clone(), replication, thread, tables, [&name, &name]).await
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
        let thread = Thread::start()?;
        let replication = thread.within(Replication::connect(&session)).await?;
        Self::start(session, replication, thread, tables, [&slot, &publication]).await
    }

    /// The target has committed a batch with this snapshot, whether the server was told so or not: what it sees is not told again.
    #[must_use]
    pub fn after(self, had: Option<SnapshotImage>) -> Self {
        self.shared.lock().pending.leave_out(had);
        self
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

    /// Lets go of everything that a slot which nobody reads has captured until now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`] where somebody goes on reading it.
    pub async fn skip(session: &Session, slot: &Identifier) -> Result<()> {
        slot::skip(session, slot).await
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

    async fn start(
        session: Session,
        mut replication: Replication,
        thread: Thread,
        tables: &[CapturedTable],
        [slot, publication]: [&Identifier; 2],
    ) -> Result<Self> {
        slot::start(&session, &mut replication, slot, publication).await?;
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
        thread.read(stream);
        Ok(Self {
            session,
            slot: slot.clone(),
            publication: publication.clone(),
            tables: tables.len(),
            shared,
            bell,
            marker: None,
            confirmable: None,
            seen: 0,
            #[cfg(feature = "failpoints")]
            mutation: None,
        })
    }

    /// Forgets what the last batch was given, and writes a marker.
    async fn begin_batch(&mut self) -> Result<Marker> {
        (self.marker, self.confirmable) = (None, None);
        self.shared.lock().pending.begin();
        let begun = Instant::now();
        #[cfg(feature = "failpoints")]
        if self.mutation == Some(Mutation::NoMarker) {
            let mut delivery = self.shared.lock();
            delivery.marker = Some((String::new(), delivery.flushed, begun));
            return Ok(Marker { content: String::new(), begun });
        }
        let query = Sql::literal(include_str!("../../queries/emit_marker.sql"));
        let row = self.session.query_one(&query, &[&PREFIX, &self.slot.as_str()]).await?;
        Ok(Marker { content: row.get(0), begun })
    }

    /// Waits until `look` finds something in what was delivered.
    async fn until<T>(&self, look: impl Fn(&mut Delivery) -> Option<T>) -> Result<T> {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let ended = {
                let mut delivery = self.shared.lock();
                if let Some(found) = look(&mut delivery) {
                    return Ok(found);
                }
                delivery.ended.as_mut().map(Option::take)
            };
            if let Some(why) = ended {
                return Err(self.ended(why).await);
            }
            changed.await;
        }
    }

    /// What has come before the marker, once that is enough; `None` once the marker has come.
    async fn next_ahead(&mut self, snapshot: &SnapshotImage) -> Result<Option<Vec<KeySet>>> {
        let Some(marker) = &self.marker else { return Ok(None) };
        let look = |delivery: &mut Delivery| match delivery.reached(marker) {
            Some(_) => Some(None),
            None => delivery.pending.tell_ahead(AHEAD, snapshot).map(Some),
        };
        Ok(self.until(look).await?.map(|keys| keys.into_tables(self.tables)))
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
        let marker = match self.marker.take() {
            Some(marker) => marker,
            None => self.begin_batch().await?,
        };
        let (reached, lag) = self.until(|delivery| delivery.reached(&marker)).await?;
        let mut delivery = self.shared.lock();
        let delivery = &mut *delivery;
        #[cfg(feature = "failpoints")]
        let visible = match self.mutation {
            Some(Mutation::NoSplit) => delivery.pending.take_all(),
            _ => delivery.pending.split(snapshot),
        };
        #[cfg(not(feature = "failpoints"))]
        let visible = delivery.pending.split(snapshot);
        self.seen = delivery.delivered;
        self.confirmable = Some(delivery.pending.oldest_commit().map_or(reached, |at| at.min(reached)));
        #[cfg(feature = "failpoints")]
        if self.mutation == Some(Mutation::ConfirmCarried) {
            self.confirmable = Some(delivery.pending.oldest_commit().map_or(reached, |at| at + 1));
        }
        let Visible { keys, row_changes, carried } = visible;
        Ok(Changes { keys: keys.into_tables(self.tables), row_changes, carried, lag })
    }

    async fn wait_for_more(&self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let (ended, carried) = {
                let mut delivery = self.shared.lock();
                if delivery.delivered > self.seen {
                    return Ok(());
                }
                (delivery.ended.as_mut().map(Option::take), delivery.pending.has_committed())
            };
            if let Some(why) = ended {
                return Err(self.ended(why).await);
            }
            // When a transaction becomes visible, nothing tells.
            let patience = if carried { deadline.min(Instant::now() + CARRIED) } else { deadline };
            if tokio::time::timeout_at(patience, changed).await.is_err() {
                return Ok(());
            }
        }
    }
}

impl ChangeFeed for WalFeed {
    fn begin(&mut self) -> BoxFuture<'_, Result<()>> {
        async {
            self.marker = Some(self.begin_batch().await?);
            Ok(())
        }
        .boxed()
    }

    fn ahead<'a>(&'a mut self, snapshot: &'a SnapshotImage) -> BoxFuture<'a, Result<Option<Vec<KeySet>>>> {
        self.next_ahead(snapshot).boxed()
    }

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
            delivery.pending.confirm();
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
