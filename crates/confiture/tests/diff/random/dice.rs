//! Numbers that look random and come again with their seed, and lists of them from which an object's statements are read.

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
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// True once in `times`.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// Throws that were made before, one after the other; a missing one is a zero.
pub(crate) struct Dice<'a> {
    thrown: &'a [u16],
    at: usize,
}

impl<'a> Dice<'a> {
    pub(crate) fn new(thrown: &'a [u16]) -> Self {
        Self { thrown, at: 0 }
    }

    fn throw(&mut self) -> usize {
        self.at += 1;
        self.thrown.get(self.at - 1).copied().unwrap_or_default().into()
    }

    /// A number below `end`; zero for a zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.throw() % end
    }

    /// True once in `times`; never for a zero.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.throw() % times == times - 1
    }

    /// One of these; the first for a zero.
    pub(crate) fn pick<'b>(&mut self, of: &[&'b str]) -> &'b str {
        of[self.below(of.len())]
    }

    /// The next so many throws as dice of their own, so that what one reads does not move what another reads.
    pub(crate) fn block(&mut self, length: usize) -> Dice<'a> {
        let start = self.at.min(self.thrown.len());
        let end = (self.at + length).min(self.thrown.len());
        self.at += length;
        Dice::new(&self.thrown[start..end])
    }
}
