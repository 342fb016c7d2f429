//! Rows of a COPY stream, masked on their way: fields without a rule are copied byte by byte.

use std::borrow::Cow;
use std::cell::RefCell;

use crate::error::{Error, Result};
use crate::sql::hexadecimal;
use crate::sync::compile::{Compiled, Program};
use crate::sync::fingerprint::{of_source, of_value};
use crate::sync::mask::{Mask, Row, Shuffle, Unfit, Wire};
use crate::sync::plan::{CopyFormat, TablePlan};
use crate::sync::shuffle::lonely;

/// How COPY's binary format begins.
pub(crate) const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, and the length of an extension that does not exist.
pub(crate) const HEADER: usize = SIGNATURE.len() + 8;

/// Masks the rows of one table.
pub(crate) struct Masker<'a> {
    table: &'a TablePlan,
    columns: &'a [Compiled],
    wires: Vec<Wire>,
    key: &'a [usize],
    width: usize,
    /// Which fields are hashes of originals, sent in their place.
    hashes: std::ops::Range<usize>,
    seed: Option<u64>,
    text: String,
    field: Vec<u8>,
    inner: RefCell<Vec<String>>,
    /// For each shuffled column: whether the last row's value takes part.
    takes_part: Vec<bool>,
    /// What tells the last row from others, where that is asked.
    identity: Vec<u8>,
    /// Fingerprints that were gathered.
    pub(crate) fingerprints: Vec<u64>,
    /// Per column: values that were masked, and those whose mask is the value.
    pub(crate) counts: Vec<Count>,
}

/// What became of a column's values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// Values that a rule was applied to.
    pub masked: u64,
    /// Of those, the ones that came out as they went in.
    pub unchanged: u64,
}

impl<'a> Masker<'a> {
    /// `seed`: gather fingerprints of originals with it. The last `hashes` fields are fingerprints that the source made.
    pub(crate) fn new(table: &'a TablePlan, program: &'a Program, seed: Option<u64>, hashes: usize) -> Self {
        let all = program.columns.len() + program.extra.len() + hashes;
        let extra = program.extra.iter().map(|(_, wire)| *wire);
        let mut wires: Vec<Wire> = program.columns.iter().map(|column| column.wire).chain(extra).collect();
        if table.format == CopyFormat::Text {
            wires.fill(Wire::Text);
        }
        Self {
            table,
            columns: &program.columns,
            wires,
            key: &program.key,
            width: all,
            hashes: all - hashes..all,
            seed,
            text: String::new(),
            field: Vec::new(),
            inner: RefCell::default(),
            takes_part: vec![false; shuffles(&program.columns).count()],
            identity: Vec::new(),
            fingerprints: Vec::new(),
            counts: vec![Count::default(); program.columns.len()],
        }
    }

    /// The columns whose values change their rows.
    pub(crate) fn shuffles(&self) -> Vec<(usize, &'a Shuffle)> {
        shuffles(self.columns).collect()
    }

    /// Of the row that was masked last: what tells it from others, and which shuffled values take part.
    pub(crate) fn last_row(&self) -> (Vec<u8>, Vec<bool>) {
        (self.identity.clone(), self.takes_part.clone())
    }

    /// The error that a value has nobody to change places with.
    pub(crate) fn lonely(&self, column: usize) -> Error {
        lonely(&self.table.table.short(), &self.table.columns[column].name.to_string())
    }

    /// Notes which values of a row change places.
    fn note_shuffles(&mut self, fields: &[Option<&[u8]>]) {
        if self.takes_part.is_empty() {
            return;
        }
        self.identity = Row::new(fields, &self.wires, self.key).identity();
        for (at, (index, _)) in shuffles(self.columns).enumerate() {
            let holds = self.columns[index].when.is_none_or(|when| is_true(fields[when]));
            let value = fields[index].filter(|value| !value.is_empty() && holds);
            self.takes_part[at] = value.is_some();
            let Some(value) = value else { continue };
            self.counts[index].masked += 1;
            if let (Some(seed), Wire::Text) = (self.seed, self.wires[index])
                && let Ok(value) = std::str::from_utf8(value)
            {
                of_value(value, seed, &mut self.fingerprints);
            }
        }
    }

    /// True where rows may pass as they are.
    pub(crate) fn passes(&self) -> bool {
        self.width == self.columns.len() && self.columns.iter().all(|column| column.mask.is_none())
    }

    /// Masks one row of the binary format: without header, and not the trailer.
    pub(crate) fn binary(&mut self, tuple: &[u8], out: &mut Vec<u8>) -> Result<()> {
        // On the stack: most tables have fewer columns than this.
        let mut few: [Option<&[u8]>; 32] = [None; 32];
        let mut many: Vec<Option<&[u8]>> = Vec::new();
        let fields: &mut [Option<&[u8]>] = if self.width <= few.len() {
            &mut few[..self.width]
        } else {
            many.resize(self.width, None);
            &mut many
        };
        let broken = || {
            Error::unexpected(format!("a row of {} has another form than COPY's", self.table.table.short()))
        };
        let (count, mut rest) = tuple.split_at_checked(2).ok_or_else(broken)?;
        if usize::from(u16::from_be_bytes([count[0], count[1]])) != self.width {
            return Err(broken());
        }
        for field in fields.iter_mut() {
            let (length, after) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
            match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => {
                    let (bytes, after) = after.split_at_checked(length).ok_or_else(broken)?;
                    *field = Some(bytes);
                    rest = after;
                }
                Err(_) => rest = after,
            }
        }
        if !rest.is_empty() {
            return Err(broken());
        }
        self.note_shuffles(fields);
        out.extend((self.columns.len() as u16).to_be_bytes());
        for index in 0..self.columns.len() {
            match self.masked(index, fields)? {
                Written::Same => put_binary(fields[index], out),
                Written::Null => put_binary(None, out),
                Written::New => put_binary(Some(&self.field), out),
            }
        }
        self.take_hashes(fields);
        Ok(())
    }

    /// Masks one line of the text format, which ends with a line feed.
    pub(crate) fn line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let raw: Vec<&[u8]> =
            if self.width == 0 { Vec::new() } else { line.split(|byte| *byte == b'\t').collect() };
        if raw.len() != self.width {
            return Err(Error::unexpected(format!(
                "a row of {} has another form than COPY's",
                self.table.table.short()
            )));
        }
        let plain: Vec<Option<Cow<'_, [u8]>>> =
            raw.iter().map(|field| (*field != b"\\N").then(|| unescape(field))).collect();
        let fields: Vec<Option<&[u8]>> = plain.iter().map(Option::as_deref).collect();
        self.note_shuffles(&fields);
        for (index, same) in raw.iter().enumerate().take(self.columns.len()) {
            if index > 0 {
                out.push(b'\t');
            }
            match self.masked(index, &fields)? {
                Written::Same => out.extend_from_slice(same),
                Written::Null => out.extend_from_slice(b"\\N"),
                Written::New => escape(&self.field, out),
            }
        }
        out.push(b'\n');
        self.take_hashes(&fields);
        Ok(())
    }

    fn take_hashes(&mut self, fields: &[Option<&[u8]>]) {
        for bytes in fields[self.hashes.clone()].iter().flatten() {
            self.fingerprints.extend(self.hash_in(bytes));
        }
    }

    /// Computes a field's mask into `self.field`.
    fn masked(&mut self, index: usize, fields: &[Option<&[u8]>]) -> Result<Written> {
        let column = &self.columns[index];
        let Some(mask) = &column.mask else { return Ok(Written::Same) };
        if let Some(when) = column.when
            && !is_true(fields[when])
        {
            return Ok(Written::Same);
        }
        if mask.as_shuffle().is_some() {
            return Ok(Written::Same);
        }
        let wire = self.wires[index];
        let value = match fields[index] {
            None if column.fill => Cow::Borrowed(""),
            None => return Ok(Written::Same),
            Some(bytes) => wire
                .read(bytes)
                .ok_or_else(|| self.unfit(index, fields, Unfit("is not what its type says")))?,
        };
        if value.is_empty() && !column.fill && matches!(wire, Wire::Text) {
            return Ok(Written::Same);
        }
        if let (Some(seed), true, true) = (self.seed, column.sent_raw, leaves_trace(mask)) {
            of_value(&value, seed, &mut self.fingerprints);
        }
        self.text.clear();
        let inner = self.seed.and(Some(&self.inner));
        let row = Row::new(fields, &self.wires, self.key).noting(inner);
        let written = if column.array {
            array(mask, &value, &row, &mut self.text).map(|()| true)
        } else {
            mask.apply(&value, &row, &mut self.text)
        };
        let written = match written {
            Ok(written) => written,
            Err(unfit) => return Err(self.unfit(index, fields, unfit)),
        };
        self.counts[index].masked += 1;
        if let Some(seed) = self.seed {
            for original in self.inner.borrow_mut().drain(..) {
                of_value(&original, seed, &mut self.fingerprints);
            }
        }
        if !written {
            return Ok(Written::Null);
        }
        if self.is_unchanged(column, &value, fields) {
            self.counts[index].unchanged += 1;
        }
        self.field.clear();
        wire.write(&self.text, &mut self.field)
            .ok_or_else(|| self.unfit(index, fields, Unfit("does not fit its type once masked")))?;
        Ok(Written::New)
    }

    /// True where a mask came out as the value that went in, or that the source has kept to itself.
    fn is_unchanged(&self, column: &Compiled, value: &str, fields: &[Option<&[u8]>]) -> bool {
        if column.sent_raw {
            return self.text == value && has_substance(value, column.array);
        }
        let (Some(seed), Some(hashed)) = (self.seed, column.hashed) else { return false };
        let sent = fields[self.hashes.start + hashed].and_then(|bytes| self.hash_in(bytes));
        sent.is_some() && sent == of_source(&self.text, seed)
    }

    /// A fingerprint that the source has made.
    fn hash_in(&self, bytes: &[u8]) -> Option<u64> {
        match self.table.format {
            CopyFormat::Binary => bytes.try_into().ok().map(u64::from_be_bytes),
            CopyFormat::Text => std::str::from_utf8(bytes).ok()?.parse::<i64>().ok().map(i64::cast_unsigned),
        }
    }

    /// The error that a value cannot be masked: table, column and a hash of the row's key, never the value.
    fn unfit(&self, index: usize, fields: &[Option<&[u8]>], unfit: Unfit) -> Error {
        let name = &self.table.columns[index].name;
        let mut message = format!("a value of {}.{name} {}", self.table.table.short(), unfit.0);
        let identity = Row::new(fields, &self.wires, self.key).identity();
        if !identity.is_empty() {
            let hash = crate::sync::fingerprint::hash(&identity, 0);
            message.push_str(&format!(" (row {})", hexadecimal(&hash.to_be_bytes()[..4])));
        }
        Error::config(message).hint("nothing was changed: choose another rule for the column")
    }
}

fn shuffles(columns: &[Compiled]) -> impl Iterator<Item = (usize, &Shuffle)> {
    columns.iter().enumerate().filter_map(|(at, column)| Some((at, column.mask.as_ref()?.as_shuffle()?)))
}

/// A condition, as either format has it.
fn is_true(field: Option<&[u8]>) -> bool {
    matches!(field, Some([1] | [b't']))
}

/// False for what no mask changes: `--`, `{}`, `{NULL}`.
fn has_substance(value: &str, array: bool) -> bool {
    let inside = |text: &str| text.chars().any(char::is_alphanumeric);
    if array { inside(&value.replace("NULL", "")) } else { inside(value) }
}

/// Places in documents and redacted texts keep most of the original on purpose.
fn leaves_trace(mask: &Mask) -> bool {
    #[cfg(feature = "failpoints")]
    if let Mask::Broken(mask) = mask {
        return leaves_trace(mask);
    }
    !matches!(mask, Mask::Json(_) | Mask::Redact(_) | Mask::Integer(..) | Mask::Uuid(_) | Mask::Noise(..))
}

enum Written {
    Same,
    Null,
    New,
}

fn put_binary(field: Option<&[u8]>, out: &mut Vec<u8>) {
    match field {
        None => out.extend((-1_i32).to_be_bytes()),
        Some(bytes) => {
            out.extend((bytes.len() as i32).to_be_bytes());
            out.extend_from_slice(bytes);
        }
    }
}

pub(crate) fn unescape(field: &[u8]) -> Cow<'_, [u8]> {
    if !field.contains(&b'\\') {
        return Cow::Borrowed(field);
    }
    let mut plain = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match (byte, byte == &b'\\') {
            (_, true) => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'v') => 11,
                Some(other) => *other,
                None => b'\\',
            },
            (byte, false) => *byte,
        });
    }
    Cow::Owned(plain)
}

fn escape(field: &[u8], out: &mut Vec<u8>) {
    for byte in field {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            other => out.push(*other),
        }
    }
}

/// Masks the elements of an array as PostgreSQL writes it: `{a,"b c",NULL,{d}}`.
fn array(mask: &Mask, text: &str, row: &Row<'_>, out: &mut String) -> std::result::Result<(), Unfit> {
    let mut rest = text;
    // `[2:3]={…}`: bounds stay.
    if let (true, Some(at)) = (rest.starts_with('['), rest.find('=')) {
        out.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
    }
    while let Some(c) = rest.chars().next() {
        if matches!(c, '{' | '}' | ',') {
            out.push(c);
            rest = &rest[1..];
            continue;
        }
        let mut element = String::new();
        if c == '"' {
            let mut characters = rest.char_indices().skip(1);
            loop {
                match characters.next() {
                    Some((_, '\\')) => element.extend(characters.next().map(|(_, c)| c)),
                    Some((at, '"')) => {
                        rest = &rest[at + 1..];
                        break;
                    }
                    Some((_, c)) => element.push(c),
                    None => return Err(Unfit("is not the array that PostgreSQL writes")),
                }
            }
        } else {
            let end = rest.find([',', '}']).unwrap_or(rest.len());
            element.push_str(&rest[..end]);
            rest = &rest[end..];
            if element == "NULL" {
                out.push_str("NULL");
                continue;
            }
        }
        let mut masked = String::new();
        if element.is_empty() || mask.apply(&element, row, &mut masked)? {
            out.push('"');
            for c in masked.chars() {
                if matches!(c, '"' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
            out.push('"');
        } else {
            out.push_str("NULL");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_arrays_are_masked_one_by_one() {
        let masked = |text: &str| {
            let mut out = String::new();
            array(&Mask::Constant("x\"".to_owned()), text, &Row::empty(), &mut out).unwrap();
            out
        };
        assert_eq!(masked(r#"{a,"b, \"c",NULL,""}"#), r#"{"x\"","x\"",NULL,""}"#);
        assert_eq!(masked("[2:2]={{a}}"), r#"[2:2]={{"x\""}}"#);
        assert_eq!(masked("{}"), "{}");
    }

    #[test]
    fn text_fields_are_read_and_written_as_copy_has_them() {
        let field = b"a\\tb\\\\c\\nd";
        assert_eq!(unescape(field).as_ref(), b"a\tb\\c\nd");
        let mut out = Vec::new();
        escape(&unescape(field), &mut out);
        assert_eq!(out, field);
    }
}
