//! Fingerprints of what must not arrive: hashes of original values, in memory, gone with the run.
//!
//! The hash is PostgreSQL's `hashtextextended` with a random seed: where the source sends no value (a template, `{last4}`),
//! it sends this hash of it instead, and both kinds are looked for alike. Values of fewer than six characters are no proof
//! of anything and are left out.

use std::sync::Mutex;

/// Values from so many characters on are looked for.
pub(crate) const SHORTEST: usize = 6;
/// A value of so many words is looked for as a whole.
const MOST_WORDS: usize = 8;
/// 8 Mi tags of four bytes.
const MOST_SLOTS: usize = 1 << 23;

/// `hash_bytes_extended` of PostgreSQL, as little-endian machines compute it.
pub(crate) fn hash(bytes: &[u8], seed: u64) -> u64 {
    let start = 0x9e37_79b9_u32.wrapping_add(bytes.len() as u32).wrapping_add(3_923_095);
    let (mut a, mut b, mut c) = (start, start, start);
    if seed != 0 {
        a = a.wrapping_add((seed >> 32) as u32);
        b = b.wrapping_add(seed as u32);
        (a, b, c) = mix(a, b, c);
    }
    let word = |bytes: &[u8]| {
        let mut word = [0_u8; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        u32::from_le_bytes(word)
    };
    let mut chunks = bytes.chunks_exact(12);
    for chunk in &mut chunks {
        a = a.wrapping_add(word(&chunk[..4]));
        b = b.wrapping_add(word(&chunk[4..8]));
        c = c.wrapping_add(word(&chunk[8..]));
        (a, b, c) = mix(a, b, c);
    }
    let rest = chunks.remainder();
    let part = |from: usize, to: usize| word(rest.get(from..rest.len().min(to)).unwrap_or_default());
    // The lowest byte of `c` is the length's.
    c = c.wrapping_add(part(8, 11) << 8);
    b = b.wrapping_add(part(4, 8));
    a = a.wrapping_add(part(0, 4));
    (b, c) = last_mix(a, b, c);
    (u64::from(b) << 32) | u64::from(c)
}

fn mix(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32, u32) {
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    (a, b, c)
}

fn last_mix(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32) {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    c = (c ^ b).wrapping_sub(b.rotate_left(24));
    (b, c)
}

/// What is left of a value without what stands around it: the source trims the same characters.
pub(crate) const TRIMMED: &str = " \t\n!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~";

/// The set of fingerprints. It has a fixed size: values beyond it are counted and not looked for.
pub(crate) struct Fingerprints {
    pub(crate) seed: u64,
    slots: Mutex<Slots>,
}

struct Slots {
    tags: Vec<u32>,
    used: usize,
    refused: u64,
}

/// A set that nothing is added to any more.
pub(crate) struct Frozen {
    seed: u64,
    tags: Vec<u32>,
    /// How many values it holds.
    pub(crate) held: usize,
    /// How many it had no room for.
    pub(crate) refused: u64,
}

impl Fingerprints {
    /// Room for about so many values.
    pub(crate) fn new(expected: u64, seed: u64) -> Self {
        let slots = usize::try_from(expected.saturating_mul(2)).unwrap_or(MOST_SLOTS);
        let slots = slots.clamp(1 << 16, MOST_SLOTS).next_power_of_two();
        Self { seed, slots: Mutex::new(Slots { tags: vec![0; slots], used: 0, refused: 0 }) }
    }

    /// Adds what was gathered.
    pub(crate) fn add(&self, hashes: &mut Vec<u64>) {
        let mut slots = self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for hash in hashes.drain(..) {
            slots.insert(hash);
        }
    }

    /// Ends the gathering.
    pub(crate) fn freeze(self) -> Frozen {
        let slots = self.slots.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Frozen { seed: self.seed, tags: slots.tags, held: slots.used, refused: slots.refused }
    }
}

fn home(hash: u64, slots: usize) -> (usize, u32) {
    ((hash as usize) & (slots - 1), ((hash >> 32) as u32).max(1))
}

impl Slots {
    fn insert(&mut self, hash: u64) {
        let mask = self.tags.len() - 1;
        let (mut at, tag) = home(hash, self.tags.len());
        while self.tags[at] != 0 && self.tags[at] != tag {
            at = (at + 1) & mask;
        }
        if self.tags[at] == tag {
            return;
        }
        if self.used * 5 >= self.tags.len() * 4 {
            self.refused += 1;
            return;
        }
        self.tags[at] = tag;
        self.used += 1;
    }
}

/// The fingerprints of one original value.
pub(crate) fn of_value(value: &str, seed: u64, out: &mut Vec<u64>) {
    let trimmed = value.trim_matches(|c| TRIMMED.contains(c));
    if trimmed.chars().count() < SHORTEST {
        return;
    }
    out.push(hash(trimmed.as_bytes(), seed));
    // A number is the same number without its separators.
    let separators = |c: char| matches!(c, ' ' | '-' | '.' | '/' | '(' | ')');
    if trimmed.contains(separators) && trimmed.chars().all(|c| c.is_ascii_digit() || separators(c)) {
        let digits: String = trimmed.chars().filter(char::is_ascii_digit).collect();
        if digits.len() >= SHORTEST {
            out.push(hash(digits.as_bytes(), seed));
        }
    }
}

impl Frozen {
    fn contains(&self, bytes: &[u8]) -> bool {
        let (mut at, tag) = home(hash(bytes, self.seed), self.tags.len());
        loop {
            match self.tags[at] {
                0 => return false,
                found if found == tag => return true,
                _ => at = (at + 1) & (self.tags.len() - 1),
            }
        }
    }

    /// True where a text holds one of the values: as a whole, or as words in it.
    pub(crate) fn finds(&self, text: &str, words: &mut Vec<(usize, usize)>) -> bool {
        words.clear();
        if self.held == 0 {
            return false;
        }
        let mut start = None;
        for (at, c) in text.char_indices() {
            match (TRIMMED.contains(c), start) {
                (false, None) => start = Some(at),
                (true, Some(from)) => {
                    words.push((from, at));
                    start = None;
                }
                _ => {}
            }
        }
        words.extend(start.map(|from| (from, text.len())));
        for (first, (from, _)) in words.iter().enumerate() {
            for (_, to) in words[first..].iter().take(MOST_WORDS) {
                if to - from >= SHORTEST && self.contains(&text.as_bytes()[*from..*to]) {
                    return true;
                }
            }
        }
        // A value of more words than that: as a whole.
        words.len() > MOST_WORDS && self.contains(text.trim_matches(|c| TRIMMED.contains(c)).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[&str], text: &str) -> bool {
        let fingerprints = Fingerprints::new(10, 42);
        let mut hashes = Vec::new();
        values.iter().for_each(|value| of_value(value, 42, &mut hashes));
        fingerprints.add(&mut hashes);
        fingerprints.freeze().finds(text, &mut Vec::new())
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        assert!(found(&["ann.lee@corp.com"], r#"{"contact": ["ann.lee@corp.com"]}"#));
        assert!(found(&["Jean-Luc Picard"], "spoke to Jean-Luc Picard, again"));
        assert!(found(&["+1 (555) 123-4567"], "call 1 (555) 123-4567 now"));
        assert!(found(&["555-123-4567"], "call 5551234567"));
        assert!(!found(&["ann.lee@corp.com"], "ann.lee at corp.com"));
        assert!(!found(&["Ann"], "Ann"), "too short to prove anything");
        let long = "a value of very many words that nobody would look for in parts of it";
        assert!(found(&[long], long));
    }

    #[test]
    fn a_full_set_says_so() {
        let fingerprints = Fingerprints::new(1, 1);
        fingerprints.add(&mut (0..100_000_u64).map(|number| hash(&number.to_be_bytes(), 1)).collect());
        let frozen = fingerprints.freeze();
        assert!(frozen.refused > 0 && frozen.held > 50_000);
        assert!(frozen.contains(&5_u64.to_be_bytes()));
    }
}
