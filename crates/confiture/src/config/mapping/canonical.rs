//! The canonical form of a table, and the assertions and dependencies that only it has.

use super::lexer::Fault;
use super::pieces::{column_name, expression, insert, query};
use super::reader::{Reader, already, optional, strategy, table_name, workers};
use super::{
    ColumnMapping, ColumnValue, Dependency, Expectation, FromClause, TableMapping, TableName, UnnamedColumns,
    Validation,
};
use crate::config::Spanned;
use crate::config::yaml::{Entry, Node, Value};
use crate::error::{Error, Result};
use crate::sql::Identifier;

impl Reader {
    pub(super) fn canonical_table(&mut self, entry: &Entry) -> Result<()> {
        let target = table_name(entry)?;
        let mut fields = entry.value.fields()?;
        let Some(from) = fields.take("from") else {
            return Err(Error::config(format!("the table `{}` has no `from`", entry.key))
                .at(entry.place.clone())
                .hint(format!("name the table it is made from: `from: {}`", entry.key)));
        };
        let from = self.read_from(from)?;
        let over_source = Some(&from.value);
        let table = TableMapping {
            columns: self.assignments(fields.take("columns"), over_source)?,
            unnamed_columns: optional(fields.take("unnamed"), unnamed_columns)?.unwrap_or_default(),
            filter: optional(fields.take("where"), |node| self.sql(node, expression))?,
            key: self.assignments(fields.take("key"), over_source)?,
            depends: self.depends(fields.take("depends"))?,
            reverse: self.assignments(fields.take("reverse"), None)?,
            statement: self.statement(fields.take("custom_sql"), fields.take("transform"))?,
            strategy: optional(fields.take("strategy"), strategy)?,
            parallel: optional(fields.take("parallel"), workers)?,
            from,
            target,
        };
        fields.finish()?;
        if let Some(key) = table.key.iter().find(|key| key.value.value == ColumnValue::Default) {
            let error = Error::config(format!("the key column {} needs an expression", key.column.value));
            return Err(key.value.locate(error));
        }
        let nothing = table.columns.is_empty() && table.statement.is_none();
        if nothing && table.unnamed_columns == UnnamedColumns::Default {
            let error = Error::config(format!("no column of {} is filled", table.target.value))
                .hint("name columns, or leave `unnamed: default` out");
            return Err(table.target.locate(error));
        }
        self.push(table)?;
        Ok(())
    }

    fn read_from(&mut self, node: &Node) -> Result<Spanned<FromClause>> {
        let text = node.as_text()?;
        let from = FromClause::parse(text).map_err(|fault| fault.inside(node))?;
        Ok(Spanned::at(self.mapping.passages.keep(node, 0), from))
    }

    /// A piece of SQL, checked to be whole.
    pub(super) fn sql(&mut self, node: &Node, read: ReadSql) -> Result<Spanned<String>> {
        let (sql, offset) = read(node.as_text()?).map_err(|fault| fault.inside(node))?;
        Ok(Spanned::at(self.mapping.passages.keep(node, offset), sql.to_owned()))
    }

    pub(super) fn statement(
        &mut self,
        custom_sql: Option<&Node>,
        transform: Option<&Node>,
    ) -> Result<Option<Spanned<String>>> {
        if let (Some(_), Some(transform)) = (custom_sql, transform) {
            return Err(transform.error("`transform` and `custom_sql` are the same: keep one of them"));
        }
        optional(custom_sql.or(transform), |node| self.sql(node, insert))
    }

    /// `column: expression` lines, or a list of columns that keep their names.
    fn assignments(&mut self, node: Option<&Node>, from: Option<&FromClause>) -> Result<Vec<ColumnMapping>> {
        let mut assignments = Vec::new();
        match node {
            Some(node) if matches!(node.value, Value::List(_)) => {
                for item in node.as_list()? {
                    let column = column_at(item)?;
                    let value = column.clone().map(ColumnValue::Column);
                    assign(&mut assignments, ColumnMapping { column, value })?;
                }
            }
            Some(node) => {
                for entry in node.as_map()? {
                    let column = column_key(entry)?;
                    let value = self.column_value(&entry.value, from)?;
                    assign(&mut assignments, ColumnMapping { column, value })?;
                }
            }
            None => {}
        }
        Ok(assignments)
    }

    pub(super) fn column_value(
        &mut self,
        node: &Node,
        from: Option<&FromClause>,
    ) -> Result<Spanned<ColumnValue>> {
        match &node.value {
            Value::Null => Ok(Spanned::at(node.place.clone(), ColumnValue::Default)),
            Value::Scalar(scalar) if scalar.text.trim().is_empty() => Err(node
                .must_be("an SQL expression")
                .hint("for the column's default, write null; for an empty text, write \"''\"")),
            Value::Scalar(_) => Ok(self.sql(node, expression)?.map(|sql| ColumnValue::of(&sql, from))),
            _ => Err(node.must_be("an SQL expression, or null for the column's default")),
        }
    }

    fn depends(&mut self, node: Option<&Node>) -> Result<Vec<Dependency>> {
        let items = node.map_or(Ok(&[][..]), Node::as_list)?;
        items.iter().map(|item| self.dependency(item)).collect()
    }

    fn dependency(&mut self, node: &Node) -> Result<Dependency> {
        let mut fields = node.fields()?;
        let table = fields.take_required("table")?;
        let driving = fields.take_required("driving")?;
        fields.finish()?;
        let name = TableName::parse(table.as_text()?).map_err(|fault| fault.inside(table))?;
        let query = self.sql(driving, query)?;
        if !query.value.contains("$keys") {
            return Err(driving.error("the query does not use $keys").hint(
                "it must give driving keys for the changed keys: `… where o.customer_id = any($keys)`",
            ));
        }
        Ok(Dependency { table: Spanned::at(table.place.clone(), name), driving: query })
    }

    pub(super) fn validations(&mut self, node: &Node) -> Result<()> {
        for item in node.as_list()? {
            let validation = self.validation(item)?;
            let twice =
                self.mapping.validations.iter().find(|other| other.name.value == validation.name.value);
            if let Some(first) = twice {
                let error = Error::config(format!("two validations are called `{}`", validation.name.value));
                return Err(validation.name.locate(error.hint(already(&first.name))));
            }
            self.mapping.validations.push(validation);
        }
        Ok(())
    }

    fn validation(&mut self, node: &Node) -> Result<Validation> {
        let mut fields = node.fields()?;
        let name = fields.take_required("name")?.as_spanned_text()?;
        let sql = self.sql(fields.take_required("sql")?, query)?;
        let expect = fields.take("expect");
        let source = fields.take("source_sql");
        fields.finish()?;
        let source_sql = optional(source, |node| self.sql(node, query))?.map(|sql| sql.value);
        let expect = match expect {
            None if source.is_some() => Expectation::SameAsSource(None),
            None => Expectation::NoRows,
            Some(node) => expectation(node)?,
        };
        match (expect, source) {
            (Expectation::SameAsSource(_), _) => {
                Ok(Validation { name, sql, expect: Expectation::SameAsSource(source_sql) })
            }
            (_, Some(source)) => Err(source.error("`source_sql` goes only with `expect: same-as-source`")),
            (expect, None) => Ok(Validation { name, sql, expect }),
        }
    }
}

/// Reads a piece of SQL: the piece itself and where in the text it starts.
pub(super) type ReadSql = fn(&str) -> Result<(&str, usize), Fault>;

/// `no-rows`, `same-as-source`, or the value; `{ value: no-rows }` where the value is one of these words.
fn expectation(node: &Node) -> Result<Expectation> {
    const WORDS: [&str; 2] = ["no-rows", "same-as-source"];
    if matches!(node.value, Value::Map(_)) {
        let mut fields = node.fields()?;
        let value = fields.take_required("value")?.as_text()?.to_owned();
        fields.finish()?;
        return Ok(Expectation::Value(value));
    }
    let written = node.as_text()?;
    match written {
        "no-rows" => Ok(Expectation::NoRows),
        "same-as-source" => Ok(Expectation::SameAsSource(None)),
        value => match crate::error::did_you_mean(value, WORDS) {
            None => Ok(Expectation::Value(value.to_owned())),
            Some(word) => Err(node.error(format!("`{value}` is not a known expectation")).hint(format!(
                "did you mean `{word}`? For this very text, write `expect: {{ value: {value} }}`"
            ))),
        },
    }
}

fn unnamed_columns(node: &Node) -> Result<UnnamedColumns> {
    match node.as_text()? {
        "same-name" => Ok(UnnamedColumns::SameName),
        "default" => Ok(UnnamedColumns::Default),
        other => Err(node.must_be("`same-name` or `default`").did_you_mean(other, ["same-name", "default"])),
    }
}

/// Adds a column, which is written once.
pub(super) fn assign(columns: &mut Vec<ColumnMapping>, new: ColumnMapping) -> Result<()> {
    if let Some(first) = columns.iter().find(|other| other.column.value == new.column.value) {
        let error = Error::config(format!("the column {} is written twice", new.column.value))
            .hint(already(&first.column));
        return Err(new.column.locate(error));
    }
    columns.push(new);
    Ok(())
}

/// A column's name as a key.
pub(super) fn column_key(entry: &Entry) -> Result<Spanned<Identifier>> {
    let name = column_name(&entry.key).map_err(|fault| fault.error().at(entry.place.clone()))?;
    Ok(Spanned::at(entry.place.clone(), name))
}

/// A column's name as a value.
pub(super) fn column_at(node: &Node) -> Result<Spanned<Identifier>> {
    let name = column_name(node.as_text()?).map_err(|fault| fault.inside(node))?;
    Ok(Spanned::at(node.place.clone(), name))
}
