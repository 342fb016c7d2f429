//! An old table whose columns went to several new ones, and old tables that were only joined. Pure.

use crate::catalog::{Catalog, Column, Relation};
use crate::config::Spanned;
use crate::config::mapping::{ColumnValue, Dependency, TableMapping, TableName};
use crate::schema_to_schema::plan::Plan;
use crate::schema_to_schema::relations::to_foreign;
use crate::schema_to_schema::reverse::column::{Found, Part, Value};
use crate::schema_to_schema::reverse::finding::{Finding, Severity};
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// What `other` has of an old column, looked up by the key that it shares with `main`; has `table` watch it.
pub(super) fn find<'a>(
    column: &Column,
    old: &Relation,
    key: &[Identifier],
    main: &Part<'a>,
    other: &Part<'a>,
    table: &mut TableMapping,
) -> Found<'a> {
    let value = match other.find(column) {
        Found::Value(value) => value,
        found => return found,
    };
    let (name, here) = (other.table.target.short(), main.table.target.short());
    let lost = |why: String| Found::Lost { why, place: value.place };
    let Some((ours, theirs)) = shared_key(old, key, main, other) else {
        return lost(format!(
            "it is in {name}, which shares no key of one column with {here}, so that nothing says which row of it belongs to which"
        ));
    };
    if !other.lacks_only_nulls(main, &column.name) {
        return lost(format!(
            "it is in {name}, which has not every row: where there is none, nobody can say whether the value is to go or to stay"
        ));
    }
    let alias = match other.table.target.name == main.table.target.name {
        true => Identifier::new(format!("{}_1", other.table.target.name.as_str())),
        false => other.table.target.name.clone(),
    };
    let selected = match &value.value {
        ColumnValue::Column(new) => sql!("{}.{}", alias, new),
        ColumnValue::Expression(text) => sql!("({}\n)", Sql::from_user(text.trim())),
        ColumnValue::Default => return Found::Left,
    };
    let looked_up = sql!(
        "(SELECT {} FROM {} AS {} WHERE {}.{} = {}.{})",
        selected,
        other.table.target,
        alias,
        alias,
        theirs,
        main.table.target.name,
        ours
    );
    let watched =
        TableName { schema: Some(other.table.target.schema.clone()), name: other.table.target.name.clone() };
    if !table.depends.iter().any(|depends| depends.table.value == watched) {
        table.depends.push(Dependency {
            table: Spanned { value: watched, place: value.place.cloned() },
            driving: Spanned::nowhere("SELECT k FROM unnest($keys) AS k".to_owned()),
        });
    }
    let mut notes = value.notes;
    if column.not_null {
        notes.push(format!("{name} may have no row for one of {here}, and {} may not be null", column.name));
    }
    Found::Value(Value {
        value: ColumnValue::Expression(looked_up.to_string()),
        notes,
        place: value.place,
        column: None,
    })
}

/// Has lookups of [`find`] read tables that have changed their names.
pub(super) fn rename_lookups(table: &mut TableMapping, rename: impl Fn(&QualifiedName) -> QualifiedName) {
    for watched in &table.depends {
        let TableName { schema: Some(schema), name } = &watched.table.value else { continue };
        let old = QualifiedName::new(schema.clone(), name.clone());
        let (before, after) = (format!(" FROM {old} AS "), format!(" FROM {} AS ", rename(&old)));
        for column in &mut table.columns {
            if let ColumnValue::Expression(text) = &mut column.value.value {
                *text = text.replace(&before, &after);
            }
        }
    }
}

/// The one column that is the old key in both.
fn shared_key<'a>(
    old: &Relation,
    key: &[Identifier],
    main: &Part<'a>,
    other: &Part<'a>,
) -> Option<(&'a Identifier, &'a Identifier)> {
    let [only] = key else { return None };
    let column = old.column(only)?;
    let plain = |part: &Part<'a>| match part.find(column) {
        Found::Value(Value { column: Some(new), .. }) => Some(&new.name),
        _ => None,
    };
    let (ours, theirs) = (plain(main)?, plain(other)?);
    let is_key = other.relation.key().is_some_and(|key| key.as_slice() == std::slice::from_ref(theirs));
    is_key.then_some((ours, theirs))
}

/// Old tables of which new ones take values by a join or a subquery, and that drive none.
pub(super) fn joined_only(plan: &Plan, driving: &[&QualifiedName], source: &Catalog) -> Vec<Finding> {
    let nowhere = Identifier::new("");
    let mut found: Vec<Finding> = Vec::new();
    for table in plan.tables.iter().filter(|table| table.query.statement.is_none()) {
        let read = |text: &Sql, in_from| to_foreign(text.as_str(), in_from, source, &nowhere).1;
        let mut names = read(&table.query.joins, true);
        names.extend(table.columns.iter().flat_map(|column| read(&column.expression, false)));
        for name in names {
            if driving.contains(&&name) || found.iter().any(|known| known.table == name) {
                continue;
            }
            let message = format!(
                "{} takes values of it by a join; no new table is made of its rows, so it stays as it is",
                table.target.short()
            );
            let hint = "map it to a table of its own, where its rows live on the new side";
            found.push(Finding::new(&name, Severity::Loses, message).hint(hint).at(table.place.as_ref()));
        }
    }
    found
}
