//! A way through a statement's tokens, for a reader that knows a little grammar and steps over the rest.

use std::ops::Range;

use crate::sql::Identifier;
use crate::sql::lex::{Token, TokenKind, lex};

/// A name as the statement says it: `users`, `app.users`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The schema, where it is said.
    pub schema: Option<Identifier>,
    /// The name.
    pub name: Identifier,
}

impl Name {
    /// What tells one table from another as far as a script alone can: without a schema it is taken to be in `public`.
    #[must_use]
    pub fn key(&self) -> (String, String) {
        let schema = self.schema.as_ref().map_or("public", Identifier::as_str);
        (schema.to_owned(), self.name.as_str().to_owned())
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

/// The tokens of a statement without blanks, and how far the reading has come.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, tokens: lex(source).filter(|token| !token.is_blank()).collect(), at: 0 }
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn kind(&self) -> Option<TokenKind> {
        self.peek().map(|token| token.kind)
    }

    /// Where the next token starts, in bytes of the statement; its end where there is none.
    pub(super) fn position(&self) -> usize {
        self.peek().map_or(self.source.len(), |token| token.span.start)
    }

    /// Where the last token that was read ends.
    pub(super) fn last_end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |last| self.tokens[last].span.end)
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// True where the next words are these, in any case.
    pub(super) fn sees(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(ahead, word)| {
            self.tokens.get(self.at + ahead).is_some_and(|token| token.is_word(self.source, word))
        })
    }

    /// Steps over the words, where they are next.
    pub(super) fn eat(&mut self, words: &str) -> bool {
        let seen = self.sees(words);
        if seen {
            self.at += words.split(' ').count();
        }
        seen
    }

    pub(super) fn eat_kind(&mut self, kind: TokenKind) -> bool {
        let seen = self.kind() == Some(kind);
        if seen {
            self.advance();
        }
        seen
    }

    /// The next token's text in lower case, where it is a bare word.
    pub(super) fn word(&self) -> Option<String> {
        let token = self.peek().filter(|token| token.kind == TokenKind::Word)?;
        Some(token.text(self.source).to_ascii_lowercase())
    }

    /// Reads a name without a schema.
    pub(super) fn identifier(&mut self) -> Option<Identifier> {
        let name = self.peek()?.identifier(self.source)?;
        self.advance();
        Some(name)
    }

    /// Reads a name, perhaps with a schema (or a database and a schema).
    pub(super) fn name(&mut self) -> Option<Name> {
        let mut parts = vec![self.identifier()?];
        while self.kind() == Some(TokenKind::Dot) {
            self.advance();
            parts.push(self.identifier()?);
        }
        let name = parts.pop()?;
        Some(Name { schema: parts.pop(), name })
    }

    /// Steps over one token, or over a whole pair of parentheses. Returns its bytes.
    pub(super) fn skip(&mut self) -> Range<usize> {
        let start = self.position();
        let mut depth = 0_usize;
        while let Some(kind) = self.kind() {
            self.advance();
            match kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        start..self.last_end().max(start)
    }

    /// Steps over everything up to a comma or a closing parenthesis of this level, or up to where `stops` says so.
    pub(super) fn skip_until(&mut self, stops: impl Fn(&Self) -> bool) -> Range<usize> {
        let start = self.position();
        while !self.ends_item() && !stops(self) {
            self.skip();
        }
        start..self.last_end().max(start)
    }

    /// True at a comma or closing parenthesis of this level, and at the end.
    pub(super) fn ends_item(&self) -> bool {
        matches!(self.kind(), None | Some(TokenKind::Comma | TokenKind::Close))
    }

    /// Reads `(a, b, c)` as names; what is none is left out.
    pub(super) fn names_in_parentheses(&mut self) -> Vec<Identifier> {
        let mut names = Vec::new();
        if !self.eat_kind(TokenKind::Open) {
            return names;
        }
        loop {
            names.extend(self.identifier());
            self.skip_until(|_| false);
            if !self.eat_kind(TokenKind::Comma) {
                self.eat_kind(TokenKind::Close);
                return names;
            }
        }
    }

    /// True where the words stand somewhere in the rest, outside of parentheses.
    pub(super) fn holds(&self, words: &str) -> bool {
        let mut rest = self.clone();
        while !rest.at_end() {
            if rest.sees(words) {
                return true;
            }
            rest.skip();
        }
        false
    }

    /// The rest's tokens.
    pub(super) fn rest(&self) -> &[Token] {
        &self.tokens[self.at.min(self.tokens.len())..]
    }

    pub(super) fn source(&self) -> &'a str {
        self.source
    }
}

/// The text of a string literal without its quotes; `None` for other tokens.
pub(super) fn string_value(token: &Token, source: &str) -> Option<String> {
    let text = token.text(source);
    match token.kind {
        TokenKind::String => {
            let inner = text.trim_start_matches(|c| c != '\'').strip_prefix('\'')?.strip_suffix('\'')?;
            Some(inner.replace("''", "'"))
        }
        _ => None,
    }
}
