//! Single values: text, numbers, durations.

use std::time::Duration;

use super::{Node, Scalar, Value};
use crate::config::Spanned;
use crate::error::{Place, Result};

impl Node {
    /// The text, whatever it looks like: `1.10` and `no` are what was written.
    pub fn as_text(&self) -> Result<&str> {
        match &self.value {
            Value::Scalar(scalar) => Ok(&scalar.text),
            _ => Err(self.must_be("text")),
        }
    }

    /// The text and its place.
    pub fn as_spanned_text(&self) -> Result<Spanned<String>> {
        Ok(Spanned::at(self.place.clone(), self.as_text()?.to_owned()))
    }

    /// `true` or `false`.
    pub fn as_bool(&self) -> Result<bool> {
        match self.plain() {
            Some("true" | "True" | "TRUE") => Ok(true),
            Some("false" | "False" | "FALSE") => Ok(false),
            _ => Err(self.must_be("true or false")),
        }
    }

    /// A whole number; `_` may separate digits: `10_000_000`.
    pub fn as_u64(&self) -> Result<u64> {
        self.plain()
            .and_then(|text| without_separators(text)?.parse().ok())
            .ok_or_else(|| self.must_be("a whole number"))
    }

    /// A whole number from `least` to `most`.
    pub fn as_number<N: TryFrom<u64> + Into<u64>>(&self, least: N, most: N) -> Result<N> {
        let (least, most) = (least.into(), most.into());
        let number = self.plain().and_then(|text| without_separators(text)?.parse().ok());
        number
            .filter(|number| (least..=most).contains(number))
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| self.must_be(&format!("a whole number from {least} to {most}")))
    }

    /// A number.
    pub fn as_f64(&self) -> Result<f64> {
        self.plain()
            .filter(|text| text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)))
            .and_then(|text| without_separators(text)?.parse::<f64>().ok())
            .filter(|number| number.is_finite())
            .ok_or_else(|| self.must_be("a number"))
    }

    /// A time span as PostgreSQL's settings take it; see [`parse_duration`].
    pub fn as_duration(&self) -> Result<Duration> {
        self.scalar().and_then(|scalar| parse_duration(&scalar.text)).ok_or_else(|| {
            self.must_be("a duration such as 300ms, 5s or 1min (a bare number is milliseconds)")
        })
    }

    /// Where the byte `offset` of the text stands in the file: an SQL error inside a block gets its own line and column.
    #[must_use]
    pub fn place_at(&self, offset: usize) -> Place {
        match self.scalar() {
            Some(scalar) => scalar.passage.place_at(offset, &self.place),
            None => self.place.clone(),
        }
    }

    fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    fn plain(&self) -> Option<&str> {
        self.scalar().filter(|scalar| scalar.plain).map(|scalar| scalar.text.as_str())
    }
}

/// `10_000_000` without its `_`, which may only stand between digits.
fn without_separators(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |index: Option<usize>| index.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let well_placed = |(at, _): (usize, &str)| digit(at.checked_sub(1)) && digit(Some(at + 1));
    text.match_indices('_').all(well_placed).then(|| text.replace('_', ""))
}

/// A time span as PostgreSQL's settings take it: `300ms`, `5s`, `1.5 min`, `2h`, `1d`, `250us`, and milliseconds without a unit.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let microseconds = match unit.trim_start() {
        "us" => 1.0,
        "" | "ms" => 1e3,
        "s" => 1e6,
        "min" => 60e6,
        "h" => 3_600e6,
        "d" => 86_400e6,
        _ => return None,
    };
    if !number.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let total = (without_separators(number)?.parse::<f64>().ok()? * microseconds).round();
    // PostgreSQL keeps such settings in 32 bits of milliseconds; a number beyond is a slip.
    (total <= f64::from(i32::MAX) * 1e3).then(|| Duration::from_micros(total as u64))
}
