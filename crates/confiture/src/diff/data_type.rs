//! Enumerations and composite types.

use serde_json::Value;

use crate::catalog::{Kind, Object};
use crate::diff::compare::{Change, Sides, quoted};
use crate::diff::composite::attributes;
use crate::diff::hazard::Hazard;
use crate::diff::row_type;
use crate::sql::Literal;

/// The labels of an enumeration, in order.
pub(super) fn labels(object: &Object) -> Vec<&str> {
    object.details["labels"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// True for an enumeration that has all its labels still, maybe in another order.
pub(super) fn keeps_labels(sides: Sides<'_>, object: &Object) -> bool {
    let after = sides.new.find(&object.key()).filter(|_| object.kind == Kind::Enum);
    after.is_some_and(|(_, after)| labels(object).iter().all(|label| labels(after).contains(label)))
}

/// A label as SQL.
pub(super) fn label_text(label: &str) -> String {
    Literal(label).to_string().trim_start().to_owned()
}

/// Labels can be added in place, anywhere; one that goes or moves needs a new type.
pub(super) fn compare_enums(old: &Object, new: &Object) -> Change {
    let (before, after) = (labels(old), labels(new));
    if before == after {
        return Change::default();
    }
    let kept: Vec<_> = after.iter().copied().filter(|label| before.contains(label)).collect();
    if kept != before || before.is_empty() {
        return Change::rebuild();
    }
    let mut change = Change { commits: true, ..Change::default() };
    for (at, label) in after.iter().enumerate().filter(|(_, label)| !before.contains(label)) {
        // What stands before is there already: either of old, or added just now.
        let place = match at.checked_sub(1) {
            Some(previous) if at + 1 == after.len() && after[previous] == *before.last().unwrap_or(&"") => {
                String::new()
            }
            Some(previous) => format!(" AFTER {}", label_text(after[previous])),
            None => format!(" BEFORE {}", label_text(kept[0])),
        };
        change.push(format!("ALTER TYPE {} ADD VALUE {}{place}", new.identity, label_text(label)));
    }
    change
}

/// A range keeps its rows where only its multirange, or what makes values of either, is called otherwise: a new name of the type reaches neither.
pub(super) fn compare_ranges(old: &Object, new: &Object) -> Change {
    if old.defined() != new.defined() {
        return Change::rebuild();
    }
    let text = |row: &Value, at: usize| row[at].as_str().unwrap_or_default().to_owned();
    let mut change = Change::default();
    let mut follow = |what: &str, full: String, (from, to): ([String; 2], [String; 2])| {
        let [schema, name] = &to;
        if from[0] != *schema {
            change.push(format!("ALTER {what} {full} SET SCHEMA {schema}"));
        }
        if from[1] != *name {
            let moved = full.replacen(&format!("{}.", from[0]), &format!("{schema}."), 1);
            change.push(format!("ALTER {what} {moved} RENAME TO {}", quoted(name)));
        }
    };
    let [before, after] = [old, new].map(|object| &object.details["multirange"]);
    if before.is_array() && after.is_array() {
        let names = [before, after].map(|row| [text(row, 2), text(row, 1)]);
        follow("TYPE", text(before, 0), names.into());
    }
    let constructors =
        |object: &Object| object.details["constructors"].as_array().cloned().unwrap_or_default();
    let after = constructors(new);
    for before in constructors(old) {
        let Some(row) = after.iter().find(|row| row[3] == before[3]) else { continue };
        let names = [&before, row].map(|row| [text(row, 2), text(row, 1)]);
        follow("FUNCTION", text(&before, 0), names.into());
    }
    change
}

/// Attributes are added, dropped and altered in place, unless a table's column has the type or the order would differ.
pub(super) fn compare_composites(sides: Sides<'_>, old: &Object, new: &Object) -> Change {
    let mut change = Change::default();
    let (before, after) = (attributes(sides.old, old), attributes(sides.new, new));
    if before == after {
        return change;
    }
    let names: Vec<_> = after.iter().map(|(name, _)| name).collect();
    let kept: Vec<_> = before.iter().map(|(name, _)| name).filter(|name| names.contains(name)).collect();
    let retyped = before.iter().any(|(name, kind)| after.iter().any(|(n, k)| n == name && k != kind));
    let at = sides.old.by_key.get(&old.key()).copied();
    let used = sides
        .old
        .all
        .iter()
        .any(|object| object.kind == Kind::Column && at.is_some_and(|at| object.depends.contains(&at)));
    if !names.starts_with(&kept) || (retyped && used) {
        return Change::rebuild();
    }
    // Tables of this type are of none meanwhile.
    change.disturbs = true;
    let gone = before.iter().map(|(name, _)| name).filter(|name| !names.contains(name));
    let gone: Vec<String> = gone.map(|name| quoted(name)).collect();
    if at.is_some_and(|at| row_type::in_columns(sides.old).contains(&at)) {
        change.hazards.extend(Hazard::values_lost("attribute", &gone));
    }
    let mut actions: Vec<String> = gone.iter().map(|name| format!("DROP ATTRIBUTE {name}")).collect();
    for (name, kind) in &after {
        let (before, name) = (before.iter().find(|(other, _)| other == name), quoted(name));
        match before {
            None => actions.push(format!("ADD ATTRIBUTE {name} {kind}")),
            Some((_, old)) if old != kind => actions.push(format!("ALTER ATTRIBUTE {name} TYPE {kind}")),
            Some(_) => {}
        }
    }
    match actions.as_slice() {
        [] => {}
        [one] => change.push(format!("ALTER TYPE {} {one}", new.identity)),
        all => change.push(format!("ALTER TYPE {}\n    {}", new.identity, all.join(",\n    "))),
    }
    change
}
