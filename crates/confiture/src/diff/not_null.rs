//! NOT NULL: a property of a column, and from PostgreSQL 18 on a constraint with a name.

use std::collections::{BTreeSet, HashMap};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::column::table_of;
use crate::diff::compare::{Change, Sides, quoted};
use crate::diff::family;
use crate::diff::hazard::Hazard;
use crate::sql::{Literal, Sql};

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

/// The names that constraints have, and those that are asked for in what `comes`. No two of a schema get one by themselves, but one that is
/// asked for is given.
pub(super) fn names(sides: Sides<'_>, comes: impl Fn(usize) -> bool) -> BTreeSet<String> {
    let asked_for = (sides.new.all.iter().enumerate()).filter(|(at, _)| comes(*at));
    let asked_for = asked_for.filter_map(|(_, column)| constraint(column)).filter(|one| !one.plain);
    let there = sides.old.all.iter().filter_map(constraint);
    there.chain(asked_for).map(|one| one.name.to_owned()).collect()
}

/// False where a partition has a name for what its table demands that it cannot have got from there.
pub(super) fn are_named_alike(objects: &Objects, table: usize, partition: usize) -> bool {
    let of = |table| {
        objects.all.iter().filter(move |object| object.kind == Kind::Column && object.parent == Some(table))
    };
    let above: HashMap<&str, &str> =
        of(table).filter_map(|column| Some((column.name.as_str(), constraint(column)?.name))).collect();
    of(partition).all(|column| {
        let inherited = constraint(column).filter(|one| !one.own && !one.local);
        inherited.is_none_or(|one| above.get(column.name.as_str()).is_none_or(|name| *name == one.name))
    })
}

/// True where the server knows of a constraint that parents alone demand.
pub(super) fn is_only_inherited(column: &Object) -> bool {
    constraint(column).is_some_and(|one| !one.own && !one.local)
}

/// The name of a column's constraint that no parent has brought.
pub(super) fn own_name(column: &Object) -> Option<&str> {
    constraint(column).filter(|one| one.own).map(|one| one.name)
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

/// Also of a foreign table, whose constraints `ALTER FOREIGN TABLE` cannot rename.
fn alter_table(column: &Object) -> String {
    format!("ALTER TABLE {}", table_of(column))
}

/// Makes a constraint of this name, also where PostgreSQL would choose another by itself, for this one is another table's.
fn demand(sides: Sides<'_>, alter: &str, column: &Object, one: &Constraint<'_>) -> String {
    let is_taken =
        || sides.old.all.iter().any(|other| constraint(other).is_some_and(|other| other.name == one.name));
    if one.plain && !is_taken() { format!("{alter} SET NOT NULL") } else { add(column, one) }
}

/// The statements from one column to another, which begin with `alter`.
pub(super) fn compare(change: &mut Change, sides: Sides<'_>, alter: &str, old: &Object, new: &Object) {
    let may_fail = Hazard::MayFail("a row with NULL in the column stops it".into());
    match (old.is("not_null"), new.is("not_null")) {
        (false, true) => {
            let one = constraint(new);
            change.push(
                one.as_ref()
                    .map_or_else(|| format!("{alter} SET NOT NULL"), |one| demand(sides, alter, new, one)),
            );
            change.statements.extend(
                one.as_ref()
                    .filter(|one| one.comment.is_some())
                    .map(|one| Sql::from_server(comment(new, one))),
            );
            if one.is_none_or(|one| one.valid) {
                change.hazards.push(may_fail);
            }
        }
        (true, false) => change.push(format!("{alter} DROP NOT NULL")),
        (true, true) => {
            let (Some(before), Some(after)) = (constraint(old), constraint(new)) else { return };
            match (before.own, after.own) {
                (true, true) => compare_constraints(change, sides, alter, &before, &after, new),
                // Before a parent brings it: afterwards it cannot be renamed.
                (true, false) => {
                    rename(change, sides, &before, &after, new);
                }
                (false, false) => compare_inherited(change, alter, &before, &after, new),
                (false, true) => {}
            }
        }
        (false, false) => {}
    }
}

/// What a child can do about a constraint that a parent has brought.
fn compare_inherited(
    change: &mut Change,
    alter: &str,
    before: &Constraint<'_>,
    after: &Constraint<'_>,
    new: &Object,
) {
    if !before.local && after.local {
        change.push(format!("{alter} SET NOT NULL"));
    }
    // One of another name may get it from a parent first.
    if before.name != after.name {
        return;
    }
    if !before.valid && after.valid {
        change.push(format!("{} VALIDATE CONSTRAINT {}", alter_table(new), quoted(after.name)));
        change.hazards.push(Hazard::MayFail("a row with NULL in the column stops it".into()));
    }
    if before.comment != after.comment {
        change.push(comment(new, after));
    }
}

/// The name of a constraint that a parent had brought, now that the table is on its own.
pub(super) fn once_alone(change: &mut Change, sides: Sides<'_>, old: &Object, new: &Object) {
    if let (Some(before), Some(after)) = (constraint(old), constraint(new))
        && !before.own
    {
        rename(change, sides, &before, &after, new);
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
    let table = alter_table(new);
    let mut name = quoted(after.name);
    if before.valid && !after.valid {
        change.push(format!("{alter} DROP NOT NULL"));
        change.push(add(new, after));
    } else {
        name = rename(change, sides, before, after, new);
        if before.goes_down != after.goes_down {
            let how = if after.goes_down { "INHERIT" } else { "NO INHERIT" };
            change.push(format!("{table} ALTER CONSTRAINT {name} {how}"));
            if after.goes_down {
                change
                    .hazards
                    .push(Hazard::MayFail("a row with NULL in the column of a child stops it".into()));
            }
        }
        if !before.valid && after.valid {
            change.push(format!("{table} VALIDATE CONSTRAINT {name}"));
            change.hazards.push(Hazard::MayFail("a row with NULL in the column stops it".into()));
        }
    }
    if before.comment != after.comment && name == quoted(after.name) {
        change.push(comment(new, after));
    }
}

/// Gives a constraint the name of `after`, and says which name it has then.
fn rename<'a>(
    change: &mut Change,
    sides: Sides<'_>,
    before: &Constraint<'a>,
    after: &Constraint<'a>,
    new: &Object,
) -> String {
    if before.name == after.name || is_named_otherwise_below(sides.old, new, before.name) {
        return quoted(before.name);
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
    quoted(after.name)
}

/// True where a child's constraint has a name of its own: then the parent's stays what it is, for all are renamed together.
fn is_named_otherwise_below(old: &Objects, column: &Object, name: &str) -> bool {
    let Some((_, before)) = old.find(&column.key()) else { return false };
    let parents = family::parents(old);
    let is_child = |table: usize| {
        parents.get(&table).is_some_and(|above| above.iter().copied().any(|on| Some(on) == before.parent))
    };
    let inherits = |other: &&Object| {
        other.name == column.name && other.kind == Kind::Column && other.parent.is_some_and(is_child)
    };
    let below = old.all.iter().filter(inherits).filter_map(constraint);
    below.filter(|one| !one.own).any(|one| one.name != name)
}

/// What a child's column has to do about its own constraint before its parents get theirs: with one of its own it keeps the name of that,
/// and without it gets the name of theirs. Neither can be changed later.
pub(super) fn before_parents(sides: Sides<'_>, old: &Object, new: &Object) -> Option<String> {
    let after = constraint(new).filter(|after| !after.own)?;
    let alter = new.alter.as_deref()?.replacen(" TABLE ONLY ", " TABLE ", 1);
    match constraint(old) {
        None if after.local => Some(demand(sides, &alter, new, &after)),
        Some(before) if before.own && !after.local => Some(format!("{alter} DROP NOT NULL")),
        _ => None,
    }
}

/// What a domain's constraint is called, and what is said of it, beside whether there is one.
pub(super) fn compare_domains(change: &mut Change, old: &Object, new: &Object) {
    let Some(name) = new.details["not_null_name"].as_str() else { return };
    if let Some(before) = old.details["not_null_name"].as_str().filter(|before| *before != name) {
        change.push(format!("ALTER {} RENAME CONSTRAINT {before} TO {name}", new.phrase));
    }
    if old.details["not_null_comment"] != new.details["not_null_comment"] {
        change.statements.extend(comment_of_domain(new));
    }
}

/// `COMMENT ON CONSTRAINT` for that of a domain.
pub(super) fn comment_of_domain(domain: &Object) -> Option<Sql> {
    let name = domain.details["not_null_name"].as_str()?;
    let text = domain.details["not_null_comment"].as_str();
    let text = text.map_or_else(|| "NULL".to_owned(), |text| Literal(text).to_string());
    Some(Sql::from_server(format!(
        "COMMENT ON CONSTRAINT {name} ON {} IS {}",
        domain.phrase,
        text.trim_start()
    )))
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
        if before.valid && !after.valid {
            return Some(format!("{of} is validated, other than in the files"));
        }
        let how = if after.local { "only inherited" } else { "its own as well as inherited" };
        (before.local != after.local).then(|| format!("{of} is {how}, other than in the files"))
    };
    new.all.iter().filter(|object| object.kind == Kind::Column).filter_map(other).collect()
}
