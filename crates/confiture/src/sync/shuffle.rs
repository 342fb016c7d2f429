//! `shuffle`: values stay what they are and change their rows, among the rows of some neighbouring pages.
//!
//! The pages are the same ones whatever the number of jobs, and who gets whose value follows from the key: so the result is
//! the same in every run over the same rows. Within such a window everybody gets somebody else's value.

use std::collections::HashMap;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::sync::mask::Shuffle;
use crate::sync::plan::CopyFormat;
use crate::sync::tuple::Masker;

/// Pages of a window: some thousand rows.
pub(crate) const PAGES: u32 = 256;
/// A window of larger rows ends earlier.
const MOST_BYTES: usize = 4 << 20;

/// Rows that exchange values.
pub(crate) struct Window<'a> {
    format: CopyFormat,
    /// Which columns, and how.
    columns: Vec<(usize, &'a Shuffle)>,
    rows: Vec<Waiting>,
    bytes: usize,
}

/// A row that waits for its values.
struct Waiting {
    /// As COPY has it, masked but for the columns that are shuffled.
    tuple: Vec<u8>,
    /// What tells it from others; empty where the table has no key.
    identity: Vec<u8>,
    /// For each shuffled column: whether its value takes part.
    takes_part: Vec<bool>,
}

impl<'a> Window<'a> {
    /// A window for the shuffled columns of a table; `None` where it has none.
    pub(crate) fn of(masker: &Masker<'a>, format: CopyFormat) -> Option<Self> {
        let columns = masker.shuffles();
        (!columns.is_empty()).then_some(Self { format, columns, rows: Vec::new(), bytes: 0 })
    }

    /// Takes a row that was just masked; true where the window is full.
    pub(crate) fn take(&mut self, tuple: Vec<u8>, masker: &Masker<'_>) -> bool {
        self.bytes += tuple.len();
        let (identity, takes_part) = masker.last_row();
        self.rows.push(Waiting { tuple, identity, takes_part });
        self.bytes >= MOST_BYTES
    }

    /// Writes all rows with others' values, and ends the window. Returns how many rows there were.
    pub(crate) fn flush(&mut self, masker: &mut Masker<'_>, out: &mut Vec<u8>) -> Result<u64> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        let fields: Vec<Vec<Range<usize>>> = rows.iter().map(|row| fields(&row.tuple, self.format)).collect();
        // For each shuffled column and row: whose value it gets; `None` for NULL.
        let mut givers: Vec<Vec<Option<usize>>> = Vec::new();
        for (at, (column, shuffle)) in self.columns.iter().enumerate() {
            let value = |row: usize| &rows[row].tuple[fields[row][*column].clone()];
            let mut giver: Vec<Option<usize>> = (0..rows.len()).map(Some).collect();
            let part: Vec<usize> = (0..rows.len()).filter(|row| rows[*row].takes_part[at]).collect();
            if let [only] = part[..] {
                if !shuffle.nullable {
                    return Err(masker.lonely(*column));
                }
                giver[only] = None;
            }
            for (row, from) in exchange(&part, &rows, shuffle) {
                giver[row] = Some(from);
            }
            masker.counts[*column].unchanged += surplus(&part, &giver, value);
            givers.push(giver);
        }
        for (index, row) in rows.iter().enumerate() {
            let mut copied = 0;
            for (at, (column, _)) in self.columns.iter().enumerate() {
                let own = fields[index][*column].clone();
                out.extend_from_slice(&row.tuple[copied..own.start]);
                match givers[at][index] {
                    Some(from) => out.extend_from_slice(&rows[from].tuple[fields[from][*column].clone()]),
                    None => out.extend_from_slice(null(self.format)),
                }
                copied = own.end;
            }
            out.extend_from_slice(&row.tuple[copied..]);
        }
        Ok(rows.len() as u64)
    }
}

/// Who gets whose value: each that of the next in an order which follows from the key.
fn exchange(part: &[usize], rows: &[Waiting], shuffle: &Shuffle) -> Vec<(usize, usize)> {
    if part.len() < 2 || shuffle.broken {
        return Vec::new();
    }
    let place = |row: usize| shuffle.key.hash(&[&rows[row].identity, &(row as u64).to_be_bytes()]);
    let mut order: Vec<_> = part.iter().map(|row| (place(*row), *row)).collect();
    order.sort_unstable();
    let next = order.iter().cycle().skip(1);
    order.iter().zip(next).map(|((_, row), (_, from))| (*row, *from)).collect()
}

/// How many more values are what they were than an exchange leaves by chance, where some are equal.
fn surplus<'v>(part: &[usize], giver: &[Option<usize>], value: impl Fn(usize) -> &'v [u8]) -> u64 {
    let mut often: HashMap<&[u8], f64> = HashMap::new();
    for row in part {
        *often.entry(value(*row)).or_default() += 1.0;
    }
    let expected: f64 =
        often.values().map(|count| count * (count - 1.0)).sum::<f64>() / (part.len() as f64 - 1.0).max(1.0);
    let same =
        part.iter().filter(|row| giver[**row].is_some_and(|from| value(from) == value(**row))).count() as f64;
    if same > expected + 3.0 * expected.sqrt() + 2.0 { (same - expected) as u64 } else { 0 }
}

/// Where the fields of a row stand, with their lengths in the binary format.
pub(crate) fn fields(tuple: &[u8], format: CopyFormat) -> Vec<Range<usize>> {
    let mut fields = Vec::new();
    match format {
        CopyFormat::Text => {
            let end = tuple.len() - usize::from(tuple.ends_with(b"\n"));
            let mut start = 0;
            for field in tuple[..end].split(|byte| *byte == b'\t') {
                fields.push(start..start + field.len());
                start += field.len() + 1;
            }
        }
        CopyFormat::Binary => {
            let mut start = 2;
            while let Some(length) = tuple.get(start..).and_then(|rest| rest.first_chunk::<4>()) {
                let end = start + 4 + usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
                fields.push(start..end);
                start = end;
            }
        }
    }
    fields
}

fn null(format: CopyFormat) -> &'static [u8] {
    match format {
        CopyFormat::Text => b"\\N",
        CopyFormat::Binary => &[0xff; 4],
    }
}

/// The error that a value has nobody to change places with.
pub(crate) fn lonely(table: &str, column: &str) -> Error {
    Error::config(format!("{table}.{column} cannot be shuffled: a value has no other to change places with"))
        .hint("nothing was changed: choose another rule for so few rows, or let the column be NULL")
}
