//! Python's tokens, as far as literal migrations need them.

use crate::error::{Error, Result};
use crate::sql::Script;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name, a number, or a sign of one character.
    Plain,
    /// A string, with its escapes undone.
    String,
}

/// A token and where it is.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) start: usize,
    /// How far its line is indented, where it begins one; else the same as that of the line.
    pub(super) column: usize,
    pub(super) begins_line: bool,
    /// `f"…"`, or bytes: not a literal text.
    pub(super) is_formatted: bool,
    /// Where the text of a string begins.
    pub(super) inner_line: usize,
    pub(super) inner_column: usize,
}

impl Token {
    pub(super) fn is(&self, text: &str) -> bool {
        self.kind == Kind::Plain && self.text == text
    }
}

/// The tokens of a file; comments are left out.
pub(super) fn tokens(script: &Script) -> Result<Vec<Token>> {
    let text = script.text();
    let mut found: Vec<Token> = Vec::new();
    let (mut at, mut depth, mut indent, mut fresh) = (0_usize, 0_usize, 0, true);
    while let Some(next) = text[at..].chars().next() {
        match next {
            '\n' => {
                fresh |= depth == 0;
                at += 1;
                continue;
            }
            '#' => {
                at += text[at..].find('\n').unwrap_or(text.len() - at);
                continue;
            }
            '\\' if text[at..].starts_with("\\\n") => {
                at += 2;
                continue;
            }
            _ if next.is_whitespace() => {
                at += next.len_utf8();
                continue;
            }
            _ => {}
        }
        if fresh {
            indent = script.place(at).column;
        }
        let start = at;
        let (kind, content, end, is_formatted, inner) = match string_at(script, at)? {
            Some(literal) => (Kind::String, literal.text, literal.end, literal.is_formatted, literal.inner),
            None => {
                let is_word = |c: char| c.is_alphanumeric() || c == '_';
                let length = text[at..].find(|c| !is_word(c)).unwrap_or(text.len() - at);
                let end = at + if length == 0 { next.len_utf8() } else { length };
                (Kind::Plain, text[at..end].to_owned(), end, false, at)
            }
        };
        match content.as_str() {
            "(" | "[" | "{" if kind == Kind::Plain => depth += 1,
            ")" | "]" | "}" if kind == Kind::Plain => depth = depth.saturating_sub(1),
            _ => {}
        }
        let place = script.place(inner);
        found.push(Token {
            kind,
            text: content,
            start,
            column: indent,
            begins_line: fresh,
            is_formatted,
            inner_line: place.line,
            inner_column: place.column,
        });
        fresh = false;
        at = end;
    }
    Ok(found)
}

struct Literal {
    text: String,
    end: usize,
    is_formatted: bool,
    inner: usize,
}

/// The string literal that begins at `at`, where one does.
fn string_at(script: &Script, at: usize) -> Result<Option<Literal>> {
    let text = script.text();
    let rest = &text[at..];
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let prefix = rest[..letters].to_ascii_lowercase();
    if !matches!(prefix.as_str(), "" | "r" | "u" | "f" | "b" | "rb" | "br" | "fr" | "rf") {
        return Ok(None);
    }
    let quoted = &rest[letters..];
    let quote = if let Some(quote) =
        ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| quoted.starts_with(quote))
    {
        quote
    } else {
        return Ok(None);
    };
    let unclosed = || Error::config("this string is never closed").at(script.place(at));
    let inner = at + letters + quote.len();
    let (is_raw, mut value, mut cursor) = (prefix.contains('r'), String::new(), inner);
    loop {
        let rest = &text[cursor..];
        if rest.starts_with(quote) {
            break;
        }
        let next = rest.chars().next().ok_or_else(unclosed)?;
        if next == '\n' && quote.len() == 1 {
            return Err(unclosed());
        }
        cursor += next.len_utf8();
        if next != '\\' || is_raw {
            value.push(next);
            continue;
        }
        let escaped = text[cursor..].chars().next().ok_or_else(unclosed)?;
        cursor += escaped.len_utf8();
        match escaped {
            '\n' => {}
            'n' => value.push('\n'),
            't' => value.push('\t'),
            'r' => value.push('\r'),
            '\\' | '\'' | '"' => value.push(escaped),
            _ => {
                return Err(Error::config(format!("the escape \\{escaped} is not read"))
                    .at(script.place(cursor - escaped.len_utf8() - 1))
                    .hint("write the character itself"));
            }
        }
    }
    let is_formatted = prefix.contains(['f', 'b']);
    Ok(Some(Literal { text: value, end: cursor + quote.len(), is_formatted, inner }))
}
