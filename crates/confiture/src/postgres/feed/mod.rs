//! Change feeds: which keys of which tables have changed. Never what they changed to.
//!
//! A feed says, for a snapshot S of the source, the keys of every change that S sees and that no confirmed batch has had.
//! Whoever applies a batch reads the rows of those keys again, in S. So the order of changes, the types of their values and
//! values that are stored out of line play no part, and to be told of a key twice, or of one that did not change, is harmless.
//! To miss one is not.

mod key_set;
pub mod queue;
mod snapshot;
pub mod wal;

use std::time::Duration;

use futures_util::future::BoxFuture;

pub use key_set::{KeyPiece, KeySet, array_text};
pub use snapshot::SnapshotImage;
pub use wal::WalFeed;

use crate::catalog::Oid;
use crate::error::Result;
use crate::postgres::Session;
use crate::sql::{Identifier, QualifiedName};

/// A source table whose changes are captured.
#[derive(Debug, Clone)]
pub struct CapturedTable {
    /// Its name.
    pub name: QualifiedName,
    /// Its OID on the source.
    pub oid: Oid,
    /// The columns that a change is known by: NOT NULL, and with an index that finds them.
    pub key: Vec<KeyColumn>,
    /// Its partitions with their own, at any depth; empty for what is not partitioned.
    pub partitions: Vec<(QualifiedName, Oid)>,
}

impl CapturedTable {
    /// The OIDs of the table and its partitions.
    pub(crate) fn oids(&self) -> impl Iterator<Item = Oid> + '_ {
        std::iter::once(self.oid).chain(self.partitions.iter().map(|(_, oid)| *oid))
    }
}

/// A column of a key.
#[derive(Debug, Clone)]
pub struct KeyColumn {
    /// Its name.
    pub name: Identifier,
    /// Its type, without a modifier; for a domain, the type that is under it.
    pub data_type: QualifiedName,
}

/// What a feed has for one batch.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The keys of every captured table, in the order in which the feed was told of the tables.
    pub keys: Vec<KeySet>,
    /// Row changes behind the keys, where the feed knows them.
    pub row_changes: u64,
    /// Transactions that were delivered, but that the snapshot does not see: a later batch has them.
    pub carried: usize,
    /// How long the feed took to deliver everything that was committed when the snapshot was taken.
    pub lag: Duration,
}

impl Changes {
    /// True where nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.iter().all(KeySet::is_empty)
    }
}

/// How a feed is.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct FeedState {
    /// Bytes that the source keeps for the feed: WAL, or the queue's tables.
    pub retained_bytes: u64,
    /// What the user should know, a sentence each: a slot that is about to be lost, say.
    pub warnings: Vec<String>,
}

/// Something about the servers or the tables that stands in the way of a feed.
#[derive(Debug, Clone)]
pub struct Obstacle {
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// True where the feed cannot work at all, or would hurt the application; else it should be looked at.
    pub fatal: bool,
}

/// Which keys changed.
pub trait ChangeFeed: Send {
    /// A batch begins, whose snapshot has just been taken. What the last one was given and did not confirm, because it failed,
    /// is given again.
    fn begin(&mut self) -> BoxFuture<'_, Result<()>>;

    /// Keys that have come while others are still coming, so that their rows can be read meanwhile; `None` once there is
    /// only [`changes`](Self::changes) to ask for the rest. They are those of changes that the snapshot sees, and maybe
    /// others.
    fn ahead<'a>(&'a mut self, _snapshot: &'a SnapshotImage) -> BoxFuture<'a, Result<Option<Vec<KeySet>>>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// The keys of all changes that `snapshot` sees and that no confirmed batch has had, but for those that were given
    /// [`ahead`](Self::ahead) since the batch [began](Self::begin). `source` is a session whose open transaction has that
    /// snapshot.
    fn changes<'a>(
        &'a mut self,
        source: &'a Session,
        snapshot: &'a SnapshotImage,
    ) -> BoxFuture<'a, Result<Changes>>;

    /// The target has committed the batch of the last [`changes`](Self::changes): the source need not keep them.
    fn confirm(&mut self) -> BoxFuture<'_, Result<()>>;

    /// Returns when there may be something new, or after `patience`.
    fn wait(&mut self, patience: Duration) -> BoxFuture<'_, Result<()>>;

    /// What the source keeps for the feed, and what is about to go wrong.
    fn state(&mut self) -> BoxFuture<'_, Result<FeedState>>;
}
