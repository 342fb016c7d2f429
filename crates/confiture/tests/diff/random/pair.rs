//! Two random worlds: the second is the first with some edits.

use local_postgres::Server;

use crate::case::Case;
use crate::random::dice::Random;
use crate::random::world::World;
use crate::random::{Candidate, FILL, Trial, accepted};

#[derive(Debug, Clone)]
pub(crate) struct Pair {
    old: World,
    new: World,
    /// In the forms that let others go on working.
    online: bool,
}

impl Trial for Pair {
    async fn random(_: &'static Server, seed: u64) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let thickness = 1 + random.below(8);
        let mut old = World::random(&mut random, thickness);
        let mut new = old.clone();
        if random.one_in(12) {
            new = World::random(&mut random, thickness);
        }
        for _ in 0..=random.below(12) {
            new.edit(&mut random);
        }
        if random.one_in(2) {
            std::mem::swap(&mut old, &mut new);
        }
        Ok(Self { old, new, online: random.one_in(3) })
    }

    async fn case(&self, server: &'static Server, name: String) -> Result<Case, String> {
        let (old, new) = (self.old.statements(), self.new.statements());
        let (old, new) = tokio::join!(accepted(server, &old), accepted(server, &new));
        Ok(Case { name, old: old?, new: new?, rows: FILL.to_owned(), online: self.online, ..Case::default() })
    }

    fn candidates(&self) -> Vec<Candidate<Self>> {
        let mut all: Vec<Candidate<Self>> = Vec::new();
        let mut keys: Vec<_> =
            self.old.items.iter().chain(&self.new.items).map(|item| (item.what, item.number)).collect();
        keys.sort_unstable();
        keys.dedup();
        // Many at once first.
        for size in [16, 8, 4, 2, 1] {
            for some in keys.chunks(size).rev().map(<[_]>::to_vec) {
                all.push(Box::new(move |pair| {
                    let without = |world: &World| {
                        let mut world = world.clone();
                        world.items.retain(|item| !some.contains(&(item.what, item.number)));
                        world
                    };
                    let next = Self { old: without(&pair.old), new: without(&pair.new), online: pair.online };
                    (next.old != pair.old || next.new != pair.new).then_some(next)
                }));
            }
        }
        for key in keys {
            // The new one as the old one.
            all.push(Box::new(move |pair| {
                let of = |world: &World| world.items.iter().position(|item| (item.what, item.number) == key);
                let mut next = pair.clone();
                match (of(&pair.old), of(&pair.new)) {
                    (Some(old), Some(new)) if pair.old.items[old] != pair.new.items[new] => {
                        next.new.items[new] = pair.old.items[old].clone();
                    }
                    (Some(old), None) => {
                        next.old.items.remove(old);
                    }
                    (None, Some(new)) => {
                        next.new.items.remove(new);
                    }
                    _ => return None,
                }
                Some(next)
            }));
            // Simpler throws in both.
            for die in 0..124 {
                all.push(Box::new(move |pair| {
                    let mut next = pair.clone();
                    let mut changed = false;
                    for world in [&mut next.old, &mut next.new] {
                        for item in world.items.iter_mut().filter(|item| (item.what, item.number) == key) {
                            changed |= item.throws[die] != 0;
                            item.throws[die] = 0;
                        }
                    }
                    let before = (pair.old.statements(), pair.new.statements());
                    (changed && before != (next.old.statements(), next.new.statements())).then_some(next)
                }));
            }
        }
        all
    }
}
