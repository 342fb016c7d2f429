//! What becomes of a value that went from an old column into a new one of another type, and comes back. Pure.

use crate::catalog::{Catalog, DataType, Oid, TypeKind, TypeUse};

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fidelity {
    /// Whatever the new column can hold comes back as it is.
    Exact,
    /// What was moved comes back as it was; what the new side alone can hold is refused by an error, never altered.
    Refuses(String),
    /// Values may come back altered, or there is no assignment back.
    Alters(String),
}

/// Of a column of the type `old` whose values a column of the type `new` takes.
pub(super) fn way_back(old: &TypeUse, source: &Catalog, new: &TypeUse, target: &Catalog) -> Fidelity {
    let (Some(from), Some(to)) = (source.data_type(old.oid), target.data_type(new.oid)) else {
        return Fidelity::Alters(format!("nothing is known of {} and {}", old.text, new.text));
    };
    if let TypeKind::Domain { base, checks, not_null } = &from.kind {
        let is_same = matches!(&to.kind, TypeKind::Domain { .. }) && from.name == to.name;
        return match way_back(base, source, new, target) {
            Fidelity::Exact if !is_same && (*not_null || !checks.is_empty()) => {
                Fidelity::Refuses(format!("the domain {} takes fewer values than {}", old.text, new.text))
            }
            found => found,
        };
    }
    if let TypeKind::Domain { base, .. } = &to.kind {
        return way_back(old, source, base, target);
    }
    if let (TypeKind::Array { element: inner }, TypeKind::Array { element }) = (&from.kind, &to.kind) {
        let of = |oid: &Oid, whole: &TypeUse| TypeUse { oid: *oid, ..whole.clone() };
        return way_back(&of(inner, old), source, &of(element, new), target);
    }
    if let Some(found) = labels(from, to) {
        return found;
    }
    if !from.is_built_in() || !to.is_built_in() {
        return match (from.name == to.name, &to.kind) {
            (true, _) => Fidelity::Exact,
            (false, _) => unassignable(old, new),
        };
    }
    built_in((from.name.name.as_str(), old), (to.name.name.as_str(), new))
}

/// Of enumerations, which cross as the texts of their labels.
fn labels(from: &DataType, to: &DataType) -> Option<Fidelity> {
    let is_text = |of: &DataType| {
        of.is_built_in() && matches!(of.name.name.as_str(), "text" | "varchar" | "bpchar" | "name")
    };
    match (&from.kind, &to.kind) {
        (TypeKind::Enum { labels: old }, TypeKind::Enum { labels: new }) => {
            Some(match new.iter().find(|label| !old.contains(label)) {
                None => Fidelity::Exact,
                Some(label) => Fidelity::Refuses(format!("{} has no label {label}", from.text)),
            })
        }
        (TypeKind::Enum { .. }, _) if is_text(to) => {
            Some(Fidelity::Refuses(format!("{} takes only its own labels", from.text)))
        }
        (_, TypeKind::Enum { .. }) if is_text(from) => Some(Fidelity::Exact),
        _ => None,
    }
}

fn unassignable(old: &TypeUse, new: &TypeUse) -> Fidelity {
    Fidelity::Alters(format!("no cast from {} back to {} is known to keep every value", new.text, old.text))
}

/// Of built-in types, by name.
fn built_in((from, old): (&str, &TypeUse), (to, new): (&str, &TypeUse)) -> Fidelity {
    let width = |name: &str| match name {
        "int2" => Some(2_u8),
        "int4" => Some(4),
        "int8" => Some(8),
        _ => None,
    };
    let is_string = |name: &str| matches!(name, "text" | "varchar" | "bpchar");
    match (from, to) {
        _ if from == to && old.modifier == new.modifier => Fidelity::Exact,
        ("numeric", "numeric") => numerics(old, new),
        ("numeric", _) if width(to).is_some() => match numeric(old.modifier) {
            Some((_, scale)) if scale <= 0 => too_large(old, new),
            _ => rounded(old, new, "going there"),
        },
        (_, "numeric") if width(from).is_some() => match numeric(new.modifier) {
            Some((_, 0)) => too_large(old, new),
            _ => rounded(old, new, "coming back"),
        },
        _ if is_string(from) && is_string(to) => strings((from, old), (to, new)),
        ("timestamp" | "timestamptz", "timestamp" | "timestamptz") => precisions(old, new),
        ("time", "time") | ("timetz", "timetz") => precisions(old, new),
        ("json", "jsonb") => Fidelity::Alters(
            "jsonb keeps neither blanks, nor the order of keys, nor keys that are twice".into(),
        ),
        ("jsonb", "json") => Fidelity::Exact,
        _ => match (width(from), width(to)) {
            (Some(old_width), Some(new_width)) if old_width >= new_width => Fidelity::Exact,
            (Some(_), Some(_)) => too_large(old, new),
            _ => unassignable(old, new),
        },
    }
}

fn too_large(old: &TypeUse, new: &TypeUse) -> Fidelity {
    Fidelity::Refuses(format!("{} holds numbers that {} does not", new.text, old.text))
}

fn rounded(old: &TypeUse, new: &TypeUse, when: &str) -> Fidelity {
    Fidelity::Alters(format!("{when}, PostgreSQL rounds ({} and {})", old.text, new.text))
}

/// Precision and scale; `None` for any.
fn numeric(modifier: i32) -> Option<(i32, i32)> {
    let packed = (modifier >= 4).then(|| modifier - 4)?;
    // Eleven bits with a sign, from PostgreSQL 15 on; before, never negative.
    Some((packed >> 16, ((packed & 0x7ff) ^ 1024) - 1024))
}

fn numerics(old: &TypeUse, new: &TypeUse) -> Fidelity {
    match (numeric(old.modifier), numeric(new.modifier)) {
        (None, _) if new.modifier >= 0 => rounded(old, new, "going there"),
        (None, _) => Fidelity::Exact,
        (Some(_), None) => rounded(old, new, "coming back"),
        (Some((_, scale)), Some((_, other))) if scale > other => rounded(old, new, "going there"),
        (Some((_, scale)), Some((_, other))) if scale < other => rounded(old, new, "coming back"),
        (Some((precision, _)), Some((other, _))) if precision >= other => Fidelity::Exact,
        _ => too_large(old, new),
    }
}

fn strings((from, old): (&str, &TypeUse), (to, new): (&str, &TypeUse)) -> Fidelity {
    // Blanks at the end of `character` mean nothing, those of others do.
    if to == "bpchar" && from != "bpchar" {
        return Fidelity::Alters(format!("{} does not keep blanks at the end", new.text));
    }
    let longest = |of: &TypeUse| if of.modifier >= 4 { of.modifier } else { i32::MAX };
    match longest(old) >= longest(new) {
        true => Fidelity::Exact,
        false => Fidelity::Refuses(format!("{} holds longer texts than {}", new.text, old.text)),
    }
}

/// Of times: digits after the second. Times without a zone are those of UTC, on both sides.
fn precisions(old: &TypeUse, new: &TypeUse) -> Fidelity {
    let digits = |of: &TypeUse| if of.modifier < 0 { 6 } else { of.modifier };
    match digits(old).cmp(&digits(new)) {
        std::cmp::Ordering::Equal => Fidelity::Exact,
        std::cmp::Ordering::Greater => rounded(old, new, "going there"),
        std::cmp::Ordering::Less => rounded(old, new, "coming back"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::QualifiedName;

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        let built_in = [
            (16, "bool"),
            (20, "int8"),
            (21, "int2"),
            (23, "int4"),
            (25, "text"),
            (114, "json"),
            (701, "float8"),
            (1042, "bpchar"),
            (1043, "varchar"),
            (1082, "date"),
            (1114, "timestamp"),
            (1184, "timestamptz"),
            (1700, "numeric"),
            (2950, "uuid"),
            (3802, "jsonb"),
        ];
        let mut add = |oid: Oid, schema: &str, name: &str, kind| {
            let data_type = DataType {
                oid,
                name: QualifiedName::new(schema, name),
                text: name.into(),
                kind,
                extension: None,
                has_binary: true,
                hashable: true,
            };
            catalog.types.insert(oid, data_type);
        };
        for (oid, name) in built_in {
            add(oid, "pg_catalog", name, TypeKind::Base);
        }
        add(1007, "pg_catalog", "_int4", TypeKind::Array { element: 23 });
        add(1016, "pg_catalog", "_int8", TypeKind::Array { element: 20 });
        let labels = |labels: &[&str]| TypeKind::Enum {
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        };
        add(90_001, "app", "mood", labels(&["sad", "ok"]));
        add(90_002, "app", "feeling", labels(&["ok", "sad", "happy"]));
        let domain = |checks: &[&str]| TypeKind::Domain {
            base: TypeUse { oid: 25, modifier: -1, text: "text".into() },
            not_null: false,
            checks: checks.iter().map(|check| (*check).to_owned()).collect(),
        };
        add(90_003, "app", "email", domain(&["CHECK (VALUE ~ '@')"]));
        catalog
    }

    fn back(old: (&str, i32), new: (&str, i32)) -> &'static str {
        let catalog = catalog();
        let of = |(name, modifier): (&str, i32)| {
            let oid = catalog.types.values().find(|of| of.name.name.as_str() == name).unwrap().oid;
            TypeUse { oid, modifier, text: name.into() }
        };
        match way_back(&of(old), &catalog, &of(new), &catalog) {
            Fidelity::Exact => "exact",
            Fidelity::Refuses(_) => "refuses",
            Fidelity::Alters(_) => "alters",
        }
    }

    /// `numeric(precision, scale)`
    fn money(precision: i32, scale: i32) -> (&'static str, i32) {
        ("numeric", ((precision << 16) | (scale & 0x7ff)) + 4)
    }

    #[test]
    fn what_loses_nothing_comes_back() {
        for (old, new) in [
            (("int8", -1), ("int4", -1)),
            (("text", -1), ("varchar", 24)),
            (("varchar", 24), ("varchar", 14)),
            (("numeric", -1), ("numeric", -1)),
            (money(12, 2), money(10, 2)),
            (money(12, -2), money(10, -2)),
            (("timestamp", -1), ("timestamptz", -1)),
            (("timestamptz", 6), ("timestamp", -1)),
            (("jsonb", -1), ("json", -1)),
            (("_int8", -1), ("_int4", -1)),
            (("text", -1), ("mood", -1)),
            (("feeling", -1), ("mood", -1)),
            (("email", -1), ("email", -1)),
            (("text", -1), ("email", -1)),
        ] {
            assert_eq!(back(old, new), "exact", "{old:?} {new:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_not_altered() {
        for (old, new) in [
            (("int4", -1), ("int8", -1)),
            (("int4", -1), money(20, 0)),
            (("varchar", 24), ("text", -1)),
            (("bpchar", 9), ("text", -1)),
            (money(10, 2), money(12, 2)),
            (("_int4", -1), ("_int8", -1)),
            (("mood", -1), ("feeling", -1)),
            (("mood", -1), ("text", -1)),
            (("email", -1), ("text", -1)),
        ] {
            assert_eq!(back(old, new), "refuses", "{old:?} {new:?}");
        }
    }

    #[test]
    fn what_would_be_altered_is_not_brought_back_by_itself() {
        for (old, new) in [
            (("int4", -1), ("numeric", -1)),
            (("int4", -1), money(10, 2)),
            (("numeric", -1), ("int4", -1)),
            (money(10, 2), money(10, 4)),
            (money(10, 4), money(10, 2)),
            (("numeric", -1), money(10, 2)),
            (("int4", -1), ("float8", -1)),
            (("date", -1), ("timestamp", -1)),
            (("timestamp", -1), ("date", -1)),
            (("timestamp", 0), ("timestamp", -1)),
            (("timestamp", -1), ("timestamp", 3)),
            (("text", -1), ("bpchar", 9)),
            (("json", -1), ("jsonb", -1)),
            (("uuid", -1), ("text", -1)),
            (("int4", -1), ("text", -1)),
            (("mood", -1), ("bool", -1)),
        ] {
            assert_eq!(back(old, new), "alters", "{old:?} {new:?}");
        }
    }
}
