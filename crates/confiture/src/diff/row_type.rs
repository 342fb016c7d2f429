//! Tables whose rows are a type that other tables' columns have.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Kind, Objects};
use crate::diff::compare::Change;
use crate::diff::family;

/// Tables of which no column's type can be altered, although `changes` says so: another table has a column of their row type.
pub(super) fn held_in_columns(old: &Objects, changes: &BTreeMap<usize, Change>) -> BTreeSet<usize> {
    let retyped = changes.iter().filter(|(_, change)| change.disturbs).map(|(at, _)| &old.all[*at]);
    let tables: BTreeSet<usize> =
        retyped.filter(|object| object.kind == Kind::Column).filter_map(|column| column.parent).collect();
    let is_alone =
        |table: &usize| !old.all.iter().any(|link| family::is_link(link) && link.depends.contains(table));
    let is_held = |table: &usize| {
        old.all.iter().any(|object| {
            object.kind == Kind::Column
                && object.parent != Some(*table)
                && object.details["generated"].is_null()
                && object.depends.contains(table)
        })
    };
    tables.into_iter().filter(|table| is_held(table) && is_alone(table)).collect()
}
