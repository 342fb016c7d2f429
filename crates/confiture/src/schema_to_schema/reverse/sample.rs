//! What users wrote under `reverse:`, tried on rows that are there: through the mapping, back again, and compared with what it was.
//! The values cross as text between the two servers, which alone evaluate anything; none is ever shown.

use crate::catalog::TypeUse;
use crate::config::mapping::{ColumnMapping, ColumnValue};
use crate::error::Result;
use crate::postgres::Parameter;
use crate::schema_to_schema::plan::{ColumnPlan, TablePlan};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::reverse::ReverseMapping;
use crate::schema_to_schema::reverse::finding::{Finding, Severity};
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// Rows of each old table that are looked at before a cutover.
const ROWS: u32 = 1000;

impl Migration {
    /// The way back of this migration, derived from its plan and tried on rows that are there.
    ///
    /// # Errors
    ///
    /// As [`sample_reverse`](Self::sample_reverse).
    pub async fn reversed_and_tried(&self) -> Result<ReverseMapping> {
        let mut reverse = self.reversed();
        if reverse.is_possible() {
            let found = Box::pin(self.sample_reverse(&reverse, ROWS)).await?;
            reverse.findings.extend(found);
        }
        Ok(reverse)
    }

    /// Sends up to `rows` rows of each old table there and back, and says of which columns another value came back, or none.
    /// What is looked up in other tables is left out. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::Connect`], and where the source cannot be read.
    pub async fn sample_reverse(&self, reverse: &ReverseMapping, rows: u32) -> Result<Vec<Finding>> {
        let mut found = Vec::new();
        for mapped in &reverse.mapping.tables {
            let (from, to) = (&mapped.from.value.driving, &mapped.target.value);
            let is_it = |table: &&TablePlan| {
                from.names(&table.target) && table.source.as_ref().is_some_and(|name| to.names(name))
            };
            let Some(table) = self.plan.tables.iter().find(is_it) else { continue };
            if table.query.statement.is_some() || table.columns.is_empty() {
                continue;
            }
            let written: Vec<&ColumnMapping> = mapped
                .columns
                .iter()
                .filter(|column| matches!(&column.value.value, ColumnValue::Expression(_)))
                .filter(|column| table.reverse.iter().any(|known| known.column.value == column.column.value))
                .collect();
            if !written.is_empty() {
                found.extend(self.sample_table(table, &mapped.from.value.alias, &written, rows).await?);
            }
        }
        Ok(found)
    }

    async fn sample_table(
        &self,
        table: &TablePlan,
        alias: &Identifier,
        written: &[&ColumnMapping],
        rows: u32,
    ) -> Result<Vec<Finding>> {
        let Some(name) = &table.source else { return Ok(Vec::new()) };
        let was = written
            .iter()
            .map(|column| sql!("CAST({}.{} AS pg_catalog.text)", table.query.alias, column.column.value));
        let there = table.columns.iter().map(|column| sql!("CAST({} AS pg_catalog.text)", column.sent));
        let all = Sql::join(", ", was.chain(there));
        let query = sql!(
            "SELECT {} {} LIMIT {}",
            all,
            table.query.from_relation(&sql!("{}", name), &[]),
            i64::from(rows)
        );
        let sampled = self.source.query(&query, &[]).await?;
        if sampled.is_empty() {
            return Ok(Vec::new());
        }
        let column =
            |index: usize| -> Vec<Option<String>> { sampled.iter().map(|row| row.get(index)).collect() };
        let values: Vec<Vec<Option<String>>> =
            (0..table.columns.len()).map(|index| column(written.len() + index)).collect();
        let mut found = Vec::new();
        for (index, column_mapping) in written.iter().enumerate() {
            let finding = self.come_back(table, name, alias, column_mapping, &column(index), &values).await?;
            found.extend(finding);
        }
        Ok(found)
    }

    /// Compares what comes back with what was.
    async fn come_back(
        &self,
        table: &TablePlan,
        name: &QualifiedName,
        alias: &Identifier,
        written: &ColumnMapping,
        was: &[Option<String>],
        values: &[Vec<Option<String>>],
    ) -> Result<Option<Finding>> {
        let ColumnValue::Expression(text) = &written.value.value else { return Ok(None) };
        let column = &written.column.value;
        let old = self.source_catalog.relations.get(name).and_then(|relation| relation.column(column));
        let Some(old) = old else { return Ok(None) };
        let expression = sql!("({}\n)", Sql::from_user(text.trim()));
        let back = match is_known(&old.data_type, self) {
            true => sql!("CAST({} AS {})", expression, Sql::from_server(old.data_type.text.clone())),
            false => expression,
        };
        let query = sql!(
            "SELECT CAST({} AS pg_catalog.text) FROM ({}) AS {} ORDER BY {}.confiture_row",
            back,
            given(&table.columns),
            alias,
            alias
        );
        let parameters: Vec<Parameter<'_>> = values.iter().map(|values| values as Parameter<'_>).collect();
        let finding = |severity, message: String| {
            Finding::new(name, severity, message).of(column).at(written.value.place.as_ref())
        };
        let rows = match self.target.query(&query, &parameters).await {
            Ok(rows) => rows,
            Err(error) if error.sqlstate_code().is_some() => {
                let message = format!(
                    "of rows that are there, `reverse` gives back nothing but an error: {}",
                    error.message()
                );
                return Ok(Some(finding(Severity::Loses, message)));
            }
            Err(error) => return Err(error),
        };
        let differ =
            rows.iter().zip(was).filter(|(row, was)| row.get::<_, Option<String>>(0) != **was).count();
        Ok((differ > 0).then(|| {
            let message = format!(
                "of {} rows looked at, {differ} come back with another value than they had, which is what a row gets that is changed on the new side",
                rows.len()
            );
            finding(Severity::Lossy, message)
        }))
    }
}

/// The values of the new columns, from an array of texts each.
fn given(columns: &[ColumnPlan]) -> Sql {
    let numbered = |index: usize| Identifier::new(format!("c{index}"));
    let cast = columns.iter().enumerate().map(|(index, column)| {
        sql!(
            "CAST(v.{} AS {}) AS {}",
            numbered(index),
            Sql::from_server(column.data_type.clone()),
            column.target
        )
    });
    let arrays = (1..=columns.len() as i64)
        .map(|number| sql!("pg_catalog.unnest(CAST(${} AS pg_catalog.text[]))", number));
    let names = (0..columns.len()).map(numbered).chain([Identifier::new("confiture_row")]);
    sql!(
        "SELECT {}, v.confiture_row FROM ROWS FROM ({}) WITH ORDINALITY AS v ({})",
        Sql::join(", ", cast),
        Sql::join(", ", arrays),
        Sql::join(", ", names)
    )
}

/// True of types that the new side has under the same name.
fn is_known(of: &TypeUse, migration: &Migration) -> bool {
    migration.source_catalog.data_type(of.oid).is_some_and(crate::catalog::DataType::is_built_in)
}
