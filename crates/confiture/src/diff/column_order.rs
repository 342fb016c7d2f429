//! Columns that stand in another order than they should, and what counts on their places.

use std::collections::HashMap;

use crate::catalog::{Kind, Object, Objects};
use crate::diff::column;

/// Tables whose columns stand in another order.
#[must_use]
pub fn other_column_order(old: &Objects, new: &Objects) -> Vec<String> {
    let tables = |objects: &Objects| -> HashMap<String, Vec<(i64, String)>> {
        let mut found: HashMap<String, Vec<(i64, String)>> = HashMap::new();
        for column in objects.all.iter().filter(|object| object.kind == Kind::Column) {
            let number = column.details["number"].as_i64().unwrap_or_default();
            found.entry(column::table_of(column)).or_default().push((number, column.name.clone()));
        }
        found.values_mut().for_each(|columns| columns.sort());
        found
    };
    let (before, after) = (tables(old), tables(new));
    let mut others: Vec<String> = (before.iter())
        .filter(|(table, columns)| {
            after.get(*table).is_some_and(|other| {
                !columns.iter().map(|(_, name)| name).eq(other.iter().map(|(_, name)| name))
            })
        })
        .map(|(table, _)| table.clone())
        .collect();
    others.sort();
    others
}

/// What names columns by their places, in words that stay the same, in tables where they stand in another order.
#[must_use]
pub fn by_place(reached: &Objects, goal: &Objects) -> Vec<String> {
    let tables = other_column_order(reached, goal);
    let counts_on = |object: &&Object, table: &str| {
        let reads = match object.kind {
            Kind::View | Kind::MaterializedView | Kind::Rule | Kind::Policy | Kind::Default => true,
            Kind::Function | Kind::Procedure => object.detail("body").is_empty(),
            _ => false,
        };
        reads && (names_columns(&object.create, table) || names_columns(object.defined(), table))
    };
    let of = |table: &String| {
        let all = goal.all.iter().filter(|object| counts_on(object, table));
        let remark = |object: &Object| {
            let title = object.title();
            format!(
                "{title} counts on the places of the columns of {table}, which stand in another order: look at what it gives"
            )
        };
        all.map(remark).collect::<Vec<_>>()
    };
    tables.iter().flat_map(of).collect()
}

/// True for `public.t x(a, b)` and `ROW(1, 2)::public.t`, as the server prints them.
fn names_columns(text: &str, table: &str) -> bool {
    let is_list = |rest: &str| {
        let alias = |c: char| c.is_alphanumeric() || matches!(c, '_' | '"');
        rest.strip_prefix(' ').unwrap_or(rest).trim_start_matches(alias).starts_with('(')
    };
    text.match_indices(table).any(|(at, _)| {
        let (before, rest) = (&text[..at], &text[at + table.len()..]);
        is_list(rest) && rest.starts_with([' ', '(']) || before.ends_with(")::") && before.contains("ROW(")
    })
}
