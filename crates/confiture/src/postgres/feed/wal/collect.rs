//! From messages to transactions with the keys that they changed. Pure.

use std::collections::HashMap;

use super::pending::Transaction;
use super::pgoutput::{Message, Relation, Tuple, Value};
use crate::error::{Error, Result};
use crate::postgres::feed::CapturedTable;

/// What the prefix of our own messages is.
pub(super) const PREFIX: &str = "confiture";

/// What our own message says at the beginning of a transaction that carries changes of the other side here: they are none
/// that would have to be carried back.
pub(super) const LEFT_OUT: &str = "carried";

/// Row changes from which on a transaction is given in parts, so that nobody waits for all of it: what fills a set of keys
/// to the brim.
const PART: u64 = if cfg!(feature = "failpoints") { 8 } else { 7 << 11 };

/// What was delivered.
#[derive(Debug)]
pub(super) enum Delivered {
    /// A transaction, and what our own message in it says, where there is one, and where its commit record ends; or a part.
    Changes { transaction: Transaction, marker: Option<(String, u64)> },
    /// The commit of a transaction of which all parts have come before. Its record begins at `at`.
    Commit { number: u32, at: u64, marker: Option<(String, u64)> },
    /// The end of one that has not committed.
    Abort { number: u32 },
}

/// A relation of the stream.
struct Known {
    relation: Relation,
    /// The captured table that it is, or is a partition of; none where that can no longer be found out.
    table: Option<usize>,
    /// Where the key's columns are.
    key: Vec<usize>,
}

/// The transaction of which changes are being delivered.
struct Current {
    transaction: Transaction,
    said: Said,
    /// Whether this is a segment of one that has not ended yet.
    streamed: bool,
}

/// What our own messages in a transaction say.
#[derive(Default)]
struct Said {
    marker: Option<String>,
    /// Whether it is none of the application's.
    is_carried: bool,
}

/// Collects the keys of the transaction that is being delivered.
pub(super) struct Collector {
    tables: Vec<CapturedTable>,
    /// Which captured table a relation is, or is a partition of.
    table_of: HashMap<u32, Option<usize>>,
    relations: HashMap<u32, Known>,
    current: Option<Current>,
    /// What our own messages begin with.
    ours: String,
    /// What they say in the transactions that have not ended yet.
    said: HashMap<u32, Said>,
    /// The key that is being read, to use its memory again.
    key: Vec<String>,
}

impl Collector {
    pub(super) fn new(tables: &[CapturedTable], slot: &str) -> Self {
        let mut table_of = HashMap::new();
        for (index, table) in tables.iter().enumerate() {
            table_of.insert(table.oid, Some(index));
            table_of.extend(table.partitions.iter().map(|(_, oid)| (*oid, Some(index))));
        }
        let (tables, ours) = (tables.to_vec(), format!("{slot}:"));
        let (relations, said) = Default::default();
        Self { tables, table_of, relations, current: None, ours, said, key: Vec::new() }
    }

    /// True between the first message of a transaction, or of a segment of one, and its last.
    pub(super) fn is_underway(&self) -> bool {
        self.current.is_some()
    }

    /// True within a segment of a transaction that has not ended yet.
    pub(super) fn is_streaming(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.streamed)
    }

    /// The captured table with this OID.
    pub(super) fn table(&self, oid: u32) -> Option<usize> {
        self.tables.iter().position(|table| table.oid == oid)
    }

    /// True for a relation of which it is not known which table it belongs to: a partition that is new.
    pub(super) fn is_strange(&self, relation: u32) -> bool {
        !self.table_of.contains_key(&relation)
    }

    /// Learns which table a partition belongs to. It may have come with rows in it: the table counts as changed as a whole.
    pub(super) fn adopt(&mut self, relation: u32, table: Option<usize>) -> Result<()> {
        self.table_of.insert(relation, table);
        self.mark_whole(table);
        match self.relations.remove(&relation) {
            Some(known) => self.relation(known.relation),
            None => Ok(()),
        }
    }

    /// The partitions of which nobody could tell to which table they belong: they may have come with a transaction that had
    /// not ended.
    pub(super) fn orphans(&self) -> Vec<u32> {
        self.table_of.iter().filter(|(_, table)| table.is_none()).map(|(relation, _)| *relation).collect()
    }

    /// Takes a message; gives a transaction when it is complete, or when there is enough of it.
    pub(super) fn take(&mut self, message: Message<'_>) -> Result<Option<Delivered>> {
        match message {
            Message::Begin { at, transaction } => {
                let transaction = Transaction::new(transaction, Some(at));
                self.current = Some(Current { transaction, said: Said::default(), streamed: false });
            }
            Message::Commit { end } => {
                let Current { transaction, said, .. } = self.current.take().ok_or_else(out_of_order)?;
                let marker = said.marker.map(|marker| (marker, end));
                return Ok(Some(Delivered::Changes { transaction, marker }));
            }
            Message::StreamStart { transaction: number, first } => {
                let mut transaction = Transaction::new(number, None);
                transaction.count = usize::from(first);
                let said = self.said.remove(&number).unwrap_or_default();
                self.current = Some(Current { transaction, said, streamed: true });
            }
            Message::StreamStop => {
                let Current { transaction, said, .. } = self.current.take().ok_or_else(out_of_order)?;
                self.said.insert(transaction.first, said);
                return Ok(Some(Delivered::Changes { transaction, marker: None }));
            }
            Message::StreamCommit { transaction: number, at, end } => {
                let said = self.said.remove(&number).unwrap_or_default();
                let marker = said.marker.map(|marker| (marker, end));
                return Ok(Some(Delivered::Commit { number, at, marker }));
            }
            Message::StreamAbort { transaction: number, part } => {
                // The keys of a savepoint stay: to be told of one that did not change is harmless.
                if number == part {
                    self.said.remove(&number);
                    return Ok(Some(Delivered::Abort { number }));
                }
            }
            Message::Relation(relation) => self.relation(relation)?,
            Message::Insert { relation, new } => return self.change(relation, [None, Some(new)], true),
            Message::Update { relation, old, new } => return self.change(relation, [old, Some(new)], false),
            Message::Delete { relation, old } => return self.change(relation, [Some(old), None], false),
            Message::Truncate { relations } => {
                for relation in relations {
                    let table = self.table_of.get(&relation).copied().flatten();
                    if !self.is_carried() {
                        self.mark_whole(table);
                    }
                }
                return self.count();
            }
            Message::Note { prefix, content } => {
                if let (true, Some(current), Ok(content)) =
                    (prefix == PREFIX.as_bytes(), &mut self.current, std::str::from_utf8(content))
                    && let Some(said) = content.strip_prefix(&self.ours)
                {
                    match said {
                        LEFT_OUT => current.said.is_carried = true,
                        batch => current.said.marker = Some(batch.to_owned()),
                    }
                }
            }
            Message::Other => {}
        }
        Ok(None)
    }

    /// Whether what is being delivered is none of the application's.
    fn is_carried(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.said.is_carried)
    }

    /// `None`: nobody can tell which table, so each that has partitions. Also where a transaction that carries is the first
    /// to show that a table was altered, or has got a partition.
    fn mark_whole(&mut self, table: Option<usize>) {
        let Some(Current { transaction, .. }) = &mut self.current else { return };
        for (index, captured) in self.tables.iter().enumerate() {
            if table == Some(index) || (table.is_none() && !captured.partitions.is_empty()) {
                transaction.keys.of(index).insert_whole();
            }
        }
    }

    fn relation(&mut self, relation: Relation) -> Result<()> {
        let table = self.table_of.get(&relation.oid).copied().flatten();
        let altered = self.relations.get(&relation.oid).is_some_and(|known| known.relation != relation);
        let mut key = Vec::new();
        if let Some(table) = table.map(|index| &self.tables[index]) {
            for column in &table.key {
                let at = relation.columns.iter().position(|(name, ..)| name == column.name.as_str());
                key.push(at.ok_or_else(|| {
                    Error::refused(format!(
                        "the column {} of {}, by which its changes are known, is gone",
                        column.name, table.name
                    ))
                    .hint("a table must keep its key while it is being migrated: undo the change, or begin anew")
                })?);
            }
        }
        if altered {
            // A column of another type: all rows may have changed, and the stream does not say so.
            self.mark_whole(table);
        }
        self.relations.insert(relation.oid, Known { relation, table, key });
        Ok(())
    }

    /// Takes the keys of a row's old and new state.
    fn change(
        &mut self,
        relation: u32,
        [old, new]: [Option<Tuple<'_>>; 2],
        inserted: bool,
    ) -> Result<Option<Delivered>> {
        if self.is_carried() {
            return Ok(None);
        }
        let known = self.relations.get(&relation).ok_or_else(out_of_order)?;
        let Some(table) = known.table else {
            self.mark_whole(None);
            return self.count();
        };
        let current = self.current.as_mut().ok_or_else(out_of_order)?;
        let keys = current.transaction.keys.of(table);
        for tuple in [old, new].into_iter().flatten() {
            let instead = old.filter(|_| new.is_some());
            if !read_key(&known.key, tuple, instead, &mut self.key) {
                keys.insert_whole();
                continue;
            }
            let texts: Vec<&str> = self.key.iter().map(String::as_str).collect();
            match inserted {
                true => keys.insert_new(&texts),
                false => keys.insert(&texts),
            }
        }
        self.count()
    }

    /// Counts a change; gives a part of a large transaction.
    fn count(&mut self) -> Result<Option<Delivered>> {
        let Current { transaction, said, .. } = self.current.as_mut().ok_or_else(out_of_order)?;
        if said.is_carried {
            return Ok(None);
        }
        transaction.row_changes += 1;
        if transaction.row_changes < PART {
            return Ok(None);
        }
        Ok(Some(Delivered::Changes { transaction: transaction.take_part(), marker: None }))
    }
}

/// Reads a key into `key`. A value that is stored out of line and did not change is that of the old row; false where that is
/// not there either, or is no text that we could send back.
fn read_key(columns: &[usize], tuple: Tuple<'_>, old: Option<Tuple<'_>>, key: &mut Vec<String>) -> bool {
    key.resize_with(columns.len(), String::new);
    let mut found = 0;
    for (at, value) in tuple.values().enumerate() {
        let Some(position) = columns.iter().position(|column| *column == at) else { continue };
        let value = match value {
            Value::Unchanged => old.and_then(|old| old.values().nth(at)).unwrap_or(Value::Unchanged),
            value => value,
        };
        let Value::Text(text) = value else { return false };
        let Ok(text) = std::str::from_utf8(text) else { return false };
        key[position].clear();
        key[position].push_str(text);
        found += 1;
        if found == columns.len() {
            return true;
        }
    }
    false
}

fn out_of_order() -> Error {
    Error::unexpected("the replication stream is out of order")
        .hint("connect to the server itself instead of to a pooler")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::QualifiedName;

    #[test]
    fn what_is_carried_is_left_out_but_not_that_a_partition_came() {
        let table = |oid, name| CapturedTable {
            name: QualifiedName::new("new", name),
            oid,
            key: Vec::new(),
            partitions: Vec::new(),
        };
        let mut collector = Collector::new(&[table(1, "one"), table(2, "two")], "slot");
        for message in [
            Message::Begin { at: 7, transaction: 8 },
            Message::Note { prefix: b"confiture", content: b"slot:carried" },
            Message::Truncate { relations: vec![1] },
        ] {
            assert!(collector.take(message).unwrap().is_none());
        }
        collector.adopt(3, Some(1)).unwrap();
        let delivered = collector.take(Message::Commit { end: 9 }).unwrap().unwrap();
        let Delivered::Changes { transaction, .. } = delivered else { panic!("a transaction") };
        let keys = transaction.keys.into_tables(2);
        assert_eq!([keys[0].is_empty(), keys[1].is_whole()], [true, true]);
    }
}
