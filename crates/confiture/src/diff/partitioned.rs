//! The forms for a partitioned table that let others go on working: the server has none for the whole, but has for each
//! partition, and takes what all of them have for the whole's.

use std::collections::BTreeSet;

use crate::catalog::{Kind, Object};
use crate::diff::compare::index_name;
use crate::diff::fate::Work;
use crate::diff::{Step, family, online};

/// What makes an index, a key or a foreign key of a partitioned table partition by partition; nothing where there is no such form.
pub(super) fn make(work: &Work<'_>, at: usize) -> Option<Vec<String>> {
    let new = work.sides.new;
    let object = &new.all[at];
    // A primary key of its own would have the partition demand NOT NULL itself, from PostgreSQL 18 on.
    if object.detail("type") == "p" && new.server_version >= 180_000 {
        return None;
    }
    let leaves = leaves(work, object.parent?)?;
    if object.detail("type") == "f" {
        return refer(work, at, &leaves);
    }
    let mut statements = vec![alone(object)];
    let above: Vec<(usize, usize)> = family::indexes_above(new).into_iter().collect();
    attach(work, &above, at, &mut statements)?;
    Some(statements)
}

impl Step {
    /// True where it alters an index, or a constraint.
    #[must_use]
    pub fn alters_index(&self) -> bool {
        self.alters.as_ref().is_some_and(|(kind, _)| matches!(kind, Kind::Index | Kind::Constraint))
    }
}

/// The partitions that hold the rows of a table; nothing where one of them is not there yet, or is a foreign table.
pub(super) fn leaves(work: &Work<'_>, table: usize) -> Option<BTreeSet<usize>> {
    let new = work.sides.new;
    let object = &new.all[table];
    if object.kind != Kind::Table || work.made[table] {
        return None;
    }
    if object.detail("relkind") != "p" {
        return Some(BTreeSet::from([table]));
    }
    let mut found = BTreeSet::new();
    for (link, partition) in family::partitions(new, table) {
        found.extend(leaves(work, partition).filter(|_| !work.made[link])?);
    }
    Some(found)
}

/// The index or the key of the partitioned table, for which those of the partitions have to come.
fn alone(object: &Object) -> String {
    match object.kind {
        Kind::Constraint => object.create.replacen("ALTER TABLE ", "ALTER TABLE ONLY ", 1),
        _ => object.create.clone(),
    }
}

/// Those of the partitions, attached to it.
fn attach(
    work: &Work<'_>,
    above: &[(usize, usize)],
    whole: usize,
    statements: &mut Vec<String>,
) -> Option<()> {
    let new = work.sides.new;
    for (at, _) in above.iter().filter(|(_, of)| *of == whole) {
        let object = &new.all[*at];
        let is_partitioned = matches!(object.detail("relkind"), "I" | "p");
        // What was there on a partition is attached where it is altered.
        if !work.made[*at] {
            continue;
        }
        match is_partitioned {
            true => statements.push(alone(object)),
            false => statements.extend(online::built_as(object, &object.name)?),
        }
        let said = object.facets().filter(|(_, facet)| !facet.2 && !facet.1.is_empty());
        statements.extend(said.map(|(_, facet)| facet.1.clone()));
        let [whole, part] = [&new.all[whole], object].map(index_name);
        statements.push(format!("ALTER INDEX {whole} ATTACH PARTITION {part}"));
        attach(work, above, *at, statements)?;
    }
    Some(())
}

/// A foreign key, for which the server takes those that the partitions have and that are validated.
fn refer(work: &Work<'_>, at: usize, leaves: &BTreeSet<usize>) -> Option<Vec<String>> {
    let new = work.sides.new;
    let object = &new.all[at];
    let is_plain = |on: &usize| {
        let is_index = matches!(new.all[*on].kind, Kind::Constraint | Kind::Index);
        !is_index || new.all[new.root(*on)].detail("relkind") == "r"
    };
    let mut statements = Vec::new();
    for leaf in leaves {
        let is_same = |(_, key): &(usize, &Object)| {
            key.detail("type") == "f" && key.parent == Some(*leaf) && key.defined() == object.defined()
        };
        let mut same = new.all.iter().enumerate().filter(is_same);
        let (Some((at, key)), None) = (same.next(), same.next()) else { return None };
        if work.made[at] {
            statements.extend(online::validated(key)?);
        }
    }
    statements.push(object.create.clone());
    object.depends.iter().all(is_plain).then_some(statements)
}
