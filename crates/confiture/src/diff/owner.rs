//! To whom things belong.
//!
//! Files mostly do not say it: what they make belongs to the role that runs them, which here is the one of a scratch server.
//! Beside a live database that means: to whom it belongs there. [`adopt`] makes it so before anything is compared.

use std::collections::BTreeMap;

use crate::catalog::{Kind, Object, Objects};
use crate::diff::compare::quoted;
use crate::diff::{privileges, roles};
use crate::sql::Sql;

/// Whom the schema `public` belongs to before anybody has said it.
const OF_THE_DATABASE: &str = "pg_database_owner";

/// The owner, where it is not the one that new objects get.
pub(super) fn named<'a>(objects: &Objects, object: &'a Object) -> Option<&'a str> {
    object.owner.as_deref().filter(|owner| !objects.is_own(owner) && has_any_owner(object))
}

/// `ALTER … OWNER TO`, for a new object whose owner is not the one that makes it.
pub(super) fn own(objects: &Objects, object: &Object) -> Option<Sql> {
    let owner = named(objects, object).filter(|_| !object.phrase.is_empty())?;
    Some(give(object, owner))
}

/// `ALTER … OWNER TO`, where an object belongs to others than it should.
pub(super) fn change(old: (&Objects, &Object), new: (&Objects, &Object)) -> Option<Sql> {
    let follows = follows_table(old.0, old.1) && follows_table(new.0, new.1);
    (!follows).then(|| changed(old, new)).flatten()
}

/// The same of a sequence on its way from one column to another: it did not follow the table meanwhile.
pub(super) fn change_between(old: (&Objects, &Object), new: (&Objects, &Object)) -> Option<Sql> {
    follows_table(old.0, old.1).then(|| changed(old, new)).flatten()
}

fn changed(old: (&Objects, &Object), new: (&Objects, &Object)) -> Option<Sql> {
    let (before, after) = (named(old.0, old.1), named(new.0, new.1));
    let differs = before != after && new.1.owner.is_some() && !new.1.phrase.is_empty();
    differs.then(|| match after {
        Some(after) => give(new.1, after),
        None => give_to_oneself(new.1),
    })
}

fn give(object: &Object, owner: &str) -> Sql {
    Sql::from_server(format!("ALTER {} OWNER TO {}", object.phrase, quoted(owner)))
}

fn give_to_oneself(object: &Object) -> Sql {
    Sql::from_server(format!("ALTER {} OWNER TO CURRENT_USER", object.phrase))
}

/// A sequence that a column owns belongs to whom the table belongs to.
fn follows_table(objects: &Objects, object: &Object) -> bool {
    object.kind == Kind::Sequence
        && objects.by_key.contains_key(&(Kind::SequenceOwner, object.identity.clone()))
}

/// False for what only superusers own: which of them is no matter of a schema.
fn has_any_owner(object: &Object) -> bool {
    let all_tables = object.kind == Kind::Publication && object.defined() == "true";
    !matches!(object.kind, Kind::EventTrigger | Kind::ForeignDataWrapper) && !all_tables
}

/// Whom most of a database belongs to.
#[must_use]
pub fn main_owner(live: &Objects) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let owners = live.all.iter().filter(|object| !object.phrase.is_empty() && has_any_owner(object));
    for owner in owners.filter_map(|object| object.owner.as_deref()).filter(|owner| !owner.starts_with("pg_"))
    {
        *counts.entry(owner).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(owner, _)| owner.to_owned())
}

/// What gives to each object of `files` the owner that it has in `live`, where the files say none. That of most is only given where the
/// files grant something to it, or hand it something: a grant to the owner is none.
#[must_use]
pub fn adopt(files: &Objects, live: &Objects) -> Vec<Sql> {
    let names_main = files.stands_for.as_ref().is_some_and(|main| roles(files).contains(main));
    let adopted = files.all.iter().filter_map(|object| {
        let said =
            object.owner.as_deref().is_none_or(|owner| owner != files.role && owner != OF_THE_DATABASE);
        if said || object.phrase.is_empty() || !has_any_owner(object) || follows_table(files, object) {
            return None;
        }
        let (_, there) = live.find(&object.key())?;
        let owner = there.owner.as_deref().filter(|owner| Some(*owner) != object.owner.as_deref())?;
        let is_main = files.stands_for.as_deref() == Some(owner);
        let is_own = object.owner.as_deref() == Some(&files.role);
        match is_main && !names_main {
            true if is_own => None,
            true => Some(give_to_oneself(object)),
            false => Some(give(object, owner)),
        }
    });
    adopted.chain(adopt_default_privileges(files, live)).collect()
}

/// Default privileges of nobody in particular are those of whom most belongs to, where it has such ones.
fn adopt_default_privileges(files: &Objects, live: &Objects) -> Vec<Sql> {
    let main = main_owner(live).filter(|main| !files.is_own(main));
    let own = files.all.iter().filter(|object| object.owner.as_deref() == Some(&files.role));
    let mut statements = Vec::new();
    for object in own.filter(|object| object.kind == Kind::DefaultPrivileges && main.is_some()) {
        let is_there = |other: &&Object| {
            other.owner == main
                && ["own", "what"].iter().all(|part| other.detail(part) == object.detail(part))
        };
        if let Some(there) = live.all.iter().find(is_there) {
            let mut given = object.clone();
            given.details["alter"] = there.details["named"].clone();
            statements.extend(privileges::unmake(files, object));
            statements.extend(privileges::make(files, &given));
        }
    }
    statements
}
