//! Transactions that were delivered and that no confirmed batch has had. Pure.

use std::collections::VecDeque;

use crate::postgres::feed::{KeySet, SnapshotImage};

/// More transactions than this are not kept apart.
const MOST: usize = 1 << 16;

/// Bytes of keys that are kept in all.
const LARGEST: usize = 64 << 20;

/// The keys of those tables that were changed; few, and most often one.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys(Vec<(usize, KeySet)>);

impl Keys {
    /// Those of a table.
    pub(super) fn of(&mut self, table: usize) -> &mut KeySet {
        let at = match self.0.iter().position(|(known, _)| *known == table) {
            Some(at) => at,
            None => {
                // There may be very many transactions: none takes more than it needs.
                self.0.reserve_exact(1);
                self.0.push((table, KeySet::default()));
                self.0.len() - 1
            }
        };
        &mut self.0[at].1
    }

    /// For each of so many tables.
    pub(super) fn into_tables(self, tables: usize) -> Vec<KeySet> {
        let mut all = vec![KeySet::default(); tables];
        for (table, keys) in self.0 {
            all[table] = keys;
        }
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn extend(&mut self, other: &Self) {
        for (table, keys) in &other.0 {
            self.of(*table).extend(keys);
        }
    }

    fn len(&self) -> usize {
        self.0.iter().map(|(_, keys)| keys.len()).sum()
    }

    /// About how much memory they take.
    fn bytes(&self) -> usize {
        self.0.iter().map(|(_, keys)| keys.bytes() + size_of::<(usize, KeySet)>()).sum()
    }
}

/// A transaction, a part of a large one, or a few that are no longer kept apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Transaction {
    /// The first and the last of them, by number.
    pub(super) first: u32,
    pub(super) last: u32,
    /// How many; none for all parts of one but the first.
    pub(super) count: usize,
    /// Where the first commit record begins: the server sends again what begins there or later. `None` while it has not come.
    pub(super) commit_at: Option<u64>,
    pub(super) keys: Keys,
    pub(super) row_changes: u64,
    /// Whether the batch at work has it.
    given: bool,
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
    pub(super) fn new(number: u32, commit_at: Option<u64>) -> Self {
        Self { first: number, last: number, count: 1, commit_at, ..Self::default() }
    }

    /// Gives what there is of it so far; what is left is a part of the same transaction.
    pub(super) fn take_part(&mut self) -> Self {
        let rest = Self { count: 0, ..Self::new(self.first, self.commit_at) };
        std::mem::replace(self, rest)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.keys.bytes()
    }

    /// Whether it is a part of the transaction `number`, which had not ended when it came.
    fn is_part_of(&self, number: u32) -> bool {
        self.commit_at.is_none() && self.first == number
    }

    fn seen_by(&self, snapshot: &SnapshotImage) -> Seen {
        let (first, last) = (snapshot.widen(self.first), snapshot.widen(self.last));
        if first == last {
            return if snapshot.sees(first) { Seen::All } else { Seen::Nothing };
        }
        if first >= snapshot.xmax() {
            return Seen::Nothing;
        }
        let open_between = snapshot.in_progress().any(|open| (first..=last).contains(&open));
        if last < snapshot.xmax() && !open_between { Seen::All } else { Seen::Some }
    }

    /// Whether the target has all of it.
    fn is_had(&self, had: Option<&SnapshotImage>) -> bool {
        had.is_some_and(|had| self.seen_by(had) == Seen::All)
    }

    fn merge(&mut self, other: &Self) {
        // Numbers go round: the nearer way decides which is before.
        if other.first.wrapping_sub(self.first).cast_signed() < 0 {
            self.first = other.first;
        }
        if other.last.wrapping_sub(self.last).cast_signed() > 0 {
            self.last = other.last;
        }
        self.count += other.count;
        self.commit_at = self.commit_at.into_iter().chain(other.commit_at).min();
        self.row_changes += other.row_changes;
        self.given &= other.given;
        self.keys.extend(&other.keys);
    }

    /// Gives up the largest list of keys for the whole table.
    fn collapse_largest(&mut self) {
        if let Some((_, largest)) = self.keys.0.iter_mut().max_by_key(|(_, keys)| keys.bytes()) {
            largest.insert_whole();
        }
    }
}

/// What of the pending transactions a batch has that no one has told it yet.
#[derive(Debug, Default)]
pub(super) struct Visible {
    pub(super) keys: Keys,
    /// Row changes behind all that the snapshot sees.
    pub(super) row_changes: u64,
    /// How many transactions it does not see.
    pub(super) carried: usize,
}

/// The transactions, in the order of their commits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    transactions: VecDeque<Transaction>,
    bytes: usize,
    /// How many of them the batch at work was told of ahead, and how many keys the others have.
    told: usize,
    untold_keys: usize,
    /// What this sees the target has, though the server was not told so before the stream began.
    had: Option<SnapshotImage>,
}

impl Pending {
    /// The target has committed a batch with this snapshot: what it sees is told nobody again.
    pub(super) fn leave_out(&mut self, had: Option<SnapshotImage>) {
        self.had = had;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    /// Whether one has committed that no confirmed batch has had.
    pub(super) fn has_committed(&self) -> bool {
        self.transactions.iter().any(|transaction| transaction.commit_at.is_some())
    }

    /// A transaction that came before it ended has committed, where its record begins at `commit_at`.
    ///
    /// Until then it holds no WAL back: its record comes after the marker of every batch whose snapshot does not see it.
    pub(super) fn commit(&mut self, number: u32, commit_at: u64) {
        for part in self.transactions.iter_mut().filter(|transaction| transaction.is_part_of(number)) {
            part.commit_at = Some(commit_at);
        }
    }

    /// It was rolled back.
    pub(super) fn abort(&mut self, number: u32) {
        self.told -= self.transactions.range(..self.told).filter(|one| one.is_part_of(number)).count();
        self.transactions.retain(|transaction| !transaction.is_part_of(number));
        self.count();
    }

    pub(super) fn push(&mut self, transaction: Transaction) {
        self.bytes += transaction.bytes();
        self.untold_keys += transaction.keys.len();
        self.transactions.push_back(transaction);
        if self.transactions.len() > MOST {
            self.merge(MOST / 2);
        }
        if self.bytes > LARGEST {
            self.merge(self.transactions.len());
        }
        while self.bytes > LARGEST {
            let Some(largest) = self.transactions.iter_mut().max_by_key(|one| one.bytes()) else { break };
            largest.collapse_largest();
            self.told = 0;
            self.count();
        }
    }

    /// Makes one of the oldest ones that have committed, and one each of the parts of those that have not ended: they wait
    /// for as long as they are under way, and nothing else with them.
    fn merge(&mut self, count: usize) {
        let mut merged: Vec<Transaction> = Vec::new();
        for transaction in self.transactions.drain(..count) {
            let same = |one: &&mut Transaction| match transaction.commit_at {
                Some(_) => one.commit_at.is_some(),
                None => one.is_part_of(transaction.first),
            };
            match merged.iter_mut().find(same) {
                Some(one) => one.merge(&transaction),
                None => merged.push(transaction),
            }
        }
        // Where some of them were not told, all are told again.
        self.told = self.told.checked_sub(count).map_or(0, |later| later + merged.len());
        merged.into_iter().rev().for_each(|one| self.transactions.push_front(one));
        self.count();
    }

    fn count(&mut self) {
        self.bytes = self.transactions.iter().map(Transaction::bytes).sum();
        self.untold_keys = self.transactions.range(self.told..).map(|one| one.keys.len()).sum();
    }

    /// A batch begins: what the last one was given, and did not confirm, is given again.
    pub(super) fn begin(&mut self) {
        self.transactions.iter_mut().for_each(|transaction| transaction.given = false);
        self.told = 0;
        self.count();
    }

    /// The keys that the batch was not told yet, of what its snapshot sees, once there may be `enough`.
    pub(super) fn tell_ahead(&mut self, enough: usize, snapshot: &SnapshotImage) -> Option<Keys> {
        if self.untold_keys < enough {
            return None;
        }
        let mut keys = Keys::default();
        let untold = self.transactions.range(self.told..);
        let is_new = |transaction: &&Transaction| !transaction.is_had(self.had.as_ref());
        let seen = untold.filter(is_new).filter(|one| one.seen_by(snapshot) != Seen::Nothing);
        seen.for_each(|transaction| keys.extend(&transaction.keys));
        (self.told, self.untold_keys) = (self.transactions.len(), 0);
        (!keys.is_empty()).then_some(keys)
    }

    /// Gives what the snapshot sees, and carries the rest over.
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
        for (at, transaction) in self.transactions.iter_mut().enumerate() {
            let seen = seen_by(transaction);
            transaction.given = seen == Seen::All;
            if !transaction.given {
                visible.carried += transaction.count;
            }
            // Of those that are not kept apart all are given, and given again until the last is seen: too much is harmless.
            if seen != Seen::Nothing && !transaction.is_had(self.had.as_ref()) {
                visible.row_changes += transaction.row_changes;
                if at >= self.told {
                    visible.keys.extend(&transaction.keys);
                }
            }
        }
        visible
    }

    /// The batch is on the target: what it was given is no longer kept.
    pub(super) fn confirm(&mut self) {
        self.transactions.retain(|transaction| !transaction.given);
        // All that the last stream has told was before this batch.
        self.had = None;
        self.begin();
    }

    /// Where the oldest commit record begins that is still needed once the batch is confirmed.
    pub(super) fn oldest_commit(&self) -> Option<u64> {
        let carried = self.transactions.iter().filter(|transaction| !transaction.given);
        carried.filter_map(|transaction| transaction.commit_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(number: u32, commit_at: u64, key: &str) -> Transaction {
        let mut transaction = Transaction { row_changes: 1, ..Transaction::new(number, Some(commit_at)) };
        transaction.keys.of(0).insert(&[key]);
        transaction
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
        for _ in 0..2 {
            // Until it is confirmed, the same is given again.
            pending.begin();
            let visible = pending.split(&snapshot("10:13:10"));
            assert_eq!((visible.keys.len(), visible.carried, visible.row_changes), (2, 1, 2));
            assert_eq!(pending.oldest_commit(), Some(200));
        }
        pending.confirm();
        let visible = pending.split(&snapshot("13:13:"));
        assert_eq!((visible.keys.len(), visible.carried), (1, 0));
        pending.confirm();
        assert!(pending.is_empty() && pending.oldest_commit().is_none() && pending.bytes == 0);
    }

    #[test]
    fn what_was_told_ahead_is_told_once_and_after_a_failure_again() {
        let mut pending = Pending::default();
        (1..=3).for_each(|number| pending.push(transaction(number, 10, &number.to_string())));
        for _ in 0..2 {
            pending.begin();
            let snapshot = snapshot("2:5:2");
            assert!(pending.tell_ahead(4, &snapshot).is_none());
            assert_eq!(pending.tell_ahead(3, &snapshot).unwrap().len(), 2);
            assert!(pending.tell_ahead(1, &snapshot).is_none());
            pending.push(transaction(4, 40, "4"));
            let visible = pending.split(&snapshot);
            assert_eq!((visible.keys.len(), visible.row_changes, visible.carried), (1, 3, 1));
            pending.transactions.pop_back();
        }
        pending.confirm();
        assert_eq!(
            (pending.transactions.len(), pending.tell_ahead(1, &snapshot("9:9:")).unwrap().len()),
            (1, 1)
        );
    }

    #[test]
    fn what_the_target_has_already_is_not_told_again() {
        let mut pending = Pending::default();
        pending.leave_out(Some(snapshot("10:12:10")));
        for number in 9..13 {
            pending.push(transaction(number, 100, &number.to_string()));
        }
        for _ in 0..2 {
            pending.begin();
            let mut visible = pending.split(&snapshot("12:12:"));
            assert_eq!(
                (visible.keys.of(0).iter().collect::<Vec<_>>(), visible.row_changes),
                (vec![vec!["10".to_owned()]], 1)
            );
        }
        pending.begin();
        assert_eq!(pending.tell_ahead(1, &snapshot("13:13:")).unwrap().len(), 2);
        assert_eq!(pending.split(&snapshot("13:13:")).carried, 0);
        pending.confirm();
        assert!(pending.is_empty());
    }

    #[test]
    fn a_large_transaction_comes_in_parts() {
        let mut pending = Pending::default();
        let mut whole = transaction(7, 70, "1");
        pending.push(whole.take_part());
        whole.keys.of(0).insert(&["2"]);
        pending.push(whole);
        let visible = pending.split(&snapshot("7:8:7"));
        assert_eq!((visible.keys.len(), visible.carried, pending.oldest_commit()), (0, 1, Some(70)));
        let visible = pending.split(&snapshot("8:8:"));
        assert_eq!((visible.keys.len(), visible.row_changes, visible.carried), (2, 1, 0));
    }

    #[test]
    fn what_comes_before_it_has_ended_waits_and_holds_nothing_back() {
        let mut pending = Pending::default();
        for (number, key) in [(7, "1"), (8, "2"), (7, "3")] {
            pending.push(Transaction { commit_at: None, ..transaction(number, 0, key) });
        }
        assert!(!pending.has_committed() && pending.tell_ahead(1, &snapshot("7:9:7,8")).is_none());
        let none = pending.split(&snapshot("7:9:7,8"));
        assert_eq!((none.keys.len(), none.carried, pending.oldest_commit()), (0, 3, None));
        pending.confirm();
        // Of one that a snapshot sees, the commit need not have come when its keys are told.
        let seen = snapshot("8:9:8");
        assert_eq!(pending.tell_ahead(1, &seen).unwrap().len(), 2);
        pending.abort(8);
        pending.commit(7, 70);
        assert!(pending.has_committed());
        assert_eq!(pending.split(&snapshot("7:9:7")).carried, 2);
        assert_eq!(pending.oldest_commit(), Some(70));
        assert_eq!(pending.split(&seen).carried, 0);
        pending.confirm();
        assert!(pending.is_empty() && pending.bytes == 0);
    }

    #[test]
    fn too_many_transactions_become_one_that_is_given_until_all_of_it_is_seen() {
        let mut pending = Pending::default();
        let most = u32::try_from(MOST).unwrap();
        for number in 100..=100 + most {
            if number == 200 {
                assert!(pending.tell_ahead(1, &snapshot("199:200:199")).is_some());
            }
            pending.push(transaction(number, u64::from(number), "1"));
        }
        // What became one with others that were not told is told again.
        assert_eq!((pending.transactions.len(), pending.told), (MOST / 2 + 2, 0));
        let last = 101 + most;
        let seen_in_part = pending.split(&snapshot(&format!("150:{last}:150")));
        assert!(seen_in_part.carried > 0 && seen_in_part.keys.len() == 1);
        assert_eq!(pending.oldest_commit(), Some(100));
        let seen = pending.split(&snapshot(&format!("{last}:{last}:")));
        assert_eq!((seen.keys.len(), seen.carried), (1, 0));
        pending.confirm();
        assert!(pending.is_empty());
    }

    #[test]
    fn numbers_go_round() {
        let mut merged = transaction(u32::MAX - 1, 5, "1");
        merged.merge(&transaction(7, 9, "2"));
        assert_eq!((merged.first, merged.last, merged.commit_at), (u32::MAX - 1, 7, Some(5)));
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
        let mut visible = pending.split(&snapshot("200:200:"));
        assert!(visible.keys.of(0).is_whole());
        // What has not ended stays apart, and out of every batch.
        let mut pending = Pending::default();
        pending.push(transaction(500, 5, "1"));
        for part in 1..100 {
            let part = transaction(300, 0, &format!("{part}{long}"));
            pending.push(Transaction { commit_at: None, ..part });
            assert!(pending.bytes <= LARGEST);
        }
        let mut visible = pending.split(&snapshot("300:501:300"));
        assert_eq!((visible.keys.of(0).len(), pending.oldest_commit()), (1, None));
        pending.confirm();
        pending.commit(300, 9);
        assert_eq!(pending.split(&snapshot("300:501:300")).carried, 99);
        assert_eq!(pending.oldest_commit(), Some(9));
        assert!(pending.split(&snapshot("501:501:")).keys.of(0).is_whole());
    }
}
