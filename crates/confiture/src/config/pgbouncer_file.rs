//! `pgbouncer.ini`, as far as the entry of one database: where it stands, where it leads, and the same led elsewhere.
//!
//! Read as PgBouncer reads it: comments are whole lines, a value ends with its line, `%include` goes on in another file
//! with the section that was open. Everything but the three keys of a [`Destination`] stays byte for byte.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Connection, Endpoint};
use crate::error::{Error, Place, Result};

/// Where an entry of `[databases]` leads: the keys of it, `None` where the entry has no such key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Destination {
    /// A host name, an address, the folder of a Unix socket. PgBouncer's default: its own Unix socket folder.
    pub host: Option<String>,
    /// The port. PgBouncer's default: 5432.
    pub port: Option<u16>,
    /// The database's name at the server. PgBouncer's default: the entry's name.
    pub dbname: Option<String>,
}

impl Destination {
    /// All three keys.
    pub fn new(host: impl Into<String>, port: u16, dbname: impl Into<String>) -> Self {
        Self { host: Some(host.into()), port: Some(port), dbname: Some(dbname.into()) }
    }

    /// Where that connection leads, by its first endpoint.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        let first = connection.endpoints.first().cloned().unwrap_or_else(|| Endpoint::new("localhost", 5432));
        Self::new(first.host, first.port, &connection.database)
    }

    fn keys(&self) -> [(&'static str, Option<String>); 3] {
        let port = self.port.map(|port| port.to_string());
        [("host", self.host.clone()), ("port", port), ("dbname", self.dbname.clone())]
    }
}

/// `host=/run/postgresql port=5432 dbname=shop`
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys =
            self.keys().into_iter().filter_map(|(key, value)| Some(format!("{key}={}", quote(&value?))));
        f.write_str(&keys.collect::<Vec<_>>().join(" "))
    }
}

/// A piece of a `pgbouncer.ini` that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// `%include FILE`
    Include {
        /// As it stands there.
        path: PathBuf,
        /// Where the directive stands.
        place: Place,
    },
    /// The entry of the database asked for.
    Entry(EntryLine),
}

/// The entry of one database, in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryLine {
    /// Where its name stands.
    pub(crate) place: Place,
    /// What follows `=`, in the text.
    value: Range<usize>,
    pairs: Vec<Pair>,
}

/// `key=value`
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    key: String,
    value: String,
    /// From the key's first byte to the value's last.
    whole: Range<usize>,
    /// The value with its quotes.
    written: Range<usize>,
}

/// The key is not named: it may be a piece of a password.
const NO_VALUE: &str = "an entry is made of `key=value`, and here is no value";

/// Reads one text, piece by piece: an include may open another section for what follows.
pub(crate) struct Pieces<'a> {
    reader: Reader<'a>,
    database: &'a str,
}

impl<'a> Pieces<'a> {
    /// A reader of what `text`, the content of `file`, says of `database`.
    pub(crate) fn new(text: &'a str, file: &'a Path, database: &'a str) -> Self {
        Self { reader: Reader { text, file, at: 0 }, database }
    }

    /// The next piece; `section` is the one that is open, before and after.
    pub(crate) fn next(&mut self, section: &mut String) -> Result<Option<Piece>> {
        let reader = &mut self.reader;
        loop {
            reader.skip(|byte| byte.is_ascii_whitespace() || byte == b'\x0b');
            match reader.rest().as_bytes() {
                [] => return Ok(None),
                [b'#' | b';', ..] => reader.at = reader.line_end(),
                [b'%', b'i', b'n', b'c', b'l', b'u', b'd', b'e', b' ' | b'\t', ..] => {
                    let place = reader.place(reader.at);
                    let line = reader.at + "%include".len()..reader.line_end();
                    reader.at = line.end;
                    return Ok(Some(Piece::Include { path: reader.text[line].trim().into(), place }));
                }
                [b'[', ..] => *section = reader.section()?,
                _ => {
                    let start = reader.at;
                    let name = reader.name()?;
                    let value = reader.value(start)?;
                    if section == "databases" && name == self.database {
                        let (place, pairs) = (reader.place(start), reader.pairs(value.clone())?);
                        return Ok(Some(Piece::Entry(EntryLine { place, value, pairs })));
                    }
                }
            }
        }
    }
}

impl EntryLine {
    /// Where the entry leads.
    ///
    /// # Errors
    ///
    /// A port that is none.
    pub(crate) fn destination(&self) -> Result<Destination> {
        let value = |key: &str| self.last(key).map(|pair| pair.value.clone());
        let port = value("port").map(|text| text.parse::<u16>());
        let port = port
            .transpose()
            .map_err(|_| Error::config("`port` must be a number from 1 to 65535").at(self.place.clone()))?;
        Ok(Destination { host: value("host"), port, dbname: value("dbname") })
    }

    /// The text with this entry leading elsewhere: a key that was there gets its new value where it stands, a new one comes
    /// last, and one that `to` does not have goes.
    ///
    /// # Errors
    ///
    /// A value that a `pgbouncer.ini` cannot hold.
    pub(crate) fn lead(&self, text: &str, to: &Destination) -> Result<String> {
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        let mut added = String::new();
        for (key, value) in to.keys() {
            if let Some(wrong) =
                value.as_deref().filter(|value| value.is_empty() || value.contains(['\n', '\r', '\0']))
            {
                let what = if wrong.is_empty() { "an empty value" } else { "a value with a line break" };
                return Err(Error::config(format!("pgbouncer.ini cannot hold {what} for `{key}`")));
            }
            match (self.last(key), value) {
                (Some(pair), Some(value)) if pair.value != value => {
                    let was_quoted = text[pair.written.clone()].starts_with('\'');
                    let value = if was_quoted { quoted(&value) } else { quote(&value) };
                    changes.push((pair.written.clone(), value));
                }
                (None, Some(value)) => {
                    if !added.is_empty() || !self.pairs.is_empty() || self.value.is_empty() {
                        added.push(' ');
                    }
                    added.push_str(&format!("{key}={}", quote(&value)));
                }
                (Some(_), None) => {
                    let gone = self.pairs.iter().filter(|pair| pair.key == key);
                    changes.extend(gone.map(|pair| (with_space(text, pair, &self.value), String::new())));
                }
                _ => {}
            }
        }
        changes.push((self.value.end..self.value.end, added));
        changes.sort_by_key(|(range, _)| range.start);
        let mut led = String::with_capacity(text.len() + 64);
        let mut at = 0;
        for (range, new) in changes {
            led.push_str(text.get(at..range.start).unwrap_or_default());
            led.push_str(&new);
            at = range.end.max(at);
        }
        led.push_str(&text[at..]);
        Ok(led)
    }

    /// Of a key that stands there twice, PgBouncer takes the last.
    fn last(&self, key: &str) -> Option<&Pair> {
        self.pairs.iter().rfind(|pair| pair.key == key)
    }
}

/// A pair, and the space before it; of the first one, nothing before.
fn with_space(text: &str, pair: &Pair, value: &Range<usize>) -> Range<usize> {
    let before = text[value.start..pair.whole.start].trim_end().len() + value.start;
    let is_first = before == value.start;
    if is_first { pair.whole.clone() } else { before..pair.whole.end }
}

/// A value as it must stand there.
fn quote(value: &str) -> String {
    let plain = !value.starts_with('\'') && !value.contains(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    if plain { value.to_owned() } else { quoted(value) }
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

struct Reader<'a> {
    text: &'a str,
    file: &'a Path,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip(&mut self, fits: impl Fn(u8) -> bool) {
        self.at += self.rest().bytes().take_while(|byte| fits(*byte)).count();
    }

    fn line_end(&self) -> usize {
        self.rest().find('\n').map_or(self.text.len(), |length| self.at + length)
    }

    fn place(&self, at: usize) -> Place {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place { file: self.file.to_owned(), line, column }
    }

    fn wrong(&self, at: usize, message: &str) -> Error {
        Error::config(message).at(self.place(at)).hint("PgBouncer does not load such a file: see its log")
    }

    /// `[databases]`, read up to behind the bracket.
    fn section(&mut self) -> Result<String> {
        let line = &self.text[self.at + 1..self.line_end()];
        let Some(length) = line.find(']') else {
            return Err(self.wrong(self.at, "the name of a section ends with `]`"));
        };
        self.at += length + 2;
        Ok(line[..length].to_owned())
    }

    /// A name, as it is or in double quotes.
    fn name(&mut self) -> Result<String> {
        let start = self.at;
        if !self.rest().starts_with('"') {
            self.skip(|byte| byte.is_ascii_alphanumeric() || b"_.-*".contains(&byte));
            return Ok(self.text[start..self.at].to_owned());
        }
        let mut name = String::new();
        let line = &self.text[start + 1..self.line_end()];
        let mut letters = line.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            if letter != '"' || letters.next_if(|(_, next)| *next == '"').is_some() {
                name.push(letter);
                continue;
            }
            self.at = start + 1 + at + 1;
            return Ok(name);
        }
        Err(self.wrong(start, "a name in double quotes ends on its line"))
    }

    /// `= value`, without the space around it. Nothing is left of the line then.
    fn value(&mut self, start: usize) -> Result<Range<usize>> {
        let blank = |byte| matches!(byte, b' ' | b'\t');
        self.skip(blank);
        if !self.rest().starts_with('=') {
            return Err(self.wrong(start, "there is neither a section, a comment nor `key = value` here"));
        }
        self.at += 1;
        self.skip(blank);
        let (begin, end) = (self.at, self.line_end());
        let length =
            self.text[begin..end].trim_end_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b').len();
        self.at = end;
        Ok(begin..begin + length)
    }

    /// The pairs of an entry.
    fn pairs(&self, value: Range<usize>) -> Result<Vec<Pair>> {
        let mut inner = Reader { text: &self.text[..value.end], file: self.file, at: value.start };
        let space = |byte: u8| byte.is_ascii_whitespace() || byte == b'\x0b';
        let mut pairs = Vec::new();
        loop {
            inner.skip(space);
            let start = inner.at;
            if inner.rest().is_empty() {
                return Ok(pairs);
            }
            inner.skip(|byte| byte != b'=' && !space(byte));
            let key = inner.text[start..inner.at].to_owned();
            inner.skip(space);
            if !inner.rest().starts_with('=') {
                return Err(self
                    .wrong(start, NO_VALUE)
                    .hint("a comment stands on a line of its own, and begins with `;` or `#`"));
            }
            inner.at += 1;
            inner.skip(space);
            let (begin, value) = (inner.at, inner.pair_value()?);
            if value.is_empty() {
                return Err(self.wrong(start, NO_VALUE));
            }
            pairs.push(Pair { key, value, whole: start..inner.at, written: begin..inner.at });
        }
    }

    /// A value: up to the next space, or in single quotes.
    fn pair_value(&mut self) -> Result<String> {
        let start = self.at;
        if !self.rest().starts_with('\'') {
            self.skip(|byte| !byte.is_ascii_whitespace() && byte != b'\x0b');
            return Ok(self.text[start..self.at].to_owned());
        }
        let mut value = String::new();
        let mut letters = self.rest()[1..].char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            if letter != '\'' || letters.next_if(|(_, next)| *next == '\'').is_some() {
                value.push(letter);
                continue;
            }
            if letters.peek().is_some_and(|(_, next)| !next.is_whitespace()) {
                return Err(self.wrong(start, "a value in single quotes ends with its quote"));
            }
            self.at = start + 1 + at + 1;
            return Ok(value);
        }
        Err(self.wrong(start, "a value in single quotes ends on its line"))
    }
}

#[cfg(test)]
mod tests;
