//! Templates: text with parts from the row, the key and the value itself.

use super::key::Keyed;
use super::permutation::permute;
use super::{Row, Unfit, fake};
use crate::config::sync_rules::{FakeKind, Locale};
use crate::sql::push_hexadecimal;

/// One part of a template, made ready.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// Text as it is.
    Text(String),
    /// Another field.
    Field(usize),
    /// The keyed hash of another field.
    FieldHash(usize, Keyed, u8),
    /// Digits that follow from the row.
    Random(Keyed, u8),
    /// Digits that nobody can tell.
    Fresh(u8),
    /// Digits that no two rows share.
    Unique(Keyed, u8),
    /// The last digits of the value: already cut by the source where `cut` is true.
    LastDigits {
        /// How many.
        count: u8,
        /// The source sends these digits, or stars, and nothing else.
        cut: bool,
    },
    /// The first characters of the value.
    First(u8),
    /// What stands behind `@`.
    MailDomain,
    /// The keyed hash of the value.
    Hash(Keyed, u8, bool),
    /// A word from a list.
    Fake(Keyed, FakeKind),
}

impl Part {
    /// True where what it writes may be what another row's value was.
    pub(super) fn may_meet_others(&self) -> bool {
        matches!(self, Self::Fake(..) | Self::Random(..) | Self::Fresh(_) | Self::Unique(..))
    }
}

/// Writes the template for one value.
pub(super) fn render(parts: &[Part], value: &str, row: &Row<'_>, out: &mut String) -> Result<(), Unfit> {
    for (occurrence, part) in parts.iter().enumerate() {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Field(index) => {
                out.push_str(&row.text(*index).unwrap_or_default());
            }
            Part::FieldHash(index, key, length) => {
                let text = row.text(*index).unwrap_or_default();
                push_hexadecimal(&key.hash(&[text.as_bytes()]), usize::from(*length), out);
            }
            Part::Random(key, count) => {
                let number = key.number(&[b"random", &[occurrence as u8], &row.identity()]);
                push_digits(number, *count, out);
            }
            Part::Fresh(count) => {
                let mut bytes = [0; 16];
                getrandom::fill(&mut bytes)
                    .map_err(|_| Unfit("cannot be masked: the system gives no random numbers"))?;
                push_digits(u128::from_be_bytes(bytes), *count, out);
            }
            Part::Unique(key, count) => {
                let size = 10_u128.pow((*count).into());
                let number = row.number().filter(|number| u128::from(*number) < size);
                let number = number
                    .ok_or(Unfit("belongs to a row whose key is no number that `unique` has room for"))?;
                push_digits(permute(key, occurrence as u64, size, number).into(), *count, out);
            }
            Part::LastDigits { count, cut: true } => {
                let count = usize::from(*count);
                let told = value.len() == count && value.bytes().all(|byte| byte.is_ascii_digit());
                out.push_str(if told { value } else { &"****"[..count] });
            }
            Part::LastDigits { count, cut: false } => last_digits(value, usize::from(*count), out),
            Part::First(count) => first(value, usize::from(*count), out),
            Part::MailDomain => {
                out.push_str(value.rsplit_once('@').map_or("example.com", |(_, domain)| domain));
            }
            Part::Hash(key, length, normalize) => super::hash(key, *length, *normalize, value, out),
            Part::Fake(key, kind) => fake::fake(key, *kind, Locale::En, value, out),
        }
    }
    Ok(())
}

fn push_digits(number: u128, count: u8, out: &mut String) {
    let width = usize::from(count);
    out.push_str(&format!("{:0width$}", number % 10_u128.pow(count.into())));
}

/// The last digits where the value has more than seven and at least twice as many; else stars.
fn last_digits(value: &str, count: usize, out: &mut String) {
    let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
    if digits.len() > 7 && digits.len() >= 2 * count {
        out.extend(&digits[digits.len() - count..]);
    } else {
        out.extend(std::iter::repeat_n('*', count));
    }
}

/// The first characters where they are at most a third; else stars.
fn first(value: &str, count: usize, out: &mut String) {
    if value.chars().count() >= 3 * count {
        out.extend(value.chars().take(count));
    } else {
        out.extend(std::iter::repeat_n('*', count));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MasterKey, Wire};
    use super::*;
    use proptest::prelude::*;

    fn rendered(parts: &[Part], value: &str, key: &[u8]) -> String {
        let fields = [Some(key)];
        let mut out = String::new();
        render(parts, value, &Row::new(&fields, &[Wire::Text], &[0]), &mut out).unwrap();
        out
    }

    #[test]
    fn the_templates_of_the_guide_come_out() {
        let key = MasterKey::ephemeral().unwrap().subkey("users.email");
        let text = |text: &str| Part::Text(text.to_owned());
        let email = [text("user_"), Part::Field(0), text("@example.com")];
        assert_eq!(rendered(&email, "ann@corp.com", b"17"), "user_17@example.com");
        let card = [text("**** "), Part::LastDigits { count: 4, cut: false }];
        assert_eq!(rendered(&card, "4111-1111-1111-1234", b"1"), "**** 1234");
        assert_eq!(rendered(&card, "1234", b"1"), "**** ****");
        let phone = [text("+1-555-"), Part::Random(key, 4)];
        assert_eq!(rendered(&phone, "a", b"1"), rendered(&phone, "b", b"1"), "the row decides");
        assert_ne!(rendered(&phone, "a", b"1"), rendered(&phone, "a", b"2"));
        assert_eq!(rendered(&phone, "a", b"1").len(), 11);
    }

    #[test]
    fn unique_digits_are_unique() {
        let part = [Part::Unique(MasterKey::ephemeral().unwrap().subkey("x"), 4)];
        let mut all: Vec<String> =
            (0..10_000).map(|id| rendered(&part, "v", id.to_string().as_bytes())).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 10_000);
    }

    proptest! {
        #[test]
        fn short_values_tell_no_more_than_a_third(value in "[0-9a-z]{0,7}", count in 1_usize..=4) {
            let mut out = String::new();
            last_digits(&value, count, &mut out);
            prop_assert!(out.chars().all(|c| c == '*'));
            out.clear();
            first(&value, count, &mut out);
            let told = out.chars().filter(|c| *c != '*').count();
            prop_assert!(told * 3 <= value.chars().count().max(1));
        }
    }
}
