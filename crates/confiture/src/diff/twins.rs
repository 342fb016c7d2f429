//! Which object of the new catalog each of the old one becomes: the one of its name, or, for an index or a constraint, one
//! that is the same in all but the name; for a unique index, also the key that it will do for. What is attached to an index of the parent's stays that, whatever it is called.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::compare::quoted;
use crate::diff::swap;

/// The position in `new` of each object of `old`.
pub(super) fn pair(old: &Objects, new: &Objects) -> Vec<Option<usize>> {
    let mut twins = vec![None; old.all.len()];
    let places = attached(new);
    for (place, at) in attached(old) {
        let is_same = |twin: &usize| shape(new, &new.all[*twin]) == shape(old, &old.all[at]);
        twins[at] = places.get(&place).copied().filter(is_same);
    }
    let mut taken = vec![false; new.all.len()];
    twins.iter().flatten().for_each(|at| taken[*at] = true);
    for (at, object) in
        old.all.iter().enumerate().filter(|(_, object)| new.by_key.contains_key(&object.key()))
    {
        let twin = new.by_key[&object.key()];
        if twins[at].is_none() && !taken[twin] {
            (twins[at], taken[twin]) = (Some(twin), true);
        }
    }
    let mut free: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, object) in new.all.iter().enumerate().filter(|(at, _)| !taken[*at]).rev() {
        if let Some(shape) = shape(new, object) {
            free.entry(shape).or_default().push(at);
        }
    }
    for (at, object) in old.all.iter().enumerate() {
        if twins[at].is_none()
            && let Some(shape) = shape(old, object)
        {
            twins[at] = free.get_mut(&shape).and_then(Vec::pop);
        }
    }
    let taken: BTreeSet<usize> = twins.iter().copied().flatten().collect();
    let left =
        new.all.iter().enumerate().filter(|(at, key)| key.kind == Kind::Constraint && !taken.contains(at));
    let mut keys: HashMap<String, usize> =
        left.filter_map(|(at, key)| Some((swap::rows(key)?, at))).collect();
    for (at, index) in old.all.iter().enumerate().filter(|(_, object)| object.kind == Kind::Index) {
        if twins[at].is_none() && swap::can_become_key(index) {
            twins[at] = swap::rows(index).and_then(|rows| keys.remove(&rows));
        }
    }
    // What is of the same name is built anew before the old one goes, be it an index or a key.
    let mut taken: BTreeSet<usize> = twins.iter().copied().flatten().collect();
    let name = |object: &Object| (object.schema.clone(), object.name.clone());
    let is_left = |(at, object): &(usize, &Object)| !taken.contains(at) && swap::rows(object).is_some();
    let left = new.all.iter().enumerate().filter(is_left);
    let named: HashMap<_, usize> = left.map(|(at, object)| (name(object), at)).collect();
    for (at, object) in old.all.iter().enumerate() {
        if twins[at].is_none() && swap::rows(object).is_some() {
            twins[at] = named.get(&name(object)).copied().filter(|twin| taken.insert(*twin));
        }
    }
    twins
}

/// A table, and the index of the whole to which one of it is attached, by way of others or not.
pub(super) type Place<'a> = (&'a str, &'a str);

/// What is attached to an index of a table's parent, by its place.
pub(super) fn attached<'a>(objects: &'a Objects) -> BTreeMap<Place<'a>, usize> {
    let place = |object: &'a Object| {
        Some((objects.all[object.parent?].identity.as_str(), object.detail("index_root")))
    };
    let all = objects.all.iter().enumerate().filter(|(_, object)| !object.detail("index_root").is_empty());
    all.filter_map(|(at, object)| Some((place(object)?, at))).collect()
}

/// All that an object is, without its name.
fn shape(objects: &Objects, object: &Object) -> Option<String> {
    match object.kind {
        Kind::Constraint | Kind::DomainConstraint | Kind::Index => {
            let table = &objects.all[object.parent?].identity;
            Some(format!("{} {table} {}", object.kind.text(), object.defined()))
        }
        _ => None,
    }
}

/// The statement that gives `old` the name of `new`.
pub(super) fn rename(old: &Object, new: &Object) -> String {
    match &old.alter {
        Some(alter) if old.kind != Kind::Index => {
            format!("{alter} RENAME CONSTRAINT {} TO {}", quoted(&old.name), quoted(&new.name))
        }
        _ => format!("ALTER INDEX {} RENAME TO {}", old.identity, quoted(&new.name)),
    }
}
