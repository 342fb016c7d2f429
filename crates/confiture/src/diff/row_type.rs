//! Tables whose rows are values elsewhere: the server rewrites no table whose row type a column has.

use std::collections::BTreeSet;

use crate::catalog::{Kind, Object, Objects};
use crate::diff::fate::{Work, is_type};

/// Tables whose row type another table's column has, maybe within another type.
pub(super) fn held(objects: &Objects) -> BTreeSet<usize> {
    in_columns(objects).into_iter().filter(|on| objects.all[*on].kind == Kind::Table).collect()
}

/// Types, and tables as types of their rows, that columns have, maybe within another type.
pub(super) fn in_columns(objects: &Objects) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    // What is in a foreign table is not stored here; what is in a materialized view is.
    let stores = |column: &&Object| {
        let relation = column.parent.map(|at| objects.all[at].kind);
        match column.kind {
            Kind::Column => relation == Some(Kind::Table) && column.details["generated"].is_null(),
            kind => kind == Kind::ViewColumn && relation == Some(Kind::MaterializedView),
        }
    };
    for column in objects.all.iter().filter(stores) {
        let mut open: Vec<usize> = column.depends.iter().copied().collect();
        while let Some(on) = open.pop() {
            let kind = objects.all[on].kind;
            if is_type(kind) && found.insert(on) {
                open.extend(&objects.all[on].depends);
            } else if kind == Kind::Table && column.parent != Some(on) {
                found.insert(on);
            }
        }
    }
    found
}

/// Those of them that would be rewritten: a column gets another type, or comes with a value for the rows that are there, or the table becomes
/// `UNLOGGED`, or ceases to be.
pub(super) fn rewritten(work: &Work<'_>) -> Vec<usize> {
    let (old, new) = (work.sides.old, work.sides.new);
    let retypes = |table: usize| {
        work.changes.iter().any(|(at, change)| change.disturbs && is_column_of(&old.all[*at], table))
    };
    let comes_filled = |table: usize| {
        let filled = |(at, column): (usize, &Object)| {
            work.made[at] && is_column_of(column, table) && is_filled(new, column)
        };
        new.all.iter().enumerate().any(filled)
    };
    let persistence = |objects: &Objects, table: usize| {
        objects.all[table].facet("persistence").map(|facet| facet.0.clone())
    };
    let is_rewritten = |table: &usize| {
        let twin = work.twins[*table];
        twin.is_some_and(|twin| {
            retypes(*table) || comes_filled(twin) || persistence(old, *table) != persistence(new, twin)
        })
    };
    work.held.iter().copied().filter(is_rewritten).collect()
}

fn is_column_of(object: &Object, table: usize) -> bool {
    object.kind == Kind::Column && object.parent == Some(table)
}

/// True for a column that has a value in rows that were there before it.
fn is_filled(objects: &Objects, column: &Object) -> bool {
    column.detail("generated_kind") == "STORED"
        || !column.detail("identity").is_empty()
        || column.detail("typtype") == "d"
        || objects.find(&(Kind::Default, column.identity.clone())).is_some()
}
