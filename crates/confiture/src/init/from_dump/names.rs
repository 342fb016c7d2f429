//! Which names a piece of a dump defines and which it mentions. `pg_dump` says every name with its schema.

use std::collections::BTreeSet;

use super::dump::Piece;
use crate::sql::lex::{Token, TokenKind, lex};

/// A schema and a name.
pub(super) type Key = (String, String);

/// Every `schema.name` in the statements. In code that only runs later (the strings of routines) nothing is looked for;
/// other strings may hold a name that is read at once: `nextval('app.numbers'::regclass)`.
pub(super) fn mentions(piece: &Piece) -> BTreeSet<Key> {
    let with_strings = !is_routine(piece);
    let mut found = BTreeSet::new();
    for statement in &piece.statements {
        collect(statement, with_strings, &mut found);
    }
    found
}

pub(super) fn is_routine(piece: &Piece) -> bool {
    matches!(piece.kind.as_str(), "FUNCTION" | "PROCEDURE")
}

fn collect(text: &str, with_strings: bool, found: &mut BTreeSet<Key>) {
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    for window in tokens.windows(3) {
        if window[1].kind == TokenKind::Dot
            && let (Some(schema), Some(name)) = (window[0].identifier(text), window[2].identifier(text))
        {
            found.insert((schema.as_str().to_owned(), name.as_str().to_owned()));
        }
        // `OPERATOR(app.===)`
        if window[1].kind == TokenKind::Dot
            && window[2].kind == TokenKind::Operator
            && let Some(schema) = window[0].identifier(text)
        {
            found.insert((schema.as_str().to_owned(), window[2].text(text).to_owned()));
        }
    }
    if with_strings {
        for token in tokens.iter().filter(|token| token.kind == TokenKind::String) {
            let inner = token.text(text).trim_matches('\'').replace("''", "'");
            if inner.contains('.') {
                collect(&inner, false, found);
            }
        }
    }
}

/// The object that the first statement is about: `CREATE TABLE app.users (…)`, `ALTER TABLE ONLY app.users …`: the first
/// name with a schema.
pub(super) fn first_name(statement: &str) -> Option<Key> {
    nth_name(statement, 0)
}

/// The `n`th name with a schema, from 0.
pub(super) fn nth_name(statement: &str, n: usize) -> Option<Key> {
    let tokens: Vec<Token> = lex(statement).filter(|token| !token.is_blank()).collect();
    let mut names = tokens.windows(3).filter_map(|window| {
        let dotted = window[1].kind == TokenKind::Dot;
        let (schema, name) = (window[0].identifier(statement)?, window[2].identifier(statement)?);
        dotted.then(|| (schema.as_str().to_owned(), name.as_str().to_owned()))
    });
    names.nth(n)
}

/// The first name with a schema behind the word `word`.
pub(super) fn name_behind(statement: &str, word: &str) -> Option<Key> {
    let token = lex(statement).find(|token| token.is_word(statement, word))?;
    first_name(&statement[token.span.end..])
}
