//! Keys that changed. Pure.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use crate::postgres::feed::KeyColumn;
use crate::sql::{Identifier, Literal, Sql, sql};

/// Bytes of keys that one set holds at most; what is more counts as the whole table.
const LARGEST: usize = 48 << 20;

/// The keys of one table that changed, each once; or the whole table.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    whole: bool,
    /// Whether a key came from anything but the INSERT of a row.
    changed: bool,
    /// Keys of one column that read as integers.
    integers: HashSet<i64>,
    /// All others: the texts of their columns.
    texts: HashSet<Box<[Box<str>]>>,
    text_bytes: usize,
}

impl KeySet {
    /// Adds a key: the texts of its columns, as the type's output function gives them under our settings.
    pub fn insert(&mut self, columns: &[&str]) {
        self.changed = true;
        self.insert_new(columns);
    }

    /// Adds the key of a row that was inserted.
    pub fn insert_new(&mut self, columns: &[&str]) {
        if self.whole {
            return;
        }
        let integer = match columns {
            [one] => plain_integer(one),
            _ => None,
        };
        match integer {
            Some(integer) => {
                self.integers.insert(integer);
            }
            None => {
                let key: Box<[Box<str>]> = columns.iter().map(|column| Box::from(*column)).collect();
                let bytes = text_bytes(&key);
                if self.texts.insert(key) {
                    self.text_bytes += bytes;
                }
            }
        }
        if self.bytes() > LARGEST {
            self.insert_whole();
        }
    }

    /// Says that no key list tells what changed: the table was truncated, or too much of it changed.
    pub fn insert_whole(&mut self) {
        *self = Self { whole: true, ..Self::default() };
    }

    /// Adds all keys of another set.
    pub fn extend(&mut self, other: &Self) {
        if self.whole || other.whole {
            return self.insert_whole();
        }
        if self.is_empty() {
            self.clone_from(other);
            return;
        }
        self.changed |= other.changed;
        self.integers.extend(&other.integers);
        for key in &other.texts {
            if self.texts.insert(key.clone()) {
                self.text_bytes += text_bytes(key);
            }
        }
        if self.bytes() > LARGEST {
            self.insert_whole();
        }
    }

    /// True where the set holds this key, or the whole table.
    #[must_use]
    pub fn contains(&self, columns: &[&str]) -> bool {
        let integer = match columns {
            [one] => plain_integer(one),
            _ => None,
        };
        let has_text = || {
            let key: Box<[Box<str>]> = columns.iter().map(|column| Box::from(*column)).collect();
            self.texts.contains(&key)
        };
        self.whole || integer.map_or_else(has_text, |integer| self.integers.contains(&integer))
    }

    /// Takes away the keys of another set, neither of which is the whole table.
    pub fn remove_all(&mut self, other: &Self) {
        self.integers.retain(|key| !other.integers.contains(key));
        self.texts.retain(|key| !other.texts.contains(key));
        self.text_bytes = self.texts.iter().map(|key| text_bytes(key)).sum();
    }

    /// True where the table has to be compared as a whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// True where all keys are those of inserted rows: most likely none of them is on the target.
    #[must_use]
    pub fn is_new(&self) -> bool {
        !self.changed && !self.whole
    }

    /// True where nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.whole && self.len() == 0
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.integers.len() + self.texts.len()
    }

    /// About how much memory the keys take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.integers.capacity() * 9 + self.text_bytes
    }

    /// The same keys with only the columns at `positions`.
    #[must_use]
    pub fn project(&self, positions: &[usize], columns: usize) -> Cow<'_, Self> {
        if self.whole || positions.iter().copied().eq(0..columns) {
            return Cow::Borrowed(self);
        }
        let mut projected = Self { changed: self.changed, ..Self::default() };
        for key in self.iter() {
            let columns: Vec<&str> = positions.iter().map(|position| key[*position].as_str()).collect();
            projected.insert_new(&columns);
        }
        Cow::Owned(projected)
    }

    /// All keys, as the texts of their columns.
    pub fn iter(&self) -> impl Iterator<Item = Vec<String>> + '_ {
        let integers = self.integers.iter().map(|key| vec![key.to_string()]);
        integers.chain(self.texts.iter().map(|key| key.iter().map(ToString::to_string).collect()))
    }

    /// The keys in pieces of at most `most`, each written when it is asked for; in order, so that an index is read from one
    /// end to the other. `columns` are those of the key.
    ///
    /// Keys that read as integers and others come together: `1` and `1.00` may be one row, which must not be read twice.
    pub fn pieces<'a>(
        &'a self,
        columns: &'a [&'a KeyColumn],
        most: usize,
    ) -> Box<dyn Iterator<Item = KeyPiece<'a>> + Send + 'a> {
        let ranges = move |length: usize| {
            (0..length.div_ceil(most))
                .map(move |piece| piece * most..length.min((piece * most).saturating_add(most)))
        };
        if let ([column], true) = (columns, self.texts.is_empty()) {
            let mut keys: Vec<i64> = self.integers.iter().copied().collect();
            keys.sort_unstable();
            return Box::new(ranges(keys.len()).map(move |range| {
                let keys = &keys[range];
                let span = column.is_whole_number().then(|| Span::of(keys)).flatten();
                let arrays = vec![cast(&integer_array(keys), column)];
                KeyPiece { columns, len: keys.len(), arrays, span }
            }));
        }
        let mut keys: Vec<Vec<String>> = self.iter().collect();
        keys.sort_unstable_by(|left, right| match (left.as_slice(), right.as_slice()) {
            ([left], [right]) => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
            _ => left.cmp(right),
        });
        Box::new(ranges(keys.len()).map(move |range| {
            let keys = &keys[range];
            let array = |(index, column): (usize, &&KeyColumn)| {
                cast(&array_text(keys.iter().map(|key| key[index].as_str())), column)
            };
            let arrays = columns.iter().enumerate().map(array).collect();
            KeyPiece { columns, len: keys.len(), arrays, span: None }
        }))
    }

    /// The keys as queries of at most `most` keys each, with a column for each of `columns`.
    #[must_use]
    pub fn queries(&self, columns: &[KeyColumn], most: usize) -> Vec<Sql> {
        let columns: Vec<_> = columns.iter().collect();
        self.pieces(&columns, most).map(|piece| sql!("SELECT * FROM {}", piece.rows())).collect()
    }
}

/// Some keys of a set.
#[derive(Debug)]
pub struct KeyPiece<'a> {
    columns: &'a [&'a KeyColumn],
    len: usize,
    /// For each column, `CAST('{1,2}' AS bigint[])`.
    arrays: Vec<Sql>,
    span: Option<Span>,
}

/// Integers that lie so close together that an index is better read from the first to the last than for each of them: a tenth
/// of the time where none is left out.
#[derive(Debug)]
struct Span {
    first: i64,
    last: i64,
    /// Whether all between them are keys.
    full: bool,
}

impl Span {
    /// That of keys in order.
    fn of(keys: &[i64]) -> Option<Self> {
        const FEW: usize = 8;
        const SPARSE: usize = 4;
        let (first, last) = (*keys.first()?, *keys.last()?);
        let wide = usize::try_from(last.checked_sub(first)?).ok()?.checked_add(1)?;
        let is_dense = keys.len() >= FEW && wide / SPARSE <= keys.len();
        is_dense.then_some(Self { first, last, full: wide == keys.len() })
    }
}

impl KeyPiece<'_> {
    /// How many keys there are.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The keys as what `FROM` takes, with a column for each of the key: `ROWS FROM (unnest(CAST('{1,2}' AS bigint[])))`.
    #[must_use]
    pub fn rows(&self) -> Sql {
        let unnest = self.arrays.iter().map(|array| sql!("pg_catalog.unnest({})", array));
        sql!("ROWS FROM ({})", Sql::join(", ", unnest))
    }

    /// True of the rows of `alias` that have one of the keys.
    #[must_use]
    pub fn has_key_of(&self, alias: &Identifier) -> Sql {
        let ([column], [array]) = (self.columns, self.arrays.as_slice()) else {
            let own = self.columns.iter().map(|column| sql!("{}.{}", alias, column.name));
            return sql!("({}) IN (SELECT * FROM {})", Sql::join(", ", own), self.rows());
        };
        let key = sql!("{}.{}", alias, column.name);
        let Some(Span { first, last, full }) = &self.span else { return sql!("{} = ANY ({})", key, array) };
        let bound = |number: &i64| sql!("CAST({} AS {})", Literal(&number.to_string()), column.data_type);
        let between = sql!("({} >= {} AND {} <= {})", key, bound(first), key, bound(last));
        match full {
            true => between,
            // An expression, so that the index is not asked for each key after all.
            false => sql!("({} AND ({} OPERATOR(pg_catalog.+) 0) = ANY ({}))", between, key, array),
        }
    }
}

impl KeyColumn {
    /// Whether all of its values are whole numbers, so that between two of them there is nothing else; and with a zero added
    /// of the same type, so that they can be looked up by hash.
    fn is_whole_number(&self) -> bool {
        self.data_type.schema.as_str() == "pg_catalog"
            && ["int4", "int8"].contains(&self.data_type.name.as_str())
    }
}

fn cast(array: &str, column: &KeyColumn) -> Sql {
    sql!("CAST({} AS {}[])", Literal(array), column.data_type)
}

/// About how much memory a key takes that is no integer.
fn text_bytes(key: &[Box<str>]) -> usize {
    key.iter().map(|column| column.len() + 32).sum::<usize>() + 32
}

/// What reads as an integer; what is not written as one (`007` of a text) is none.
fn plain_integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = text == "0" || matches!(digits.as_bytes().first(), Some(b'1'..=b'9'));
    text.parse().ok().filter(|_| is_plain)
}

/// The text form of an array of integers.
fn integer_array(keys: &[i64]) -> String {
    let mut array = String::with_capacity(keys.len() * 8 + 2);
    array.push('{');
    for (position, key) in keys.iter().enumerate() {
        let comma = if position > 0 { "," } else { "" };
        // Writing to a string does not fail.
        let _ = write!(array, "{comma}{key}");
    }
    array.push('}');
    array
}

/// An array's text form: `{1,"two words"}`.
pub fn array_text<'a>(elements: impl IntoIterator<Item = &'a str>) -> String {
    let mut array = String::from("{");
    for (position, element) in elements.into_iter().enumerate() {
        if position > 0 {
            array.push(',');
        }
        push_element(&mut array, element);
    }
    array.push('}');
    array
}

/// An element of an array's text form.
fn push_element(array: &mut String, element: &str) {
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    if !element.is_empty() && element.chars().all(plain) && !element.eq_ignore_ascii_case("null") {
        return array.push_str(element);
    }
    array.push('"');
    for character in element.chars() {
        if matches!(character, '"' | '\\') {
            array.push('\\');
        }
        array.push(character);
    }
    array.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::QualifiedName;

    fn column(data_type: &str) -> KeyColumn {
        KeyColumn { name: "k".into(), data_type: QualifiedName::new("pg_catalog", data_type) }
    }

    #[test]
    fn every_key_is_there_once() {
        let mut keys = KeySet::default();
        for key in ["10", "9", "10", "-1"] {
            keys.insert(&[key]);
        }
        let column = column("int8");
        let pieces: Vec<_> = keys.queries(&[column], 2);
        assert_eq!(
            pieces[0].as_str(),
            "SELECT * FROM ROWS FROM (pg_catalog.unnest(CAST('{-1,9}' AS pg_catalog.int8[])))"
        );
        assert_eq!((keys.len(), pieces.len()), (3, 2));
    }

    #[test]
    fn keys_that_lie_together_are_looked_up_together() {
        let condition = |keys: &[i64], data_type: &str| {
            let mut set = KeySet::default();
            keys.iter().for_each(|key| set.insert(&[&key.to_string()]));
            let (column, mut conditions) = (column(data_type), Vec::new());
            for piece in set.pieces(&[&column], 100) {
                conditions.push(piece.has_key_of(&"t".into()).to_string());
            }
            conditions.join(" | ").replace("pg_catalog.", "")
        };
        let run: Vec<i64> = (-3..=6).collect();
        assert_eq!(condition(&run, "int4"), "(t.k >= CAST('-3' AS int4) AND t.k <= CAST('6' AS int4))");
        // Between two values of these there are others.
        assert!(condition(&run, "numeric").starts_with("t.k = ANY (CAST('{-3,-2,"));
        let gaps: Vec<i64> = (0..10).map(|key| key * 2).collect();
        assert_eq!(
            condition(&gaps, "int8"),
            "((t.k >= CAST('0' AS int8) AND t.k <= CAST('18' AS int8)) AND \
             (t.k OPERATOR(+) 0) = ANY (CAST('{0,2,4,6,8,10,12,14,16,18}' AS int8[])))"
        );
        let ends = [i64::MIN, -2, -1, 0, 1, 2, 3, 4, i64::MAX];
        assert!(condition(&ends, "int8").starts_with("t.k = ANY"));
        assert_eq!(condition(&[], "int8"), "");
    }

    #[test]
    fn texts_stay_what_they_are() {
        let mut keys = KeySet::default();
        for key in ["007", "7", "", "null", "a\"b\\c", "x,y", "it's"] {
            keys.insert(&[key, "1"]);
            keys.insert(&[key]);
        }
        assert_eq!(keys.len(), 14);
        let (column, first) = (column("text"), keys.project(&[0], 2));
        assert_eq!(first.len(), 7);
        let texts = first.queries(&[column], 100).remove(0);
        // Escaped for the array, and once more for the literal.
        assert!(texts.as_str().contains(r#""a\\"b\\\\c""#), "{}", texts.as_str());
        assert!(texts.as_str().contains("it''s"));
        assert!(texts.as_str().contains(r#""null""#));
    }

    #[test]
    fn too_many_keys_are_the_whole_table() {
        let mut keys = KeySet::default();
        let long = "x".repeat(1 << 20);
        for key in 0..100 {
            keys.insert(&[&format!("{key}{long}")]);
        }
        assert!(keys.is_whole() && !keys.is_empty() && keys.bytes() < 1000);
        let mut other = KeySet::default();
        other.insert(&["1"]);
        other.extend(&keys);
        assert!(other.is_whole());
    }
}
