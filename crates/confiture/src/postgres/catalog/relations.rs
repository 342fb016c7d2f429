//! Tables and what can be read like one, and who is above whom.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::Row;

use super::{count, identifier, letter, rendered, value};
use crate::catalog::{Oid, Relation, RelationKind};
use crate::error::{Error, Result};
use crate::sql::QualifiedName;

/// Relations while they are put together.
pub(super) type ByOid = BTreeMap<Oid, Relation>;

/// The parents of tables and of indexes.
pub(super) struct Ancestry(HashMap<Oid, Vec<QualifiedName>>);

impl Ancestry {
    pub(super) fn read(rows: &[Row]) -> Result<Self> {
        let mut parents: HashMap<Oid, Vec<QualifiedName>> = HashMap::new();
        for row in rows {
            let parent =
                QualifiedName::new(identifier(row, "parent_schema")?, identifier(row, "parent_name")?);
            parents.entry(value(row, "child")?).or_default().push(parent);
        }
        Ok(Self(parents))
    }

    pub(super) fn parents(&self, child: Oid) -> &[QualifiedName] {
        self.0.get(&child).map_or(&[], Vec::as_slice)
    }
}

pub(super) fn read(rows: &[Row], ancestry: &Ancestry, block_size: i64) -> Result<ByOid> {
    rows.iter().map(|row| relation(row, ancestry, block_size).map(|found| (found.oid, found))).collect()
}

fn relation(row: &Row, ancestry: &Ancestry, block_size: i64) -> Result<Relation> {
    let oid = value(row, "oid")?;
    let kind = kind(row)?;
    let has_storage = matches!(kind, RelationKind::Table | RelationKind::MaterializedView);
    let size = |column| if has_storage { rendered::<i64>(row, column) } else { Ok(0) };
    let is_partition = value(row, "is_partition")?;
    let pages = size("main_bytes")? / block_size;
    Ok(Relation {
        name: QualifiedName::new(identifier(row, "schema")?, identifier(row, "name")?),
        oid,
        kind,
        unlogged: value(row, "unlogged")?,
        owner: identifier(row, "owner")?,
        columns: Vec::new(),
        constraints: Vec::new(),
        indexes: Vec::new(),
        triggers: Vec::new(),
        parents: ancestry.parents(oid).to_vec(),
        is_partition,
        partition_bound: is_partition.then(|| rendered(row, "partition_bound")).transpose()?,
        partition_key: (kind == RelationKind::PartitionedTable)
            .then(|| rendered(row, "partition_key"))
            .transpose()?,
        row_security: value(row, "row_security")?,
        force_row_security: value(row, "force_row_security")?,
        replica_identity: letter(row, "replica_identity")?.unwrap_or('d'),
        row_estimate: value::<Option<f64>>(row, "row_estimate")?.map(|rows| rows as u64),
        pages: u32::try_from(pages).unwrap_or(u32::MAX),
        bytes: count(size("bytes")?),
        index_bytes: 0,
    })
}

fn kind(row: &Row) -> Result<RelationKind> {
    Ok(match value::<&str>(row, "kind")? {
        "r" => RelationKind::Table,
        "p" => RelationKind::PartitionedTable,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "f" => RelationKind::ForeignTable,
        other => {
            return Err(Error::unexpected(format!("a relation of kind {other:?} is new to this program")));
        }
    })
}

/// Autovacuum never analyses partitioned tables, only their leaves. Where a leaf that may hold rows has no estimate, the
/// sum would be too low, and there is none.
pub(super) fn estimate_partitioned(relations: &mut ByOid) {
    let unknown: Vec<Oid> = relations
        .values()
        .filter(|relation| relation.kind == RelationKind::PartitionedTable && relation.row_estimate.is_none())
        .map(|relation| relation.oid)
        .collect();
    let children = children(relations);
    for oid in unknown {
        let sum = sum_of_leaves(&relations[&oid], &children, relations);
        if let Some(relation) = relations.get_mut(&oid) {
            relation.row_estimate = sum;
        }
    }
}

fn children(relations: &ByOid) -> HashMap<QualifiedName, Vec<Oid>> {
    let mut children: HashMap<QualifiedName, Vec<Oid>> = HashMap::new();
    for relation in relations.values() {
        for parent in &relation.parents {
            children.entry(parent.clone()).or_default().push(relation.oid);
        }
    }
    children
}

fn sum_of_leaves(
    relation: &Relation,
    children: &HashMap<QualifiedName, Vec<Oid>>,
    relations: &ByOid,
) -> Option<u64> {
    match relation.kind {
        RelationKind::PartitionedTable => children
            .get(&relation.name)
            .into_iter()
            .flatten()
            .map(|child| sum_of_leaves(&relations[child], children, relations))
            .sum(),
        RelationKind::Table if relation.pages == 0 => Some(0),
        _ => relation.row_estimate,
    }
}
