//! Transactions that were delivered and that no batch has had. Pure.

use std::collections::{BTreeMap, VecDeque};

use crate::postgres::feed::{KeySet, SnapshotImage};

/// More transactions than this are not kept apart.
const MOST: usize = 1 << 16;

/// Bytes of keys that are kept in all.
const LARGEST: usize = 64 << 20;

/// A transaction, or a few that are no longer kept apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Transaction {
    /// The first and the last of them, by number.
    pub(super) first: u32,
    pub(super) last: u32,
    /// How many.
    pub(super) count: usize,
    /// Where the first commit record begins: the server sends again what begins there or later.
    pub(super) commit_at: u64,
    /// The keys of those tables that were changed.
    pub(super) keys: BTreeMap<usize, KeySet>,
    pub(super) row_changes: u64,
}

/// How much of a transaction a snapshot sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    All,
    /// Of several that are no longer kept apart.
    Some,
    Nothing,
}

impl Transaction {
    pub(super) fn new(number: u32) -> Self {
        Self { first: number, last: number, count: 1, ..Self::default() }
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.keys.values().map(|keys| keys.bytes() + size_of::<KeySet>()).sum::<usize>()
    }

    fn seen_by(&self, snapshot: &SnapshotImage) -> Seen {
        let (first, last) = (snapshot.widen(self.first), snapshot.widen(self.last));
        if self.count == 1 {
            return if snapshot.sees(first) { Seen::All } else { Seen::Nothing };
        }
        if first >= snapshot.xmax() {
            return Seen::Nothing;
        }
        let open_between = snapshot.in_progress().any(|open| (first..=last).contains(&open));
        if last < snapshot.xmax() && !open_between { Seen::All } else { Seen::Some }
    }

    fn merge(&mut self, other: Self) {
        // Numbers go round: the nearer way decides which is before.
        if other.first.wrapping_sub(self.first).cast_signed() < 0 {
            self.first = other.first;
        }
        if other.last.wrapping_sub(self.last).cast_signed() > 0 {
            self.last = other.last;
        }
        self.count += other.count;
        self.commit_at = self.commit_at.min(other.commit_at);
        self.row_changes += other.row_changes;
        for (table, keys) in other.keys {
            self.keys.entry(table).or_default().extend(keys);
        }
    }

    /// Gives up the largest list of keys for the whole table.
    pub(super) fn collapse_largest(&mut self) {
        if let Some(largest) = self.keys.values_mut().max_by_key(|keys| keys.bytes()) {
            largest.insert_whole();
        }
    }
}

/// What of the pending transactions a snapshot sees.
#[derive(Debug, Default)]
pub(super) struct Visible {
    pub(super) keys: BTreeMap<usize, KeySet>,
    pub(super) row_changes: u64,
    /// How many transactions it does not see.
    pub(super) carried: usize,
}

/// The transactions, in the order of their commits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    transactions: VecDeque<Transaction>,
    bytes: usize,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    pub(super) fn push(&mut self, transaction: Transaction) {
        self.bytes += transaction.bytes();
        self.transactions.push_back(transaction);
        if self.transactions.len() > MOST {
            self.merge(MOST / 2);
        }
        if self.bytes > LARGEST {
            self.merge(self.transactions.len());
        }
        while self.bytes > LARGEST {
            let Some(merged) = self.transactions.front_mut() else { break };
            merged.collapse_largest();
            self.bytes = merged.bytes();
        }
    }

    /// Makes one of the oldest ones.
    fn merge(&mut self, count: usize) {
        let mut oldest = self.transactions.drain(..count);
        let Some(mut merged) = oldest.next() else { return };
        oldest.for_each(|transaction| merged.merge(transaction));
        self.transactions.push_front(merged);
        self.bytes = self.transactions.iter().map(Transaction::bytes).sum();
    }

    /// Takes what the snapshot sees, and carries the rest over.
    pub(super) fn split(&mut self, snapshot: &SnapshotImage) -> Visible {
        self.split_by(|transaction| transaction.seen_by(snapshot))
    }

    /// As if every snapshot saw everything: what the tests must find out.
    #[cfg(feature = "failpoints")]
    pub(super) fn take_all(&mut self) -> Visible {
        self.split_by(|_| Seen::All)
    }

    fn split_by(&mut self, seen_by: impl Fn(&Transaction) -> Seen) -> Visible {
        let mut visible = Visible::default();
        for transaction in std::mem::take(&mut self.transactions) {
            let seen = seen_by(&transaction);
            if seen != Seen::All {
                visible.carried += transaction.count;
                self.transactions.push_back(transaction.clone());
            }
            // Of those that are not kept apart all are given, and given again until the last is seen: too much is harmless.
            if seen != Seen::Nothing {
                visible.row_changes += transaction.row_changes;
                for (table, keys) in transaction.keys {
                    visible.keys.entry(table).or_default().extend(keys);
                }
            }
        }
        self.bytes = self.transactions.iter().map(Transaction::bytes).sum();
        visible
    }

    /// Where the oldest commit record begins that is still needed.
    pub(super) fn oldest_commit(&self) -> Option<u64> {
        self.transactions.iter().map(|transaction| transaction.commit_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(number: u32, commit_at: u64, key: &str) -> Transaction {
        let mut keys = KeySet::default();
        keys.insert(&[key]);
        Transaction {
            commit_at,
            keys: BTreeMap::from([(0, keys)]),
            row_changes: 1,
            ..Transaction::new(number)
        }
    }

    fn snapshot(text: &str) -> SnapshotImage {
        text.parse().unwrap()
    }

    #[test]
    fn what_a_snapshot_does_not_see_waits_and_holds_its_commit_back() {
        let mut pending = Pending::default();
        // In the order of commits, which is not that of the numbers.
        for (number, at) in [(12, 100), (10, 200), (11, 300)] {
            pending.push(transaction(number, at, &number.to_string()));
        }
        let visible = pending.split(&snapshot("10:13:10"));
        assert_eq!((visible.keys[&0].len(), visible.carried, visible.row_changes), (2, 1, 2));
        assert_eq!(pending.oldest_commit(), Some(200));
        let visible = pending.split(&snapshot("13:13:"));
        assert_eq!((visible.keys[&0].len(), visible.carried), (1, 0));
        assert!(pending.is_empty() && pending.oldest_commit().is_none() && pending.bytes == 0);
    }

    #[test]
    fn too_many_transactions_become_one_that_is_given_until_all_of_it_is_seen() {
        let mut pending = Pending::default();
        let most = u32::try_from(MOST).unwrap();
        for number in 100..=100 + most {
            pending.push(transaction(number, u64::from(number), "1"));
        }
        assert!(pending.transactions.len() <= MOST / 2 + 2);
        let last = 101 + most;
        let seen_in_part = pending.split(&snapshot(&format!("150:{last}:150")));
        assert!(seen_in_part.carried > 0 && seen_in_part.keys[&0].len() == 1);
        assert_eq!(pending.oldest_commit(), Some(100));
        let seen = pending.split(&snapshot(&format!("{last}:{last}:")));
        assert_eq!((seen.keys[&0].len(), seen.carried), (1, 0));
        assert!(pending.is_empty());
    }

    #[test]
    fn numbers_go_round() {
        let mut merged = transaction(u32::MAX - 1, 5, "1");
        merged.merge(transaction(7, 9, "2"));
        assert_eq!((merged.first, merged.last, merged.commit_at), (u32::MAX - 1, 7, 5));
    }

    #[test]
    fn memory_is_bounded() {
        let mut pending = Pending::default();
        let long = "x".repeat(1 << 20);
        for number in 1..100 {
            pending.push(transaction(number, u64::from(number), &format!("{number}{long}")));
            assert!(pending.bytes <= LARGEST);
        }
        assert_eq!(pending.oldest_commit(), Some(1));
        let visible = pending.split(&snapshot("200:200:"));
        assert!(visible.keys[&0].is_whole());
    }
}
