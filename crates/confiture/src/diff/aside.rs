//! The names under which types and tables wait for what has to move over.

use std::collections::HashSet;

use crate::catalog::Object;
use crate::diff::compare::Sides;

/// What an index is called that is to take the place of another, until that has gone.
pub(super) const MEANWHILE: &str = "__new";

/// What is put behind a name so that nothing else has it.
#[derive(Debug, Clone)]
pub(super) struct Aside(String);

impl Aside {
    /// `behind`, or that with the first number that makes it free.
    pub(super) fn free(behind: &str, is_free: impl Fn(&Self) -> bool) -> Self {
        let mut aside = Self(behind.to_owned());
        let mut numbers = 2_u32..;
        while let (false, Some(number)) = (is_free(&aside), numbers.next()) {
            aside = Self(format!("{behind}{number}"));
        }
        aside
    }

    /// The other name.
    pub(super) fn of(&self, name: &str) -> String {
        with(name, &self.0)
    }
}

/// A name with something behind it, cut to what a name may have.
pub(super) fn with(name: &str, behind: &str) -> String {
    format!("{}{behind}", &name[..name.floor_char_boundary(63 - behind.len())])
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

/// An object's name, and those of what comes with it.
pub(super) fn all_places(object: &Object) -> Vec<Place> {
    let constructors = object.details["constructors"].as_array().into_iter().flatten();
    let with = constructors.map(|row| &row[1]).chain([&object.details["multirange"][1]]);
    let names = with.filter_map(|name| name.as_str()).chain([object.name.as_str()]);
    names.map(|name| (object.schema.clone(), name.to_owned())).collect()
}

/// The names that both sides have, and those that are given beside them for a while.
pub(super) struct Taken(HashSet<Place>);

impl Taken {
    pub(super) fn of(sides: Sides<'_>) -> Self {
        Self([sides.old, sides.new].into_iter().flat_map(|objects| objects.all.iter().map(place)).collect())
    }

    /// What is put behind these names, so that nobody has them, now or later.
    pub(super) fn give(&mut self, names: &[Place], behind: &str) -> Aside {
        let called = |aside: &Aside, (schema, name): &Place| (schema.clone(), aside.of(name));
        let aside =
            Aside::free(behind, |aside| names.iter().all(|name| !self.0.contains(&called(aside, name))));
        self.0.extend(names.iter().map(|name| called(&aside, name)));
        aside
    }
}

/// A name for what passes, beginning with `name`: nothing of either side has it, in any schema.
pub(super) fn passing(sides: Sides<'_>, name: &str, behind: &str) -> String {
    let names = sides.names.get_or_init(|| {
        let objects = [sides.old, sides.new].into_iter().flat_map(|objects| &objects.all);
        let named = objects.flat_map(|object| {
            let others = [&object.details["sequence"][5], &object.details["not_null_constraint"]["name"]];
            others.into_iter().filter_map(|other| other.as_str()).chain([object.name.as_str()])
        });
        named.map(str::to_owned).collect()
    });
    Aside::free(behind, |aside| !names.contains(&aside.of(name))).of(name)
}
