//! YAML files as data that remembers where every piece stands, so that an error can say file, line and column.
//!
//! This is YAML 1.2 with the parts left out that surprise people: a plain word is text unless it is `null`, `~` or nothing
//! (`no`, `on` and `1.10` stay what was written), whoever reads a value says what type it must have, and duplicate keys,
//! merge keys, tags and several documents in a file are errors.
//!
//! ```
//! # use confiture::config::yaml;
//! let file = yaml::parse("name: local\nport: 5432\n", "db/local.yaml".as_ref())?;
//! let mut fields = file.fields()?;
//! assert_eq!(fields.take_required("name")?.as_text()?, "local");
//! let port = fields.take("port").map(|port| port.as_u64()).transpose()?;
//! fields.finish()?; // any other key is an error at its place
//! # assert_eq!(port, Some(5432));
//! # Ok::<(), confiture::Error>(())
//! ```

mod fields;
mod passage;
mod quote;
mod reader;
mod scalar;
#[cfg(test)]
mod tests;

pub use fields::Fields;
pub use passage::Passage;
pub use quote::{render_key, render_text};
pub use reader::parse;
pub use scalar::parse_duration;

use crate::config::Spanned;
use crate::error::{Error, Place, Result};

/// A piece of a file and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What is there.
    pub value: Value,
    /// Where it starts: a block at its first character. Nothing at all stands where its key is.
    pub place: Place,
    /// Which keys lead to it: `tables.users.columns`. Empty for the whole file.
    pub path: String,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// One value; its type is said by whoever reads it.
    Scalar(Scalar),
    /// `[a, b]`, or lines that start with `-`.
    List(Vec<Node>),
    /// `{a: b}`, or lines `a: b`, in the file's order.
    Map(Vec<Entry>),
}

/// One value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The text, without quotes and with escapes undone.
    pub text: String,
    /// False where quotes or a block (`|`, `>`) say that it is text.
    pub plain: bool,
    /// Where each piece of the text stands in the file.
    pub passage: Passage,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key; always text.
    pub key: String,
    /// Where the key starts.
    pub place: Place,
    /// The value.
    pub value: Node,
}

impl Entry {
    /// The key with its place.
    #[must_use]
    pub fn spanned_key(&self) -> Spanned<String> {
        Spanned::at(self.place.clone(), self.key.clone())
    }
}

impl Node {
    /// True for nothing, `~` and `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The items of a list; none where nothing is written.
    pub fn as_list(&self) -> Result<&[Node]> {
        match &self.value {
            Value::Null => Ok(&[]),
            Value::List(items) => Ok(items),
            _ => Err(self.must_be("a list")),
        }
    }

    /// The keys and values of a map whose keys are the user's own; none where nothing is written.
    pub fn as_map(&self) -> Result<&[Entry]> {
        match &self.value {
            Value::Null => Ok(&[]),
            Value::Map(entries) => Ok(entries),
            _ => Err(self.must_be("a map of `key: value`")),
        }
    }

    /// A map whose keys are known beforehand, to take apart.
    pub fn fields(&self) -> Result<Fields<'_>> {
        Ok(Fields::new(self, self.as_map()?))
    }

    /// The value of a key, where this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            _ => None,
        }
    }

    /// An error about this piece, at its place.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::config(message).at(self.place.clone())
    }

    /// The error that this piece is not what it must be.
    #[must_use]
    pub fn must_be(&self, expected: &str) -> Error {
        let found = match &self.value {
            Value::Null => "but nothing is written".to_owned(),
            Value::List(_) => "not a list".to_owned(),
            Value::Map(_) => "not a map".to_owned(),
            Value::Scalar(scalar) if scalar.text.is_empty() => "not empty text".to_owned(),
            Value::Scalar(scalar) => format!("not `{}`", shortened(&scalar.text)),
        };
        self.error(format!("{} must be {expected}, {found}", self.called()))
    }

    /// What an error calls this piece: its path in backticks.
    #[must_use]
    pub fn called(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.path) }
    }
}

/// The first words of a text, for an error of one line.
fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    let line = text.lines().next().unwrap_or_default();
    if line.len() == text.len() && line.chars().count() <= MOST {
        return line.to_owned();
    }
    format!("{}…", line.chars().take(MOST).collect::<String>().trim_end())
}
