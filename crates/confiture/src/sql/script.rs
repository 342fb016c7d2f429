//! A script: the text of a file that knows its lines, so that every byte has a place.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::{Excerpt, Place};
use crate::sql::masked;

/// How many lines an excerpt shows at most.
const EXCERPT_LINES: usize = 5;

/// A file's name and text. A byte order mark is dropped, for it is no part of the SQL; line ends stay as they are, for
/// they may stand in a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    file: PathBuf,
    text: String,
    line_starts: Vec<usize>,
}

impl Script {
    /// A script that the user knows as `file`.
    pub fn new(file: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let line_starts = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1))
            .collect();
        Self { file: file.into(), text, line_starts }
    }

    /// The file, as the user would name it.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The text, without a byte order mark.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of the byte at `offset`.
    #[must_use]
    pub fn place(&self, offset: usize) -> Place {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line_of(offset);
        let column = self.text[self.line_starts[line]..offset].chars().count() + 1;
        Place { file: self.file.clone(), line: line + 1, column }
    }

    /// The start of line `line` (from 1), or the text's end where it has fewer lines.
    #[must_use]
    pub fn line_start(&self, line: usize) -> usize {
        self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }

    /// The lines around `span`, for a caret: from the first one on, and never many. Passwords are not shown.
    #[must_use]
    pub fn excerpt(&self, span: Range<usize>) -> Excerpt {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end.max(start));
        let first = self.line_of(start);
        let last = self.line_of(end.saturating_sub(1).max(start)).min(first + EXCERPT_LINES - 1);
        let (from, to) = (self.line_starts[first], self.line_start(last + 2));
        let to = from + self.text[from..to].trim_end_matches(['\n', '\r']).len();
        // What a line holds may only be known from those before it.
        let (shown, lines) = masked(&self.text, from..to);
        let (_, mark) = masked(&self.text, start.min(to)..end.min(to));
        let text = shown[lines.clone()].to_owned();
        let mark =
            mark.start.max(lines.start) - lines.start..mark.end.clamp(lines.start, lines.end) - lines.start;
        Excerpt { text, first_line: first + 1, mark }
    }

    /// The line of `offset`, from 0.
    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_and_column(script: &Script, needle: &str) -> (usize, usize) {
        let place = script.place(script.text().find(needle).unwrap());
        (place.line, place.column)
    }

    #[test]
    fn places_count_characters_and_ignore_the_byte_order_mark() {
        let script = Script::new("a.sql", "\u{feff}aé b\r\n\tç d\n\ne");
        assert_eq!(line_and_column(&script, "a"), (1, 1));
        assert_eq!(line_and_column(&script, "b"), (1, 4));
        assert_eq!(line_and_column(&script, "d"), (2, 4));
        assert_eq!(line_and_column(&script, "e"), (4, 1));
        assert_eq!(script.place(usize::MAX).to_string(), "a.sql:4:2");
    }

    #[test]
    fn an_excerpt_shows_whole_lines_and_marks_the_span() {
        let script = Script::new("a.sql", "one\ntwo three\nfour\n");
        let at = script.text().find("three").unwrap();
        let excerpt = script.excerpt(at..at + 5);
        assert_eq!((excerpt.text.as_str(), excerpt.first_line, excerpt.mark), ("two three", 2, 4..9));
        assert_eq!(script.excerpt(0..9).text, "one\ntwo three");
        assert_eq!(script.excerpt(script.text().len()..usize::MAX).mark, 0..0);
    }
}
