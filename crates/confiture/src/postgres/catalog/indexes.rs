//! Indexes.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::constraints::name_of;
use super::relations::{Ancestry, ByOid};
use super::{count, identifier, rendered, value};
use crate::catalog::{Index, Oid, Relation};
use crate::error::Result;
use crate::sql::Identifier;

/// Reads indexes into their tables. Whole-table sums are made of what is read here.
pub(super) fn read(
    rows: &[Row],
    statistics: &[Row],
    ancestry: &Ancestry,
    relations: &mut ByOid,
) -> Result<()> {
    let mut targets: HashMap<Oid, Vec<(i16, i32)>> = HashMap::new();
    for row in statistics {
        let target = (value(row, "number")?, value(row, "target")?);
        targets.entry(value(row, "index")?).or_default().push(target);
    }
    for row in rows {
        if let Some(relation) = relations.get_mut(&value::<Oid>(row, "relation")?) {
            let oid = value::<Oid>(row, "oid")?;
            let index = Index {
                parent: ancestry.parents(oid).first().cloned(),
                statistics: targets.remove(&oid).unwrap_or_default(),
                ..index(row, relation)?
            };
            relation.index_bytes += index.bytes;
            relation.indexes.push(index);
        }
    }
    Ok(())
}

fn index(row: &Row, relation: &Relation) -> Result<Index> {
    let keys = usize::from(value::<i16>(row, "keys")?.unsigned_abs());
    let numbers = value::<Vec<i16>>(row, "columns")?;
    let has_storage = value::<bool>(row, "has_storage")?;
    Ok(Index {
        name: identifier(row, "name")?,
        definition: rendered(row, "definition")?,
        key_columns: numbers.into_iter().take(keys).map(|number| name_of(relation, number)).collect(),
        unique: value(row, "unique")?,
        primary: value(row, "primary")?,
        partial: value(row, "partial")?,
        immediate: value(row, "immediate")?,
        valid: value(row, "valid")?,
        clustered: value(row, "clustered")?,
        replica_identity: value(row, "replica_identity")?,
        constraint: value::<Option<&str>>(row, "constraint_name")?.map(Identifier::from),
        parent: None,
        bytes: if has_storage { count(rendered(row, "bytes")?) } else { 0 },
        statistics: Vec::new(),
        comment: value(row, "comment")?,
    })
}
