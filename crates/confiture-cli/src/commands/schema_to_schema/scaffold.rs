//! A mapping to begin with: what the user has written, and a line for everything else that the plan found.

use confiture::config::Spanned;
use confiture::config::mapping::{ColumnMapping, ColumnValue, FromClause, Mapping, TableMapping, TableName};
use confiture::schema_to_schema::{Plan, TablePlan};
use confiture::sql::QualifiedName;

/// `mapping`, with every table of `plan` in it that it did not name.
pub(super) fn complete(mapping: &Mapping, plan: &Plan) -> Mapping {
    let mut complete = mapping.clone();
    for table in &plan.tables {
        let named = mapping.tables.iter().any(|written| written.target.value.names(&table.target));
        if !named && let Some(source) = &table.source {
            complete.tables.push(same_names(table, source));
        }
    }
    complete
}

fn same_names(table: &TablePlan, source: &QualifiedName) -> TableMapping {
    let columns = table.columns.iter().filter_map(|column| {
        Some(ColumnMapping {
            column: Spanned::nowhere(column.target.clone()),
            value: Spanned::nowhere(ColumnValue::Column(column.source_column.clone()?)),
        })
    });
    TableMapping {
        from: Spanned::nowhere(FromClause::table(written(source))),
        columns: columns.collect(),
        ..TableMapping::same_name(Spanned::nowhere(written(&table.target)))
    }
}

/// As people write it: without the schema where that is `public`.
fn written(name: &QualifiedName) -> TableName {
    let schema = (name.schema.as_str() != "public").then(|| name.schema.clone());
    TableName { schema, name: name.name.clone() }
}
