//! Where the pieces of a text stand in the file.

use crate::error::Place;

/// Which stretch of a file each piece of a scalar's text came from. Indentation, escapes and folded lines are accounted for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Passage {
    runs: Vec<Run>,
}

/// Characters that stand side by side in the text and in one line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    /// Byte in the text.
    offset: usize,
    line: usize,
    column: usize,
    /// The columns of the characters after the first, as their bytes in the text (to count characters from bytes).
    bytes: Vec<usize>,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Block,
}

impl Passage {
    /// The place of a byte of the text. `first` is the place of the scalar itself, which gives the file.
    #[must_use]
    pub fn place_at(&self, offset: usize, first: &Place) -> Place {
        let after = self.runs.partition_point(|run| run.offset <= offset);
        let Some(run) = after.checked_sub(1).map(|index| &self.runs[index]) else {
            return first.clone();
        };
        let characters = run.bytes.partition_point(|byte| *byte <= offset);
        Place { file: first.file.clone(), line: run.line, column: run.column + characters }
    }

    /// Lays `text` beside the characters of the file that it was read from; `line` and `column` are those of `source[0]`.
    pub(super) fn align(text: &str, style: Style, source: &[char], line: usize, column: usize) -> Self {
        let mut walk = Walk { source, at: 0, line, column };
        if matches!(style, Style::SingleQuoted | Style::DoubleQuoted) {
            walk.step();
        }
        let mut passage = Self::default();
        let mut joined = false;
        let mut at_start = style == Style::Block;
        let mut characters = text.char_indices().peekable();
        loop {
            // Folding and indentation change white space around line ends: both sides skip to the next visible character.
            if at_start || walk.at_line_end() {
                walk.skip_blanks();
                while characters.next_if(|(_, c)| matches!(c, ' ' | '\n' | '\t')).is_some() {}
                joined = false;
                at_start = false;
            }
            if style == Style::DoubleQuoted && walk.skip_continuation() {
                joined = false;
                continue;
            }
            let Some((offset, _)) = characters.next() else { break };
            match passage.runs.last_mut().filter(|_| joined) {
                Some(run) => run.bytes.push(offset),
                None => {
                    passage.runs.push(Run {
                        offset,
                        line: walk.line,
                        column: walk.column,
                        bytes: Vec::new(),
                    });
                }
            }
            joined = walk.step_written(style) == 1;
            if walk.at >= source.len() {
                break;
            }
        }
        passage
    }
}

/// A position in the file.
struct Walk<'a> {
    source: &'a [char],
    at: usize,
    line: usize,
    column: usize,
}

impl Walk<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.source.get(self.at + ahead).copied()
    }

    fn step(&mut self) {
        let Some(c) = self.peek(0) else { return };
        let ends_line = c == '\n' || (c == '\r' && self.peek(1) != Some('\n'));
        self.at += 1;
        if ends_line {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
    }

    fn skip_blanks(&mut self) {
        while self.peek(0).is_some_and(|c| matches!(c, ' ' | '\t' | '\n' | '\r')) {
            self.step();
        }
    }

    /// True where only blanks are left in a line that is not the last.
    fn at_line_end(&self) -> bool {
        let blanks = self.source[self.at..].iter().find(|c| !matches!(c, ' ' | '\t'));
        matches!(blanks, Some('\n' | '\r'))
    }

    /// `\` at a line's end in double quotes joins the lines.
    fn skip_continuation(&mut self) -> bool {
        let joins = self.peek(0) == Some('\\') && matches!(self.peek(1), Some('\n' | '\r'));
        if joins {
            self.step();
            self.skip_blanks();
        }
        joins
    }

    /// Steps over what stands for one character of the text, and says how many characters of the file that were.
    fn step_written(&mut self, style: Style) -> usize {
        let length = match (style, self.peek(0), self.peek(1)) {
            (Style::SingleQuoted, Some('\''), Some('\'')) => 2,
            (Style::DoubleQuoted, Some('\\'), Some('x')) => 4,
            (Style::DoubleQuoted, Some('\\'), Some('u')) => 6,
            (Style::DoubleQuoted, Some('\\'), Some('U')) => 10,
            (Style::DoubleQuoted, Some('\\'), Some(_)) => 2,
            _ => 1,
        };
        for _ in 0..length {
            self.step();
        }
        length
    }
}
