//! Format preservation: digits become digits and letters become letters, each in its place; nothing else moves.

use super::key::Keyed;
use super::permutation::permute;
use super::{Unfit, ff1};

/// Domains from this size on are FF1's.
const STANDARD: u128 = 1_000_000;

/// Writes `value` with other digits and letters: the same length, the same separators, and never the same for two values.
///
/// Letters and digits beyond ASCII would stay as they are, so they are refused.
pub(super) fn preserve(key: &Keyed, value: &str, out: &mut String) -> Result<(), Unfit> {
    if value.chars().any(|c| !c.is_ascii() && c.is_alphanumeric()) {
        return Err(Unfit(
            "holds letters beyond ASCII, which format preservation does not know: use `hash` or `fake`",
        ));
    }
    let mut digits: Vec<u8> = value.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
    let mut letters: Vec<u8> = value
        .bytes()
        .filter(u8::is_ascii_alphabetic)
        .map(|letter| letter.to_ascii_lowercase() - b'a')
        .collect();
    encipher(key, 10, &[], &mut digits);
    // The digits' cipher as tweak: equal letters beside other digits become other letters.
    let tweak: Vec<u8> = digits.iter().take(16).copied().collect();
    encipher(key, 26, &tweak, &mut letters);
    let (mut digits, mut letters) = (digits.into_iter(), letters.into_iter());
    out.extend(value.chars().map(|c| match c {
        '0'..='9' => char::from(b'0' + digits.next().unwrap_or_default()),
        'a'..='z' => char::from(b'a' + letters.next().unwrap_or_default()),
        'A'..='Z' => char::from(b'A' + letters.next().unwrap_or_default()),
        other => other,
    }));
    Ok(())
}

/// A card number of the same length and with the same separators, whose check digit is right.
pub(super) fn card(key: &Keyed, value: &str, out: &mut String) -> Result<(), Unfit> {
    let mut digits: Vec<u8> = value.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
    let stays = value.chars().any(char::is_alphabetic);
    if stays || !(12..=19).contains(&digits.len()) {
        return preserve(key, value, out);
    }
    let payload = digits.len() - 1;
    encipher(key, 10, b"card", &mut digits[..payload]);
    digits[payload] = luhn_digit(&digits[..payload]);
    let mut digits = digits.into_iter();
    out.extend(value.chars().map(|c| match c {
        '0'..='9' => char::from(b'0' + digits.next().unwrap_or_default()),
        other => other,
    }));
    Ok(())
}

/// The digit that makes the whole pass Luhn's check.
pub(crate) fn luhn_digit(payload: &[u8]) -> u8 {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = payload
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| u32::from(if at % 2 == 0 { doubled(*digit) } else { *digit }))
        .sum();
    ((10 - sum % 10) % 10) as u8
}

/// A whole number among those of its type and sign.
pub(super) fn integer(key: &Keyed, bits: u32, value: i64) -> i64 {
    let size = 1_u128 << (bits - 1);
    if value >= 0 {
        return permute(key, 1, size, value.cast_unsigned()).cast_signed();
    }
    !permute(key, 2, size, (!value).cast_unsigned()).cast_signed()
}

/// Another UUID: all 128 bits, enciphered.
pub(super) fn uuid(key: &Keyed, value: [u8; 16]) -> [u8; 16] {
    key.encipher(value)
}

/// Enciphers numerals of any number, in blocks that FF1 takes, or by permutation where the domain is too small for it.
fn encipher(key: &Keyed, radix: u32, tweak: &[u8], numerals: &mut [u8]) {
    let mut chained = tweak.to_vec();
    // Even pieces: 41 digits are 21 and 20, not 40 and 1.
    let pieces = numerals.len().div_ceil(ff1::LONGEST).max(1);
    let size = numerals.len().div_ceil(pieces).max(1);
    for piece in numerals.chunks_mut(size) {
        let domain = u128::from(radix).saturating_pow(piece.len() as u32);
        if domain >= STANDARD {
            ff1::encipher(key, radix, &chained, piece);
        } else {
            let number =
                piece.iter().fold(0, |number, numeral| number * u64::from(radix) + u64::from(*numeral));
            let digest = key.hash(&[b"small\0", &[radix as u8], &chained]);
            let tweak = u64::from_be_bytes(digest[..8].try_into().unwrap_or([0; 8]));
            let mut number = permute(key, tweak, domain, number);
            for numeral in piece.iter_mut().rev() {
                *numeral = (number % u64::from(radix)) as u8;
                number /= u64::from(radix);
            }
        }
        chained.clear();
        chained.extend(piece.iter().take(16));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::mask::key::MasterKey;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn key() -> Keyed {
        MasterKey::from_secret(&crate::config::Secret::new("0123456789abcdef0123456789abcdef"))
            .unwrap()
            .subkey("test")
    }

    fn preserved(value: &str) -> String {
        let mut out = String::new();
        preserve(&key(), value, &mut out).unwrap();
        out
    }

    proptest! {
        #[test]
        fn the_form_stays_and_the_value_goes(value in "[ -~€–]{0,60}") {
            let masked = preserved(&value);
            prop_assert_eq!(masked.chars().count(), value.chars().count());
            for (old, new) in value.chars().zip(masked.chars()) {
                prop_assert_eq!(old.is_ascii_digit(), new.is_ascii_digit());
                prop_assert_eq!(old.is_ascii_lowercase(), new.is_ascii_lowercase());
                prop_assert_eq!(old.is_ascii_uppercase(), new.is_ascii_uppercase());
                if !old.is_ascii_alphanumeric() {
                    prop_assert_eq!(old, new);
                }
            }
            prop_assert_eq!(preserved(&value), masked);
        }

        #[test]
        fn integers_stay_in_their_type(value: i32, other: i32) {
            let masked = |value: i32| integer(&key(), 32, value.into());
            prop_assert!(i32::try_from(masked(value)).is_ok());
            prop_assert_eq!(masked(value) < 0, value < 0);
            prop_assert_eq!(masked(value) == masked(other), value == other);
        }
    }

    #[test]
    fn no_two_values_of_one_form_become_one() {
        for form in [4, 6] {
            let all: HashSet<String> =
                (0..10_000).map(|number| preserved(&format!("+{number:0form$}-AB"))).collect();
            assert_eq!(all.len(), 10_000);
        }
        let letters: HashSet<String> = (b'a'..=b'z')
            .flat_map(|a| (b'a'..=b'z').map(move |b| [a, b]))
            .map(|pair| preserved(std::str::from_utf8(&pair).unwrap()))
            .collect();
        assert_eq!(letters.len(), 676);
    }

    #[test]
    fn cards_keep_their_form_and_pass_the_check() {
        let mut out = String::new();
        card(&key(), "4111 1111 1111 1111", &mut out).unwrap();
        let digits: Vec<u8> = out.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
        assert_eq!((digits.len(), out.matches(' ').count()), (16, 3));
        assert_eq!(luhn_digit(&digits[..15]), digits[15]);
        assert_ne!(out, "4111 1111 1111 1111");
    }
}
