//! Numbers that look random and come again with their seed, and lists of them from which an object's statements are read.

use crate::seed;

/// The numbers of the other random tests, to be used as indices.
pub(crate) struct Random(seed::Random);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed::Random::new(seed))
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.below(end as u64)).unwrap()
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
