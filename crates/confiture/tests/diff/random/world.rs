//! A random world: objects of every kind, each a list of throws that its statements are read from. An edit throws one die
//! anew, adds an object, or takes one away. Statements that a server refuses are left out: so nothing here has to be right.

use crate::random::dice::{Dice, Random};
use crate::random::{others, tables};

/// How many throws an object has.
const THROWS: usize = 160;

/// The kinds of object, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Schema,
    Extension,
    Collation,
    Enum,
    Domain,
    Composite,
    Range,
    Sequence,
    Routine,
    Aggregate,
    Operator,
    TextSearch,
    Foreign,
    Table,
    Partition,
    Inheritance,
    Constraint,
    Index,
    Statistics,
    View,
    LateRoutine,
    LateView,
    Trigger,
    Rule,
    Policy,
    Publication,
    Privileges,
    DefaultPrivileges,
    Comment,
    EventTrigger,
    Cast,
    Owner,
}

/// Each kind with how many of it there can be.
const SLOTS: [(What, usize); 32] = [
    (What::Schema, 3),
    (What::Extension, 2),
    (What::Collation, 2),
    (What::Enum, 3),
    (What::Domain, 3),
    (What::Composite, 2),
    (What::Range, 2),
    (What::Sequence, 3),
    (What::Routine, 6),
    (What::Aggregate, 2),
    (What::Operator, 2),
    (What::TextSearch, 2),
    (What::Foreign, 2),
    (What::Table, 6),
    (What::Partition, 6),
    (What::Inheritance, 2),
    (What::Constraint, 12),
    (What::Index, 10),
    (What::Statistics, 2),
    (What::View, 6),
    (What::LateRoutine, 4),
    (What::LateView, 3),
    (What::Trigger, 5),
    (What::Rule, 2),
    (What::Policy, 4),
    (What::Publication, 2),
    (What::Privileges, 8),
    (What::DefaultPrivileges, 3),
    (What::Comment, 8),
    (What::EventTrigger, 1),
    (What::Cast, 2),
    (What::Owner, 5),
];

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) what: What,
    pub(crate) number: usize,
    pub(crate) throws: Vec<u16>,
}

/// All objects of a schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) items: Vec<Item>,
}

fn item(random: &mut Random, what: What, number: usize) -> Item {
    let throws = (0..THROWS).map(|_| u16::try_from(random.below(60_000)).unwrap()).collect();
    Item { what, number, throws }
}

impl World {
    /// A new one; of every kind, `thickness` in ten of what there can be.
    pub(crate) fn random(random: &mut Random, thickness: usize) -> Self {
        let mut items = Vec::new();
        for (what, count) in SLOTS {
            for number in 0..count {
                if random.below(10) < thickness {
                    items.push(item(random, what, number));
                }
            }
        }
        Self { items }
    }

    /// The same with an edit more.
    pub(crate) fn edit(&mut self, random: &mut Random) {
        match random.below(8) {
            0 if !self.items.is_empty() => {
                let at = random.below(self.items.len());
                self.items.remove(at);
            }
            1 => {
                let (what, count) = SLOTS[random.below(SLOTS.len())];
                let number = random.below(count);
                let new = item(random, what, number);
                self.items.retain(|item| (item.what, item.number) != (what, number));
                self.items.push(new);
                self.items.sort_by_key(|item| (item.what, item.number));
            }
            _ if !self.items.is_empty() => {
                // Tables have most to change.
                let tables = random.one_in(3);
                let of_kind = |item: &Item| !tables || item.what == What::Table;
                let places: Vec<usize> =
                    (0..self.items.len()).filter(|at| of_kind(&self.items[*at])).collect();
                if let Some(at) = (!places.is_empty()).then(|| places[random.below(places.len())]) {
                    let end = if self.items[at].what == What::Table { tables::THROWS } else { 14 };
                    let die = random.below(end);
                    self.items[at].throws[die] = u16::try_from(random.below(60_000)).unwrap();
                }
            }
            _ => {}
        }
    }

    /// Its statements, in order.
    pub(crate) fn statements(&self) -> Vec<String> {
        let mut all = Vec::new();
        for item in &self.items {
            let mut dice = Dice::new(&item.throws);
            match item.what {
                What::Table => tables::table(item.number, &mut dice, &mut all),
                What::Partition => tables::partition(item.number, &mut dice, &mut all),
                What::Inheritance => tables::inheritance(item.number, &mut dice, &mut all),
                What::Constraint => tables::constraint(item.number, &mut dice, &mut all),
                What::Index => tables::index(item.number, &mut dice, &mut all),
                what => others::other(what, item.number, &mut dice, &mut all),
            }
        }
        all
    }
}
