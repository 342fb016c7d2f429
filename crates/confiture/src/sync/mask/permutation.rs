//! Keyed permutations of `0..size`: a Feistel network over the next even number of bits, walked until it lands inside.

use super::key::Keyed;

/// For domains of thousands and less, more rounds cost nothing that matters.
const ROUNDS: u8 = 8;

/// Where `number` goes; every number of `0..size` goes to another place. `size` is at most 2^64.
pub(super) fn permute(key: &Keyed, tweak: u64, size: u128, number: u64) -> u64 {
    debug_assert!(u128::from(number) < size, "the number is in the domain");
    let bits = 128 - (size - 1).leading_zeros();
    let half = bits.div_ceil(2).max(1);
    let mut at = number;
    loop {
        at = feistel(key, tweak, half, at);
        if u128::from(at) < size {
            return at;
        }
    }
}

fn feistel(key: &Keyed, tweak: u64, half: u32, number: u64) -> u64 {
    let mask = (1_u64 << half) - 1;
    let (mut left, mut right) = ((number >> half) & mask, number & mask);
    for round in 0..ROUNDS {
        let mut block = [0_u8; 16];
        block[..8].copy_from_slice(&tweak.to_be_bytes());
        // FF1's first block begins with 1, 2, 1; a tweak here never fills the byte that tells rounds apart.
        block[8] = 0x80 | round;
        block[9] = half as u8;
        block[10..].copy_from_slice(&right.to_be_bytes()[2..]);
        let digest = key.encipher(block);
        let digest = u64::from_be_bytes(digest[..8].try_into().unwrap_or([0; 8]));
        (left, right) = (right, (left ^ digest) & mask);
    }
    (left << half) | right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::mask::key::MasterKey;

    #[test]
    fn every_number_goes_to_a_place_of_its_own() {
        let key = MasterKey::ephemeral().unwrap().subkey("test");
        for size in [2_u64, 10, 26, 100, 676, 10_000] {
            let mut seen: Vec<u64> = (0..size).map(|number| permute(&key, 7, size.into(), number)).collect();
            assert!(seen.iter().all(|place| *place < size));
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len() as u64, size);
        }
        // The largest domains, of bigint and of integer.
        for size in [1_u128 << 63, 1 << 31] {
            assert_ne!(permute(&key, 0, size, 5), permute(&key, 0, size, 6));
        }
    }
}
