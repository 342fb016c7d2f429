//! How a value of a type crosses from one server to another, and how it is hashed to compare both. Pure.
//!
//! Binary COPY trusts that both sides mean the same bytes. That holds for built-in types (their OIDs and forms are the
//! same from PostgreSQL 14 to 18), for enumerations (their binary form is the label), for domains (that of the base
//! type), and for arrays, composites and ranges of such types where both sides define them alike. It does not hold for
//! types that send an OID (`regclass` and its kin), for those without a send function, and for types of extensions whose
//! versions differ: these cross as text.

use crate::catalog::{Catalog, DataType, Oid, TypeKind, TypeUse};
use crate::sql::{Identifier, Sql, sql};

/// How the source gives a value that a column of the target takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// The type that the source casts to, without a modifier: the target's receive or input function applies that, by
    /// the rules of assignment (a string that is too long is an error, not cut). `None`: sent as it is.
    pub(crate) cast: Option<String>,
    /// Why the binary form cannot be trusted; `None` where it can.
    pub(crate) text_because: Option<String>,
}

/// How values for a target column of `wanted` cross.
pub(crate) fn transfer(wanted: &TypeUse, source: &Catalog, target: &Catalog) -> Transfer {
    let Some(data_type) = target.data_type(wanted.oid) else {
        return Transfer { cast: None, text_because: Some(format!("the type {} is unknown", wanted.text)) };
    };
    match &data_type.kind {
        TypeKind::Domain { base, .. } => transfer(base, source, target),
        TypeKind::Enum { .. } => Transfer { cast: Some("pg_catalog.text".into()), text_because: None },
        _ if data_type.is_built_in() => {
            Transfer { cast: Some(data_type.text.clone()), text_because: distrust(data_type, source, target) }
        }
        _ => match same_named(data_type, source) {
            Some(twin) => {
                Transfer { cast: Some(twin.text.clone()), text_because: distrust(data_type, source, target) }
            }
            None => Transfer {
                cast: None,
                text_because: Some(format!("the source has no type {}", data_type.text)),
            },
        },
    }
}

fn same_named<'a>(data_type: &DataType, catalog: &'a Catalog) -> Option<&'a DataType> {
    catalog.types.values().find(|other| other.name == data_type.name)
}

/// Why the binary form of a type of the target means something else when it comes from the source.
fn distrust(data_type: &DataType, source: &Catalog, target: &Catalog) -> Option<String> {
    let name = &data_type.text;
    if !data_type.has_binary {
        return Some(format!("{name} has no binary form"));
    }
    if data_type.is_built_in() && sends_oid(data_type.name.name.as_str()) {
        return Some(format!("{name} is sent as an OID, which differs between databases"));
    }
    if let Some(extension) = &data_type.extension {
        let (here, there) = (target.extensions.get(extension), source.extensions.get(extension));
        return (here != there)
            .then(|| format!("the extension {extension} of {name} has another version in the source"));
    }
    let inner = |oid: &Oid| target.data_type(*oid).and_then(|inner| distrust(inner, source, target));
    let twin = same_named(data_type, source);
    match &data_type.kind {
        TypeKind::Base | TypeKind::Pseudo => None,
        TypeKind::Array { element } => inner(element),
        TypeKind::Range { subtype } => inner(subtype),
        TypeKind::Multirange { range } => inner(range),
        TypeKind::Domain { base, .. } => inner(&base.oid),
        TypeKind::Enum { labels } => match twin.map(|twin| &twin.kind) {
            Some(TypeKind::Enum { labels: others }) if others == labels => None,
            _ => Some(format!("{name} is defined otherwise in the source")),
        },
        TypeKind::Composite { fields } => match twin.map(|twin| &twin.kind) {
            Some(TypeKind::Composite { fields: others }) if alike(fields, others) => {
                fields.iter().find_map(|(_, field)| inner(&field.oid))
            }
            _ => Some(format!("{name} is defined otherwise in the source")),
        },
    }
}

fn alike(fields: &[(Identifier, TypeUse)], others: &[(Identifier, TypeUse)]) -> bool {
    fields.len() == others.len()
        && fields.iter().zip(others).all(|((_, field), (_, other))| field.text == other.text)
}

fn sends_oid(name: &str) -> bool {
    name.trim_start_matches('_').starts_with("reg")
}

/// What is hashed of `value`, a value of the type `of` in `catalog`: itself where equal hashes mean equal content, else
/// its text. (`numeric`, floats and intervals have values that are equal but read differently: `1.0` and `1.00`, `0` and
/// `-0`, `1 day` and `24:00`.)
pub(crate) fn hashed(value: &Sql, of: &TypeUse, catalog: &Catalog) -> Sql {
    let Some(data_type) = catalog.data_type(of.oid) else { return as_text(value) };
    match &data_type.kind {
        TypeKind::Domain { base, .. } => {
            hashed(&sql!("CAST({} AS {})", value, Sql::from_server(base.text.clone())), base, catalog)
        }
        TypeKind::Base if data_type.is_built_in() => match data_type.name.name.as_str() {
            "bool" | "int2" | "int4" | "int8" | "oid" | "uuid" | "date" | "time" | "timestamp"
            | "timestamptz" | "bytea" => value.clone(),
            // How many decimals money has follows lc_monetary; its number does not.
            "money" => as_text(&sql!("CAST({} AS pg_catalog.numeric)", value)),
            _ => as_text(value),
        },
        _ => as_text(value),
    }
}

fn as_text(value: &Sql) -> Sql {
    sql!("CAST({} AS pg_catalog.text) COLLATE pg_catalog.\"C\"", value)
}

/// The type that the source casts to before hashing: the target's with its modifier, so that rounding and padding show.
/// Lengths of strings are left out, because an explicit cast would cut what assignment refuses.
pub(crate) fn compared_type(wanted: &TypeUse, target: &Catalog) -> Option<(String, TypeUse)> {
    let data_type = target.data_type(wanted.oid)?;
    match &data_type.kind {
        TypeKind::Domain { base, .. } => compared_type(base, target),
        TypeKind::Base | TypeKind::Array { .. } if data_type.is_built_in() => {
            let cut = matches!(data_type.name.name.as_str(), "varchar" | "_varchar");
            let text = if cut { data_type.text.clone() } else { wanted.text.clone() };
            Some((text, wanted.clone()))
        }
        _ if data_type.is_built_in() => Some((wanted.text.clone(), wanted.clone())),
        _ => None,
    }
}
