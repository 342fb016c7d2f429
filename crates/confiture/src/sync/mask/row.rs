//! One row as masks see it: fields by their place, and what makes it this row.

use std::borrow::Cow;
use std::cell::RefCell;

/// How a field's bytes are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// UTF-8, as text types have it; and every field of COPY's text format.
    Text,
    /// A version byte, then UTF-8.
    Jsonb,
    /// Two bytes.
    Int2,
    /// Four bytes.
    Int4,
    /// Eight bytes.
    Int8,
    /// Sixteen bytes.
    Uuid,
    /// Bytes that nothing here looks into.
    Other,
}

impl Wire {
    /// The value as text; `None` where the bytes are not what the type says.
    pub(crate) fn read(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        let owned = |number: i64| Some(Cow::Owned(number.to_string()));
        match self {
            Self::Text => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Self::Jsonb => match bytes {
                [1, text @ ..] => std::str::from_utf8(text).ok().map(Cow::Borrowed),
                _ => None,
            },
            Self::Int2 => owned(i16::from_be_bytes(bytes.try_into().ok()?).into()),
            Self::Int4 => owned(i32::from_be_bytes(bytes.try_into().ok()?).into()),
            Self::Int8 => owned(i64::from_be_bytes(bytes.try_into().ok()?)),
            Self::Uuid => {
                let mut text = String::with_capacity(36);
                push_uuid(bytes.try_into().ok()?, &mut text);
                Some(Cow::Owned(text))
            }
            Self::Other => None,
        }
    }

    /// Writes a text as the type's bytes; `None` where it is no such value.
    pub(crate) fn write(self, text: &str, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Text => out.extend_from_slice(text.as_bytes()),
            Self::Jsonb => {
                out.push(1);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Int2 => out.extend(text.parse::<i16>().ok()?.to_be_bytes()),
            Self::Int4 => out.extend(text.parse::<i32>().ok()?.to_be_bytes()),
            Self::Int8 => out.extend(text.parse::<i64>().ok()?.to_be_bytes()),
            Self::Uuid => out.extend(parse_uuid(text)?),
            Self::Other => return None,
        }
        Some(())
    }
}

/// A row's fields as the source gave them.
pub(crate) struct Row<'a> {
    fields: &'a [Option<&'a [u8]>],
    wires: &'a [Wire],
    /// The fields that identify the row.
    key: &'a [usize],
    /// Where originals are noted that a mask finds inside of a value.
    inner: Option<&'a RefCell<Vec<String>>>,
}

impl<'a> Row<'a> {
    pub(crate) fn new(fields: &'a [Option<&'a [u8]>], wires: &'a [Wire], key: &'a [usize]) -> Self {
        Self { fields, wires, key, inner: None }
    }

    /// The same, with a place for originals that masks find inside of values: leaves of documents, addresses in texts.
    pub(crate) fn noting(self, inner: Option<&'a RefCell<Vec<String>>>) -> Self {
        Self { inner, ..self }
    }

    /// Notes an original value that a mask has found inside of another.
    pub(super) fn note(&self, original: &str) {
        if let Some(inner) = self.inner {
            inner.borrow_mut().push(original.to_owned());
        }
    }

    /// A row without fields.
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self { fields: &[], wires: &[], key: &[], inner: None }
    }

    /// A field as text; `None` for NULL and for what cannot be read.
    pub(crate) fn text(&self, index: usize) -> Option<Cow<'a, str>> {
        self.wires.get(index)?.read((*self.fields.get(index)?)?)
    }

    /// What tells this row from all others, the same in every format.
    pub(crate) fn identity(&self) -> Vec<u8> {
        let mut identity = Vec::with_capacity(16);
        for index in self.key {
            match self.text(*index) {
                Some(text) => {
                    identity.extend((text.len() as u32).to_be_bytes());
                    identity.extend_from_slice(text.as_bytes());
                }
                None => identity.extend(u32::MAX.to_be_bytes()),
            }
        }
        identity
    }

    /// The key's only field as a number, where it is one.
    pub(crate) fn number(&self) -> Option<u64> {
        match self.key {
            [only] => self.text(*only)?.parse().ok(),
            _ => None,
        }
    }
}

pub(super) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let plain: String = text.chars().filter(|c| *c != '-').collect();
    (plain.len() == 32).then_some(())?;
    u128::from_str_radix(&plain, 16).ok().map(u128::to_be_bytes)
}

pub(super) fn push_uuid(bytes: [u8; 16], out: &mut String) {
    let text = crate::sql::hexadecimal(&bytes);
    for (index, part) in [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().enumerate() {
        if index > 0 {
            out.push('-');
        }
        out.push_str(&text[part]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_back() {
        let uuid = [0x12; 16];
        for (wire, bytes) in [
            (Wire::Text, "é".as_bytes()),
            (Wire::Jsonb, b"\x01{}".as_slice()),
            (Wire::Int2, &(-3_i16).to_be_bytes()),
            (Wire::Int4, &7_i32.to_be_bytes()),
            (Wire::Int8, &i64::MIN.to_be_bytes()),
            (Wire::Uuid, &uuid),
        ] {
            let mut out = Vec::new();
            wire.write(&wire.read(bytes).unwrap(), &mut out).unwrap();
            assert_eq!(out, bytes);
        }
        assert_eq!(Wire::Int4.read(&[1]), None);
        assert_eq!(Wire::Int2.write("70000", &mut Vec::new()), None);
    }
}
