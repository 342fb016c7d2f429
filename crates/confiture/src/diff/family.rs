//! Tables above and below each other: partitions, and those that inherit.

use std::collections::BTreeSet;

use crate::catalog::{Kind, Object, Objects};

/// Constraints of partitions whose index is attached to one that no constraint of the parent has made, with that index.
/// Neither can be dropped without the other.
pub(super) fn attached_constraints(objects: &Objects) -> Vec<(usize, usize)> {
    let constraints = (objects.all.iter().enumerate())
        .filter(|(_, object)| object.kind == Kind::Constraint && !object.inherited);
    let index = |(at, object): (usize, &Object)| {
        let name = Some(object.detail("index_parent")).filter(|name| !name.is_empty())?;
        Some((at, *objects.by_key.get(&(Kind::Index, name.to_owned()))?))
    };
    constraints.filter_map(index).collect()
}

/// These tables and all that they inherit from.
pub(super) fn tables_above(objects: &Objects, tables: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut above = BTreeSet::new();
    let mut open: Vec<usize> = tables.iter().copied().collect();
    let links: Vec<&Object> = objects.all.iter().filter(|object| is_link(object)).collect();
    while let Some(table) = open.pop() {
        if above.insert(table) {
            let of_table = links.iter().filter(|link| link.parent == Some(table));
            open.extend(of_table.flat_map(|link| &link.depends));
        }
    }
    above
}

/// That a table is a partition of another, or inherits from it.
pub(super) fn is_link(object: &Object) -> bool {
    matches!(object.kind, Kind::Partition | Kind::Inheritance)
}

/// True for a constraint that a table gets from a parent which it has already: the link to that is not `made`.
pub(super) fn comes_from_kept_parent(new: &Objects, made: &[bool], object: &Object) -> bool {
    let kept = (new.all.iter().enumerate())
        .filter(|(at, link)| is_link(link) && link.parent == object.parent && !made[*at]);
    let parents: BTreeSet<usize> = kept.flat_map(|(_, link)| link.depends.iter().copied()).collect();
    new.all.iter().any(|above| {
        let of_parent = above.parent != object.parent && above.parent.is_some_and(|on| parents.contains(&on));
        of_parent && above.kind == object.kind && above.name == object.name
    })
}

/// `PARTITION OF` takes the columns as they stand in the parent.
pub(super) fn same_columns(objects: &Objects, partition: usize) -> bool {
    let Some(child) = objects.all[partition].parent else { return false };
    let names = |table: usize| -> Vec<&str> {
        let mut columns: Vec<_> = (objects.all.iter())
            .filter(|object| object.kind == Kind::Column && object.parent == Some(table))
            .map(|object| (object.details["number"].as_i64().unwrap_or_default(), object.name.as_str()))
            .collect();
        columns.sort_unstable();
        columns.into_iter().map(|(_, name)| name).collect()
    };
    let is_parent = |on: &&usize| **on != child && objects.all[**on].kind == Kind::Table;
    let parent = objects.all[partition].depends.iter().find(is_parent);
    parent.is_some_and(|parent| names(*parent) == names(child)) && objects.all[child].detail("of").is_empty()
}
