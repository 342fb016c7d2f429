//! What masks can do with a type, and whether its binary form means the same on both sides. Pure.

use crate::catalog::{Catalog, DataType, Oid, TypeKind, TypeUse};
use crate::sync::mask::Wire;

/// Types by what masks do with them; domains are what they are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `text`, `varchar`, `char`, `name`, `citext`; with the most characters.
    Text(Option<usize>),
    /// `json`, `jsonb`.
    Json,
    /// `smallint`, `integer`, `bigint`: how many bits.
    Integer(u32),
    /// `numeric`, `real`, `double precision`, `money`.
    Number,
    /// `uuid`.
    Uuid,
    /// `date`, `timestamp`, `timestamptz`.
    Date,
    /// `inet`, `cidr`.
    Address,
    /// An array of text.
    TextArray,
    /// An enumeration.
    Enum,
    /// Whatever else.
    Other,
}

/// The family of a column's type, and how its values look in binary COPY.
pub(crate) fn family(of: &TypeUse, catalog: &Catalog) -> (Family, Wire) {
    let Some(data_type) = catalog.data_type(of.oid) else { return (Family::Other, Wire::Other) };
    let length = (of.modifier >= 4).then(|| (of.modifier - 4).unsigned_abs() as usize);
    match &data_type.kind {
        TypeKind::Domain { base, .. } => family(base, catalog),
        TypeKind::Enum { .. } => (Family::Enum, Wire::Text),
        TypeKind::Array { element } => {
            let inner = TypeUse { oid: *element, modifier: of.modifier, text: String::new() };
            match family(&inner, catalog).0 {
                Family::Text(_) => (Family::TextArray, Wire::Other),
                _ => (Family::Other, Wire::Other),
            }
        }
        TypeKind::Base if data_type.is_built_in() => match data_type.name.name.as_str() {
            "text" => (Family::Text(None), Wire::Text),
            "varchar" | "bpchar" => (Family::Text(length), Wire::Text),
            "name" => (Family::Text(Some(63)), Wire::Text),
            "json" => (Family::Json, Wire::Text),
            "jsonb" => (Family::Json, Wire::Jsonb),
            "int2" => (Family::Integer(16), Wire::Int2),
            "int4" => (Family::Integer(32), Wire::Int4),
            "int8" => (Family::Integer(64), Wire::Int8),
            "numeric" | "float4" | "float8" | "money" => (Family::Number, Wire::Other),
            "uuid" => (Family::Uuid, Wire::Uuid),
            "date" | "timestamp" | "timestamptz" => (Family::Date, Wire::Other),
            "inet" | "cidr" => (Family::Address, Wire::Other),
            _ => (Family::Other, Wire::Other),
        },
        TypeKind::Base if data_type.name.name.as_str() == "citext" => (Family::Text(None), Wire::Text),
        _ => (Family::Other, Wire::Other),
    }
}

/// The labels of an enumeration, or of the one that a domain is made of.
pub(crate) fn labels<'a>(of: &TypeUse, catalog: &'a Catalog) -> Option<&'a [String]> {
    match &catalog.data_type(of.oid)?.kind {
        TypeKind::Enum { labels } => Some(labels),
        TypeKind::Domain { base, .. } => labels(base, catalog),
        _ => None,
    }
}

/// True where the bytes that one side sends mean the same value on the other. Without this, a `jsonb` sent to a `text`
/// column would arrive as garbage, and no error.
pub(crate) fn binary_agrees(of: Oid, target: &Catalog, source: &Catalog) -> bool {
    let Some(data_type) = target.data_type(of) else { return false };
    let name = data_type.name.name.as_str();
    if !data_type.has_binary {
        return false;
    }
    if data_type.is_built_in() {
        let sends_oid = name.trim_start_matches('_').starts_with("reg");
        return !sends_oid && !matches!(name, "int2vector" | "oidvector" | "tsquery");
    }
    let Some(twin) = source.types.values().find(|other| other.name == data_type.name) else { return false };
    if let Some(extension) = &data_type.extension {
        return target.extensions.get(extension) == source.extensions.get(extension);
    }
    let inner = |oid: &Oid| binary_agrees(*oid, target, source);
    match (&data_type.kind, &twin.kind) {
        (TypeKind::Array { element }, TypeKind::Array { .. }) => inner(element),
        (TypeKind::Enum { labels }, TypeKind::Enum { labels: others }) => labels == others,
        (TypeKind::Domain { base, .. }, TypeKind::Domain { base: other, .. }) => {
            base.text == other.text && inner(&base.oid)
        }
        (TypeKind::Range { subtype }, TypeKind::Range { .. }) => inner(subtype),
        (TypeKind::Multirange { range }, TypeKind::Multirange { .. }) => inner(range),
        (TypeKind::Composite { fields }, TypeKind::Composite { fields: others }) => {
            fields.len() == others.len()
                && fields.iter().zip(others).all(|((_, field), (_, other))| field.text == other.text)
                && fields.iter().all(|(_, field)| inner(&field.oid))
        }
        _ => false,
    }
}

/// How an error calls a type that is missing on one side.
pub(crate) fn same_definition(of: &DataType, source: &Catalog) -> Result<(), String> {
    let Some(twin) = source.types.values().find(|other| other.name == of.name) else { return Ok(()) };
    match (&of.kind, &twin.kind) {
        (TypeKind::Enum { labels }, TypeKind::Enum { labels: others }) => {
            match others.iter().find(|label| !labels.contains(label)) {
                None => Ok(()),
                Some(label) => Err(format!("the target's {} has no label '{label}'", of.text)),
            }
        }
        _ => Ok(()),
    }
}
