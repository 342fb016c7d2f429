//! Constraints of tables.

use tokio_postgres::Row;

use super::relations::ByOid;
use super::{identifier, identifiers, qualified_name, rendered, value};
use crate::catalog::{Constraint, ConstraintKind, Oid, Relation};
use crate::error::{Error, Result};
use crate::sql::Identifier;

pub(super) fn read(rows: &[Row], relations: &mut ByOid) -> Result<()> {
    for row in rows {
        if let Some(relation) = relations.get_mut(&value::<Oid>(row, "relation")?) {
            let constraint = constraint(row, relation)?;
            relation.constraints.push(constraint);
        }
    }
    Ok(())
}

fn constraint(row: &Row, relation: &Relation) -> Result<Constraint> {
    let numbers = value::<Option<Vec<i16>>>(row, "columns")?.unwrap_or_default();
    let referenced_columns = value::<Option<Vec<&str>>>(row, "referenced_columns")?;
    Ok(Constraint {
        name: identifier(row, "name")?,
        kind: kind(row)?,
        definition: rendered(row, "definition")?,
        columns: numbers.into_iter().filter_map(|number| name_of(relation, number)).collect(),
        references: qualified_name(row, "referenced_schema", "referenced_name")?
            .zip(referenced_columns.map(identifiers)),
        index: value::<Option<&str>>(row, "index_name")?.map(Identifier::from),
        validated: value(row, "validated")?,
        enforced: value(row, "enforced")?,
        deferrable: value(row, "deferrable")?,
        inherited: value(row, "inherited")?,
        comment: value(row, "comment")?,
    })
}

fn kind(row: &Row) -> Result<ConstraintKind> {
    Ok(match value::<&str>(row, "kind")? {
        "p" => ConstraintKind::PrimaryKey,
        "u" => ConstraintKind::Unique,
        "x" => ConstraintKind::Exclusion,
        "c" => ConstraintKind::Check,
        "f" => ConstraintKind::ForeignKey,
        "t" => ConstraintKind::Trigger,
        other => {
            return Err(Error::unexpected(format!("a constraint of kind {other:?} is new to this program")));
        }
    })
}

/// The name of the column with this number: 0 is an expression, below are the system's columns.
pub(super) fn name_of(relation: &Relation, number: i16) -> Option<Identifier> {
    // The columns are in the order of their numbers, with gaps where some were dropped.
    let found = relation.columns.binary_search_by_key(&number, |column| column.number).ok()?;
    Some(relation.columns[found].name.clone())
}
