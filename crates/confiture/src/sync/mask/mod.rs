//! Masks: from a value to what is written in its place. Pure; the same value, key and domain always give the same mask.

mod fake;
mod ff1;
mod format;
mod json;
mod key;
mod pattern;
mod permutation;
mod render;
mod row;

pub use fake::LISTS_VERSION;
pub(crate) use fake::{longest as longest_fake, variety};
pub use key::{Keyed, MasterKey};
pub(crate) use pattern::kinds_in;
pub(crate) use render::Part;
pub(crate) use row::{Row, Wire};

use crate::config::sync_rules::{FakeKind, JsonPath, Locale, PersonalKind};
use crate::sql::push_hexadecimal;

/// Why a value cannot be masked: words that never hold the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfit(pub &'static str);

/// A rule made ready.
#[derive(Debug, Clone)]
pub(crate) enum Mask {
    /// The value as it is.
    Keep,
    /// NULL.
    Null,
    /// The same for all.
    Constant(String),
    /// Text with parts from elsewhere.
    Template(Vec<Part>),
    /// Hexadecimal digits of the keyed hash.
    Hash { key: Keyed, length: u8, normalize: bool },
    /// Digits for digits, letters for letters.
    Format(Keyed),
    /// A number of so many bits for a number.
    Integer(Keyed, u32),
    /// A UUID for a UUID.
    Uuid(Keyed),
    /// A word from a list.
    Fake(Keyed, FakeKind, Locale),
    /// A card number.
    Card(Keyed),
    /// An address for documentation.
    Ip(Keyed),
    /// A whole number moved by at most so much.
    Noise(Keyed, u64),
    /// Places in a document.
    Json(Vec<(JsonPath, Mask)>),
    /// Text without what looks personal.
    Redact(Vec<PersonalKind>),
    /// The value of another row.
    Shuffle(Shuffle),
    /// A mask that does nothing, for tests: whatever it should have done must be missed.
    #[cfg(feature = "failpoints")]
    Broken(Box<Mask>),
}

/// How values change their rows.
#[derive(Debug, Clone)]
pub(crate) struct Shuffle {
    /// Who gets whose value follows from it.
    pub(crate) key: Keyed,
    /// A value that has no other to change places with may become NULL.
    pub(crate) nullable: bool,
    /// Nobody changes places: for tests.
    pub(crate) broken: bool,
}

impl Mask {
    /// Where values change their rows instead of being replaced.
    pub(crate) fn as_shuffle(&self) -> Option<&Shuffle> {
        match self {
            Self::Shuffle(shuffle) => Some(shuffle),
            _ => None,
        }
    }

    /// The same, doing nothing.
    #[cfg(feature = "failpoints")]
    pub(crate) fn broken(self) -> Self {
        match self {
            Self::Shuffle(shuffle) => Self::Shuffle(Shuffle { broken: true, ..shuffle }),
            mask => Self::Broken(Box::new(mask)),
        }
    }

    /// Writes the mask of `value`; false means NULL.
    pub(crate) fn apply(&self, value: &str, row: &Row<'_>, out: &mut String) -> Result<bool, Unfit> {
        match self {
            // Rows exchange values once they are all there.
            Self::Keep | Self::Shuffle(_) => out.push_str(value),
            Self::Null => return Ok(false),
            Self::Constant(text) => out.push_str(text),
            Self::Template(parts) => render::render(parts, value, row, out)?,
            Self::Hash { key, length, normalize } => hash(key, *length, *normalize, value, out),
            Self::Format(key) => format::preserve(key, value, out)?,
            Self::Integer(key, bits) => {
                let number: i64 = value.parse().map_err(|_| Unfit("is no whole number"))?;
                out.push_str(&format::integer(key, *bits, number).to_string());
            }
            Self::Uuid(key) => {
                let uuid = row::parse_uuid(value).ok_or(Unfit("is no UUID"))?;
                row::push_uuid(format::uuid(key, uuid), out);
            }
            Self::Fake(key, kind, locale) => fake::fake(key, *kind, *locale, value, out),
            Self::Card(key) => format::card(key, value, out)?,
            Self::Ip(key) => ip(key, value, out),
            Self::Noise(key, most) => noise(key, *most, value, row, out)?,
            Self::Json(paths) => json::mask(paths, value, row, out)?,
            #[cfg(feature = "failpoints")]
            Self::Broken(mask) => {
                mask.apply(value, row, &mut String::new())?;
                out.push_str(value);
            }
            Self::Redact(kinds) => pattern::redact(kinds, value, row, out),
        }
        Ok(true)
    }

    /// True where a mask that equals its value is a fault: chance does not do that to a whole column.
    pub(crate) fn must_change(&self) -> bool {
        #[cfg(feature = "failpoints")]
        if let Self::Broken(mask) = self {
            return mask.must_change();
        }
        !matches!(self, Self::Keep | Self::Json(_) | Self::Redact(_) | Self::Constant(_) | Self::Null)
    }

    /// True where a mask may well be what another row's value was: numbers among numbers, words from lists.
    pub(crate) fn may_meet_others(&self) -> bool {
        match self {
            #[cfg(feature = "failpoints")]
            Self::Broken(mask) => mask.may_meet_others(),
            Self::Format(_)
            | Self::Integer(..)
            | Self::Fake(..)
            | Self::Card(_)
            | Self::Noise(..)
            | Self::Shuffle(_) => true,
            Self::Template(parts) => parts.iter().any(Part::may_meet_others),
            Self::Json(paths) => paths.iter().any(|(_, mask)| mask.may_meet_others()),
            _ => false,
        }
    }
}

/// Writes so many digits of the keyed hash.
fn hash(key: &Keyed, length: u8, normalize: bool, value: &str, out: &mut String) {
    let lower;
    let value = if normalize {
        lower = value.trim().to_lowercase();
        &lower
    } else {
        value
    };
    push_hexadecimal(&key.hash(&[value.as_bytes()]), usize::from(length), out);
}

/// An address of `198.18.0.0/15` (for benchmarks) or `2001:db8::/32` (for documentation), with the same mask behind it.
fn ip(key: &Keyed, value: &str, out: &mut String) {
    let (address, network) =
        value.split_once('/').map_or((value, None), |(address, bits)| (address, Some(bits)));
    let hash = key.hash(&[address.as_bytes()]);
    if address.contains(':') {
        let words = hash.chunks_exact(2).take(6).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        out.push_str("2001:db8");
        words.for_each(|word| out.push_str(&format!(":{word:x}")));
    } else {
        out.push_str(&format!("198.{}.{}.{}", 18 + (hash[0] & 1), hash[1], hash[2]));
    }
    if let Some(bits) = network {
        out.push_str(&format!("/{bits}"));
    }
}

/// Moves a whole number, by the row and never by nothing.
fn noise(key: &Keyed, most: u64, value: &str, row: &Row<'_>, out: &mut String) -> Result<(), Unfit> {
    let number: i128 = value.parse().map_err(|_| Unfit("is no whole number"))?;
    let chosen = key.number(&[&row.identity(), value.as_bytes()]) % (2 * u128::from(most));
    let moved = chosen as i128 - i128::from(most);
    let moved = if moved >= 0 { moved + 1 } else { moved };
    out.push_str(&(number + moved).to_string());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use proptest::prelude::*;

    pub(crate) fn master() -> MasterKey {
        MasterKey::from_secret(&Secret::new("0123456789abcdef0123456789abcdef")).unwrap()
    }

    fn apply(mask: &Mask, value: &str) -> String {
        let mut out = String::new();
        mask.apply(value, &Row::empty(), &mut out).unwrap();
        out
    }

    proptest! {
        #[test]
        fn equal_values_have_equal_masks_and_others_have_others(a in ".{1,30}", b in ".{1,30}") {
            let mask = Mask::Hash { key: master().subkey("x"), length: 24, normalize: false };
            prop_assert_eq!(apply(&mask, &a), apply(&mask, &a));
            prop_assert_eq!(apply(&mask, &a) == apply(&mask, &b), a == b);
            prop_assert_eq!(apply(&mask, &a).len(), 24);
        }

        #[test]
        fn noise_moves_and_not_far(value in -1_000_000_i64..1_000_000, most in 1_u64..1000) {
            let masked: i64 = apply(&Mask::Noise(master().subkey("x"), most), &value.to_string()).parse().unwrap();
            prop_assert!(masked != value && masked.abs_diff(value) <= most);
        }
    }

    #[test]
    fn a_hash_is_the_hmac_that_others_compute() {
        // In psql with pgcrypto: hmac(value, hmac('domain\0x', master, 'sha256'), 'sha256').
        let mask = Mask::Hash { key: master().subkey("x"), length: 64, normalize: true };
        assert_eq!(apply(&mask, " A@X.com "), apply(&mask, "a@x.com"));
        assert_eq!(
            apply(&mask, "a@x.com"),
            crate::sql::hexadecimal(&master().subkey("x").hash(&[b"a@x.com"]))
        );
    }

    #[test]
    fn addresses_stay_addresses() {
        let mask = Mask::Ip(master().subkey("ip"));
        assert!(
            apply(&mask, "10.1.2.3/24").starts_with("198.1") && apply(&mask, "10.1.2.3/24").ends_with("/24")
        );
        assert!(apply(&mask, "fe80::1").parse::<std::net::Ipv6Addr>().is_ok());
    }
}
