//! One old table from the new ones that were made of it. Pure.

use std::cmp::Reverse;

use crate::catalog::{Catalog, Column, ConstraintKind, Identity, Relation};
use crate::config::Spanned;
use crate::config::mapping::{
    ColumnMapping, ColumnValue, FromClause, TableMapping, TableName, UnnamedColumns,
};
use crate::schema_to_schema::plan::TablePlan;
use crate::schema_to_schema::portion::Portion;
use crate::schema_to_schema::reverse::ReverseMapping;
use crate::schema_to_schema::reverse::column::{Found, Part, Value};
use crate::schema_to_schema::reverse::finding::{Finding, Severity, write};
use crate::schema_to_schema::reverse::split;
use crate::sql::{Identifier, QualifiedName};

/// Adds the mapping that makes the old table `name` from `parts`, and what is to be said of it.
pub(super) fn restore(
    name: &QualifiedName,
    parts: &[&TablePlan],
    source: &Catalog,
    target: &Catalog,
    reverse: &mut ReverseMapping,
) {
    let Some(old) = source.relations.get(name) else { return };
    let part = |table: &&'_ TablePlan| target.relations.contains_key(&table.target);
    let parts: Vec<Part<'_>> = parts
        .iter()
        .filter(|table| part(table))
        .map(|table| Part { table, relation: &target.relations[&table.target], source, target })
        .collect();
    let Some(first) = parts.first() else { return };
    let Some(key) = old.key() else {
        let message = "it has no primary key and no unique NOT NULL columns, so no row of it can be found";
        let hint = format!("on the old side: ALTER TABLE {name} ADD PRIMARY KEY (…)");
        let place = first.table.place.as_ref();
        reverse.findings.push(Finding::new(name, Severity::Blocks, message).hint(hint).at(place));
        return;
    };
    let whole = |part: &&Part<'_>| key_columns(old, &key).all(|column| gives_key(part, column));
    let main =
        parts.iter().filter(whole).min_by_key(|part| (part.leaves_rows_out(), Reverse(given(part, old))));
    let Some(main) = main else {
        reverse.findings.push(without_key(old, &key, first));
        return;
    };
    let mut table = TableMapping {
        from: Spanned {
            value: FromClause::table(named(&main.table.target)),
            place: main.table.place.clone(),
        },
        unnamed_columns: UnnamedColumns::Default,
        ..TableMapping::same_name(Spanned { value: named(name), place: main.table.place.clone() })
    };
    let mut findings = Vec::new();
    for column in old.columns.iter().filter(|column| column.is_writable()) {
        restore_column(column, old, &key, main, &parts, &mut table, &mut findings);
    }
    describe_rows(old, main, &parts, &table, &mut findings);
    reverse.portions.insert(name.clone(), portion(main));
    reverse.findings.extend(findings);
    reverse.mapping.tables.push(table);
}

fn key_columns<'a>(old: &'a Relation, key: &'a [Identifier]) -> impl Iterator<Item = &'a Column> {
    key.iter().filter_map(|name| old.column(name))
}

/// True where a part gives a column of the old key, for every row.
fn gives_key(part: &Part<'_>, column: &Column) -> bool {
    match part.find(column) {
        Found::Value(Value { column: Some(new), .. }) => new.not_null,
        Found::Value(_) => true,
        _ => false,
    }
}

/// How many columns of the old table a part gives.
fn given(part: &Part<'_>, old: &Relation) -> usize {
    old.columns.iter().filter(|column| matches!(part.find(column), Found::Value(_))).count()
}

fn named(name: &QualifiedName) -> TableName {
    TableName { schema: Some(name.schema.clone()), name: name.name.clone() }
}

fn without_key(old: &Relation, key: &[Identifier], part: &Part<'_>) -> Finding {
    let missing = key_columns(old, key).find(|column| !gives_key(part, column));
    let Some(column) = missing else {
        return Finding::new(&old.name, Severity::Blocks, "its key is not known");
    };
    let (why, place) = match part.find(column) {
        Found::Lost { why, place } => (why, place),
        Found::Value(value) => ("what gives it may be null".to_owned(), value.place),
        _ => ("nothing of the new side has it".to_owned(), None),
    };
    Finding::new(&old.name, Severity::Blocks, format!("its key does not come back: {why}"))
        .of(&column.name)
        .hint(write(part.table, &column.name, "<expression over NOT NULL columns>"))
        .at(place.or(part.table.place.as_ref()))
}

fn restore_column(
    column: &Column,
    old: &Relation,
    key: &[Identifier],
    main: &Part<'_>,
    parts: &[Part<'_>],
    table: &mut TableMapping,
    findings: &mut Vec<Finding>,
) {
    let mut found = main.find(column);
    if matches!(found, Found::Lost { .. } | Found::Nothing) {
        let others = parts.iter().filter(|part| part.table.target != main.table.target);
        for other in others {
            match split::find(column, old, key, main, other, table) {
                Found::Nothing => {}
                Found::Lost { .. } if matches!(found, Found::Lost { .. }) => {}
                better => found = better,
            }
            if !matches!(found, Found::Lost { .. } | Found::Nothing) {
                break;
            }
        }
    }
    let finding = |severity, message: String| Finding::new(&old.name, severity, message).of(&column.name);
    if let Found::Value(value) = found {
        if column.identity == Some(Identity::Always) && !key.contains(&column.name) {
            let message = "it is GENERATED ALWAYS AS IDENTITY and no key: PostgreSQL changes no such column";
            let hint = format!(
                "on the old side: ALTER TABLE {} ALTER {} SET GENERATED BY DEFAULT",
                old.name, column.name
            );
            findings.push(finding(Severity::Blocks, message.into()).hint(hint).at(value.place));
            return;
        }
        for note in value.notes {
            findings.push(finding(Severity::Note, note).at(value.place));
        }
        let place = value.place.cloned();
        table.columns.push(ColumnMapping {
            column: Spanned { value: column.name.clone(), place: place.clone() },
            value: Spanned { value: value.value, place },
        });
        return;
    }
    findings.extend(unrestored(column, old, main, found));
}

/// What is to be said of a column that does not come back.
fn unrestored(column: &Column, old: &Relation, main: &Part<'_>, found: Found<'_>) -> Option<Finding> {
    let finding = |severity, message: String| Finding::new(&old.name, severity, message).of(&column.name);
    let place = main.table.place.as_ref();
    if !column.may_be_left_out() {
        let (why, at) = match found {
            Found::Lost { why, place } => (format!("; {why}"), place),
            _ => (String::new(), None),
        };
        let message = format!(
            "it is NOT NULL and has no default, and nothing gives it back, so a row that is made on the new side cannot come back{why}"
        );
        let hint = write(main.table, &column.name, "<expression over the new columns>");
        return Some(finding(Severity::Blocks, message).hint(hint).at(at.or(place)));
    }
    match found {
        Found::Lost { why, place: at } => Some(
            finding(Severity::Loses, why)
                .hint(write(main.table, &column.name, "<expression over the new columns>"))
                .at(at.or(place)),
        ),
        Found::Nothing => Some(
            finding(
                Severity::Note,
                "only the old side has it: rows that are there keep its value, new ones take its default"
                    .into(),
            )
            .hint(write(main.table, &column.name, "<expression over the new columns>"))
            .at(place),
        ),
        Found::Left | Found::Value(_) => None,
    }
}

/// Which rows of the old table `main` was made of.
fn portion(main: &Part<'_>) -> Portion {
    if !main.leaves_rows_out() {
        return Portion::default();
    }
    let query = &main.table.query;
    Portion { alias: query.alias.clone(), joins: query.joins.clone(), filters: query.filters.clone() }
}

/// What is to be said of rows, and of columns that only the new side has.
fn describe_rows(
    old: &Relation,
    main: &Part<'_>,
    parts: &[Part<'_>],
    table: &TableMapping,
    findings: &mut Vec<Finding>,
) {
    let place = main.table.place.as_ref();
    if main.leaves_rows_out() {
        let message = format!(
            "rows that the mapping of {} leaves out are neither changed nor deleted; a new row with the key of one of them stops the way back",
            main.table.target.short()
        );
        findings.push(Finding::new(&old.name, Severity::Note, message).at(place));
        for other in parts.iter().filter(|part| part.table.target != main.table.target) {
            let key = old.key().unwrap_or_default();
            let is_whole = key_columns(old, &key).all(|column| gives_key(other, column));
            if is_whole && !other.is_among(main) {
                let message = format!(
                    "its rows are split by conditions: what is written to {} does not come back, only what is written to {}",
                    other.table.target.short(),
                    main.table.target.short()
                );
                let hint = "keep the rows together in one new table, or write them back yourself";
                findings.push(
                    Finding::new(&old.name, Severity::Loses, message)
                        .hint(hint)
                        .at(other.table.place.as_ref()),
                );
            }
        }
    }
    for part in parts {
        let new: Vec<String> = part.new_columns().iter().map(ToString::to_string).collect();
        if !new.is_empty() {
            let message = format!(
                "only the new side has {} of {}: that has no place to come back to",
                new.join(", "),
                part.table.target.short()
            );
            findings.push(Finding::new(&old.name, Severity::Note, message).at(part.table.place.as_ref()));
        }
    }
    findings.extend(refusals(old, main, table));
}

/// What the old side refuses, and the new one does not.
fn refusals(old: &Relation, main: &Part<'_>, table: &TableMapping) -> Vec<Finding> {
    let new_name = |name: &Identifier| {
        let mapped = table.columns.iter().find(|mapped| &mapped.column.value == name)?;
        match &mapped.value.value {
            ColumnValue::Column(new) => Some(new.clone()),
            _ => None,
        }
    };
    let place = main.table.place.as_ref();
    let key = old.key().unwrap_or_default();
    let is_restored = |name: &Identifier| table.columns.iter().any(|mapped| &mapped.column.value == name);
    let mut found = Vec::new();
    for index in old.indexes.iter().filter(|index| index.unique && index.valid) {
        let Some(columns) = &index.key_columns else { continue };
        if columns == &key || !columns.iter().all(is_restored) {
            continue;
        }
        let there: Option<Vec<Identifier>> = columns.iter().map(new_name).collect();
        let is_unique = there.is_some_and(|there| {
            main.relation.indexes.iter().any(|other| {
                let same = other.key_columns.as_ref().is_some_and(|names| {
                    names.len() == there.len() && names.iter().all(|name| there.contains(name))
                });
                other.unique && same && (index.partial || !other.partial)
            })
        });
        if !is_unique {
            let names: Vec<String> = columns.iter().map(ToString::to_string).collect();
            let message = format!(
                "{} is unique here, and not on the new side: two rows of one value stop the way back",
                names.join(", ")
            );
            found.push(Finding::new(&old.name, Severity::Note, message).at(place));
        }
    }
    for check in old.constraints.iter().filter(|one| one.kind == ConstraintKind::Check && one.enforced) {
        let same = main.relation.constraints.iter().any(|other| other.definition == check.definition);
        if !same && check.columns.iter().any(is_restored) {
            let message = format!(
                "the new side does not check {}: a row that breaks it stops the way back",
                check.name
            );
            found.push(Finding::new(&old.name, Severity::Note, message).at(place));
        }
    }
    found
}
