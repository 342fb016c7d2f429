//! What may have a new name, and is not taken for it: a question that the plan asks.

use crate::catalog::{Kind, Object, Objects};
use crate::diff::compare::quoted;
use crate::diff::infer::{are_alike, columns, previous, shape_of, share_a_word};
use crate::diff::rename::{Rename, table_after, within_of};

/// What goes while something like it comes, as it would have to be said if it were the same.
pub fn questions(old: &Objects, new: &Objects, found: &[Rename]) -> Vec<String> {
    let mut asked = of_columns(old, new, found);
    asked.extend(of_tables(old, new, found));
    asked
}

/// True where the new name is known already.
fn is_known(found: &[Rename], kind: Kind, within: &str, name: &str) -> bool {
    let is_it = |rename: &Rename| {
        rename.within.0 == within && rename.from == name || rename.within.1 == within && rename.to == name
    };
    found.iter().any(|rename| rename.kind == kind && is_it(rename))
}

/// Columns of one type whose names are alike, or that are the only ones, in the same place.
fn of_columns(old: &Objects, new: &Objects, found: &[Rename]) -> Vec<String> {
    let (before, after) = (columns(old), columns(new));
    let mut asked = Vec::new();
    for (table, ours) in &before {
        let now = table_after(table, found);
        let Some(theirs) = after.get(&now) else { continue };
        // One that becomes generated loses its values.
        let stays = |one: &Object, other: &Object| {
            one.name == other.name
                && (other.details["generated"].is_null() || !one.details["generated"].is_null())
        };
        let goes = |one: &&&Object| {
            !one.inherited
                && !theirs.iter().any(|other| stays(one, other))
                && !is_known(found, Kind::Column, table, &one.name)
        };
        let comes = |other: &&&Object| {
            !other.inherited
                && !ours.iter().any(|one| one.name == other.name)
                && !is_known(found, Kind::Column, &now, &other.name)
        };
        let (gone, come): (Vec<_>, Vec<_>) =
            (ours.iter().filter(goes).collect(), theirs.iter().filter(comes).collect());
        // A question may be wrong: it asks more than would be taken for the same.
        let sounds_like = |one: &str, other: &str| are_alike(one, other) || share_a_word(one, other);
        let may_be = |one: &Object, other: &Object| {
            let in_its_place =
                || gone.len() == 1 && come.len() == 1 && previous(ours, one) == previous(theirs, other);
            one.detail("type") == other.detail("type")
                && (sounds_like(&one.name, &other.name) || in_its_place())
        };
        for one in &gone {
            let fitting: Vec<_> = come.iter().filter(|other| may_be(one, other)).collect();
            if let [other] = fitting.as_slice()
                && gone.iter().filter(|rival| may_be(rival, other)).count() == 1
            {
                let (from, to) = (format!("{table}.{}", quoted(&one.name)), quoted(&other.name));
                asked.push(format!(
                    "column {from} goes and {to} comes, of the same type: where it is the same, say --rename {from}={to}"
                ));
            }
        }
    }
    asked
}

/// Tables of one schema that have the same columns.
fn of_tables(old: &Objects, new: &Objects, found: &[Rename]) -> Vec<String> {
    let (before, after) = (columns(old), columns(new));
    let lacking = |ours: &Objects, theirs: &Objects| -> Vec<Object> {
        let lacks = |object: &&Object| {
            object.kind == Kind::Table
                && !object.is("is_partition")
                && theirs.find(&object.key()).is_none()
                && !is_known(found, Kind::Table, &within_of(object), &object.name)
        };
        ours.all.iter().filter(lacks).cloned().collect()
    };
    let (gone, come) = (lacking(old, new), lacking(new, old));
    let is_like = |one: &Object, other: &Object| {
        one.schema == other.schema && shape_of(old, &before, one) == shape_of(new, &after, other)
    };
    let mut asked = Vec::new();
    for one in gone.iter().filter(|one| shape_of(old, &before, one).len() > 1) {
        let fitting: Vec<_> = come.iter().filter(|other| is_like(one, other)).collect();
        if let [other] = fitting.as_slice()
            && gone.iter().filter(|rival| is_like(rival, other)).count() == 1
        {
            let (from, to) = (&one.identity, quoted(&other.name));
            asked.push(format!(
                "table {from} goes and {to} comes, with the same columns: where it is the same, say --rename {from}={to}"
            ));
        }
    }
    asked
}
