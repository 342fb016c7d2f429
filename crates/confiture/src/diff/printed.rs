//! What PostgreSQL prints in a way that its parser reads otherwise.
//!
//! Conditions within conditions:
//! `b BETWEEN 1 AND 9 AND a > 0` is an AND within an AND, and so it is printed: `(((b >= 1) AND (b <= 9)) AND (a > 0))`. Read again, that
//! is one AND of three. A cast to boolean, which comes to nothing, keeps the parser from looking inside.
//!
//! Columns without a name: `EXISTS (SELECT 'x' …)` is printed as `SELECT 'x'::text`, and the type would be its name. So is an arm of a
//! `UNION`.
//!
//! Parts of a time: `EXTRACT('YEAR' FROM t)` is printed as `EXTRACT(YEAR FROM t)`, which is `EXTRACT('year' FROM t)`.

use crate::catalog::parts_of_time;
use crate::sql::Sql;
use crate::sql::lex::{Token, TokenKind, lex};

/// A place between parentheses.
#[derive(Default)]
struct Group {
    /// It follows another opening parenthesis.
    is_first: bool,
    /// `AND` or `OR`, where that is what joins its parts.
    joined_by: Option<bool>,
}

/// The statement with casts after each condition that would be taken apart, names for columns that have none, and quotes around
/// parts of a time that are not in lower case.
pub(super) fn kept(statement: Sql) -> Sql {
    let text = statement.as_str();
    if !["((", "SELECT", "EXTRACT("].iter().any(|sign| text.contains(sign)) {
        return statement;
    }
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let mut places: Vec<(usize, &str)> =
        conditions(text, &tokens).into_iter().map(|place| (place, CAST)).collect();
    places.extend(nameless(text, &tokens).into_iter().map(|place| (place, NAME)));
    places.extend(
        parts_of_time(text, &tokens).into_iter().flat_map(|part| [(part.start, "'"), (part.end, "'")]),
    );
    if places.is_empty() {
        return statement;
    }
    places.sort_unstable();
    let mut kept = String::with_capacity(text.len() + places.len() * CAST.len());
    let mut from = 0;
    for (place, what) in places {
        kept.push_str(&text[from..place]);
        kept.push_str(what);
        from = place;
    }
    kept.push_str(&text[from..]);
    Sql::from_server(kept)
}

const CAST: &str = "::pg_catalog.bool";

const NAME: &str = " AS \"?column?\"";

/// Where conditions end that would be taken apart.
fn conditions(text: &str, tokens: &[Token]) -> Vec<usize> {
    let mut open: Vec<Group> = Vec::new();
    let mut closed: Option<(usize, Group)> = None;
    let mut places = Vec::new();
    let mut follows_open = false;
    for token in tokens {
        let word = joins(token, text);
        if let (Some(word), Some((end, group))) = (word, closed.take())
            && group.is_first
            && group.joined_by == Some(word)
        {
            places.push(end);
        }
        match token.kind {
            TokenKind::Open => open.push(Group { is_first: follows_open, joined_by: None }),
            TokenKind::Close => closed = open.pop().map(|group| (token.span.end, group)),
            _ => {}
        }
        if let (Some(word), Some(group)) = (word, open.last_mut()) {
            group.joined_by = Some(word);
        }
        follows_open = token.kind == TokenKind::Open;
    }
    places
}

/// Where constants with a cast end that are selected, and have no name.
fn nameless(text: &str, tokens: &[Token]) -> Vec<usize> {
    let mut places = Vec::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| token.is_word(text, "SELECT")) {
        let mut rest = &tokens[at + 1..];
        if rest.first().is_some_and(|token| token.is_word(text, "DISTINCT")) {
            rest = &rest[1..];
        }
        loop {
            let (length, is_named) = selected(text, rest);
            let is_constant = |token: &Token| token.kind == TokenKind::String || token.is_word(text, "NULL");
            if let [constant, cast, ..] = &rest[..length]
                && is_constant(constant)
                && cast.text(text).starts_with(':')
                && !is_named
            {
                places.push(rest[length - 1].span.end);
            }
            match rest.get(length) {
                Some(token) if token.kind == TokenKind::Comma => rest = &rest[length + 1..],
                _ => break,
            }
        }
    }
    places
}

/// How many tokens the first thing has that is selected, and whether a name for it is among them.
fn selected(text: &str, tokens: &[Token]) -> (usize, bool) {
    const AFTER: [&str; 13] = [
        "FROM",
        "WHERE",
        "UNION",
        "EXCEPT",
        "INTERSECT",
        "LIMIT",
        "OFFSET",
        "FETCH",
        "FOR",
        "GROUP",
        "HAVING",
        "WINDOW",
        "ORDER",
    ];
    let mut depth = 0_usize;
    let mut is_named = false;
    for (number, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close if depth > 0 => depth -= 1,
            TokenKind::Close | TokenKind::Semicolon => return (number, is_named),
            TokenKind::Comma if depth == 0 => return (number, is_named),
            TokenKind::Word if depth == 0 => {
                if AFTER.iter().any(|word| token.is_word(text, word)) {
                    return (number, is_named);
                }
                is_named |= token.is_word(text, "AS");
            }
            _ => {}
        }
    }
    (tokens.len(), is_named)
}

/// True for `AND`, false for `OR`, nothing for other words.
fn joins(token: &Token, text: &str) -> Option<bool> {
    if token.is_word(text, "AND") {
        return Some(true);
    }
    token.is_word(text, "OR").then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_text(text: &str) -> String {
        kept(Sql::from_server(text)).as_str().to_owned()
    }

    #[test]
    fn only_what_would_be_taken_apart_is_cast() {
        for text in [
            "CHECK (((a > 0) AND (b >= 1) AND (b <= 9)))",
            "CHECK (((a > 0) AND ((b >= 1) AND (b <= 9))))",
            "CHECK ((((a > 0) OR (b > 0)) AND (c > 0)))",
            "CREATE TABLE t ((a int)",
            "AS $$ SELECT (((a) AND (b)) AND (c)) $$",
            "DEFAULT '(((a) AND (b)) AND (c))'",
            "WHERE (f((a > 0) AND (b > 0)) AND (c > 0))",
        ] {
            assert_eq!(kept_text(text), text);
        }
    }

    #[test]
    fn a_column_without_a_name_has_none() {
        assert_eq!(
            kept_text(
                "(EXISTS ( SELECT 'x'::text\n   FROM t)) AND (b IN ( SELECT NULL::character varying(3)))"
            ),
            "(EXISTS ( SELECT 'x'::text AS \"?column?\"\n   FROM t)) AND (b IN ( SELECT NULL::character varying(3) AS \"?column?\"))"
        );
        assert_eq!(
            kept_text(
                "SELECT 0 AS a,\n 'x'::name AS name\nUNION ALL\n SELECT DISTINCT 'x'::name, f('a'::text, b), 'y'::\"bit\""
            ),
            "SELECT 0 AS a,\n 'x'::name AS name\nUNION ALL\n SELECT DISTINCT 'x'::name AS \"?column?\", f('a'::text, b), \
             'y'::\"bit\" AS \"?column?\""
        );
        for text in ["( SELECT 'x'::text AS text)", "( SELECT 1)", "( SELECT a::text FROM t)"] {
            assert_eq!(kept_text(text), text);
        }
    }

    #[test]
    fn a_part_of_a_time_is_written_as_it_was() {
        assert_eq!(
            kept_text("(EXTRACT(YEAR FROM a) + EXTRACT(year FROM 'EXTRACT(YEAR FROM'::text))"),
            "(EXTRACT('YEAR' FROM a) + EXTRACT(year FROM 'EXTRACT(YEAR FROM'::text))"
        );
    }

    #[test]
    fn an_and_at_the_front_of_an_and_and_an_or_of_an_or_are() {
        assert_eq!(
            kept_text("CHECK ((((b >= 1) AND (b <= 9)) AND (a > 0)))"),
            "CHECK ((((b >= 1) AND (b <= 9))::pg_catalog.bool AND (a > 0)))"
        );
        assert_eq!(
            kept_text("(((((a) OR (b))) OR (c)) OR (d))"),
            "(((((a) OR (b))) OR (c))::pg_catalog.bool OR (d))"
        );
        assert_eq!(
            kept_text("((((a = 1) OR (a = 2)) OR (a = 3)) OR (d))"),
            "((((a = 1) OR (a = 2))::pg_catalog.bool OR (a = 3))::pg_catalog.bool OR (d))"
        );
    }
}
