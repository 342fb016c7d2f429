//! What personal data looks like in text: for redaction, for suggestions, and for the scan.

use std::sync::OnceLock;

use regex::{Captures, Regex};

use super::Row;
use super::format::luhn_digit;
use crate::config::sync_rules::PersonalKind;

/// The expression of a kind. The engine is linear: no text makes one slow.
fn expression(kind: PersonalKind) -> &'static Regex {
    static EXPRESSIONS: OnceLock<Vec<(PersonalKind, Regex)>> = OnceLock::new();
    let all = EXPRESSIONS.get_or_init(|| {
        PersonalKind::PATTERNS
            .into_iter()
            .map(|kind| {
                let text = match kind {
                    PersonalKind::Email => r"[\w.%+'-]+@[\w-]+(?:\.[\w-]+)+",
                    PersonalKind::Phone => r"(?:\+|\b00)[0-9]{1,3}[ .()/-]{0,2}[0-9](?:[ .()/-]{0,2}[0-9]){6,12}\b|\(?\b[0-9]{2,4}\)?[ .-][0-9]{3,4}[ .-][0-9]{3,4}\b",
                    PersonalKind::Card => r"\b[0-9](?:[ -]?[0-9]){11,18}\b",
                    PersonalKind::Iban => r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
                    PersonalKind::Ip => r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b|\b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{1,4}\b",
                    _ => r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b|\b[12] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{3} ?[0-9]{3}(?: ?[0-9]{2})?\b",
                };
                (kind, Regex::new(text).unwrap_or_else(|error| unreachable!("our own expression: {error}")))
            })
            .collect()
    });
    match all.iter().find(|(of, _)| *of == kind) {
        Some((_, expression)) => expression,
        None => &all[0].1,
    }
}

/// True where a match is more than a look: a card's check digit, an account's remainder.
fn is_real(kind: PersonalKind, found: &str) -> bool {
    let digits: Vec<u8> = found.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
    match kind {
        PersonalKind::Card => {
            digits.split_last().is_some_and(|(check, payload)| luhn_digit(payload) == *check)
        }
        PersonalKind::Iban => iban_remainder(found) == Some(1),
        PersonalKind::Ip => found.contains(':') || found.split('.').all(|part| part.parse::<u8>().is_ok()),
        _ => true,
    }
}

/// The remainder that a right account number leaves.
fn iban_remainder(text: &str) -> Option<u32> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (head, tail) = plain.split_at_checked(4)?;
    tail.chars().chain(head.chars()).try_fold(0_u32, |rest, c| {
        let digit = c.to_digit(36)?;
        let shift = if digit > 9 { 100 } else { 10 };
        Some((rest * shift + digit) % 97)
    })
}

/// Text without what looks like one of `kinds`: `[email]` stands in its place.
pub(super) fn redact(kinds: &[PersonalKind], text: &str, row: &Row<'_>, out: &mut String) {
    let mut left = text.to_owned();
    for kind in PersonalKind::PATTERNS.into_iter().filter(|kind| kinds.contains(kind)) {
        let replaced = expression(kind).replace_all(&left, |found: &Captures<'_>| {
            if !is_real(kind, &found[0]) {
                return found[0].to_owned();
            }
            row.note(&found[0]);
            format!("[{}]", kind.word())
        });
        left = replaced.into_owned();
    }
    out.push_str(&left);
}

/// The kinds that a text holds, beside what our own masks write.
pub(crate) fn kinds_in(text: &str) -> impl Iterator<Item = PersonalKind> {
    // Every one of them has a digit or an @: most texts are done here.
    let possible = text.bytes().any(|byte| byte == b'@' || byte.is_ascii_digit());
    PersonalKind::PATTERNS.into_iter().filter(move |kind| {
        possible
            && expression(*kind)
                .find_iter(text)
                .any(|found| is_real(*kind, found.as_str()) && !is_ours(found.as_str()))
    })
}

/// What stands for nobody: the ranges and domains that are kept for documentation.
fn is_ours(found: &str) -> bool {
    let lower = found.to_ascii_lowercase();
    ["example.com", "example.org", "example.net", ".invalid", ".test"]
        .iter()
        .any(|ending| lower.ends_with(ending))
        || ["198.18.", "198.19.", "203.0.113.", "192.0.2.", "127.", "0.0.", "2001:db8:"]
            .iter()
            .any(|start| lower.starts_with(start))
        || lower.contains("555-01")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_text_is_redacted_rather_too_much_than_too_little() {
        let mut out = String::new();
        redact(
            &PersonalKind::PATTERNS,
            "Ann <ann.lee@corp.co.uk>, +44 20 7946 0958, card 4111 1111 1111 1111, not 4111 1111 1111 1112, \
             DE89 3704 0044 0532 0130 00, 10.1.2.3, 123-45-6789, order 20481.",
            &Row::empty(),
            &mut out,
        );
        assert_eq!(
            out,
            "Ann <[email]>, [phone], card [card], not [phone] 1112, [iban], [ip], [national_id], order 20481."
        );
    }

    #[test]
    fn what_we_write_ourselves_is_no_find() {
        let kinds = |text| kinds_in(text).map(PersonalKind::word).collect::<Vec<_>>();
        assert_eq!(kinds("write to a1b2@example.com or 198.18.4.5"), [""; 0]);
        assert_eq!(kinds("write to ann@corp.com"), ["email"]);
        assert_eq!(kinds("nothing at all"), [""; 0]);
    }
}
