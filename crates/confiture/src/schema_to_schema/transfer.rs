//! How a value of a type crosses from one server to another, and how it is hashed to compare both. Pure.
//!
//! Binary COPY trusts that both sides mean the same bytes. That holds for built-in types (their OIDs and forms are the
//! same from PostgreSQL 14 to 18), for enumerations (their binary form is the label), for domains (that of the base
//! type), and for arrays, composites and ranges of such types where both sides define them alike. It does not hold for
//! types that send an OID (`regclass` and its kin), for those without a send function, and for types of extensions whose
//! versions differ: these cross as text.

use crate::catalog::{Catalog, DataType, Oid, TypeKind, TypeUse};
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// How the source gives a value that a column of the target takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// The type that the source casts to, without a modifier: the target's receive or input function applies that, by
    /// the rules of assignment (a string that is too long is an error, not cut). `None`: sent as it is.
    pub(crate) cast: Option<QualifiedName>,
    /// Why the binary form cannot be trusted; `None` where it can.
    pub(crate) text_because: Option<String>,
    /// True where `INSERT … SELECT` needs an explicit cast through text, because PostgreSQL has no assignment for it.
    pub(crate) through_text: bool,
}

/// How values for a target column of `wanted` cross.
pub(crate) fn transfer(wanted: &TypeUse, source: &Catalog, target: &Catalog) -> Transfer {
    let Some(data_type) = target.data_type(wanted.oid) else {
        let text_because = Some(format!("the type {} is unknown", wanted.text));
        return Transfer { cast: None, text_because, through_text: true };
    };
    // By its name and never as `character` or `bit`, which mean a length of 1.
    let trusted = |of: &DataType| Transfer {
        cast: Some(of.name.clone()),
        text_because: distrust(data_type, source, target),
        through_text: false,
    };
    match &data_type.kind {
        TypeKind::Domain { base, .. } => transfer(base, source, target),
        TypeKind::Enum { .. } => Transfer { cast: Some(text_type()), text_because: None, through_text: true },
        _ if data_type.is_built_in() => trusted(data_type),
        _ => match same_named(data_type, source) {
            Some(twin) => trusted(twin),
            None => Transfer {
                cast: None,
                text_because: Some(format!("the source has no type {}", data_type.text)),
                through_text: true,
            },
        },
    }
}

pub(crate) fn text_type() -> QualifiedName {
    QualifiedName::new("pg_catalog", "text")
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
    if data_type.is_built_in()
        && matches!(data_type.name.name.as_str(), "int2vector" | "oidvector" | "tsquery")
    {
        return Some(format!("an empty {name} cannot be read back from its binary form"));
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

/// How verification reads a value: what it shows, and what it hashes.
#[derive(Debug, Clone)]
pub struct Compared {
    /// Two values are the same content where these are equal.
    pub shown: Sql,
    /// What is hashed of it. The server's hash of a `bigint` folds it to 32 bits: -1 and 4294967295 have the same, so its
    /// bytes are hashed; and text is hashed in UTF-8, whatever the encoding of the database.
    pub hashed: Sql,
}

/// How a value of the type `of` is read, on a server with the encoding `encoding`: itself where equality means equal
/// content, else its text. (`numeric`, floats and intervals have values that are equal but read differently: `1.0` and
/// `1.00`, `0` and `-0`, `1 day` and `24:00`.)
pub(crate) fn compared(value: &Sql, of: &TypeUse, catalog: &Catalog, encoding: &str) -> Compared {
    let text = |shown: Sql| {
        let hashed = if encoding == "UTF8" { shown.clone() } else { sql!("pg_catalog.textsend({})", shown) };
        Compared { shown, hashed }
    };
    let bytes = |send: &'static str| Compared {
        shown: value.clone(),
        hashed: sql!("pg_catalog.{}({})", Sql::literal(send), value),
    };
    let Some(data_type) = catalog.data_type(of.oid) else { return text(as_text(value)) };
    match &data_type.kind {
        TypeKind::Domain { base, .. } => {
            let base_type =
                catalog.data_type(base.oid).map(|base| base.name.clone()).unwrap_or_else(text_type);
            compared(&sql!("CAST({} AS {})", value, base_type), base, catalog, encoding)
        }
        TypeKind::Base if data_type.is_built_in() => match data_type.name.name.as_str() {
            "int8" => bytes("int8send"),
            "time" => bytes("time_send"),
            "timestamp" => bytes("timestamp_send"),
            "timestamptz" => bytes("timestamptz_send"),
            "bool" | "int2" | "int4" | "oid" | "uuid" | "date" | "bytea" => {
                Compared { shown: value.clone(), hashed: value.clone() }
            }
            // A byte beyond ASCII is no text: PostgreSQL 14 gives it as it is, later versions as an octal number.
            "char" => {
                let number = sql!("CAST({} AS pg_catalog.int4)", value);
                let shown = sql!(
                    "CASE WHEN {} < 0 THEN pg_catalog.to_hex({}) ELSE CAST({} AS pg_catalog.text) END",
                    number,
                    number,
                    value
                );
                Compared { shown, hashed: number }
            }
            // How many decimals money has follows lc_monetary; its number does not.
            "money" => text(as_text(&sql!("CAST({} AS pg_catalog.numeric)", value))),
            // Without a length, blanks at the end are kept, though a cast to text leaves them out.
            "bpchar" if of.modifier < 0 => {
                text(sql!("pg_catalog.textin(pg_catalog.bpcharout({})) COLLATE pg_catalog.\"C\"", value))
            }
            _ => text(as_text(&by_name(value, data_type))),
        },
        _ => text(as_text(value)),
    }
}

fn as_text(value: &Sql) -> Sql {
    sql!("CAST({} AS pg_catalog.text) COLLATE pg_catalog.\"C\"", value)
}

/// A value of a type that is an OID, as the name that it stands for, with its schema: what is visible without one differs
/// between databases. Other values as they are.
pub(crate) fn by_name(value: &Sql, of: &DataType) -> Sql {
    let catalog = match of.name.name.as_str() {
        _ if !of.is_built_in() => return value.clone(),
        "regclass" => "pg_class",
        "regprocedure" => "pg_proc",
        "regoperator" => "pg_operator",
        "regtype" => "pg_type",
        "regnamespace" => "pg_namespace",
        "regrole" => "pg_authid",
        "regconfig" => "pg_ts_config",
        "regdictionary" => "pg_ts_dict",
        "regcollation" => "pg_collation",
        _ => return value.clone(),
    };
    // An OID that stands for nothing has no identity; its own text is a number.
    sql!(
        "coalesce((pg_catalog.pg_identify_object('pg_catalog.{}'::pg_catalog.regclass, CAST({} AS pg_catalog.oid), 0)).identity, CAST({} AS pg_catalog.text))",
        Sql::literal(catalog),
        value,
        value
    )
}

/// What assignment makes of `value` in a column of the type `wanted`, for the source to compute before it is compared, and
/// the type of that; `None` for types that the source may not have. Unlike an explicit cast it cuts no string, only blanks
/// at its end that are too many. `given` is the type of `value`, where it is a column.
pub(crate) fn assigned(
    value: &Sql,
    given: Option<&TypeUse>,
    wanted: &TypeUse,
    target: &Catalog,
) -> Option<(Sql, TypeUse)> {
    let data_type = target.data_type(wanted.oid)?;
    let name = data_type.name.name.as_str();
    let is_string = matches!(name.trim_start_matches('_'), "varchar" | "bpchar" | "bit" | "varbit");
    let fits = |given: &TypeUse| given.oid == wanted.oid && (0..=wanted.modifier).contains(&given.modifier);
    let cast = match &data_type.kind {
        TypeKind::Domain { base, .. } => return assigned(value, given, base, target),
        _ if !data_type.is_built_in() => return None,
        _ if name == "varchar" && wanted.modifier >= 0 && !given.is_some_and(fits) => {
            let text = sql!("CAST({} AS pg_catalog.text)", value);
            let length = i64::from(wanted.modifier - 4);
            sql!(
                "pg_catalog.left({}, {}) || pg_catalog.rtrim(pg_catalog.substr({}, {}))",
                text,
                length,
                text,
                length + 1
            )
        }
        _ if wanted.modifier < 0 || is_string => sql!("CAST({} AS {})", value, data_type.name),
        _ => sql!("CAST({} AS {})", value, Sql::from_server(wanted.text.clone())),
    };
    Some((cast, wanted.clone()))
}
