//! Passwords in the options of what is foreign. They are neither shown nor written unasked.

use std::borrow::Cow;
use std::ops::Range;

use crate::sql::SECRET;
use crate::sql::lex::{TokenKind, lex};

/// The statement with `'***'` in place of each secret.
#[must_use]
pub fn masked(statement: &str) -> Cow<'_, str> {
    let places = secrets(statement);
    if places.is_empty() {
        return Cow::Borrowed(statement);
    }
    let mut text = String::new();
    let mut end = 0;
    for place in places {
        text.push_str(&statement[end..place.start]);
        text.push_str("'***'");
        end = place.end;
    }
    text.push_str(&statement[end..]);
    Cow::Owned(text)
}

/// The statement without its secret options.
#[must_use]
pub fn without_secrets(statement: &str) -> String {
    let mut text = statement.to_owned();
    while let Some(place) = secrets(&text).into_iter().next() {
        let tokens: Vec<_> = lex(&text).filter(|token| !token.is_blank()).collect();
        let Some(at) = tokens.iter().position(|token| token.span == place) else { break };
        let is_comma = |at: usize| tokens.get(at).is_some_and(|token| token.kind == TokenKind::Comma);
        let (first, last) = match (is_comma(at - 2), is_comma(at + 1)) {
            (_, true) => (at - 1, at + 1),
            (true, false) => (at - 2, at),
            // Nothing else is in the list.
            (false, false) => (at - 3, at + 1),
        };
        let range = tokens[first].span.start..tokens[last].span.end;
        text.replace_range(range, "");
    }
    text
}

/// True for a statement that holds one.
#[must_use]
pub fn holds_secret(statement: &str) -> bool {
    !secrets(statement).is_empty()
}

/// Where the values of secret options stand.
fn secrets(statement: &str) -> Vec<Range<usize>> {
    const FOREIGN: [&str; 3] = ["USER", "SERVER", "FOREIGN"];
    let mut words = statement.split_ascii_whitespace();
    let begins = matches!(words.next(), Some("CREATE" | "ALTER"));
    if !begins || !words.next().is_some_and(|word| FOREIGN.contains(&word)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut is_secret = false;
    for token in lex(statement).filter(|token| !token.is_blank()) {
        if token.kind == TokenKind::String {
            if is_secret {
                found.push(token.span.clone());
            }
            is_secret = false;
        } else {
            let name = token.identifier(statement).map(|name| name.as_str().to_ascii_lowercase());
            is_secret = name.is_some_and(|name| SECRET.iter().any(|secret| name.contains(secret)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_secret_option_is_masked() {
        assert_eq!(
            masked("CREATE USER MAPPING FOR a SERVER s OPTIONS (\"user\" 'me', password 'it''s')"),
            "CREATE USER MAPPING FOR a SERVER s OPTIONS (\"user\" 'me', password '***')"
        );
        assert_eq!(
            masked("ALTER SERVER s OPTIONS (SET \"client_SECRET\" E'x\\'y', ADD host 'h')"),
            "ALTER SERVER s OPTIONS (SET \"client_SECRET\" '***', ADD host 'h')"
        );
        let create = "CREATE USER MAPPING FOR a SERVER s OPTIONS (";
        for (options, rest) in [
            ("password 'x', \"user\" 'me')", format!("{create} \"user\" 'me')")),
            ("\"user\" 'me', password 'x')", format!("{create}\"user\" 'me')")),
            ("a 'b', password 'x', token 'y')", format!("{create}a 'b')")),
            ("password 'x')", "CREATE USER MAPPING FOR a SERVER s ".to_owned()),
            ("password 'x', token 'y')", "CREATE USER MAPPING FOR a SERVER s ".to_owned()),
        ] {
            assert_eq!(without_secrets(&format!("{create}{options}")), rest);
        }
        assert!(!holds_secret("CREATE TABLE t (password text DEFAULT 'x')"));
    }
}
