//! From messages to transactions with the keys that they changed. Pure.

use std::collections::HashMap;

use super::pending::Transaction;
use super::pgoutput::{Message, Relation, Tuple, Value};
use crate::error::{Error, Result};
use crate::postgres::feed::CapturedTable;

/// What the prefix of our own messages is.
pub(super) const PREFIX: &str = "confiture";

/// Bytes of keys of one transaction that are kept.
const LARGEST: usize = 64 << 20;

/// Between how many row changes the size of a transaction is looked at.
const LOOK: u64 = 4096;

/// A transaction that was delivered.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) transaction: Transaction,
    /// Where its commit record ends.
    pub(super) end: u64,
    /// What our own message in it says, where there is one.
    pub(super) marker: Option<String>,
}

/// A relation of the stream.
struct Known {
    relation: Relation,
    /// The captured table that it is, or is a partition of; none where that can no longer be found out.
    table: Option<usize>,
    /// Where the key's columns are.
    key: Vec<usize>,
}

/// Collects the keys of the transaction that is being delivered.
pub(super) struct Collector {
    tables: Vec<CapturedTable>,
    /// Which captured table a relation is, or is a partition of.
    table_of: HashMap<u32, Option<usize>>,
    relations: HashMap<u32, Known>,
    current: Option<(Transaction, Option<String>)>,
    /// What our own messages begin with.
    ours: String,
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
        Self { tables, table_of, relations: HashMap::new(), current: None, ours, key: Vec::new() }
    }

    /// True between a transaction's first message and its last.
    pub(super) fn is_underway(&self) -> bool {
        self.current.is_some()
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
    pub(super) fn adopt(&mut self, relation: u32, table: Option<usize>) {
        self.table_of.insert(relation, table);
        self.mark_whole(table);
    }

    /// Takes a message; gives a transaction when it is complete.
    pub(super) fn take(&mut self, message: Message<'_>) -> Result<Option<Delivered>> {
        match message {
            Message::Begin { transaction } => self.current = Some((Transaction::new(transaction), None)),
            Message::Commit { at, end } => {
                let (mut transaction, marker) = self.current.take().ok_or_else(out_of_order)?;
                transaction.commit_at = at;
                return Ok(Some(Delivered { transaction, end, marker }));
            }
            Message::Relation(relation) => self.relation(relation)?,
            Message::Insert { relation, new } => self.change(relation, None, Some(new))?,
            Message::Update { relation, old, new } => self.change(relation, old, Some(new))?,
            Message::Delete { relation, old } => self.change(relation, Some(old), None)?,
            Message::Truncate { relations } => {
                for relation in relations {
                    let table = self.table_of.get(&relation).copied().flatten();
                    self.mark_whole(table);
                }
                self.count()?;
            }
            Message::Note { prefix, content } => {
                if let (true, Some((_, marker)), Ok(content)) =
                    (prefix == PREFIX.as_bytes(), &mut self.current, std::str::from_utf8(content))
                    && let Some(batch) = content.strip_prefix(&self.ours)
                {
                    *marker = Some(batch.to_owned());
                }
            }
            Message::Other => {}
        }
        Ok(None)
    }

    /// `None`: nobody can tell which table, so each that has partitions.
    fn mark_whole(&mut self, table: Option<usize>) {
        let Some((transaction, _)) = &mut self.current else { return };
        for (index, captured) in self.tables.iter().enumerate() {
            if table == Some(index) || (table.is_none() && !captured.partitions.is_empty()) {
                transaction.keys.entry(index).or_default().insert_whole();
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

    fn change(&mut self, relation: u32, old: Option<Tuple<'_>>, new: Option<Tuple<'_>>) -> Result<()> {
        let known = self.relations.get(&relation).ok_or_else(out_of_order)?;
        let Some(table) = known.table else {
            self.mark_whole(None);
            return self.count();
        };
        let (transaction, _) = self.current.as_mut().ok_or_else(out_of_order)?;
        let keys = transaction.keys.entry(table).or_default();
        if !keys.is_whole() {
            for tuple in [old, new].into_iter().flatten() {
                let instead = old.filter(|_| new.is_some());
                if read_key(&known.key, tuple, instead, &mut self.key) {
                    let texts: Vec<&str> = self.key.iter().map(String::as_str).collect();
                    keys.insert(&texts);
                } else {
                    keys.insert_whole();
                }
            }
        }
        self.count()
    }

    /// Counts a change, and bounds what the transaction holds.
    fn count(&mut self) -> Result<()> {
        let (transaction, _) = self.current.as_mut().ok_or_else(out_of_order)?;
        transaction.row_changes += 1;
        if transaction.row_changes.is_multiple_of(LOOK) {
            while transaction.bytes() > LARGEST {
                transaction.collapse_largest();
            }
        }
        Ok(())
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
