//! Forms of statements that let others go on reading and writing. They cost more time, and an index that is built so cannot be
//! part of a transaction.

use crate::catalog::{Kind, Object, Objects};
use crate::diff::aside;
use crate::diff::compare::quoted;
use crate::diff::fate::Work;
use crate::diff::{Hazard, Step, family, partitioned};
use crate::sql::Sql;

/// Adds the form to a step that makes an index, a key, a foreign key or a check on a table that is there already.
pub(super) fn make(step: &mut Step, work: &Work<'_>, at: usize) {
    let new = work.sides.new;
    let object = &new.all[at];
    if work.made[new.root(at)] {
        return;
    }
    let Some(blocks) = blocks(new, at) else { return };
    step.hazards.push(Hazard::BlocksWrites(blocks.into()));
    let is_partitioned = family::is_of_partitioned(object);
    let statements = match object.detail("type") {
        "c" => validated(object),
        _ if is_partitioned => partitioned::make(work, at),
        "f" => validated(object),
        _ => built_as(object, &object.name),
    };
    if let Some(statements) = statements {
        let rest: Vec<Sql> = step.statements.drain(1..).collect();
        step.by_parts = is_partitioned && object.detail("type") != "c";
        let ahead = if is_partitioned { partitioned::ahead(work, at) } else { ahead(work, at) };
        if let Some(ahead) = ahead {
            step.ahead = ahead.into_iter().map(Sql::from_server).chain(rest.iter().cloned()).collect();
        }
        if work.by_parts && step.by_parts {
            step.statements = statements.iter().map(|text| plain(text)).collect();
        }
        step.statements.extend(rest.iter().cloned());
        step.online = statements.into_iter().map(Sql::from_server).chain(rest).collect();
    }
}

/// The same as part of a transaction.
fn plain(statement: &str) -> Sql {
    for head in ["CREATE INDEX ", "CREATE UNIQUE INDEX "] {
        if let Some(rest) = statement.strip_prefix(head).and_then(|rest| rest.strip_prefix("CONCURRENTLY ")) {
            return Sql::from_server(format!("{head}{rest}"));
        }
    }
    Sql::from_server(statement.to_owned())
}

/// What builds an index of its own before all that belongs together with it, and what makes it, or its key, of that; nothing where it stands on what comes
/// or changes there.
fn ahead(work: &Work<'_>, at: usize) -> Option<Vec<String>> {
    let object = &work.sides.new.all[at];
    let is_it = |one: &Object| aside::place(one) == aside::place(object);
    let is_taken = object.kind == Kind::Index || work.sides.old.all.iter().any(is_it);
    let meanwhile = work.ahead.get(&at)?.of(&object.name);
    let name = if is_taken { &meanwhile } else { &object.name };
    let mut statements = built_as(object, name)?;
    if object.kind == Kind::Index {
        statements.push(renamed(object, name));
    }
    let stays = object.depends.iter().all(|on| work.was_there(*on));
    stays.then_some(statements)
}

/// Gives an index its name, which is called `from` until then.
pub(super) fn renamed(index: &Object, from: &str) -> String {
    let schema = quoted(index.schema.as_deref().unwrap_or_default());
    format!("ALTER INDEX {schema}.{} RENAME TO {}", quoted(from), quoted(&index.name))
}

/// What others have to wait for where it is made in its plain form; nothing where they have not.
fn blocks(new: &Objects, at: usize) -> Option<&'static str> {
    let object = &new.all[at];
    let waits_for_parts = family::has_attached(new, at) || !object.is("valid");
    let is_unproved = [" NOT VALID", " NOT ENFORCED"].iter().any(|end| object.defined().ends_with(end));
    match (object.kind, object.detail("type")) {
        (Kind::Index, _) if matches!(object.detail("table_kind"), "r" | "m" | "p") && !waits_for_parts => {
            Some("nobody can write to the table while the index is built")
        }
        (Kind::Constraint, _) if !matches!(object.detail("relkind"), "r" | "p") => None,
        (Kind::Constraint, "f" | "c") if !is_unproved => {
            Some("nobody can write to the table while its rows are checked")
        }
        (Kind::Constraint, "p" | "u" | "x") if !waits_for_parts => {
            Some("nobody can use the table while the index of the constraint is built")
        }
        _ => None,
    }
}

/// A constraint that is added first, and then proved.
pub(super) fn validated(object: &Object) -> Option<Vec<String>> {
    let alter = object.alter.as_deref()?;
    let validate = format!("{alter} VALIDATE CONSTRAINT {}", quoted(&object.name));
    Some(vec![format!("{} NOT VALID", object.create), validate])
}

/// True for an index or a key that can be built without keeping anybody out, and belongs to no other one.
pub(super) fn is_built_apart(object: &Object) -> bool {
    let is_alone = !object.inherited && object.detail("index_parent").is_empty();
    is_alone && built_as(object, &object.name).is_some()
}

/// Builds an index of this name, and makes the constraint from it, where it is for one; nothing where there is no such form.
pub(super) fn built_as(object: &Object, index: &str) -> Option<Vec<String>> {
    match object.kind {
        Kind::Index if is_plain_index(object) => {
            let unique = if object.is("unique") { "UNIQUE " } else { "" };
            let head = format!("CREATE {unique}INDEX {}", quoted(&object.name));
            let rest = object.create.strip_prefix(&head)?;
            Some(vec![format!("CREATE {unique}INDEX CONCURRENTLY {}{rest}", quoted(index))])
        }
        Kind::Constraint if object.detail("relkind") == "r" => from_index(object, &quoted(index)),
        _ => None,
    }
}

/// The index first, then the constraint from it; nothing where the definition has what only one of the statements can say.
fn from_index(object: &Object, index: &str) -> Option<Vec<String>> {
    let (kind, rest) = object.defined().split_once(" (")?;
    let (kind, nulls) = match kind.strip_suffix(" NULLS NOT DISTINCT") {
        Some(kind) => (kind, " NULLS NOT DISTINCT"),
        None => (kind, ""),
    };
    let timing = ["DEFERRABLE INITIALLY DEFERRED", "DEFERRABLE"].into_iter().find(|end| rest.ends_with(end));
    let columns = timing.map_or(rest, |timing| rest.strip_suffix(timing).unwrap_or(rest)).trim_end();
    if !matches!(kind, "PRIMARY KEY" | "UNIQUE") || columns.contains(" WITHOUT OVERLAPS") {
        return None;
    }
    let alter = object.alter.as_deref()?;
    let table = alter.strip_prefix("ALTER TABLE ").unwrap_or(alter);
    let name = quoted(&object.name);
    let timing = timing.map_or_else(String::new, |timing| format!(" {timing}"));
    Some(vec![
        format!("CREATE UNIQUE INDEX CONCURRENTLY {index} ON {table} ({columns}{nulls}"),
        format!("{alter} ADD CONSTRAINT {name} {kind} USING INDEX {index}{timing}"),
    ])
}

/// Adds the form to a step that sets NOT NULL on a column of a table that is there: a check is added, and proved without keeping
/// anybody out, and then tells that no row has to be read.
pub(super) fn not_null(step: &mut Step, work: &Work<'_>, at: usize) {
    let new = work.sides.new;
    let (object, table) = (&new.all[at], new.root(at));
    let is_there = new.all[table].kind == Kind::Table && !work.made[table];
    let sets = |sql: &Sql| sql.as_str().ends_with(" SET NOT NULL");
    // From PostgreSQL 18 on it may be a constraint of its own, which is validated as others are.
    let adds = |sql: &Sql| {
        let text = sql.as_str();
        text.contains(" ADD CONSTRAINT ") && text.contains(" NOT NULL ") && !text.ends_with(" NOT VALID")
    };
    if !is_there || !step.statements.iter().any(|sql| sets(sql) || adds(sql)) {
        return;
    }
    step.hazards.push(Hazard::BlocksWrites("nobody can use the table while its rows are checked".into()));
    let table = super::column::table_of(object);
    let name = aside::passing(work.sides, &object.name, "_not_null__check");
    let (name, column) = (quoted(&name), quoted(&object.name));
    let around = |sql: &Sql| {
        if adds(sql) {
            let own = not_null_name(object);
            return vec![
                Sql::from_server(format!("{sql} NOT VALID")),
                Sql::from_server(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {own}")),
            ];
        }
        if !sets(sql) {
            return vec![sql.clone()];
        }
        [
            format!("ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID"),
            format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"),
            sql.as_str().to_owned(),
            format!("ALTER TABLE {table} DROP CONSTRAINT {name}"),
        ]
        .map(Sql::from_server)
        .into()
    };
    step.online = step.statements.iter().flat_map(around).collect();
}

fn not_null_name(column: &Object) -> String {
    quoted(column.details["not_null_constraint"]["name"].as_str().unwrap_or_default())
}

/// Adds the form to a step that drops an index.
pub(super) fn drop(step: &mut Step, object: &Object) {
    if object.kind == Kind::Index && is_plain_index(object) && step.statements.len() == 1 {
        let drop = object.drop.replacen("DROP INDEX ", "DROP INDEX CONCURRENTLY ", 1);
        step.online = vec![Sql::from_server(drop)];
    }
}

fn is_plain_index(object: &Object) -> bool {
    matches!(object.detail("table_kind"), "r" | "m") && object.is("valid")
}
