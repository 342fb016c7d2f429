//! Numbers that look random and come again with their seed; and how long, and from which seed on, the random tests run.

use std::env;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Of the kind that is called split mix.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `times`.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.next() % of.len() as u64).unwrap()]
    }
}

/// Seeds until the time is up: one at least, and only that one where `CONFITURE_SOAK_SEED` names it and no time is given.
pub(crate) struct Seeds {
    next: u64,
    until: Instant,
    begun: bool,
}

impl Seeds {
    /// `CONFITURE_SOAK_SECONDS`, from `CONFITURE_SOAK_SEED` on, else from a seed that no run had. Where neither is given,
    /// `default` and the same seeds each time, so that a change is judged by what it changes.
    pub(crate) fn new(default: Duration) -> Self {
        Self::with_share(default, 1)
    }

    /// The same for one `share`th of that time: of what is not the heart of the matter.
    pub(crate) fn with_share(default: Duration, share: u64) -> Self {
        let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
        let (seconds, seed) = (number("CONFITURE_SOAK_SECONDS"), number("CONFITURE_SOAK_SEED"));
        let budget = match (seconds, seed) {
            (Some(seconds), _) => Duration::from_secs(seconds / share),
            (None, Some(_)) => Duration::ZERO,
            (None, None) => default,
        };
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let next = match (seed, seconds) {
            (Some(seed), _) => seed,
            (None, Some(_)) => u64::try_from(now()).unwrap() % 1_000_000_000,
            (None, None) => 1,
        };
        Self { next, until: Instant::now() + budget, begun: false }
    }
}

impl Iterator for Seeds {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.begun && Instant::now() >= self.until {
            return None;
        }
        self.begun = true;
        self.next += 1;
        Some(self.next - 1)
    }
}
