//! NOT NULL: a property of a column, and from PostgreSQL 18 on a constraint with a name.

use crate::catalog::Object;
use crate::diff::column::table_of;
use crate::diff::compare::{Change, quoted};
use crate::diff::hazard::Hazard;
use crate::sql::Literal;

/// The constraint of a column, where the server knows of one.
struct Constraint<'a> {
    name: &'a str,
    valid: bool,
    goes_down: bool,
    /// No parent has brought it.
    own: bool,
    /// It is what `NOT NULL` makes by itself.
    plain: bool,
    comment: Option<&'a str>,
}

fn constraint(column: &Object) -> Option<Constraint<'_>> {
    let found = column.details.get("not_null_constraint")?.as_object()?;
    let is = |name: &str| found.get(name).and_then(serde_json::Value::as_bool).unwrap_or_default();
    let text = |name: &str| found.get(name).and_then(serde_json::Value::as_str);
    Some(Constraint {
        name: text("name")?,
        valid: is("valid"),
        goes_down: is("goes_down"),
        own: is("own"),
        plain: is("plain"),
        comment: text("comment"),
    })
}

/// What `CREATE TABLE` and `ADD COLUMN` say of it: ` CONSTRAINT filled NOT NULL`.
pub(super) fn within(column: &Object) -> Option<String> {
    if !column.is("not_null") {
        return None;
    }
    match constraint(column) {
        Some(one) if !one.valid => None,
        Some(one) if !one.plain && one.own => {
            let end = if one.goes_down { "" } else { " NO INHERIT" };
            Some(format!(" CONSTRAINT {} NOT NULL{end}", quoted(one.name)))
        }
        _ => Some(" NOT NULL".to_owned()),
    }
}

/// What has to be said once the column is there.
pub(super) fn after(column: &Object) -> Vec<String> {
    let Some(one) = constraint(column).filter(|one| one.own) else { return Vec::new() };
    let mut statements = Vec::new();
    if !one.valid {
        statements.push(add(column, &one));
    }
    if one.comment.is_some() {
        statements.push(comment(column, &one));
    }
    statements
}

fn add(column: &Object, one: &Constraint<'_>) -> String {
    let (no_inherit, not_valid) =
        (if one.goes_down { "" } else { " NO INHERIT" }, if one.valid { "" } else { " NOT VALID" });
    let (name, of) = (quoted(one.name), quoted(&column.name));
    format!("{} ADD CONSTRAINT {name} NOT NULL {of}{no_inherit}{not_valid}", alter_table(column))
}

fn comment(column: &Object, one: &Constraint<'_>) -> String {
    let text = one.comment.map_or_else(|| "NULL".to_owned(), |text| Literal(text).to_string());
    format!("COMMENT ON CONSTRAINT {} ON {} IS {}", quoted(one.name), table_of(column), text.trim_start())
}

fn alter_table(column: &Object) -> String {
    let kind = match column.alter.as_deref() {
        Some(alter) if alter.starts_with("ALTER FOREIGN ") => "FOREIGN TABLE",
        _ => "TABLE",
    };
    format!("ALTER {kind} {}", table_of(column))
}

/// The statements from one column to another, which begin with `alter`.
pub(super) fn compare(change: &mut Change, alter: &str, old: &Object, new: &Object) {
    let may_fail = Hazard::MayFail("a row with NULL in the column stops it".into());
    match (old.is("not_null"), new.is("not_null")) {
        (false, true) => match constraint(new).filter(|one| one.own) {
            Some(one) if !one.plain || one.comment.is_some() => {
                change.push(add(new, &one));
                if one.comment.is_some() {
                    change.push(comment(new, &one));
                }
                if one.valid {
                    change.hazards.push(may_fail);
                }
            }
            _ => {
                change.push(format!("{alter} SET NOT NULL"));
                change.hazards.push(may_fail);
            }
        },
        (true, false) => change.push(format!("{alter} DROP NOT NULL")),
        (true, true) => {
            let own = |column| constraint(column).filter(|one| one.own);
            if let (Some(before), Some(after)) = (own(old), own(new)) {
                compare_constraints(change, alter, &before, &after, new);
            }
        }
        (false, false) => {}
    }
}

fn compare_constraints(
    change: &mut Change,
    alter: &str,
    before: &Constraint<'_>,
    after: &Constraint<'_>,
    new: &Object,
) {
    let (table, name) = (alter_table(new), quoted(after.name));
    if before.valid && !after.valid {
        change.push(format!("{alter} DROP NOT NULL"));
        change.push(add(new, after));
    } else {
        if before.name != after.name {
            change.push(format!("{table} RENAME CONSTRAINT {} TO {name}", quoted(before.name)));
        }
        if before.goes_down != after.goes_down {
            let how = if after.goes_down { "INHERIT" } else { "NO INHERIT" };
            change.push(format!("{table} ALTER CONSTRAINT {name} {how}"));
        }
        if !before.valid && after.valid {
            change.push(format!("{table} VALIDATE CONSTRAINT {name}"));
            change.hazards.push(Hazard::MayFail("a row with NULL in the column stops it".into()));
        }
    }
    if before.comment != after.comment {
        change.push(comment(new, after));
    }
}
