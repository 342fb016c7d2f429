//! Fingerprints of what must not arrive: hashes of original values, in memory, gone with the run.
//!
//! The hash is PostgreSQL's `hashtextextended` with a random seed: where the source sends no value (a template, `{last4}`),
//! it sends this hash of it instead, and both kinds are looked for alike. Values of fewer than six characters are no proof
//! of anything and are left out.

use std::collections::HashSet;
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
    let (chunks, rest) = bytes.as_chunks::<12>();
    for chunk in chunks {
        let word = |at: usize| u32::from_le_bytes([chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]]);
        a = a.wrapping_add(word(0));
        b = b.wrapping_add(word(4));
        c = c.wrapping_add(word(8));
        (a, b, c) = mix(a, b, c);
    }
    let mut last = [0_u8; 12];
    last[..rest.len()].copy_from_slice(rest);
    let word = |at: usize| u32::from_le_bytes([last[at], last[at + 1], last[at + 2], last[at + 3]]);
    // The lowest byte of `c` is the length's.
    c = c.wrapping_add(word(8) << 8);
    b = b.wrapping_add(word(4));
    a = a.wrapping_add(word(0));
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

/// The same as a table.
const SEPARATES: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < TRIMMED.len() {
        table[TRIMMED.as_bytes()[at] as usize] = true;
        at += 1;
    }
    table
};

fn separates(byte: u8) -> bool {
    SEPARATES[usize::from(byte)]
}

/// A value without what stands around it.
fn trimmed(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|byte| !separates(*byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !separates(*byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// The last bits of a fingerprint say how long the value is and what it begins with, so that most texts need no hash at
/// all: seven bits of its length in bytes, six of its first character. The source computes the same.
const FORM_BITS: u32 = 13;

/// The form of a value that is trimmed already.
fn form(value: &[u8]) -> u64 {
    let first = match value.first() {
        Some(byte) if byte.is_ascii() => u32::from(*byte),
        _ => value.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next()).map_or(0, u32::from),
    };
    (u64::from(first & 63) << 7) | (value.len() as u64).min(127)
}

/// The fingerprint of a value that is trimmed already.
fn fingerprint(value: &[u8], seed: u64) -> u64 {
    (hash(value, seed) >> FORM_BITS << FORM_BITS) | form(value)
}

/// Which forms there are.
#[derive(Clone)]
struct Forms(Box<[u64; 1 << (FORM_BITS - 6)]>);

impl Forms {
    fn add(&mut self, fingerprint: u64) {
        let form = fingerprint & ((1 << FORM_BITS) - 1);
        self.0[(form >> 6) as usize] |= 1 << (form & 63);
    }

    fn has(&self, form: u64) -> bool {
        self.0[(form >> 6) as usize] & (1 << (form & 63)) != 0
    }
}

/// Where fingerprints are gathered, or where some of them are sought.
///
/// The set has a fixed size. Where more values are expected than it holds, a part of them is left out by
/// their hash, so that every table and column is looked after alike; what is left out is counted.
pub(crate) struct Fingerprints {
    pub(crate) seed: u64,
    /// Takes everything of the right length and first character for one of the set: for tests.
    pub(crate) coarse: bool,
    work: Mutex<Work>,
}

enum Work {
    /// All are kept, as tags of 32 bits.
    Gather(Slots),
    /// The set has only tags, and two values may share one: those that were found are sought as a whole.
    Seek { sought: HashSet<u64>, found: HashSet<u64> },
}

struct Slots {
    tags: Vec<u32>,
    /// Values are kept whose hash has none of these bits.
    left_out: u64,
    forms: Forms,
    used: usize,
    refused: u64,
}

/// A set that nothing is added to any more.
pub(crate) struct Frozen {
    seed: u64,
    coarse: bool,
    tags: Vec<u32>,
    forms: Forms,
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
        // A number may have a second fingerprint, without its separators.
        let parts = expected.saturating_mul(2).div_ceil(slots as u64 * 4 / 5 * 2).next_power_of_two();
        let slots = Slots::of(slots, (parts - 1) << 40);
        Self { seed, coarse: false, work: Mutex::new(Work::Gather(slots)) }
    }

    /// Seeks these.
    pub(crate) fn seeking(sought: HashSet<u64>, seed: u64) -> Self {
        Self { seed, coarse: false, work: Mutex::new(Work::Seek { sought, found: HashSet::new() }) }
    }

    /// Those of the sought that were there.
    pub(crate) fn found(self) -> HashSet<u64> {
        match self.work.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Work::Seek { found, .. } => found,
            Work::Gather(_) => HashSet::new(),
        }
    }

    /// Adds what was gathered.
    pub(crate) fn add(&self, hashes: &mut Vec<u64>) {
        match &mut *self.work.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Work::Gather(slots) => hashes.drain(..).for_each(|hash| slots.insert(hash)),
            Work::Seek { sought, found } => {
                found.extend(hashes.drain(..).filter(|hash| sought.contains(hash)));
            }
        }
    }

    /// Ends the gathering.
    pub(crate) fn freeze(self) -> Frozen {
        let slots = match self.work.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Work::Gather(slots) => slots,
            Work::Seek { .. } => Slots::of(1 << 16, 0),
        };
        Frozen {
            seed: self.seed,
            coarse: self.coarse,
            tags: slots.tags,
            forms: slots.forms,
            held: slots.used,
            refused: slots.refused,
        }
    }
}

fn home(hash: u64, slots: usize) -> (usize, u32) {
    (((hash >> FORM_BITS) as usize) & (slots - 1), ((hash >> 32) as u32).max(1))
}

impl Slots {
    fn of(size: usize, left_out: u64) -> Self {
        Self { tags: vec![0; size], left_out, forms: Forms(Box::new([0; 128])), used: 0, refused: 0 }
    }

    fn insert(&mut self, hash: u64) {
        if hash & self.left_out != 0 {
            self.refused += 1;
            return;
        }
        self.forms.add(hash);
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

/// The fingerprint that the source sends in a value's place; `None` for those that are too short.
pub(crate) fn of_source(value: &str, seed: u64) -> Option<u64> {
    let value = trimmed(value.as_bytes());
    (value.len() >= SHORTEST).then(|| fingerprint(value, seed))
}

/// The fingerprints of one original value.
pub(crate) fn of_value(value: &str, seed: u64, out: &mut Vec<u64>) {
    let value = trimmed(value.as_bytes());
    if value.len() < SHORTEST {
        return;
    }
    out.push(fingerprint(value, seed));
    // A number is the same number without its separators.
    let separator = |byte: &u8| matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')');
    if value.iter().any(separator) && value.iter().all(|byte| byte.is_ascii_digit() || separator(byte)) {
        let digits: Vec<u8> = value.iter().filter(|byte| byte.is_ascii_digit()).copied().collect();
        if digits.len() >= SHORTEST {
            out.push(fingerprint(&digits, seed));
        }
    }
}

impl Frozen {
    /// Its fingerprint, where the set may hold it.
    fn contains(&self, bytes: &[u8]) -> Option<u64> {
        if !self.forms.has(form(bytes)) {
            return None;
        }
        let fingerprint = fingerprint(bytes, self.seed);
        if self.coarse {
            return Some(fingerprint);
        }
        let (mut at, tag) = home(fingerprint, self.tags.len());
        loop {
            match self.tags[at] {
                0 => return None,
                found if found == tag => return Some(fingerprint),
                _ => at = (at + 1) & (self.tags.len() - 1),
            }
        }
    }

    /// Gathers the fingerprints of values that a text may hold: as a whole, or as words in it; as it is, or as documents and
    /// arrays escape it.
    pub(crate) fn find(&self, text: &[u8], words: &mut Vec<(usize, usize)>, found: &mut Vec<u64>) {
        found.clear();
        if self.held == 0 || text.len() < SHORTEST {
            return;
        }
        self.find_plain(text, words, found);
        if text.contains(&b'\\') {
            self.find_plain(&unescaped(text), words, found);
        }
    }

    fn find_plain(&self, text: &[u8], words: &mut Vec<(usize, usize)>, found: &mut Vec<u64>) {
        words.clear();
        let mut start = None;
        for (at, byte) in text.iter().enumerate() {
            match (separates(*byte), start) {
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
                if to - from >= SHORTEST {
                    found.extend(self.contains(&text[*from..*to]));
                }
            }
        }
        // A value of more words than that: as a whole.
        if words.len() > MOST_WORDS {
            found.extend(self.contains(trimmed(text)));
        }
    }
}

/// What JSON and arrays have escaped with backslashes.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        let (b'\\', [escaped, after @ ..]) = (first, after) else {
            plain.push(*first);
            continue;
        };
        rest = after;
        match escaped {
            b'n' => plain.push(b'\n'),
            b't' => plain.push(b'\t'),
            b'r' => plain.push(b'\r'),
            b'b' => plain.push(8),
            b'f' => plain.push(12),
            b'u' => {
                // What lies beyond the first plane is written as two.
                let units: Vec<u16> = [0, 6].iter().map_while(|at| unit(rest, *at)).collect();
                let decoded = char::decode_utf16(units.iter().copied()).next().and_then(Result::ok);
                if let Some(c) = decoded {
                    plain.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = rest.get(if c.len_utf16() == 2 { 10 } else { 4 }..).unwrap_or_default();
                }
            }
            other => plain.push(*other),
        }
    }
    plain
}

/// The four digits at `at`; a second unit has `\u` before it.
fn unit(text: &[u8], at: usize) -> Option<u16> {
    if at > 0 && text.get(at - 2..at)? != b"\\u" {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(text.get(at..at + 4)?).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[&str], text: &str) -> bool {
        let fingerprints = Fingerprints::new(10, 42);
        let mut hashes = Vec::new();
        values.iter().for_each(|value| of_value(value, 42, &mut hashes));
        fingerprints.add(&mut hashes);
        let mut found = Vec::new();
        fingerprints.freeze().find(text.as_bytes(), &mut Vec::new(), &mut found);
        found.iter().any(|fingerprint| {
            values.iter().any(|value| {
                let mut hashes = Vec::new();
                of_value(value, 42, &mut hashes);
                hashes.contains(fingerprint)
            })
        })
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        assert!(found(&["ann.lee@corp.com"], r#"{"contact": ["ann.lee@corp.com"]}"#));
        assert!(found(&["Jean-Luc Picard"], "spoke to Jean-Luc Picard, again"));
        assert!(found(&["+1 (555) 123-4567"], "call 1 (555) 123-4567 now"));
        assert!(found(&["555-123-4567"], "call 5551234567"));
        assert!(!found(&["ann.lee@corp.com"], "ann.lee at corp.com"));
        assert!(!found(&["Ann"], "Ann"), "too short to prove anything");
        assert!(found(&["Ann \"O'Hara\" \\ Lee"], r#"{"who": "Ann \"O'Hara\" \\ Lee"}"#));
        assert!(found(&["Zo\u{eb} Gr\u{fc}n \u{1f600}x"], r#"["Zo\u00eb Gr\u00FCn \ud83d\ude00x", 1]"#));
        assert!(found(&["two\nlines"], r#"{"two\nlines",x}"#));
        assert!(!found(&["two\nlines"], r#"{"two\u00", "\"#));
        let long = "a value of very many words that nobody would look for in parts of it";
        assert!(found(&[long], long));
    }

    #[test]
    fn of_too_many_values_a_part_is_looked_for_and_the_rest_counted() {
        let fingerprints = Fingerprints::new(100_000_000, 1);
        fingerprints.add(&mut (0..100_000_u64).map(|number| fingerprint(&number.to_be_bytes(), 1)).collect());
        let frozen = fingerprints.freeze();
        assert!((3_000..12_000).contains(&frozen.held), "{}", frozen.held);
        assert_eq!(frozen.held as u64 + frozen.refused, 100_000);
    }

    #[test]
    fn a_full_set_says_so() {
        let fingerprints = Fingerprints::new(1, 1);
        fingerprints.add(&mut (0..100_000_u64).map(|number| fingerprint(&number.to_be_bytes(), 1)).collect());
        let frozen = fingerprints.freeze();
        assert!(frozen.refused > 0 && frozen.held > 50_000);
        assert!(frozen.contains(&5_u64.to_be_bytes()).is_some());
    }
}
