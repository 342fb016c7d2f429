//! Conditions within conditions, as PostgreSQL holds them and its parser would not.
//!
//! `b BETWEEN 1 AND 9 AND a > 0` is an AND within an AND, and so it is printed: `(((b >= 1) AND (b <= 9)) AND (a > 0))`. Read again, that
//! is one AND of three. A cast to boolean, which comes to nothing, keeps the parser from looking inside.

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

/// The statement with casts after each condition that would be taken apart.
pub(super) fn kept(statement: Sql) -> Sql {
    if !statement.as_str().contains("((") {
        return statement;
    }
    let text = statement.as_str();
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
    if places.is_empty() {
        return statement;
    }
    let mut kept = String::with_capacity(text.len() + places.len() * CAST.len());
    let mut from = 0;
    for place in places {
        kept.push_str(&text[from..place]);
        kept.push_str(CAST);
        from = place;
    }
    kept.push_str(&text[from..]);
    Sql::from_server(kept)
}

const CAST: &str = "::pg_catalog.bool";

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
