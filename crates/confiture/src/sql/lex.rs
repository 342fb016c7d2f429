//! A lossless lexer with psql's idea of a token: every byte of the text belongs to exactly one token.
//!
//! It knows where strings, comments and names begin and end, and nothing of grammar: that is the server's. It reads with
//! `standard_conforming_strings = on`, as every server from 9.1 on does, unless the splitter of a script has met `off`.

use std::ops::Range;

use crate::sql::Identifier;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Blanks and line ends.
    Whitespace,
    /// `-- …`, without its line end.
    LineComment,
    /// `/* … */`, nested ones included.
    BlockComment,
    /// A bare word: a keyword or a name, folded to lower case by the server.
    Word,
    /// A name in quotes: `"…"` or `U&"…"`.
    QuotedName,
    /// `'…'`, also with `E`, `B`, `X`, `N` or `U&` in front, and continued on the next lines.
    String,
    /// `$tag$ … $tag$`.
    DollarString,
    /// A number.
    Number,
    /// `$1`.
    Parameter,
    /// A run of operator characters.
    Operator,
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// `;`.
    Semicolon,
    /// `,`.
    Comma,
    /// `.`.
    Dot,
    /// A backslash and the rest of its line: a command to psql.
    Command,
    /// Anything else: `[`, `]`, `:`, a stray `$`.
    Other,
    /// Something that is opened here and never closed; it covers the rest of the text.
    Unclosed(Unclosed),
}

/// What was opened and never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unclosed {
    /// `'…`
    String,
    /// `"…`
    QuotedName,
    /// `/* …`
    Comment,
    /// `$tag$ …`
    DollarString,
}

/// A token: its kind and its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it is, in bytes.
    pub span: Range<usize>,
}

impl Token {
    /// The token's text.
    #[must_use]
    pub fn text<'a>(&self, source: &'a str) -> &'a str {
        &source[self.span.clone()]
    }

    /// True for whitespace and comments.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        matches!(self.kind, TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment)
    }

    /// True for the bare word `word`, in any case.
    #[must_use]
    pub fn is_word(&self, source: &str, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text(source).eq_ignore_ascii_case(word)
    }

    /// The name that a word or a quoted name stands for; `None` for other tokens and for `U&"…"`.
    #[must_use]
    pub fn identifier(&self, source: &str) -> Option<Identifier> {
        let text = self.text(source);
        match self.kind {
            TokenKind::Word => Some(Identifier::new(text.to_ascii_lowercase())),
            TokenKind::QuotedName => {
                let inner = text.strip_prefix('"')?.strip_suffix('"')?;
                Some(Identifier::new(inner.replace("\"\"", "\"")))
            }
            _ => None,
        }
    }
}

/// The tokens of `source`, in order.
#[must_use]
pub fn lex(source: &str) -> Lexer<'_> {
    Lexer { source, at: 0, escapes: false }
}

/// Iterates over tokens.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    source: &'a str,
    at: usize,
    /// A backslash in a plain string hides the next character.
    escapes: bool,
}

impl Lexer<'_> {
    /// Reads plain strings as `standard_conforming_strings` says from here on.
    pub(super) fn conform(&mut self, to_standard: bool) {
        self.escapes = !to_standard;
    }

    /// Goes on at byte `at`: how a splitter steps over the data of a `COPY`.
    pub(super) fn jump(&mut self, at: usize) {
        self.at = at;
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if self.at >= self.source.len() {
            return None;
        }
        let start = self.at;
        let (kind, end) = token_at(self.source.as_bytes(), start, self.escapes);
        self.at = end;
        Some(Token { kind, span: start..end })
    }
}

fn token_at(bytes: &[u8], at: usize, escapes: bool) -> (TokenKind, usize) {
    let next = bytes.get(at + 1).copied();
    match bytes[at] {
        byte if is_space(byte) => (TokenKind::Whitespace, run(bytes, at, is_space)),
        b'-' if next == Some(b'-') => (TokenKind::LineComment, run(bytes, at, |byte| !is_line_end(byte))),
        b'/' if next == Some(b'*') => block_comment(bytes, at),
        b'\'' => string(bytes, at, at, escapes),
        b'e' | b'E' if next == Some(b'\'') => string(bytes, at, at + 1, true),
        b'n' | b'N' if next == Some(b'\'') => string(bytes, at, at + 1, escapes),
        b'b' | b'B' | b'x' | b'X' if next == Some(b'\'') => string(bytes, at, at + 1, false),
        b'u' | b'U' if next == Some(b'&') && bytes.get(at + 2) == Some(&b'\'') => {
            string(bytes, at, at + 2, false)
        }
        b'u' | b'U' if next == Some(b'&') && bytes.get(at + 2) == Some(&b'"') => quoted_name(bytes, at + 2),
        b'"' => quoted_name(bytes, at),
        b'$' => dollar(bytes, at),
        byte if is_word_start(byte) => (TokenKind::Word, run(bytes, at, is_word_part)),
        byte if byte.is_ascii_digit() => (TokenKind::Number, number(bytes, at)),
        b'(' => (TokenKind::Open, at + 1),
        b')' => (TokenKind::Close, at + 1),
        b';' => (TokenKind::Semicolon, at + 1),
        b',' => (TokenKind::Comma, at + 1),
        b'.' => (TokenKind::Dot, at + 1),
        b'\\' => (TokenKind::Command, run(bytes, at, |byte| !is_line_end(byte))),
        byte if is_operator(byte) => (TokenKind::Operator, operator(bytes, at)),
        _ => (TokenKind::Other, at + 1),
    }
}

fn run(bytes: &[u8], at: usize, belongs: impl Fn(u8) -> bool) -> usize {
    bytes[at..].iter().position(|&byte| !belongs(byte)).map_or(bytes.len(), |length| at + length)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word_part(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}

fn block_comment(bytes: &[u8], start: usize) -> (TokenKind, usize) {
    let mut depth = 0_usize;
    let mut at = start;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return (TokenKind::BlockComment, at);
                }
            }
            _ => at += 1,
        }
    }
    (TokenKind::Unclosed(Unclosed::Comment), bytes.len())
}

/// The string whose opening quote is at `quote`; `escapes` where a backslash hides the next character.
fn string(bytes: &[u8], start: usize, quote: usize, escapes: bool) -> (TokenKind, usize) {
    debug_assert!(start <= quote);
    let mut at = quote + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => match continuation(bytes, at + 1) {
                Some(next_quote) => at = next_quote + 1,
                None => return (TokenKind::String, at + 1),
            },
            _ => at += 1,
        }
    }
    (TokenKind::Unclosed(Unclosed::String), bytes.len())
}

/// SQL's odd rule: two strings with a line end in between are one. Matters for `E'…'`, whose escapes go on. psql,
/// which reads line by line, misses that; the server is right.
fn continuation(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut line_ended = false;
    loop {
        match bytes.get(at..)? {
            [b'\'', ..] => return line_ended.then_some(at),
            [byte, ..] if is_line_end(*byte) => {
                line_ended = true;
                at += 1;
            }
            [byte, ..] if is_space(*byte) => at += 1,
            [b'-', b'-', ..] => at = run(bytes, at, |byte| !is_line_end(byte)),
            _ => return None,
        }
    }
}

fn quoted_name(bytes: &[u8], quote: usize) -> (TokenKind, usize) {
    let mut at = quote + 1;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'"', b'"', ..] => at += 2,
            [b'"', ..] => return (TokenKind::QuotedName, at + 1),
            _ => at += 1,
        }
    }
    (TokenKind::Unclosed(Unclosed::QuotedName), bytes.len())
}

/// `$1`, `$tag$ … $tag$`, or a stray `$`.
fn dollar(bytes: &[u8], start: usize) -> (TokenKind, usize) {
    let after = start + 1;
    if bytes.get(after).is_some_and(u8::is_ascii_digit) {
        // A letter right behind is junk to the server, and part of the token: `$1E'…'` has no escapes.
        let digits = run(bytes, after, |byte| byte.is_ascii_digit());
        let junk = usize::from(bytes.get(digits).is_some_and(u8::is_ascii_alphabetic));
        return (TokenKind::Parameter, digits + junk);
    }
    let tag_end = match bytes.get(after) {
        Some(&byte) if is_word_start(byte) => run(bytes, after, |byte| is_word_part(byte) && byte != b'$'),
        _ => after,
    };
    if bytes.get(tag_end) != Some(&b'$') {
        return (TokenKind::Other, after);
    }
    let tag = &bytes[start..=tag_end];
    let body = tag_end + 1;
    match find(&bytes[body..], tag) {
        Some(length) => (TokenKind::DollarString, body + length + tag.len()),
        None => (TokenKind::Unclosed(Unclosed::DollarString), bytes.len()),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn number(bytes: &[u8], start: usize) -> usize {
    let hexadecimal = matches!(bytes.get(start + 1), Some(b'x' | b'X'));
    let mut at = start;
    let mut dotted = false;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'.' if !dotted && bytes.get(at + 1) != Some(&b'.') => dotted = true,
            b'+' | b'-'
                if !hexadecimal
                    && matches!(bytes[at - 1], b'e' | b'E')
                    && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {}
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {}
            _ => break,
        }
        at += 1;
    }
    at
}

fn operator(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < bytes.len()
        && is_operator(bytes[at])
        && !matches!(&bytes[at..], [b'-', b'-', ..] | [b'/', b'*', ..])
    {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(source: &str) -> Vec<(TokenKind, &str)> {
        lex(source).filter(|token| !token.is_blank()).map(|token| (token.kind, token.text(source))).collect()
    }

    #[test]
    fn strings_end_where_the_server_ends_them() {
        use TokenKind::{DollarString, String, Unclosed as Open};
        for (source, kind) in [
            (r"'a\'", String),
            (r"E'a\'b'", String),
            (r"'it''s'", String),
            ("'a'\n  'b'", String),
            ("E'a' -- why\n '\\''", String),
            (r"U&'\0041'", String),
            ("b'01'", String),
            ("$$ ' $$", DollarString),
            ("$a$ $b$ $$ $a$", DollarString),
            ("$é$ x $é$", DollarString),
            ("'abc", Open(Unclosed::String)),
            ("E'abc\\'", Open(Unclosed::String)),
            ("E'abc\\", Open(Unclosed::String)),
            ("$a$ $A$", Open(Unclosed::DollarString)),
        ] {
            assert_eq!(kinds(source), [(kind, source)], "{source}");
        }
    }

    #[test]
    fn words_take_their_dollars_and_operators_leave_comments_alone() {
        use TokenKind::{Number, Operator, Other, Parameter, Word};
        assert_eq!(kinds("a$b$ c"), [(Word, "a$b$"), (Word, "c")]);
        assert_eq!(kinds("1+-- x\n2"), [(Number, "1"), (Operator, "+"), (Number, "2")]);
        assert_eq!(
            kinds("1*/* /* x */ */-2"),
            [(Number, "1"), (Operator, "*"), (Operator, "-"), (Number, "2")]
        );
        assert_eq!(kinds("1.5e-3::x"), [(Number, "1.5e-3"), (Other, ":"), (Other, ":"), (Word, "x")]);
        assert_eq!(kinds("$1"), [(Parameter, "$1")]);
    }

    #[test]
    fn names_are_read_as_the_server_reads_them() {
        let source = r#"Users "We""ird""#;
        let names: Vec<_> = lex(source).filter_map(|token| token.identifier(source)).collect();
        assert_eq!(names, [Identifier::new("users"), Identifier::new("We\"ird")]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(source in "([a-zE$'\"/*;\\\\ \n().é1-]|\\$a\\$|--|/\\*|\\*/)*") {
            let mut at = 0;
            for token in lex(&source) {
                prop_assert_eq!(token.span.start, at);
                prop_assert!(token.span.end > at);
                prop_assert!(source.is_char_boundary(token.span.end));
                at = token.span.end;
            }
            prop_assert_eq!(at, source.len());
        }
    }
}
