//! From a byte of a piece of SQL to its line and column in the mapping file.

use std::collections::BTreeMap;

use super::Mapping;
use crate::config::yaml::{Node, Passage, Value};
use crate::error::Place;

/// The passages of a file that hold SQL, by the place where each piece starts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Passages {
    by_start: BTreeMap<Place, (Passage, usize)>,
}

impl Passages {
    /// Remembers a piece of SQL that starts at the byte `offset` of the node's text; gives its place.
    pub(super) fn keep(&mut self, node: &Node, offset: usize) -> Place {
        let place = node.place_at(offset);
        if let Value::Scalar(scalar) = &node.value {
            self.by_start.insert(place.clone(), (scalar.passage.clone(), offset));
        }
        place
    }
}

impl Mapping {
    /// The line and column of the byte `offset` of the expression, condition or statement that starts at `start`: what the
    /// server says of a position inside a `custom_sql` becomes a place in the user's file.
    #[must_use]
    pub fn place_in(&self, start: &Place, offset: usize) -> Place {
        match self.passages.by_start.get(start) {
            Some((passage, skipped)) => passage.place_at(skipped + offset, start),
            None => start.clone(),
        }
    }
}
