//! Passwords in the user's SQL: what is shown of it has `***` in their place.

use std::ops::Range;

use crate::sql::lex::{Token, TokenKind, lex};

/// Parts of names that say that the value behind them is nobody's business.
pub(crate) const SECRET: [&str; 8] =
    ["password", "passwd", "passphrase", "secret", "token", "credential", "access_key", "private_key"];

const MASK: &str = "'***'";

/// The text with `'***'` in place of each secret, and where `span` of it is then.
pub(crate) fn masked(text: &str, span: Range<usize>) -> (String, Range<usize>) {
    let (mut shown, mut end) = (String::new(), 0);
    let (mut from, mut to) = (None, None);
    for place in secrets(text) {
        // What begins or ends within a secret begins before it, and ends behind it.
        for (bound, offset) in [(&mut from, span.start), (&mut to, span.end)] {
            if offset <= place.start {
                bound.get_or_insert(shown.len() + offset - end);
            }
        }
        shown.push_str(&text[end..place.start]);
        if span.start < place.end {
            from.get_or_insert(shown.len());
        }
        shown.push_str(MASK);
        if span.end <= place.end {
            to.get_or_insert(shown.len());
        }
        end = place.end;
    }
    let rest = |offset: usize| shown.len() + offset.max(end) - end;
    let span = from.unwrap_or_else(|| rest(span.start))..to.unwrap_or_else(|| rest(span.end));
    shown.push_str(&text[end..]);
    (shown, span)
}

/// Where secrets stand: strings behind a name that says so, and strings with a password in them.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut is_secret = false;
    for token in lex(text).filter(|token| !token.is_blank()) {
        match token.kind {
            TokenKind::String | TokenKind::Unclosed(_) => {
                if is_secret || holds_password(token.text(text)) {
                    found.push(token.span.clone());
                }
                is_secret = false;
            }
            TokenKind::DollarString if is_secret => {
                found.push(token.span.clone());
                is_secret = false;
            }
            TokenKind::DollarString => found.extend(within(text, &token)),
            // `password = '…'`, `password => '…'`, `SET secret TO '…'`.
            TokenKind::Operator => is_secret &= token.text(text).contains('='),
            TokenKind::Word if token.is_word(text, "to") => {}
            TokenKind::Other => is_secret &= token.text(text) == ":",
            _ => is_secret = says_secret(&token, text),
        }
    }
    found
}

fn says_secret(token: &Token, text: &str) -> bool {
    let name = token.identifier(text).map(|name| name.as_str().to_ascii_lowercase());
    name.is_some_and(|name| SECRET.iter().any(|secret| name.contains(secret)))
}

/// The secrets of a body: between its dollars is SQL, mostly.
fn within(text: &str, token: &Token) -> Vec<Range<usize>> {
    let whole = token.text(text);
    let Some(tag) = whole[1..].find('$').map(|at| at + 2) else { return Vec::new() };
    let inner = &whole[tag..whole.len().saturating_sub(tag).max(tag)];
    let start = token.span.start + tag;
    secrets(inner).into_iter().map(|place| place.start + start..place.end + start).collect()
}

/// `host=a password=b`, `postgresql://me:b@a/`, `CREATE ROLE a PASSWORD ''b''`.
fn holds_password(string: &str) -> bool {
    let lower = string.to_ascii_lowercase();
    let mut behind = lower.match_indices("password").map(|(at, word)| lower[at + word.len()..].trim_start());
    let in_url = || {
        let (_, rest) = lower.split_once("://")?;
        let (login, _) = rest.split(['/', '?']).next()?.rsplit_once('@')?;
        login.split_once(':')
    };
    behind.any(|rest| rest.starts_with('=') || rest.starts_with("''")) || in_url().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_wherever_they_stand() {
        for text in [
            "CREATE ROLE a LOGIN PASSWORD 'hunter2'",
            "create user a encrypted password $$hunter2$$",
            "ALTER ROLE a\n  PASSWORD\n  E'hunter2\\''",
            "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'me', \"password\" 'hunter2')",
            "CREATE SUBSCRIPTION s CONNECTION 'host=a password=hunter2' PUBLICATION p",
            "SELECT dblink_connect('postgresql://me:hunter2@host/db')",
            "DO $$ BEGIN CREATE ROLE a PASSWORD 'hunter2'; END $$",
            "DO $$ BEGIN EXECUTE 'CREATE ROLE a PASSWORD ''hunter2'''; END $$",
            "SELECT set_up(api_token => 'hunter2')",
            "UPDATE settings SET secret = 'hunter2'",
            "ALTER ROLE a PASSWORD 'hunter2",
        ] {
            let (shown, _) = masked(text, 0..0);
            assert!(!shown.contains("hunter2") && shown.contains("'***'"), "{shown}");
        }
        for text in ["CREATE TABLE t (password text DEFAULT 'x')", "COMMENT ON COLUMN t.token IS 'x'"] {
            assert_eq!(masked(text, 0..0).0, text);
        }
    }

    #[test]
    fn what_is_marked_stays_marked() {
        let text = "CREATE ROLE a PASSWORD 'hunter2' INHERT; SELECT 1";
        let of = |word: &str| {
            let at = text.find(word).unwrap();
            let (shown, span) = masked(text, at..at + word.len());
            shown[span].to_owned()
        };
        for word in ["CREATE", "PASSWORD", "INHERT", "SELECT 1"] {
            assert_eq!(of(word), word);
        }
        assert_eq!(of("'hunter2'"), "'***'");
        assert_eq!(of("hunter2"), "'***'");
        assert_eq!(of("a PASSWORD 'hunter2' INHERT"), "a PASSWORD '***' INHERT");
    }
}
