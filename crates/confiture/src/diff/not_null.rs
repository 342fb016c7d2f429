//! NOT NULL: a property of a column, and from PostgreSQL 18 on a constraint with a name.

use std::collections::BTreeSet;

use crate::catalog::{Kind, Object, Objects};
use crate::diff::column::table_of;
use crate::diff::compare::{Change, Sides, quoted};
use crate::diff::hazard::Hazard;
use crate::sql::Literal;

/// The constraint of a column, where the server knows of one.
struct Constraint<'a> {
    name: &'a str,
    valid: bool,
    goes_down: bool,
    /// No parent has brought it.
    own: bool,
    /// It stays where the parents lose theirs.
    local: bool,
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
        local: is("local"),
        plain: is("plain"),
        comment: text("comment"),
    })
}

/// The names that constraints have. No two of a schema get one by themselves, but one that is asked for is given.
pub(super) fn names(objects: &Objects) -> BTreeSet<String> {
    let columns = objects.all.iter().filter(|object| object.kind == Kind::Column);
    columns.filter_map(|column| Some(constraint(column)?.name.to_owned())).collect()
}

/// What `CREATE TABLE` and `ADD COLUMN` say of it: ` CONSTRAINT filled NOT NULL`.
pub(super) fn within(column: &Object, taken: &BTreeSet<String>) -> Option<String> {
    if !column.is("not_null") {
        return None;
    }
    match constraint(column) {
        Some(one) if !one.valid => None,
        // Once a parent has brought it as well, its name stays as it is.
        Some(one) if !one.plain || taken.contains(one.name) => {
            let end = if one.goes_down { "" } else { " NO INHERIT" };
            Some(format!(" CONSTRAINT {} NOT NULL{end}", quoted(one.name)))
        }
        _ => Some(" NOT NULL".to_owned()),
    }
}

/// What `CREATE TABLE` says of a column that a parent brings, where the child demands it as well.
pub(super) fn beside_parents(column: &Object) -> Option<String> {
    let one = constraint(column).filter(|one| one.local && !one.own)?;
    Some(format!("CONSTRAINT {} NOT NULL {}", quoted(one.name), quoted(&column.name)))
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
pub(super) fn compare(change: &mut Change, sides: Sides<'_>, alter: &str, old: &Object, new: &Object) {
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
            let (Some(before), Some(after)) = (constraint(old), constraint(new)) else { return };
            match (before.own, after.own) {
                (true, true) => compare_constraints(change, sides, alter, &before, &after, new),
                // Before a parent brings it: afterwards it cannot be renamed.
                (true, false) => rename(change, sides, &before, &after, new),
                (false, false) if !before.local && after.local => {
                    change.push(format!("{alter} SET NOT NULL"));
                }
                (false, _) => {}
            }
        }
        (false, false) => {}
    }
}

fn compare_constraints(
    change: &mut Change,
    sides: Sides<'_>,
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
        rename(change, sides, before, after, new);
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

fn rename(
    change: &mut Change,
    sides: Sides<'_>,
    before: &Constraint<'_>,
    after: &Constraint<'_>,
    new: &Object,
) {
    if before.name == after.name {
        return;
    }
    let table = alter_table(new);
    let rename = format!("{table} RENAME CONSTRAINT {} TO {}", quoted(before.name), quoted(after.name));
    // A table of a type refuses new names, also for what is its own.
    match new.parent.map_or("", |table| sides.new.all[table].detail("of")) {
        "" => change.push(rename),
        of => [format!("{table} NOT OF"), rename, format!("{table} OF {of}")]
            .into_iter()
            .for_each(|statement| change.push(statement)),
    }
}

/// What a child's column has to do about its own constraint before its parents get theirs: with one of its own it keeps the name of that,
/// and without it gets the name of theirs. Neither can be changed later.
pub(super) fn before_parents(old: &Object, new: &Object) -> Option<String> {
    let after = constraint(new).filter(|after| !after.own)?;
    let alter = new.alter.as_deref()?.replacen(" TABLE ONLY ", " TABLE ", 1);
    match constraint(old) {
        None if after.local && after.plain => Some(format!("{alter} SET NOT NULL")),
        None if after.local => Some(add(new, &after)),
        Some(before) if before.own && !after.local => Some(format!("{alter} DROP NOT NULL")),
        _ => None,
    }
}

/// What of inherited constraints is other than in `new`, where no statement makes it so.
pub(super) fn others(old: &Objects, new: &Objects) -> Vec<String> {
    let other = |column: &Object| {
        let (_, before) = old.find(&column.key())?;
        let (before, after) = (constraint(before)?, constraint(column)?);
        let of = format!("the NOT NULL of {}", column.identity);
        if before.name != after.name {
            let (is, should) = (quoted(before.name), quoted(after.name));
            return Some(format!("{of} is named {is}, and {should} in the files"));
        }
        let how = if after.local { "only inherited" } else { "its own as well as inherited" };
        (before.local != after.local).then(|| format!("{of} is {how}, other than in the files"))
    };
    new.all.iter().filter(|object| object.kind == Kind::Column).filter_map(other).collect()
}
