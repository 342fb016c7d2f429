//! Which object of the new catalog each of the old one becomes: the one of its name, or, for an index or a constraint, one
//! that is the same in all but the name.

use std::collections::HashMap;

use crate::catalog::{Kind, Object, Objects};
use crate::diff::compare::quoted;

/// The position in `new` of each object of `old`.
pub(super) fn pair(old: &Objects, new: &Objects) -> Vec<Option<usize>> {
    let mut twins: Vec<_> = old.all.iter().map(|object| new.by_key.get(&object.key()).copied()).collect();
    let taken: Vec<bool> = {
        let mut taken = vec![false; new.all.len()];
        twins.iter().flatten().for_each(|at| taken[*at] = true);
        taken
    };
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
    twins
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
