//! A map whose keys are known beforehand.

use super::{Entry, Node};
use crate::error::{Error, Result};

/// A map that is taken apart key by key; what is left over at the end was misspelt.
#[derive(Debug)]
pub struct Fields<'a> {
    map: &'a Node,
    left: Vec<&'a Entry>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(map: &'a Node, entries: &'a [Entry]) -> Self {
        Self { map, left: entries.iter().collect(), known: Vec::new() }
    }

    /// The value of `key`, where the key is there. Nothing may be written behind it: see [`Node::is_null`].
    pub fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.take_entry(key).map(|entry| &entry.value)
    }

    /// The key with its place and its value.
    pub fn take_entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.known.push(key);
        let index = self.left.iter().position(|entry| entry.key == key)?;
        Some(self.left.remove(index))
    }

    /// The value of a key that must be there.
    pub fn take_required(&mut self, key: &'static str) -> Result<&'a Node> {
        self.take(key).ok_or_else(|| self.map.error(format!("{} has no `{key}`", self.map.called())))
    }

    /// The entries whose keys are the user's own, told from the known ones by what they hold.
    pub fn take_where(&mut self, wanted: impl FnMut(&&'a Entry) -> bool) -> Vec<&'a Entry> {
        let (taken, left) = std::mem::take(&mut self.left).into_iter().partition(wanted);
        self.left = left;
        taken
    }

    /// The keys that nobody has taken yet.
    #[must_use]
    pub fn left(&self) -> &[&'a Entry] {
        &self.left
    }

    /// The error for the first key that nobody took, where there is one.
    pub fn finish(self) -> Result<()> {
        match self.left.first() {
            None => Ok(()),
            Some(entry) => Err(self.unknown(entry)),
        }
    }

    /// The error that a key means nothing here: with the keys that would, and the one that was probably meant.
    #[must_use]
    fn unknown(&self, entry: &Entry) -> Error {
        let place = if self.map.path.is_empty() { String::new() } else { format!(" in `{}`", self.map.path) };
        Error::config(format!("unknown key `{}`{place}", entry.key))
            .at(entry.place.clone())
            .did_you_mean(&entry.key, self.known.iter().copied())
            .hint(format!("known keys: {}", self.known.join(", ")))
    }
}
