//! A snapshot's image, as `pg_current_snapshot()` shows it: `xmin:xmax:xip,…`. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Which transactions a snapshot sees. Transactions are numbered as `xid8` has them, with their epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotImage {
    xmin: u64,
    xmax: u64,
    in_progress: BTreeSet<u64>,
}

impl SnapshotImage {
    /// True where the snapshot sees what the transaction has done, if it has committed.
    #[must_use]
    pub fn sees(&self, transaction: u64) -> bool {
        transaction < self.xmin || (transaction < self.xmax && !self.in_progress.contains(&transaction))
    }

    /// The oldest transaction that was in progress; all before it are seen.
    #[must_use]
    pub fn xmin(&self) -> u64 {
        self.xmin
    }

    /// The first transaction that had not begun.
    #[must_use]
    pub fn xmax(&self) -> u64 {
        self.xmax
    }

    /// Those that were in progress.
    pub fn in_progress(&self) -> impl Iterator<Item = u64> + '_ {
        self.in_progress.iter().copied()
    }

    /// The whole number of a transaction of which the lower 32 bits are known, as logical decoding and `xmin` show them: the
    /// one that is nearest to this snapshot.
    #[must_use]
    pub fn widen(&self, transaction: u32) -> u64 {
        let (epoch, low) = (self.xmax >> 32, self.xmax & 0xffff_ffff);
        let transaction = u64::from(transaction);
        match transaction.cast_signed() - low.cast_signed() {
            above if above > 1 << 31 => (epoch.saturating_sub(1) << 32) | transaction,
            below if below < -(1 << 31) => ((epoch + 1) << 32) | transaction,
            _ => (epoch << 32) | transaction,
        }
    }
}

impl FromStr for SnapshotImage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let mut parts = text.splitn(3, ':');
            let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let listed = parts.next()?.split(',').filter(|one| !one.is_empty());
            let in_progress = listed.map(|one| one.parse().ok()).collect::<Option<_>>()?;
            Some(Self { xmin, xmax, in_progress })
        };
        parse().ok_or_else(|| Error::unexpected(format!("{text:?} is no snapshot")))
    }
}

impl fmt::Display for SnapshotImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:", self.xmin, self.xmax)?;
        for (index, transaction) in self.in_progress.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(formatter, "{comma}{transaction}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_sees_what_had_ended() {
        let snapshot: SnapshotImage = "100:110:100,105".parse().unwrap();
        let seen: Vec<u64> = (98..112).filter(|transaction| snapshot.sees(*transaction)).collect();
        assert_eq!(seen, [98, 99, 101, 102, 103, 104, 106, 107, 108, 109]);
        assert_eq!(snapshot.to_string(), "100:110:100,105");
        assert_eq!("7:7:".parse::<SnapshotImage>().unwrap().to_string(), "7:7:");
        for text in ["", "1", "1:2", "1:x:", "1:2:3,x"] {
            assert!(text.parse::<SnapshotImage>().is_err(), "{text}");
        }
    }

    #[test]
    fn transactions_are_widened_across_the_wraparound() {
        let at = |xmax: u64| SnapshotImage { xmin: xmax, xmax, in_progress: BTreeSet::new() };
        let wrap = 1_u64 << 32;
        assert_eq!(at(1000).widen(900), 900);
        assert_eq!(at(5 * wrap + 10).widen(5), 5 * wrap + 5);
        assert_eq!(at(5 * wrap + 10).widen(u32::MAX - 3), 4 * wrap + u64::from(u32::MAX) - 3);
        assert_eq!(at(5 * wrap - 10).widen(7), 5 * wrap + 7);
    }
}
