//! Enumerations and composite types.

use serde_json::Value;

use crate::catalog::{Kind, Object};
use crate::diff::compare::{Change, Sides, quoted};
use crate::sql::Literal;

fn labels(object: &Object) -> Vec<&str> {
    object.details["labels"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
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
    let literal = |label: &str| Literal(label).to_string().trim_start().to_owned();
    for (at, label) in after.iter().enumerate().filter(|(_, label)| !before.contains(label)) {
        // What stands before is there already: either of old, or added just now.
        let place = match at.checked_sub(1) {
            Some(previous) if at + 1 == after.len() && after[previous] == *before.last().unwrap_or(&"") => {
                String::new()
            }
            Some(previous) => format!(" AFTER {}", literal(after[previous])),
            None => format!(" BEFORE {}", literal(kept[0])),
        };
        change.push(format!("ALTER TYPE {} ADD VALUE {}{place}", new.identity, literal(label)));
    }
    change
}

/// A composite type's attributes: names and types.
fn attributes(object: &Object) -> Vec<(String, String)> {
    let rows = object.details["attributes"].as_array().into_iter().flatten();
    let text = |row: &Value, at: usize| row[at].as_str().unwrap_or_default().to_owned();
    rows.map(|row| (text(row, 0), text(row, 1))).collect()
}

/// The composite types of one name, where they are on both sides: before and after.
fn composites<'a>(sides: Sides<'a>, name: &str) -> Option<(&'a Object, &'a Object)> {
    let key = (Kind::CompositeType, name.to_owned());
    Some((sides.old.find(&key)?.1, sides.new.find(&key)?.1))
}

/// True for a composite type, or an array of one, whose values cannot go over by way of text: there an attribute is told by its place only.
pub(super) fn is_told_by_places(sides: Sides<'_>, name: &str) -> bool {
    let Some((old, new)) = composites(sides, name.trim_end_matches("[]")) else { return false };
    let (before, after) = (attributes(old), attributes(new));
    let names = |all: &[(String, String)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    names(&before) != names(&after) || before.iter().any(|(_, kind)| is_told_by_places(sides, kind))
}

/// The expression that takes a value of a composite type to another type of that name, attribute by attribute.
pub(super) fn by_attributes(sides: Sides<'_>, value: &str, name: &str) -> Option<String> {
    let (old, new) = composites(sides, name)?;
    let before = attributes(old);
    let one = |(attribute, kind): &(String, String)| {
        let Some((_, was)) = before.iter().find(|(other, _)| other == attribute) else {
            return "NULL".to_owned();
        };
        let value = format!("({value}).{}", quoted(attribute));
        let within = is_told_by_places(sides, kind).then(|| by_attributes(sides, &value, kind)).flatten();
        let kind = kind.split(" COLLATE ").next().unwrap_or(kind);
        within.unwrap_or_else(|| match kind.ends_with("[]") && was.ends_with("[]") {
            true => format!("{value}::text[]::{kind}"),
            false => format!("{value}::text::{kind}"),
        })
    };
    let all: Vec<String> = attributes(new).iter().map(one).collect();
    Some(format!(
        "CASE WHEN {value} IS DISTINCT FROM NULL THEN ROW({})::{} END",
        all.join(", "),
        new.identity
    ))
}

/// Attributes are added, dropped and altered in place, unless a table's column has the type or the order would differ.
pub(super) fn compare_composites(sides: Sides<'_>, old: &Object, new: &Object) -> Change {
    let mut change = Change::default();
    let (before, after) = (attributes(old), attributes(new));
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
    for (name, _) in before.iter().filter(|(name, _)| !names.contains(&name)) {
        change.push(format!("ALTER TYPE {} DROP ATTRIBUTE {}", new.identity, quoted(name)));
    }
    for (name, kind) in &after {
        match before.iter().find(|(other, _)| other == name) {
            None => change.push(format!("ALTER TYPE {} ADD ATTRIBUTE {} {kind}", new.identity, quoted(name))),
            Some((_, old)) if old != kind => {
                change.push(format!(
                    "ALTER TYPE {} ALTER ATTRIBUTE {} TYPE {kind}",
                    new.identity,
                    quoted(name)
                ));
            }
            Some(_) => {}
        }
    }
    change
}
