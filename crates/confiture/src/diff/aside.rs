//! The names under which types and tables wait for what has to move over.

use std::collections::{BTreeMap, HashSet};

use crate::catalog::Objects;
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

/// For each old object that is set aside: what is put behind its name, and behind the names of what comes with it.
pub(super) fn names(sides: Sides<'_>, set_aside: &[bool], behind: &str) -> BTreeMap<usize, Aside> {
    let mut found = BTreeMap::new();
    if !set_aside.contains(&true) {
        return found;
    }
    let own = |objects: &Objects| -> Vec<(Option<String>, String)> {
        objects.all.iter().map(|object| (object.schema.clone(), object.name.clone())).collect()
    };
    let mut taken: HashSet<_> = own(sides.old).into_iter().chain(own(sides.new)).collect();
    for (at, object) in sides.old.all.iter().enumerate().filter(|(at, _)| set_aside[*at]) {
        let constructors = object.details["constructors"].as_array().into_iter().flatten();
        let with = constructors.map(|row| &row[1]).chain([&object.details["multirange"][1]]);
        let names: Vec<&str> = with.filter_map(|name| name.as_str()).chain([object.name.as_str()]).collect();
        let place = |aside: &Aside, name: &str| (object.schema.clone(), aside.of(name));
        let is_free = |aside: &Aside| !names.iter().any(|name| taken.contains(&place(aside, name)));
        let numbered = (2_u32..).map(|number| Aside(format!("{behind}{number}")));
        let Some(aside) = std::iter::once(Aside(behind.to_owned())).chain(numbered).find(is_free) else {
            continue;
        };
        let more: Vec<_> = names.iter().map(|name| place(&aside, name)).collect();
        taken.extend(more);
        found.insert(at, aside);
    }
    found
}
