//! Types, and what their parts say about them.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::{identifier, rendered, value};
use crate::catalog::{DataType, Oid, TypeKind, TypeUse};
use crate::error::{Error, Result};
use crate::sql::{Identifier, QualifiedName};

pub(super) fn read(rows: &[Row]) -> Result<BTreeMap<Oid, DataType>> {
    let alone: BTreeMap<Oid, DataType> =
        rows.iter().map(|row| data_type(row).map(|found| (found.oid, found))).collect::<Result<_>>()?;
    let whole = |data_type: &DataType| DataType {
        extension: extension(data_type, &alone),
        has_binary: has_binary(data_type, &alone),
        hashable: is_hashable(data_type, &alone),
        ..data_type.clone()
    };
    Ok(alone.iter().map(|(oid, data_type)| (*oid, whole(data_type))).collect())
}

/// A type as its row tells it, without what its parts add.
fn data_type(row: &Row) -> Result<DataType> {
    Ok(DataType {
        oid: value(row, "oid")?,
        name: QualifiedName::new(identifier(row, "schema")?, identifier(row, "name")?),
        text: value(row, "text")?,
        kind: kind(row)?,
        extension: value::<Option<&str>>(row, "extension")?.map(Identifier::from),
        has_binary: value(row, "has_binary")?,
        hashable: value(row, "hashable")?,
    })
}

fn kind(row: &Row) -> Result<TypeKind> {
    Ok(match value::<&str>(row, "kind")? {
        "b" => match value::<Option<Oid>>(row, "element")? {
            Some(element) => TypeKind::Array { element },
            None => TypeKind::Base,
        },
        "e" => TypeKind::Enum { labels: value(row, "labels")? },
        "d" => TypeKind::Domain {
            base: TypeUse {
                oid: value(row, "base_oid")?,
                modifier: value(row, "base_modifier")?,
                text: value(row, "base_text")?,
            },
            not_null: value(row, "not_null")?,
            checks: value::<Vec<Option<String>>>(row, "checks")?.into_iter().flatten().collect(),
        },
        "c" => TypeKind::Composite { fields: fields(row)? },
        "r" => TypeKind::Range { subtype: rendered(row, "subtype")? },
        "m" => TypeKind::Multirange { range: rendered(row, "range")? },
        "p" => TypeKind::Pseudo,
        other => return Err(Error::unexpected(format!("a type of kind {other:?} is new to this program"))),
    })
}

/// The fields of a composite type; the four lists are null where it has none.
fn fields(row: &Row) -> Result<Vec<(Identifier, TypeUse)>> {
    let names = value::<Option<Vec<&str>>>(row, "field_names")?.unwrap_or_default();
    let oids = value::<Option<Vec<Oid>>>(row, "field_oids")?.unwrap_or_default();
    let modifiers = value::<Option<Vec<i32>>>(row, "field_modifiers")?.unwrap_or_default();
    let texts = value::<Option<Vec<String>>>(row, "field_texts")?.unwrap_or_default();
    let uses = oids.into_iter().zip(modifiers).zip(texts);
    Ok(names
        .into_iter()
        .zip(uses)
        .map(|(name, ((oid, modifier), text))| (Identifier::from(name), TypeUse { oid, modifier, text }))
        .collect())
}

/// Arrays belong to the extension of their elements, multiranges to that of their range.
fn extension(data_type: &DataType, all: &BTreeMap<Oid, DataType>) -> Option<Identifier> {
    let whole = match data_type.kind {
        TypeKind::Array { element } => all.get(&element)?,
        TypeKind::Multirange { range } => all.get(&range)?,
        _ => return data_type.extension.clone(),
    };
    data_type.extension.clone().or_else(|| whole.extension.clone())
}

/// True where values go over the wire in binary: the functions of arrays, ranges and composites fail where a part has
/// none (`aclitem[]`).
fn has_binary(data_type: &DataType, all: &BTreeMap<Oid, DataType>) -> bool {
    data_type.has_binary
        && parts(data_type).into_iter().all(|part| all.get(&part).is_some_and(|part| has_binary(part, all)))
}

/// What `hash_record_extended` would say, on every version. Its type cache does not look through a domain to see whether
/// a range below it can be hashed, and then says no.
fn is_hashable(data_type: &DataType, all: &BTreeMap<Oid, DataType>) -> bool {
    if data_type.hashable {
        return true;
    }
    let part_is_hashable = |part: &Oid| all.get(part).is_some_and(|part| is_hashable(part, all));
    match &data_type.kind {
        TypeKind::Enum { .. } => true,
        TypeKind::Base | TypeKind::Pseudo => false,
        TypeKind::Domain { base, .. } => {
            let is_range =
                |base: &DataType| matches!(base.kind, TypeKind::Range { .. } | TypeKind::Multirange { .. });
            all.get(&base.oid).is_some_and(|base| !is_range(base) && is_hashable(base, all))
        }
        TypeKind::Array { .. }
        | TypeKind::Composite { .. }
        | TypeKind::Range { .. }
        | TypeKind::Multirange { .. } => parts(data_type).iter().all(part_is_hashable),
    }
}

/// The types that a type is directly made of.
fn parts(data_type: &DataType) -> Vec<Oid> {
    match &data_type.kind {
        TypeKind::Base | TypeKind::Enum { .. } | TypeKind::Pseudo => Vec::new(),
        TypeKind::Array { element } => vec![*element],
        TypeKind::Domain { base, .. } => vec![base.oid],
        TypeKind::Composite { fields } => fields.iter().map(|(_, field)| field.oid).collect(),
        TypeKind::Range { subtype } => vec![*subtype],
        TypeKind::Multirange { range } => vec![*range],
    }
}
