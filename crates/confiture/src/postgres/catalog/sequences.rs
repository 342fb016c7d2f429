//! Sequences, and the columns that own them.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::relations::ByOid;
use super::{identifier, value};
use crate::catalog::{Oid, Relation, Sequence};
use crate::error::Result;
use crate::sql::{Identifier, QualifiedName};

/// Reads sequences, and writes into the columns which sequence they own.
pub(super) fn read(rows: &[Row], relations: &mut ByOid) -> Result<BTreeMap<QualifiedName, Sequence>> {
    let mut sequences = BTreeMap::new();
    for row in rows {
        let name = QualifiedName::new(identifier(row, "schema")?, identifier(row, "name")?);
        let owner = value::<Option<Oid>>(row, "owner_relation")?.and_then(|oid| relations.get_mut(&oid));
        let number = value::<Option<i32>>(row, "owner_column")?;
        let identity = value(row, "identity")?;
        let owned_by = match (owner, number) {
            (Some(relation), Some(number)) => owned_by(relation, number, &name, identity),
            _ => None,
        };
        let sequence = Sequence {
            name: name.clone(),
            data_type: value(row, "data_type")?,
            start: value(row, "start")?,
            increment: value(row, "increment")?,
            min: value(row, "min")?,
            max: value(row, "max")?,
            cache: value(row, "cache")?,
            cycle: value(row, "cycle")?,
            last_value: value(row, "last_value")?,
            owned_by,
            identity,
        };
        sequences.insert(name, sequence);
    }
    Ok(sequences)
}

/// A column may own several sequences (`ALTER SEQUENCE … OWNED BY`): that of its identity speaks for it, else the first.
fn owned_by(
    relation: &mut Relation,
    number: i32,
    sequence: &QualifiedName,
    identity: bool,
) -> Option<(QualifiedName, Identifier)> {
    let column = relation.columns.iter_mut().find(|column| i32::from(column.number) == number)?;
    if identity || column.sequence.is_none() {
        column.sequence = Some(sequence.clone());
    }
    Some((relation.name.clone(), column.name.clone()))
}
