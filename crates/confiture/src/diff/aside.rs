//! The names under which types and tables wait for what has to move over.

use std::collections::{BTreeMap, HashSet};

use crate::catalog::{Object, Objects};
use crate::diff::compare::Sides;

/// What an index is called that is to take the place of another, until that has gone.
pub(super) const MEANWHILE: &str = "__new";

/// What is put behind a name so that nothing else has it.
#[derive(Debug, Clone)]
pub(super) struct Aside(String);

impl Aside {
    /// What is put behind the name of an index that is to take the place of another.
    pub(super) fn meanwhile() -> Self {
        Self(MEANWHILE.to_owned())
    }

    /// The other name.
    pub(super) fn of(&self, name: &str) -> String {
        let end = name.floor_char_boundary(63 - self.0.len());
        format!("{}{}", &name[..end], self.0)
    }
}

/// A schema, and a name in it.
pub(super) type Place = (Option<String>, String);

/// Where an object stands.
pub(super) fn place(object: &Object) -> Place {
    (object.schema.clone(), object.name.clone())
}

/// True for names that still differ with something short behind them.
pub(super) fn stay_apart<'a>(mut objects: impl Iterator<Item = &'a Object>) -> bool {
    let mut known = HashSet::new();
    objects.all(|object| known.insert((&object.schema, &object.name[..object.name.floor_char_boundary(54)])))
}

/// For each old object that is set aside: what is put behind its name, and behind the names of what comes with it, `more` of which may stand elsewhere.
pub(super) fn names(
    sides: Sides<'_>,
    set_aside: &[bool],
    behind: &str,
    more: impl Fn(usize) -> Vec<Place>,
) -> BTreeMap<usize, Aside> {
    let mut found = BTreeMap::new();
    if !set_aside.contains(&true) {
        return found;
    }
    let own = |objects: &Objects| -> Vec<Place> { objects.all.iter().map(place).collect() };
    let mut taken: HashSet<_> = own(sides.old).into_iter().chain(own(sides.new)).collect();
    for (at, object) in sides.old.all.iter().enumerate().filter(|(at, _)| set_aside[*at]) {
        let constructors = object.details["constructors"].as_array().into_iter().flatten();
        let with = constructors.map(|row| &row[1]).chain([&object.details["multirange"][1]]);
        let names = with.filter_map(|name| name.as_str()).chain([object.name.as_str()]);
        let mut names: Vec<Place> = names.map(|name| (object.schema.clone(), name.to_owned())).collect();
        names.extend(more(at));
        let called = |aside: &Aside, (schema, name): &Place| (schema.clone(), aside.of(name));
        let is_free = |aside: &Aside| !names.iter().any(|name| taken.contains(&called(aside, name)));
        let numbered = (2_u32..).map(|number| Aside(format!("{behind}{number}")));
        let Some(aside) = std::iter::once(Aside(behind.to_owned())).chain(numbered).find(is_free) else {
            continue;
        };
        let more: Vec<_> = names.iter().map(|name| called(&aside, name)).collect();
        taken.extend(more);
        found.insert(at, aside);
    }
    found
}
