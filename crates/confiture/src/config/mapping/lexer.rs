//! Just enough of PostgreSQL's lexical rules to take names and `from` clauses apart and to see that a piece of SQL is whole.
//!
//! What a piece *means* is for the server to say; here it is only made sure that it cannot run into its neighbours:
//! strings and parentheses are closed, no statement ends inside, nothing is left commented out at its end.

use crate::config::yaml::Node;
use crate::error::Error;
use crate::sql::Identifier;

/// What is wrong in a piece of SQL, and at which byte of it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The error at its own line and column inside of a text of the file.
    pub(super) fn inside(self, node: &Node) -> Error {
        let place = node.place_at(self.offset);
        self.error().at(place)
    }

    pub(super) fn error(self) -> Error {
        let error = Error::config(self.message);
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// One token. White space and comments are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name without quotes, folded to lower case.
    Word(String),
    /// A name in double quotes, as the catalog holds it.
    Quoted(String),
    /// A string or a number.
    Literal,
    /// Any other character.
    Sign(char),
}

impl Token {
    pub(super) fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    pub(super) fn is_word(&self, words: &[&str]) -> bool {
        matches!(&self.kind, Kind::Word(word) if words.contains(&word.as_str()))
    }

    /// The name that this token is, quoted or not.
    pub(super) fn name(&self) -> Option<Identifier> {
        match &self.kind {
            Kind::Word(name) | Kind::Quoted(name) => Some(Identifier::new(name.as_str())),
            _ => None,
        }
    }
}

/// Takes SQL apart into tokens.
pub(super) fn lex(text: &str) -> Result<Vec<Token>, Fault> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Result<Option<Token>, Fault> {
        self.skip_blanks()?;
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(None) };
        let kind = match first {
            '\0' => return Err(Fault::new(start, "SQL cannot hold the character NUL")),
            '\'' => self.string(false)?,
            'e' | 'E' if self.rest()[1..].starts_with('\'') => {
                self.at += 1;
                self.string(true)?
            }
            '"' => self.quoted()?,
            '$' => self.dollar()?,
            _ if starts_word(first) => Kind::Word(self.take_while(continues_word).to_ascii_lowercase()),
            _ if first.is_ascii_digit() => {
                self.take_while(|c| continues_word(c) || c == '.');
                Kind::Literal
            }
            _ => {
                self.at += first.len_utf8();
                Kind::Sign(first)
            }
        };
        Ok(Some(Token { kind, start, end: self.at }))
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &str {
        let start = self.at;
        self.at += self.rest().find(|c| !belongs(c)).unwrap_or(self.rest().len());
        &self.text[start..self.at]
    }

    fn skip_blanks(&mut self) -> Result<(), Fault> {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}'));
            if self.rest().starts_with("--") {
                self.take_while(|c| c != '\n' && c != '\r');
            } else if self.rest().starts_with("/*") {
                self.block_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    /// PostgreSQL's comments nest.
    fn block_comment(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let mut depth = 0;
        loop {
            if self.rest().starts_with("/*") {
                (depth, self.at) = (depth + 1, self.at + 2);
            } else if self.rest().starts_with("*/") {
                (depth, self.at) = (depth - 1, self.at + 2);
            } else if let Some(c) = self.rest().chars().next() {
                self.at += c.len_utf8();
            } else {
                return Err(Fault::new(start, "this comment is never closed"));
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn string(&mut self, escapes: bool) -> Result<Kind, Fault> {
        let start = self.at;
        self.at += 1;
        loop {
            let rest = self.rest();
            if rest.starts_with("''")
                || (escapes && rest.starts_with("\\'"))
                || (escapes && rest.starts_with("\\\\"))
            {
                self.at += 2;
            } else if rest.starts_with('\'') {
                self.at += 1;
                return Ok(Kind::Literal);
            } else if let Some(c) = rest.chars().next() {
                self.at += c.len_utf8();
            } else {
                return Err(Fault::new(start, "this string is never closed"));
            }
        }
    }

    fn quoted(&mut self) -> Result<Kind, Fault> {
        let start = self.at;
        let mut name = String::new();
        self.at += 1;
        loop {
            if self.rest().starts_with("\"\"") {
                name.push('"');
                self.at += 2;
            } else if self.rest().starts_with('"') {
                self.at += 1;
                break;
            } else if let Some(c) = self.rest().chars().next() {
                name.push(c);
                self.at += c.len_utf8();
            } else {
                return Err(Fault::new(start, "this quoted name is never closed"));
            }
        }
        if name.is_empty() {
            Err(Fault::new(start, "a name cannot be empty"))
        } else {
            Ok(Kind::Quoted(name))
        }
    }

    /// `$tag$…$tag$`, or the sign of a parameter.
    fn dollar(&mut self) -> Result<Kind, Fault> {
        let start = self.at;
        self.at += 1;
        let tag_starts = self.rest().starts_with(|c| starts_word(c) || c == '$');
        let tag = self.rest().find(|c| !continues_word(c) || c == '$').unwrap_or(self.rest().len());
        if !tag_starts || !self.rest()[tag..].starts_with('$') {
            return Ok(Kind::Sign('$'));
        }
        let quote = &self.text[start..=self.at + tag];
        let body = self.at + tag + 1;
        match self.text[body..].find(quote) {
            Some(length) => {
                self.at = body + length + quote.len();
                Ok(Kind::Literal)
            }
            None => Err(Fault::new(start, "this dollar-quoted string is never closed")),
        }
    }
}

/// Every character beyond ASCII may stand in a name, as in PostgreSQL.
pub(super) fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

pub(super) fn continues_word(c: char) -> bool {
    starts_word(c) || c.is_ascii_digit() || c == '$'
}
