//! Tables above and below each other: partitions, and those that inherit.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::compare::index_name;
use crate::diff::not_null;

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

/// A constraint of a partition belongs to this index.
pub(super) fn has_attached(objects: &Objects, index: usize) -> bool {
    objects.all[index].detail("relkind") == "I"
        && attached_constraints(objects).iter().any(|(_, of)| *of == index)
}

/// For each index of a partition that is attached to one of the parent's, that one; a key or an exclusion stands for its index.
pub(super) fn indexes_above(objects: &Objects) -> BTreeMap<usize, usize> {
    let is_index = |object: &Object| {
        object.kind == Kind::Index
            || object.kind == Kind::Constraint && matches!(object.detail("type"), "p" | "u" | "x")
    };
    let indexes = || objects.all.iter().enumerate().filter(|(_, object)| is_index(object));
    if indexes().all(|(_, object)| object.detail("index_parent").is_empty()) {
        return BTreeMap::new();
    }
    let named: HashMap<String, usize> = indexes().map(|(at, object)| (index_name(object), at)).collect();
    indexes().filter_map(|(at, object)| Some((at, *named.get(object.detail("index_parent"))?))).collect()
}

/// True for an index or a constraint of a partitioned table.
pub(super) fn is_of_partitioned(object: &Object) -> bool {
    [object.detail("relkind"), object.detail("table_kind")].contains(&"p")
}

/// Those that are attached to an index, or a key, of a partitioned table, by way of others or not.
pub(super) fn indexes_below(above: &BTreeMap<usize, usize>, whole: usize) -> Vec<usize> {
    let mut found = vec![whole];
    let mut next = 0;
    while let Some(at) = found.get(next).copied() {
        found.extend(above.iter().filter(|(_, of)| **of == at).map(|(part, _)| *part));
        next += 1;
    }
    found.split_off(1)
}

/// For each foreign key that a partition has from its table, one of that which is the same.
pub(super) fn foreign_keys_above(objects: &Objects) -> BTreeMap<usize, usize> {
    let is_key = |object: &&Object| object.kind == Kind::Constraint && object.detail("type") == "f";
    let below = objects.all.iter().enumerate().filter(|(_, object)| is_key(object) && object.inherited);
    let below: Vec<(usize, &Object)> = below.collect();
    if below.is_empty() {
        return BTreeMap::new();
    }
    let keys = objects.all.iter().enumerate().filter(|(_, object)| is_key(object));
    let of_table: HashMap<_, usize> = keys.map(|(at, key)| ((key.parent, key.defined()), at)).collect();
    let parents = parents(objects);
    let above = |(at, key): (usize, &Object)| {
        let tables = parents.get(&key.parent?)?;
        Some((at, *tables.iter().find_map(|table| of_table.get(&(Some(*table), key.defined())))?))
    };
    below.into_iter().filter_map(above).collect()
}

/// True for a check that a parent has brought, and that the rows of the child are not known to pass.
pub(super) fn is_unvalidated_below(object: &Object) -> bool {
    object.kind == Kind::Constraint && object.inherited && object.defined().ends_with(" NOT VALID")
}

/// The same check of the tables from which a child has it.
pub(super) fn checks_above(objects: &Objects, at: usize) -> Vec<usize> {
    let Some(table) = objects.all[at].parent else { return Vec::new() };
    let above = tables_above(objects, &BTreeSet::from([table]));
    let same = |other: &&Object| {
        other.kind == Kind::Constraint
            && other.name == objects.all[at].name
            && other.parent.is_some_and(|of| of != table && above.contains(&of))
    };
    objects.all.iter().enumerate().filter(|(_, other)| same(other)).map(|(at, _)| at).collect()
}

/// The partitions of a table, each with what makes it one.
pub(super) fn partitions(objects: &Objects, table: usize) -> impl Iterator<Item = (usize, usize)> {
    let links = objects.all.iter().enumerate().filter(|(_, link)| link.kind == Kind::Partition);
    links.filter_map(move |(at, link)| {
        let partition = link.parent.filter(|partition| *partition != table)?;
        link.depends.contains(&table).then_some((at, partition))
    })
}

/// The partitions of a table, and theirs.
pub(super) fn partitions_below(objects: &Objects, table: usize) -> Vec<usize> {
    let mut below: Vec<usize> = partitions(objects, table).map(|(_, partition)| partition).collect();
    for partition in below.clone() {
        below.extend(partitions_below(objects, partition));
    }
    below
}

/// These tables and all that they inherit from.
pub(super) fn tables_above(objects: &Objects, tables: &BTreeSet<usize>) -> BTreeSet<usize> {
    let parents = parents(objects);
    let mut above = BTreeSet::new();
    let mut open: Vec<usize> = tables.iter().copied().collect();
    while let Some(table) = open.pop() {
        if above.insert(table) {
            open.extend(parents.get(&table).into_iter().flatten());
        }
    }
    above
}

/// The parents of each table that has some.
pub(super) fn parents(objects: &Objects) -> HashMap<usize, BTreeSet<usize>> {
    let mut parents: HashMap<usize, BTreeSet<usize>> = HashMap::new();
    for link in objects.all.iter().filter(|object| is_link(object)) {
        if let Some(child) = link.parent {
            parents.entry(child).or_default().extend(link.depends.iter().filter(|on| **on != child));
        }
    }
    parents
}

/// The columns of its table's parents from which a child has one.
pub(super) fn columns_above(objects: &Objects, children: &[Vec<usize>], column: usize) -> Vec<usize> {
    let (all, name) = (&objects.all, &objects.all[column].name);
    let Some(table) = all[column].parent else { return Vec::new() };
    let links = children[table].iter().filter(|link| is_link(&all[**link]));
    let parents = links.flat_map(|link| &all[*link].depends).filter(|on| **on != table);
    let is_it = |other: &&usize| all[**other].kind == Kind::Column && all[**other].name == *name;
    parents.flat_map(|parent| children[*parent].iter().filter(is_it)).copied().collect()
}

/// The tables from which one has a column, and which have it from nobody.
pub(super) fn origins(objects: &Objects, table: usize, column: &str) -> BTreeSet<usize> {
    let has = |table: usize| {
        let is_it = |object: &Object| object.parent == Some(table) && object.name == column;
        objects.all.iter().any(|object| object.kind == Kind::Column && is_it(object))
    };
    let parents = parents(objects);
    let mut found = BTreeSet::new();
    let mut open = vec![table];
    while let Some(table) = open.pop() {
        let above: Vec<usize> =
            parents.get(&table).into_iter().flatten().copied().filter(|on| has(*on)).collect();
        if above.is_empty() {
            found.insert(table);
        }
        open.extend(above);
    }
    found
}

/// That a table is a partition of another, or inherits from it.
pub(super) fn is_link(object: &Object) -> bool {
    matches!(object.kind, Kind::Partition | Kind::Inheritance)
}

/// True for a column or a constraint that a table gets, as it is to be, from a parent which it has already: the link to that is not `made`.
pub(super) fn comes_from_kept_parent(new: &Objects, made: &[bool], object: &Object) -> bool {
    in_kept_parents(new, made, object).any(|above| demands_as_much(above, object))
}

/// True where a parent demands `NOT NULL` if the child does.
pub(super) fn demands_as_much(above: &Object, object: &Object) -> bool {
    above.is("not_null") || !object.is("not_null")
}

/// A column or a constraint of a table as its parents have it which it has already.
pub(super) fn in_kept_parents<'a>(
    new: &'a Objects,
    made: &[bool],
    object: &Object,
) -> impl Iterator<Item = &'a Object> {
    let kept = (new.all.iter().enumerate())
        .filter(|(at, link)| is_link(link) && link.parent == object.parent && !made[*at]);
    let parents: BTreeSet<usize> = kept.flat_map(|(_, link)| link.depends.iter().copied()).collect();
    new.all.iter().filter(move |above| {
        let of_parent = above.parent != object.parent && above.parent.is_some_and(|on| parents.contains(&on));
        of_parent && above.kind == object.kind && above.name == object.name
    })
}

/// The names of a table's columns, in order.
pub(super) fn columns(objects: &Objects, table: usize) -> Vec<&str> {
    let mut columns: Vec<_> = (objects.all.iter())
        .filter(|object| object.kind == Kind::Column && object.parent == Some(table))
        .map(|object| (object.details["number"].as_i64().unwrap_or_default(), object.name.as_str()))
        .collect();
    columns.sort_unstable();
    columns.into_iter().map(|(_, name)| name).collect()
}

/// `PARTITION OF` takes the columns as they stand in the parent, and the names of their NOT NULL.
pub(super) fn same_columns(objects: &Objects, partition: usize) -> bool {
    let Some(child) = objects.all[partition].parent else { return false };
    let is_parent = |on: &&usize| **on != child && objects.all[**on].kind == Kind::Table;
    let parent = objects.all[partition].depends.iter().find(is_parent);
    parent.is_some_and(|parent| {
        columns(objects, *parent) == columns(objects, child)
            && not_null::are_named_alike(objects, *parent, child)
    }) && objects.all[child].detail("of").is_empty()
}
