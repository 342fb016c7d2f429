//! The `transformations:` shape of a mapping, which names columns and functions but no tables. Pure.

use crate::catalog::{Catalog, Relation};
use crate::config::Spanned;
use crate::config::mapping::{
    ColumnMapping, ColumnValue, FromClause, TableMapping, TableName, Transformation, UnnamedColumns,
};
use crate::error::{Error, Result};
use crate::schema_to_schema::resolve::is_ours;
use crate::sql::{Identifier, Sql, sql};

/// Finds the tables that the transformations are about: the pairs of a source table that has the column read and a
/// target table of the same name that has the columns written.
pub(crate) fn tables(
    transformations: &[Transformation],
    source: &Catalog,
    target: &Catalog,
) -> Result<Vec<TableMapping>> {
    let mut tables: Vec<TableMapping> = Vec::new();
    for transformation in transformations.iter().filter(|transformation| !transformation.reverse) {
        let (from, to) = find_pair(transformation, source, target)?;
        let name = TableName { schema: Some(to.name.schema.clone()), name: to.name.name.clone() };
        let index = tables.iter().position(|table| table.target.value == name).unwrap_or_else(|| {
            tables.push(pair_mapping(from, name, transformation));
            tables.len() - 1
        });
        let alias = tables[index].from.value.alias.clone();
        tables[index].columns.extend(columns(transformation, &alias));
    }
    for transformation in transformations.iter().filter(|transformation| transformation.reverse) {
        add_reverse(transformation, &mut tables, source, target);
    }
    Ok(tables)
}

/// Adds a line of `new_to_old` to the table that has the columns it reads, and whose source has those that it writes.
fn add_reverse(
    transformation: &Transformation,
    tables: &mut [TableMapping],
    source: &Catalog,
    target: &Catalog,
) {
    let find = |name: &TableName, catalog: &Catalog, column: &Identifier| {
        let relation = catalog.find(name.schema.as_ref(), &name.name);
        relation.is_some_and(|relation| relation.column(column).is_some())
    };
    let is_it = |table: &&mut TableMapping| {
        let from = &table.from.value.driving;
        find(&table.target.value, target, &transformation.column.value)
            && transformation.targets.iter().all(|written| find(from, source, &written.value))
    };
    if let Some(table) = tables.iter_mut().find(is_it) {
        let alias = table.target.value.name.clone();
        table.reverse.extend(columns(transformation, &alias));
    }
}

fn find_pair<'a>(
    transformation: &Transformation,
    source: &'a Catalog,
    target: &'a Catalog,
) -> Result<(&'a Relation, &'a Relation)> {
    let column = &transformation.column.value;
    let written = |relation: &Relation| {
        transformation.targets.iter().all(|name| relation.column(&name.value).is_some()) && !is_ours(relation)
    };
    let mut pairs = Vec::new();
    for from in source.relations.values().filter(|from| from.is_table() && from.column(column).is_some()) {
        let same_name =
            target.relations.values().filter(|to| to.is_table() && to.name.name == from.name.name);
        pairs.extend(same_name.filter(|to| written(to)).map(|to| (from, to)));
    }
    match pairs.as_slice() {
        [pair] => Ok(*pair),
        [] => {
            let targets = Sql::join(", ", transformation.targets.iter().map(|target| &target.value));
            let message = format!("no table has {column} in the source and {targets} in the target");
            Err(transformation
                .column
                .locate(Error::config(message).hint("name the tables: use the form `tables: NAME: from: …`")))
        }
        [first, second, ..] => {
            let message = format!("{column} may mean {} or {}", first.0.name.short(), second.0.name.short());
            Err(transformation
                .column
                .locate(Error::config(message).hint("name the tables: use the form `tables: NAME: from: …`")))
        }
    }
}

fn pair_mapping(from: &Relation, target: TableName, transformation: &Transformation) -> TableMapping {
    let driving = TableName { schema: Some(from.name.schema.clone()), name: from.name.name.clone() };
    let alias = from.name.name.clone();
    let place = transformation.column.place.clone();
    TableMapping {
        target: Spanned { value: target, place: place.clone() },
        from: Spanned { value: FromClause { driving, alias, aliased: false, rest: String::new() }, place },
        columns: Vec::new(),
        unnamed_columns: UnnamedColumns::SameName,
        filter: None,
        key: Vec::new(),
        depends: Vec::new(),
        reverse: Vec::new(),
        statement: None,
        strategy: None,
        parallel: None,
    }
}

/// One column takes the function's result; several take the fields of their names.
fn columns(transformation: &Transformation, alias: &Identifier) -> Vec<ColumnMapping> {
    let arguments = std::iter::once(&transformation.column).chain(&transformation.depends_on);
    let arguments = Sql::join(", ", arguments.map(|column| sql!("{}.{}", alias, column.value)));
    let call = sql!("{}({})", Sql::from_user(transformation.function.value.trim()), arguments);
    let several = transformation.targets.len() > 1;
    let value = |column: &Identifier| match several {
        true => sql!("({}).{}", call, column),
        false => call.clone(),
    };
    let mapped = |column: &Spanned<Identifier>| ColumnMapping {
        column: column.clone(),
        value: Spanned {
            value: ColumnValue::Expression(value(&column.value).to_string()),
            place: transformation.function.place.clone(),
        },
    };
    transformation.targets.iter().map(mapped).collect()
}
