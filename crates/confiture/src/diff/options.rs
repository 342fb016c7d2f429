//! Storage parameters and the options of what is foreign.

use crate::catalog::Object;
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

/// The statements from one list of options to another.
pub(super) fn alter(change: &mut Change, old: &Object, new: &Object) {
    let Some(alter) = &new.alter else { return };
    let (before, after) = (pairs(old.options.as_ref()), pairs(new.options.as_ref()));
    let set: Vec<_> =
        after.iter().copied().filter(|(name, value)| value_of(&before, name) != Some(value)).collect();
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
