//! FF1 of NIST SP 800-38G on numbers of 128 bits, for halves of up to 96 bits.
//!
//! Domains of less than a million are outside of the standard: there, [`super::permutation`] takes over, which is
//! obfuscation and not encryption.

use super::key::Keyed;

/// The longest string of one call: a half of 20 letters, or of 28 digits, fits 96 bits.
pub(super) const LONGEST: usize = 40;

/// Enciphers numerals (each below `radix`) in place.
pub(super) fn encipher(key: &Keyed, radix: u32, tweak: &[u8], numerals: &mut [u8]) {
    let n = numerals.len();
    let u = n / 2;
    let v = n - u;
    let bits = (v as f64) * f64::from(radix).log2();
    let b = (bits.ceil() as usize).div_ceil(8);
    let d = 4 * b.div_ceil(4) + 4;
    debug_assert!(d <= 16 && n >= 2, "a half is at most 96 bits");
    let beginning = first_block(key, radix, n, u, tweak.len());
    let (mut a, mut b_number) = (number(&numerals[..u], radix), number(&numerals[u..], radix));
    for round in 0..10_u8 {
        let digest = round_digest(key, beginning, tweak, round, b_number, b);
        let y = digest[..d].iter().fold(0_u128, |y, byte| (y << 8) | u128::from(*byte));
        let m = if round % 2 == 0 { u } else { v };
        let modulus = u128::from(radix).pow(m as u32);
        // The half that is added has as many numerals as the result: it is below the modulus already.
        let sum = a + y % modulus;
        let c = if sum >= modulus { sum - modulus } else { sum };
        a = b_number;
        b_number = c;
    }
    spell(a, radix, &mut numerals[..u]);
    spell(b_number, radix, &mut numerals[u..]);
}

/// The cipher of the block P, which is the same in every round.
fn first_block(key: &Keyed, radix: u32, n: usize, u: usize, t: usize) -> [u8; 16] {
    let mut p = [0_u8; 16];
    p[..3].copy_from_slice(&[1, 2, 1]);
    p[3..6].copy_from_slice(&radix.to_be_bytes()[1..]);
    p[6] = 10;
    p[7] = (u % 256) as u8;
    p[8..12].copy_from_slice(&(n as u32).to_be_bytes());
    p[12..].copy_from_slice(&(t as u32).to_be_bytes());
    key.encipher(p)
}

/// The last block of CBC-MAC over P and Q.
fn round_digest(key: &Keyed, beginning: [u8; 16], tweak: &[u8], round: u8, half: u128, b: usize) -> [u8; 16] {
    let padding = (16 - (tweak.len() + b + 1) % 16) % 16;
    let half = half.to_be_bytes();
    let zeros = [0_u8; 16];
    let q = tweak.iter().chain(&zeros[..padding]).chain(std::iter::once(&round)).chain(&half[16 - b..]);
    let mut state = beginning;
    for (at, byte) in q.enumerate() {
        state[at % 16] ^= byte;
        if at % 16 == 15 {
            state = key.encipher(state);
        }
    }
    state
}

fn number(numerals: &[u8], radix: u32) -> u128 {
    numerals.iter().fold(0, |number, numeral| number * u128::from(radix) + u128::from(*numeral))
}

fn spell(mut number: u128, radix: u32, numerals: &mut [u8]) {
    for numeral in numerals.iter_mut().rev() {
        *numeral = (number % u128::from(radix)) as u8;
        number /= u128::from(radix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The samples of NIST with AES-256: FF1 samples 7, 8.
    #[test]
    fn the_samples_of_the_standard_come_out() {
        let key: [u8; 32] = [
            0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6, 0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F, 0x3C,
            0xEF, 0x43, 0x59, 0xD8, 0xD5, 0x80, 0xAA, 0x4F, 0x7F, 0x03, 0x6D, 0x6F, 0x04, 0xFC, 0x6A, 0x94,
        ];
        let key = Keyed::for_test(key);
        let run = |tweak: &[u8]| {
            let mut digits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
            encipher(&key, 10, tweak, &mut digits);
            digits
        };
        assert_eq!(run(&[]), [6, 6, 5, 7, 6, 6, 7, 0, 0, 9]);
        assert_eq!(run(b"9876543210"), [1, 0, 0, 1, 6, 2, 3, 4, 6, 3]);
    }
}
