//! Statements as a team writes them, aimed at what a database holds. Those that a server refuses are left out: so nothing
//! here has to be right, and what has a form is worth trying.

mod column;
mod constraint;
mod data_type;
mod index;
mod other;
mod privilege;
mod relation;
mod routine;
mod scene;
mod table;
mod trigger;
mod view;

use scene::Scene;
pub(crate) use scene::Sight;

use crate::random::dice::Random;

/// A kind of statement; nothing where there is nothing that it could be about.
type Kind = fn(&mut Scene<'_>) -> Option<String>;

/// All kinds, by subject. A kind may have several statements, which belong together.
const KINDS: [&[Kind]; 11] = [
    column::KINDS,
    table::KINDS,
    constraint::KINDS,
    index::KINDS,
    data_type::KINDS,
    view::KINDS,
    routine::KINDS,
    trigger::KINDS,
    relation::KINDS,
    privilege::KINDS,
    other::KINDS,
];

/// A statement about what is there.
pub(crate) fn statement(sight: &Sight, random: &mut Random) -> Option<String> {
    let all: Vec<Kind> = KINDS.into_iter().flatten().copied().collect();
    // Columns have most to change.
    let kind = match random.one_in(5) {
        true => column::KINDS[random.below(column::KINDS.len())],
        false => all[random.below(all.len())],
    };
    kind(&mut Scene { sight, random })
}
