//! The messages of `pgoutput`, protocol version 2. Pure, and without a copy of any value.
//!
//! Version 2 gives what a large transaction has done before it ends, in segments between a `StreamStart` and a `StreamStop`;
//! within them messages have a transaction's number more.

use crate::error::{Error, Result};

/// One message.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// A transaction that has committed begins; `at` is where its commit record begins.
    Begin {
        at: u64,
        transaction: u32,
    },
    /// And ends; `end` is where its commit record ends.
    Commit {
        end: u64,
    },
    /// What a table is like, before its first change and after it was altered.
    Relation(Relation),
    Insert {
        relation: u32,
        new: Tuple<'a>,
    },
    /// `old` is there where the identity changed, or where all of the old row is kept.
    Update {
        relation: u32,
        old: Option<Tuple<'a>>,
        new: Tuple<'a>,
    },
    Delete {
        relation: u32,
        old: Tuple<'a>,
    },
    Truncate {
        relations: Vec<u32>,
    },
    /// What `pg_logical_emit_message` wrote.
    Note {
        prefix: &'a [u8],
        content: &'a [u8],
    },
    /// A segment of a transaction begins that has not ended yet; its first, or another one.
    StreamStart {
        transaction: u32,
        first: bool,
    },
    StreamStop,
    /// A transaction that came in segments has committed; `at` and `end` are where its commit record begins and ends.
    StreamCommit {
        transaction: u32,
        at: u64,
        end: u64,
    },
    /// It, or one of its savepoints, was rolled back.
    StreamAbort {
        transaction: u32,
        part: u32,
    },
    /// A type, an origin.
    Other,
}

/// A table's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) oid: u32,
    /// Name, type and modifier of each.
    pub(super) columns: Vec<(String, u32, u32)>,
}

/// A row, or the identity of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuple<'a> {
    columns: usize,
    bytes: &'a [u8],
}

/// A column of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    /// Stored out of line, and not changed.
    Unchanged,
    /// In UTF-8, but for databases whose encoding is `SQL_ASCII`.
    Text(&'a [u8]),
}

impl<'a> Tuple<'a> {
    /// The columns, in the order of the relation.
    pub(super) fn values(self) -> impl Iterator<Item = Value<'a>> {
        let mut reader = Reader(self.bytes);
        // Walked once when the message was parsed: there is nothing wrong with it.
        (0..self.columns).map_while(move |_| reader.value().ok())
    }
}

/// Reads one message; `streamed` between a `StreamStart` and its `StreamStop`.
pub(super) fn parse(data: &[u8], streamed: bool) -> Result<Message<'_>> {
    let mut reader = Reader(data);
    let tag = reader.byte()?;
    if streamed && tag != b'E' {
        // Which of its savepoints.
        reader.skip(4)?;
    }
    match tag {
        b'B' => {
            let at = reader.u64()?;
            reader.skip(8)?;
            Ok(Message::Begin { at, transaction: reader.u32()? })
        }
        b'C' => {
            reader.skip(1 + 8)?;
            Ok(Message::Commit { end: reader.u64()? })
        }
        b'R' => relation(&mut reader),
        b'I' => {
            let relation = reader.u32()?;
            reader.skip(1)?;
            Ok(Message::Insert { relation, new: reader.tuple()? })
        }
        b'U' => {
            let relation = reader.u32()?;
            let old = match reader.byte()? {
                b'K' | b'O' => {
                    let old = reader.tuple()?;
                    reader.skip(1)?;
                    Some(old)
                }
                _ => None,
            };
            Ok(Message::Update { relation, old, new: reader.tuple()? })
        }
        b'D' => {
            let relation = reader.u32()?;
            reader.skip(1)?;
            Ok(Message::Delete { relation, old: reader.tuple()? })
        }
        b'T' => {
            let count = reader.u32()?;
            reader.skip(1)?;
            let relations = (0..count).map(|_| reader.u32()).collect::<Result<_>>()?;
            Ok(Message::Truncate { relations })
        }
        b'M' => {
            reader.skip(1 + 8)?;
            let prefix = reader.text()?;
            let length = reader.u32()?;
            Ok(Message::Note { prefix, content: reader.take(length as usize)? })
        }
        b'S' => Ok(Message::StreamStart { transaction: reader.u32()?, first: reader.byte()? == 1 }),
        b'E' => Ok(Message::StreamStop),
        b'c' => {
            let transaction = reader.u32()?;
            reader.skip(1)?;
            Ok(Message::StreamCommit { transaction, at: reader.u64()?, end: reader.u64()? })
        }
        b'A' => Ok(Message::StreamAbort { transaction: reader.u32()?, part: reader.u32()? }),
        _ => Ok(Message::Other),
    }
}

fn relation<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>> {
    let oid = reader.u32()?;
    // Its schema and name: tables are known by their OIDs here.
    reader.text()?;
    reader.text()?;
    reader.skip(1)?;
    let count = reader.u16()?;
    let column = |_| {
        reader.skip(1)?;
        let name = String::from_utf8_lossy(reader.text()?).into_owned();
        Ok((name, reader.u32()?, reader.u32()?))
    };
    let columns = (0..count).map(column).collect::<Result<_>>()?;
    Ok(Message::Relation(Relation { oid, columns }))
}

/// Bytes that are not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn skip(&mut self, length: usize) -> Result<()> {
        self.take(length).map(|_| ())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or_else(malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A text that ends with a zero byte.
    fn text(&mut self) -> Result<&'a [u8]> {
        let length = self.0.iter().position(|byte| *byte == 0).ok_or_else(malformed)?;
        let text = self.take(length)?;
        self.skip(1)?;
        Ok(text)
    }

    fn value(&mut self) -> Result<Value<'a>> {
        match self.byte()? {
            b'n' => Ok(Value::Null),
            b'u' => Ok(Value::Unchanged),
            b't' => {
                let length = self.u32()?;
                self.take(length as usize).map(Value::Text)
            }
            _ => Err(malformed()),
        }
    }

    fn tuple(&mut self) -> Result<Tuple<'a>> {
        let columns = usize::from(self.u16()?);
        let bytes = self.0;
        for _ in 0..columns {
            self.value()?;
        }
        Ok(Tuple { columns, bytes: &bytes[..bytes.len() - self.0.len()] })
    }
}

fn malformed() -> Error {
    Error::unexpected("the replication stream holds a message that is not one of pgoutput")
        .hint("connect to the server itself instead of to a pooler")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn an_update_with_its_old_key_is_read() {
        let data =
            bytes(&[b"U\0\0\0\x07", b"K\0\x02t\0\0\0\x011n", b"N\0\x03t\0\0\0\x012ut\0\0\0\x03a\xc3\xa9"]);
        let Message::Update { relation: 7, old: Some(old), new } = parse(&data, false).unwrap() else {
            panic!()
        };
        assert_eq!(old.values().collect::<Vec<_>>(), [Value::Text(b"1"), Value::Null]);
        let new: Vec<_> = new.values().collect();
        assert_eq!(new, [Value::Text(b"2"), Value::Unchanged, Value::Text("aé".as_bytes())]);
    }

    #[test]
    fn a_message_that_is_cut_off_is_an_error_and_no_panic() {
        let whole = bytes(&[b"U\0\0\0\x07", b"O\0\x01t\0\0\0\x011", b"N\0\x01t\0\0\0\x012"]);
        assert!(parse(&whole, false).is_ok());
        for end in 0..whole.len() {
            assert!(parse(&whole[..end], false).is_err(), "{end}");
        }
        let relation = bytes(&[b"R\0\0\0\x07", b"public\0t\0d\0\x01", b"\x01id\0\0\0\0\x17\xff\xff\xff\xff"]);
        let Message::Relation(read) = parse(&relation, false).unwrap() else { panic!() };
        assert_eq!(read.columns, [("id".to_owned(), 23, u32::MAX)]);
        assert!((0..relation.len()).all(|end| parse(&relation[..end], false).is_err()));
        assert!(parse(b"T\xff\xff\xff\xff\0", false).is_err());
    }

    #[test]
    fn a_segment_names_its_savepoints() {
        let start = parse(b"S\0\0\0\x09\x01", false).unwrap();
        assert!(matches!(start, Message::StreamStart { transaction: 9, first: true }));
        let data = bytes(&[b"D\0\0\0\x0a", b"\0\0\0\x07", b"K\0\x01t\0\0\0\x011"]);
        let Message::Delete { relation: 7, old } = parse(&data, true).unwrap() else { panic!() };
        assert_eq!(old.values().collect::<Vec<_>>(), [Value::Text(b"1")]);
        assert!(matches!(parse(b"E", true).unwrap(), Message::StreamStop));
        let commit = bytes(&[b"c\0\0\0\x09", b"\0", &5_u64.to_be_bytes(), &6_u64.to_be_bytes(), &[0; 8]]);
        let commit = parse(&commit, false).unwrap();
        assert!(matches!(commit, Message::StreamCommit { transaction: 9, at: 5, end: 6 }));
        let abort = parse(b"A\0\0\0\x09\0\0\0\x0a", false).unwrap();
        assert!(matches!(abort, Message::StreamAbort { transaction: 9, part: 10 }));
    }
}
