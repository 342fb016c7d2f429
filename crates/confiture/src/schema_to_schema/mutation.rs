//! Faults that tests put into the algorithm, one at a time, to see that they would be noticed.

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "failpoints"), allow(dead_code))]
pub enum Mutation {
    /// Transactions that the snapshot does not see join the batch.
    NoSplit,
    /// The server may let go of a carried transaction.
    ConfirmCarried,
    /// What has come so far is taken for all that the snapshot sees.
    NoMarker,
    /// The feed is told of a batch before the target has committed it.
    ConfirmEarly,
    /// Rows are read again as they are now, and not as the snapshot has them.
    ReadOutsideSnapshot,
    /// Changes of a table that is being copied are forgotten.
    ForgetDeferred,
    /// Rows that moved while they were copied stay where they were too.
    KeepMoved,
    /// Rows whose key gives no row any more stay.
    KeepMissing,
    /// Nobody looks whether a table was emptied or rewritten while it was read.
    BlindToRewrites,
}

impl Mutation {
    /// Each of them.
    pub const ALL: [Self; 9] = [
        Self::NoSplit,
        Self::ConfirmCarried,
        Self::NoMarker,
        Self::ConfirmEarly,
        Self::ReadOutsideSnapshot,
        Self::ForgetDeferred,
        Self::KeepMoved,
        Self::KeepMissing,
        Self::BlindToRewrites,
    ];

    /// That of the WAL feed, where it is one.
    #[cfg(feature = "failpoints")]
    pub(crate) fn of_wal(self) -> Option<crate::postgres::feed::wal::Mutation> {
        use crate::postgres::feed::wal::Mutation as OfWal;
        match self {
            Self::NoSplit => Some(OfWal::NoSplit),
            Self::ConfirmCarried => Some(OfWal::ConfirmCarried),
            Self::NoMarker => Some(OfWal::NoMarker),
            _ => None,
        }
    }
}

#[cfg(feature = "failpoints")]
static CHOSEN: std::sync::OnceLock<Mutation> = std::sync::OnceLock::new();

/// Has this process err from now on. Only the first choice counts.
#[cfg(feature = "failpoints")]
pub fn choose(mutation: Mutation) {
    let _ = CHOSEN.set(mutation);
}

/// The fault of this process.
#[cfg(feature = "failpoints")]
pub(crate) fn chosen() -> Option<Mutation> {
    CHOSEN.get().copied()
}

/// True where this process errs so. Without the feature `failpoints`, which only tests have, it never does.
#[inline]
pub(crate) fn is(_mutation: Mutation) -> bool {
    #[cfg(feature = "failpoints")]
    return chosen() == Some(_mutation);
    #[cfg(not(feature = "failpoints"))]
    false
}
