//! The older shapes of tables: lines `old_column: new_column`, and transformations that name no table.

use super::canonical::{assign, column_at, column_key};
use super::pieces::expression;
use super::reader::{Reader, already, optional, strategy, table_name, workers};
use super::{
    ColumnMapping, ColumnValue, FromClause, Strategy, TableMapping, TableName, Transformation, UnnamedColumns,
};
use crate::config::Spanned;
use crate::config::yaml::{Entry, Fields, Node, Value};
use crate::error::{Error, Result};

const CANONICAL_ONLY: [&str; 6] = ["from", "key", "depends", "reverse", "unnamed", "others"];

impl Reader {
    /// A table under `tables:` without `from`, or under `fdw_tables:` or `copy_tables:` (which say the strategy): it overrides
    /// the mapping of the table of the same name, so that unnamed columns keep their names.
    pub(super) fn override_table(&mut self, entry: &Entry, section: Option<Spanned<Strategy>>) -> Result<()> {
        let mut table = TableMapping::same_name(table_name(entry)?);
        let mut fields = entry.value.fields()?;
        if section.is_none() {
            // It is not there, or this would be no older shape; but a misspelt key may have been meant as this.
            fields.take("from");
        }
        self.older_fields(&mut table, &mut fields)?;
        finish(fields, &entry.value)?;
        if let (Some(own), Some(section)) = (&table.strategy, &section)
            && own.value != section.value
        {
            let word = own.value.word();
            let error =
                Error::config(format!("`strategy: {word}` stands under `{}_tables`", section.value.word()))
                    .hint(format!("move the table to `{word}_tables`, or write it under `table_overrides`"));
            return Err(own.locate(error));
        }
        table.strategy = table.strategy.or(section);
        self.push(table)?;
        Ok(())
    }

    /// `label: {source_table, target_table, columns}`: only the named columns are migrated.
    pub(super) fn labelled_table(&mut self, entry: &Entry) -> Result<()> {
        let mut fields = entry.value.fields()?;
        let mut name = |key| match fields.take(key) {
            None => table_name(entry),
            Some(node) => {
                let name = TableName::parse(node.as_text()?).map_err(|fault| fault.inside(node))?;
                Ok(Spanned::at(node.place.clone(), name))
            }
        };
        let from = name("source_table")?.map(FromClause::table);
        let mut table = TableMapping { from, ..TableMapping::same_name(name("target_table")?) };
        let columns = entry.value.get("columns");
        self.older_fields(&mut table, &mut fields)?;
        finish(fields, &entry.value)?;
        if let Some(columns) = columns {
            table.unnamed_columns = UnnamedColumns::Default;
            if table.columns.is_empty() && table.statement.is_none() {
                return Err(Error::config(format!("`{}` names no column", columns.path))
                    .at(columns.place.clone())
                    .hint(
                        "write lines `old_column: new_column`, or leave `columns` out to copy all columns",
                    ));
            }
        }
        self.push(table)?;
        Ok(())
    }

    fn older_fields(&mut self, table: &mut TableMapping, fields: &mut Fields<'_>) -> Result<()> {
        if let Some(columns) = fields.take("columns") {
            for entry in columns.as_map()? {
                let column = self.renamed_column(entry, &table.from.value)?;
                assign(&mut table.columns, column)?;
            }
        }
        table.filter = optional(fields.take("where"), |node| self.sql(node, expression))?;
        table.statement = self.statement(fields.take("custom_sql"), fields.take("transform"))?;
        table.strategy = optional(fields.take("strategy"), strategy)?;
        table.parallel = optional(fields.take("parallel"), workers)?;
        Ok(())
    }

    /// `old: new`, or `old: {target: new, transform: expression}`.
    fn renamed_column(&mut self, entry: &Entry, from: &FromClause) -> Result<ColumnMapping> {
        let source = column_key(entry)?;
        let node = &entry.value;
        match &node.value {
            Value::Null => Err(Error::config(format!("the new name of `{}` is missing", entry.key))
                .at(entry.place.clone())
                .hint(format!("write `{}: new_name`, the same name where it stays", entry.key))),
            Value::Map(_) => {
                let mut fields = node.fields()?;
                let target = optional(fields.take("target"), new_name)?;
                let transform = fields.take("transform");
                fields.finish()?;
                let value = match transform {
                    Some(node) if node.is_null() => return Err(node.must_be("an SQL expression")),
                    Some(node) => self.column_value(node, Some(from))?,
                    None => source.clone().map(ColumnValue::Column),
                };
                Ok(ColumnMapping { column: target.unwrap_or(source), value })
            }
            _ => Ok(ColumnMapping { column: new_name(node)?, value: source.map(ColumnValue::Column) }),
        }
    }

    /// `transformations: {old_to_new, new_to_old}`.
    pub(super) fn transformations(&mut self, node: &Node) -> Result<()> {
        let mut fields = node.fields()?;
        let directions = [(fields.take("old_to_new"), false), (fields.take("new_to_old"), true)];
        fields.finish()?;
        for (node, reverse) in directions {
            for entry in node.map_or(Ok(&[][..]), Node::as_map)? {
                let transformation = transformation(entry, reverse)?;
                self.refuse_second_target(&transformation)?;
                self.mapping.transformations.push(transformation);
            }
        }
        Ok(())
    }

    fn refuse_second_target(&self, new: &Transformation) -> Result<()> {
        for (index, target) in new.targets.iter().enumerate() {
            let same_way = self.mapping.transformations.iter().filter(|other| other.reverse == new.reverse);
            let mut before = same_way.flat_map(|other| &other.targets).chain(&new.targets[..index]);
            if let Some(first) = before.find(|other| other.value == target.value) {
                let error = Error::config(format!("the column {} is written twice", target.value))
                    .hint(already(first));
                return Err(target.locate(error));
            }
        }
        Ok(())
    }
}

fn transformation(entry: &Entry, reverse: bool) -> Result<Transformation> {
    let column = column_key(entry)?;
    let node = &entry.value;
    let mut fields = node.fields()?;
    let (one, several) = (fields.take("target_column"), fields.take("target_columns"));
    let function = fields.take_required("function")?;
    let depends_on = fields.take("depends_on").map_or(Ok(&[][..]), Node::as_list)?;
    fields.finish()?;
    let targets: Vec<_> = match (one, several) {
        (Some(one), None) => vec![column_at(one)?],
        (None, Some(several)) => several.as_list()?.iter().map(column_at).collect::<Result<_>>()?,
        (Some(_), Some(several)) => {
            return Err(several.error("`target_column` and `target_columns` are the same: keep one of them"));
        }
        (None, None) => Vec::new(),
    };
    if targets.is_empty() {
        return Err(Error::config(format!("`{}` names no target column", node.path))
            .at(entry.place.clone())
            .hint("write `target_column: name` or `target_columns: [name, name]`"));
    }
    let name = function.as_text()?;
    TableName::parse(name).map_err(|_| {
        function
            .error(format!("`{name}` is not a function's name"))
            .hint("write the name alone, without arguments")
    })?;
    Ok(Transformation {
        reverse,
        column,
        depends_on: depends_on.iter().map(column_at).collect::<Result<_>>()?,
        targets,
        function: function.as_spanned_text()?,
    })
}

/// The new name of a column. Whoever writes an expression here has the canonical form in mind, which reads the other way round.
fn new_name(node: &Node) -> Result<Spanned<crate::sql::Identifier>> {
    column_at(node).map_err(|error| match node.as_text() {
        Ok(text) if !text.trim().is_empty() => node
            .error(format!("`{text}` is not a column's name"))
            .hint("without `from:`, a line reads `old_column: new_column`; with `from:` in each table it reads `new_column: expression`"),
        _ => error,
    })
}

/// As [`Fields::finish`], and says so where a key belongs to the canonical form.
fn finish(fields: Fields<'_>, table: &Node) -> Result<()> {
    fields.finish().map_err(|error| {
        let Value::Map(entries) = &table.value else { return error };
        let canonical = entries.iter().find(|entry| CANONICAL_ONLY.contains(&entry.key.as_str()));
        match canonical {
            Some(entry) => {
                error.hint(format!("`{}` belongs to the form of tables that have `from:`", entry.key))
            }
            None => error,
        }
    })
}
