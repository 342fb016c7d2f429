//! A pair that fails, made small: what can be taken away while it still fails in the same way is taken away.

use std::time::{Duration, Instant};

use local_postgres::Server;

use crate::random::Pair;
use crate::random::world::World;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The failure of the smallest pair that was found, with its statements.
pub(crate) async fn shrink(server: &'static Server, pair: Pair, why: String) -> String {
    let mut small = pair;
    let mut why = why;
    let until = Instant::now() + PATIENCE;
    let mut progress = true;
    while progress && Instant::now() < until {
        progress = false;
        for candidate in candidates(&small) {
            // Of what was made smaller meanwhile, only what still fits is tried.
            let Some(next) = candidate(&small) else { continue };
            if Instant::now() >= until {
                break;
            }
            if let Err(new) = next.judge(server, String::new()).await
                && class(&new) == class(&why)
            {
                small = next;
                why = new;
                progress = true;
            }
        }
    }
    let case = small.case(server, String::new()).await;
    let (old, new) = case.map_or((String::new(), String::new()), |case| (case.old, case.new));
    format!("{why}\n-- old\n{old}-- new\n{new}")
}

/// What stays the same while a failure gets smaller: its beginning, without names.
fn class(why: &str) -> String {
    why.lines().next().unwrap_or_default().chars().filter(|c| !c.is_ascii_digit()).take(24).collect()
}

type Candidate = Box<dyn Fn(&Pair) -> Option<Pair> + Send>;

fn candidates(pair: &Pair) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    let mut keys: Vec<_> =
        pair.old.items.iter().chain(&pair.new.items).map(|item| (item.what, item.number)).collect();
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
                let next = Pair { old: without(&pair.old), new: without(&pair.new) };
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
