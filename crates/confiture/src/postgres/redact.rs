//! Takes row values out of what a server says, whatever its language.
//!
//! PostgreSQL quotes values and names alike, and only some names are given apart as fields. So every quoted piece goes
//! that is not one of these names, up to the last quote of the text: a value may itself hold quotes.

/// What stands in for what was taken out.
pub(super) const REDACTED: &str = "…";

/// The quotes of PostgreSQL's translations. ASCII apostrophes are handled apart: French has them in words.
const QUOTES: [char; 9] = ['"', '«', '»', '“', '”', '„', '「', '」', '‘'];

/// The text without quoted pieces other than `names`, and without numbers, addresses and their like outside of quotes.
pub(super) fn redact(text: &str, names: &[&str]) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(open) = find_quote(rest) {
        kept.push_str(&without_odd_words(&rest[..open]));
        rest = &rest[open..];
        if let Some(length) = leading_name(rest, names) {
            kept.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        kept.push_str(REDACTED);
        // Without a quote that ends it, all of the rest is the value.
        let close = rest.char_indices().skip(1).filter(|(_, c)| is_quote(*c)).last();
        rest = close.map_or("", |(at, quote)| &rest[at + quote.len_utf8()..]);
        kept.push_str(&without_odd_words(rest));
        return kept;
    }
    kept.push_str(&without_odd_words(rest));
    kept
}

fn is_quote(character: char) -> bool {
    QUOTES.contains(&character) || character == '\''
}

/// Where a quoted piece begins: an apostrophe counts only after a space, a bracket or a colon.
fn find_quote(text: &str) -> Option<usize> {
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        let begins = QUOTES.contains(&character)
            || (character == '\'' && (before.is_whitespace() || matches!(before, '(' | ':' | '=')));
        if begins {
            return Some(at);
        }
        before = character;
    }
    None
}

/// The length of `"name"` at the beginning of `text`, where the name is one of `names` or an encoding. French has a
/// space inside of its quotes.
fn leading_name(text: &str, names: &[&str]) -> Option<usize> {
    let mut after_quote = text.chars();
    after_quote.next();
    let inner = after_quote.as_str().trim_start();
    names
        .iter()
        .copied()
        .chain(ENCODINGS)
        .filter(|name| !name.is_empty())
        .filter_map(|name| {
            let after = inner.strip_prefix(name)?.trim_start();
            let quote = after.chars().next().filter(|c| is_quote(*c))?;
            Some(text.len() - after.len() + quote.len_utf8())
        })
        .max()
}

/// Encodings are quoted in messages, and say what to look at.
const ENCODINGS: [&str; 8] =
    ["UTF8", "SQL_ASCII", "LATIN1", "LATIN9", "WIN1252", "WIN1251", "EUC_JP", "SJIS"];

/// Words with a digit or an `@` may be values; a length in a type's brackets, as in `varchar(3)`, is not.
fn without_odd_words(text: &str) -> String {
    text.split_inclusive(char::is_whitespace)
        .map(|word| {
            let bare = word.trim_end();
            let is_type =
                bare.strip_suffix(')').and_then(|word| word.split_once('(')).is_some_and(|(name, length)| {
                    name.chars().all(char::is_alphabetic)
                        && length.len() <= 8
                        && length.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
                });
            let odd = bare.chars().any(|c| c.is_numeric() || c == '@');
            if odd && !is_type { format!("{REDACTED}{}", &word[bare.len()..]) } else { word.to_owned() }
        })
        .collect()
}

/// Where it happened, of a CONTEXT: `COPY users, line 3, column age` without the value behind the colon; functions and
/// lines. After the first line that holds a quoted piece nothing more is read: it may be a value of several lines.
pub(super) fn redact_context(context: &str) -> Vec<String> {
    let mut kept = Vec::new();
    for line in context.lines() {
        let place = line.split([':', '：']).next().unwrap_or_default().trim();
        if place.contains(|c: char| QUOTES.contains(&c) || matches!(c, '\'' | '=' | '$' | '@')) {
            break;
        }
        if !place.is_empty() {
            kept.push(place.to_owned());
        }
        // JSON's own line never spans lines; any other value behind a colon may.
        if place.len() < line.trim().len() && !place.contains("JSON") {
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::{redact, redact_context};

    #[test]
    fn takes_values_out_of_messages_in_any_language() {
        let cases = [
            ("invalid input syntax for type integer: \"abc\"", "invalid input syntax for type integer: …"),
            ("ungültige Eingabesyntax für Typ integer: »abc«", "ungültige Eingabesyntax für Typ integer: …"),
            (
                "syntaxe en entrée invalide pour le type integer : « c d »",
                "syntaxe en entrée invalide pour le type integer : …",
            ),
            ("\"integer\"型の入力構文が不正です: \"abc\"", "…"),
            (
                "la sintaxis de entrada no es válida para tipo integer: «abc»",
                "la sintaxis de entrada no es válida para tipo integer: …",
            ),
            ("value \"999\" is out of range for type integer", "value … is out of range for type integer"),
            (
                "invalid input syntax for type integer: \"a\"b secret\"",
                "invalid input syntax for type integer: …",
            ),
            ("invalid input syntax for type integer: \"a\nb", "invalid input syntax for type integer: …"),
            ("value too long for type character varying(3)", "value too long for type character varying(3)"),
            ("numeric field overflow", "numeric field overflow"),
            (
                "invalid byte sequence for encoding \"UTF8\": 0xff 0xfe",
                "invalid byte sequence for encoding \"UTF8\": … …",
            ),
            ("l'instruction échoue", "l'instruction échoue"),
            ("user x@y.org is number 7", "user … is number …"),
            (
                "duplicate key value violates unique constraint \"users_key\"",
                "duplicate key value violates unique constraint \"users_key\"",
            ),
            (
                "null value in column \"a b\" of relation \"users\" violates",
                "null value in column \"a b\" of relation \"users\" violates",
            ),
            ("une valeur « a b » de « users » viole", "une valeur « a b » de « users » viole"),
            ("value \"users_keys\" of \"users\"", "value …"),
            ("failed for 'x y' now", "failed for … now"),
        ];
        for (text, expected) in cases {
            assert_eq!(redact(text, &["users", "users_key", "a b"]), expected, "{text}");
        }
    }

    #[test]
    fn keeps_the_place_of_a_context() {
        let cases = [
            ("COPY users, line 3, column age: \"abc\"", "COPY users, line 3, column age"),
            ("COPY users, Zeile 3, Spalte age: »abc«", "COPY users, Zeile 3, Spalte age"),
            ("usersのCOPY、行 3、列 age: \"abc\"", "usersのCOPY、行 3、列 age"),
            ("COPY users, line 3: \"1\tx\nCOPY secret\"", "COPY users, line 3"),
            (
                "PL/pgSQL function f(text) line 3 at RAISE\nSQL statement \"SELECT 'x'\"",
                "PL/pgSQL function f(text) line 3 at RAISE",
            ),
            (
                "JSON data, line 1: {\"a\"\nCOPY users, line 1, column j: \"{\"a\"\"",
                "JSON data, line 1|COPY users, line 1, column j",
            ),
            ("unnamed portal with parameters: $1 = 'x'", "unnamed portal with parameters"),
        ];
        for (context, expected) in cases {
            assert_eq!(redact_context(context).join("|"), expected, "{context}");
        }
    }
}
