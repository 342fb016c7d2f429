//! Storage parameters and the options of what is foreign.

use crate::catalog::{Object, Objects};
use crate::diff::compare::{Change, quoted};
use crate::sql::{Literal, Sql};

type Pair<'a> = (&'a str, &'a str);

fn pairs(options: Option<&Vec<String>>) -> Vec<Pair<'_>> {
    options.into_iter().flatten().map(|option| option.split_once('=').unwrap_or((option, ""))).collect()
}

fn value_of<'a>(pairs: &[Pair<'a>], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
}

/// `fillfactor`, `toast.autovacuum_enabled`: names that need no quotes and may have a dot.
fn parameter(name: &str) -> String {
    name.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

fn literal(value: &str) -> String {
    Literal(value).to_string().trim_start().to_owned()
}

/// `fillfactor='70', …`
fn list(pairs: &[Pair<'_>]) -> String {
    let one = |(name, value): &Pair<'_>| format!("{}={}", parameter(name), literal(value));
    pairs.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// ` WITH (…)` for a statement that makes the object; empty without options.
pub(super) fn with(object: &Object) -> String {
    match pairs(object.options.as_ref()).as_slice() {
        [] => String::new(),
        options => format!(" WITH ({})", list(options)),
    }
}

/// ` OPTIONS (…)` for a statement that makes the object; empty without options.
pub(super) fn foreign(object: &Object) -> String {
    match pairs(object.foreign_options.as_ref()).as_slice() {
        [] => String::new(),
        options => {
            let one = |(name, value): &Pair<'_>| format!("{} {}", quoted(name), literal(value));
            format!(" OPTIONS ({})", options.iter().map(one).collect::<Vec<_>>().join(", "))
        }
    }
}

/// The statement that sets the options of a column, which `CREATE TABLE` cannot.
pub(super) fn set(object: &Object) -> Option<Sql> {
    let options = pairs(object.options.as_ref());
    let alter = object.alter.as_ref().filter(|_| !options.is_empty())?;
    Some(Sql::from_server(format!("{alter} SET ({})", list(&options))))
}

/// False for a parameter of a TOAST table where there is none, or none yet: the server passes over it.
fn can_have(object: &Object, name: &str) -> bool {
    !name.starts_with("toast.") || object.is("has_toast")
}

/// What tables lack of those in `new` because they have no TOAST table: there, one has outlived the columns that needed it.
#[must_use]
pub fn of_no_toast(old: &Objects, new: &Objects, how: &str) -> Vec<String> {
    let one = |object: &Object| {
        let (_, before) = old.find(&object.key())?;
        let (is, wanted) = (pairs(before.options.as_ref()), pairs(object.options.as_ref()));
        let lacks = |(name, value): &&Pair<'_>| value_of(&is, name) != Some(value) && !can_have(before, name);
        let names: Vec<String> = wanted.iter().filter(lacks).map(|(name, _)| parameter(name)).collect();
        let (what, names) = (object.title(), (!names.is_empty()).then(|| names.join(", "))?);
        Some(format!("the {what} {how} {names}, for a TOAST table that no column of it needs"))
    };
    new.all.iter().filter_map(one).collect()
}

/// How many of the first options stay: what is set comes behind the others, so what is to stand behind it is set again.
fn in_place(before: &[Pair<'_>], after: &[Pair<'_>]) -> usize {
    let stay = |count: &usize| {
        let (first, is_first) =
            (&after[..*count], |(name, _): &&Pair<'_>| value_of(&after[..*count], name).is_some());
        before.iter().filter(is_first).eq(first)
    };
    (0..=after.len()).rev().find(stay).unwrap_or(0)
}

/// The statements from one list of options to another.
pub(super) fn alter(change: &mut Change, old: &Object, new: &Object) {
    let Some(alter) = &new.alter else { return };
    let (before, after) = (pairs(old.options.as_ref()), pairs(new.options.as_ref()));
    let differs = |(name, value): &Pair<'_>| value_of(&before, name) != Some(value) && can_have(old, name);
    let set: Vec<_> = if after.iter().any(differs) {
        let kept = in_place(&before, &after);
        after[kept..].iter().copied().filter(|(name, _)| can_have(old, name)).collect()
    } else {
        Vec::new()
    };
    let reset: Vec<_> = before
        .iter()
        .filter(|(name, _)| value_of(&after, name).is_none())
        .map(|(name, _)| parameter(name))
        .collect();
    if !set.is_empty() {
        change.push(format!("{alter} SET ({})", list(&set)));
    }
    if !reset.is_empty() {
        change.push(format!("{alter} RESET ({})", reset.join(", ")));
    }
    let (before, after) = (pairs(old.foreign_options.as_ref()), pairs(new.foreign_options.as_ref()));
    let mut parts = Vec::new();
    for (name, _) in before.iter().filter(|(name, _)| value_of(&after, name).is_none()) {
        parts.push(format!("DROP {}", quoted(name)));
    }
    for (name, value) in &after {
        match value_of(&before, name) {
            None => parts.push(format!("ADD {} {}", quoted(name), literal(value))),
            Some(old) if old != *value => parts.push(format!("SET {} {}", quoted(name), literal(value))),
            Some(_) => {}
        }
    }
    if !parts.is_empty() {
        change.push(format!("{alter} OPTIONS ({})", parts.join(", ")));
    }
}
