//! The forms for a partitioned table that let others go on working: the server has none for the whole, but has for each
//! partition, and takes what all of them have for the whole's.

use std::collections::{BTreeSet, HashSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::aside::{self, Aside};
use crate::diff::compare::{self, index_name, quoted};
use crate::diff::fate::Work;
use crate::diff::{Step, family, online};
use crate::sql::Sql;

/// What makes an index, a key or a foreign key of a partitioned table partition by partition; nothing where there is no such form.
pub(super) fn make(work: &Work<'_>, at: usize) -> Option<Vec<String>> {
    let new = work.sides.new;
    let object = &new.all[at];
    // A primary key of its own would have the partition demand NOT NULL itself, from PostgreSQL 18 on.
    if object.detail("type") == "p" && new.server_version >= 180_000 {
        return None;
    }
    let leaves = leaves(new, object.parent?)?;
    if object.detail("type") == "f" {
        return refer(work, at, &leaves);
    }
    let (mut statements, facets) = build(work, at, |object| object.name.clone())?;
    statements.extend(facets);
    Some(statements)
}

/// What builds the indexes of the partitions before all that belongs together with a key, and what makes it of them then; nothing where one stands
/// on what comes or changes there.
pub(super) fn ahead(work: &Work<'_>, at: usize) -> Option<Vec<String>> {
    let (new, meanwhile) = (work.sides.new, work.ahead.get(&at)?);
    let parts = family::indexes_below(&family::indexes_above(new), at);
    let stays = |at: &usize| {
        let others = new.all[*at].depends.iter().filter(|on| !parts.contains(on));
        others.copied().all(|on| work.was_there(on))
    };
    if parts.is_empty() || !parts.iter().chain([&at]).all(stays) {
        return None;
    }
    let (mut statements, facets) = build(work, at, |object| object.name.clone())?;
    for part in parts.iter().map(|part| &new.all[*part]).filter(|part| part.detail("relkind") == "r") {
        let [build, add] = online::built_as(part, &meanwhile.of(&part.name))?.try_into().ok()?;
        let plain = online::built_as(part, &part.name)?;
        let [first, second] = [0, 1].map(|which| statements.iter().position(|sql| *sql == plain[which]));
        (statements[first?], statements[second?]) = (build, add);
    }
    statements.extend(facets);
    statements.sort_by_key(|sql| !sql.contains(" CONCURRENTLY "));
    Some(statements)
}

/// True for an index or a key of a partitioned table that is no part of another one, and to which no constraint of a partition belongs.
pub(super) fn is_whole(objects: &Objects, at: usize) -> bool {
    let object = &objects.all[at];
    family::is_of_partitioned(object)
        && object.is("valid")
        && !object.inherited
        && object.detail("index_parent").is_empty()
        && !family::has_attached(objects, at)
}

/// Turns the step that makes the new one into one that builds it beside the old one, and gives it the names when that has gone.
pub(super) fn replace(step: &mut Step, work: &Work<'_>, (old, to): (&Object, usize), meanwhile: &Aside) {
    let new = work.sides.new;
    step.statements.insert(0, Sql::from_server(old.drop.clone()));
    let taken: HashSet<_> = work.sides.old.all.iter().map(aside::place).collect();
    let name = |object: &Object| match taken.contains(&aside::place(object)) {
        true => meanwhile.of(&object.name),
        false => object.name.clone(),
    };
    let (Some(plain), Some((mut statements, facets))) = (make(work, to), build(work, to, name)) else {
        return;
    };
    statements.push(old.drop.clone());
    let parts = family::indexes_below(&family::indexes_above(new), to);
    let all = parts.iter().chain([&to]).map(|at| &new.all[*at]);
    let rename = |object: &Object| {
        let (from, to) = (name(object), quoted(&object.name));
        match (object.kind, &object.alter) {
            (Kind::Constraint, Some(alter)) => format!("{alter} RENAME CONSTRAINT {} TO {to}", quoted(&from)),
            _ => online::renamed(object, &from),
        }
    };
    statements.extend(all.filter(|object| name(object) != object.name).map(rename));
    statements.extend(facets);
    let rest = step.online.split_off(plain.len());
    step.online = statements.into_iter().map(Sql::from_server).chain(rest).collect();
}

impl Step {
    /// True where it alters an index, or a constraint.
    #[must_use]
    pub fn alters_index(&self) -> bool {
        self.alters.as_ref().is_some_and(|(kind, _)| matches!(kind, Kind::Index | Kind::Constraint))
    }
}

/// The partitions that hold the rows of a table; nothing where one of them is a foreign table.
fn leaves(new: &Objects, table: usize) -> Option<BTreeSet<usize>> {
    let object = &new.all[table];
    if object.kind != Kind::Table {
        return None;
    }
    if object.detail("relkind") != "p" {
        return Some(BTreeSet::from([table]));
    }
    let mut found = BTreeSet::new();
    for (_, partition) in family::partitions(new, table) {
        found.extend(leaves(new, partition)?);
    }
    Some(found)
}

/// Builds an index or a key under names of its own, and says what else there is to be said of those of the partitions.
fn build(work: &Work<'_>, at: usize, name: impl Fn(&Object) -> String) -> Option<(Vec<String>, Vec<String>)> {
    let new = work.sides.new;
    let above = family::indexes_above(new);
    let called = |at: usize| known_as(&new.all[at], name(&new.all[at]));
    let (mut statements, mut facets) = (vec![alone(&called(at))], Vec::new());
    // What was there on a partition is attached where it is altered, unless it came with its table.
    let belongs = |part: usize| work.made[part] || joins(work, part);
    let mut open = vec![at];
    while let Some(whole) = open.pop() {
        for part in above.iter().filter(|(part, of)| **of == whole && belongs(**part)).map(|(part, _)| *part)
        {
            let object = called(part);
            if work.made[part] {
                match matches!(object.detail("relkind"), "I" | "p") {
                    true => statements.push(alone(&object)),
                    // Nobody is kept waiting by what has just come.
                    false if work.made[new.root(part)] => statements.push(object.create.clone()),
                    false => statements.extend(online::built_as(&object, &object.name)?),
                }
                let said = object.facets().filter(|(_, facet)| !facet.2 && !facet.1.is_empty());
                facets.extend(said.map(|(_, facet)| facet.1.clone()));
            }
            let [whole, of_part] = [&called(whole), &object].map(index_name);
            statements.push(format!("ALTER INDEX {whole} ATTACH PARTITION {of_part}"));
            open.push(part);
        }
    }
    Some((statements, facets))
}

/// An index, or a key, as it is made under another name.
fn known_as(object: &Object, name: String) -> Object {
    let mut other = object.clone();
    let heads = ["CREATE INDEX ", "CREATE UNIQUE INDEX "].map(str::to_owned);
    let alter = object.alter.iter().map(|alter| format!("{alter} ADD CONSTRAINT "));
    let rest = heads.into_iter().chain(alter).find_map(|head| {
        let rest = object.create.strip_prefix(&head)?.strip_prefix(&quoted(&object.name))?;
        Some(format!("{head}{}{rest}", quoted(&name)))
    });
    other.create = rest.unwrap_or_default();
    other.name = name;
    other
}

/// The index or the key of the partitioned table, for which those of the partitions have to come.
fn alone(object: &Object) -> String {
    match object.kind {
        Kind::Constraint => object.create.replacen("ALTER TABLE ", "ALTER TABLE ONLY ", 1),
        _ => object.create.clone(),
    }
}

/// True where the table of an index, which is there, is put to another one.
fn joins(work: &Work<'_>, at: usize) -> bool {
    let (old, new) = (work.sides.old, work.sides.new);
    let table = new.all[at].parent;
    let mut links = new.all.iter().enumerate().filter(|(_, link)| link.kind == Kind::Partition);
    let comes = links.any(|(link, object)| object.parent == table && work.made[link]);
    let before = work.old_of(at).map(|before| &old.all[before]);
    let is_attached = |before: &Object| {
        compare::is_attached_late(before, &new.all[at])
            && before.parent.is_some_and(|table| old.all[table].is("is_partition"))
    };
    comes && !before.is_some_and(is_attached)
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
        if work.made[at] && !work.made[*leaf] {
            statements.extend(online::validated(key)?);
        }
    }
    statements.push(object.create.clone());
    object.depends.iter().all(is_plain).then_some(statements)
}
