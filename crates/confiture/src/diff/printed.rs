//! What PostgreSQL prints in a way that its parser reads otherwise.
//!
//! Conditions within conditions:
//! `b BETWEEN 1 AND 9 AND a > 0` is an AND within an AND, and so it is printed: `(((b >= 1) AND (b <= 9)) AND (a > 0))`. Read again, that
//! is one AND of three. A cast to boolean, which comes to nothing, keeps the parser from looking inside.
//!
//! Columns without a name: `EXISTS (SELECT 'x' …)` is printed as `SELECT 'x'::text`, and the type would be its name.

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

/// The statement with casts after each condition that would be taken apart, and names for columns that have none.
pub(super) fn kept(statement: Sql) -> Sql {
    let text = statement.as_str();
    if !text.contains("((") && !text.contains("SELECT") {
        return statement;
    }
    let mut places: Vec<(usize, &str)> = conditions(text).into_iter().map(|place| (place, CAST)).collect();
    places.extend(nameless(text).into_iter().map(|place| (place, NAME)));
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
fn conditions(text: &str) -> Vec<usize> {
    let mut open: Vec<Group> = Vec::new();
    let mut closed: Option<(usize, Group)> = None;
    let mut places = Vec::new();
    let mut follows_open = false;
    for token in lex(text).filter(|token| !token.is_blank()) {
        let word = joins(&token, text);
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

/// Where constants with a cast end that are all that is selected, and have no name.
fn nameless(text: &str) -> Vec<usize> {
    const AFTER: [&str; 9] =
        ["FROM", "WHERE", "UNION", "EXCEPT", "INTERSECT", "LIMIT", "OFFSET", "GROUP", "ORDER"];
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let mut places = Vec::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| token.is_word(text, "SELECT")) {
        let rest = &tokens[at + 1..];
        let is_constant = |token: &Token| token.kind == TokenKind::String || token.is_word(text, "NULL");
        let [constant, cast, ..] = rest else { continue };
        let follows_open = at > 0 && tokens[at - 1].kind == TokenKind::Open;
        if !follows_open || !is_constant(constant) || !cast.text(text).starts_with(':') {
            continue;
        }
        let mut depth = 0_usize;
        for (number, token) in rest.iter().enumerate() {
            match token.kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close if depth > 0 => depth -= 1,
                TokenKind::Close => {
                    places.push(rest[number - 1].span.end);
                    break;
                }
                TokenKind::Comma if depth == 0 => break,
                TokenKind::Operator if !token.text(text).starts_with(':') => break,
                TokenKind::Word if AFTER.iter().any(|word| token.is_word(text, word)) => {
                    places.push(rest[number - 1].span.end);
                    break;
                }
                TokenKind::Word if token.is_word(text, "AS") => break,
                _ => {}
            }
        }
    }
    places
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
        for text in [
            "( SELECT 'x'::text AS text)",
            "( SELECT 'x'::text, 1 FROM t)",
            "( SELECT 1)",
            "( SELECT a::text FROM t)",
        ] {
            assert_eq!(kept_text(text), text);
        }
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
