//! Forms of statements that let others go on reading and writing. They cost more time, and an index that is built so cannot be
//! part of a transaction.

use crate::catalog::{Kind, Object};
use crate::diff::compare::quoted;
use crate::diff::{Hazard, Step};
use crate::sql::Sql;

/// Adds the form to a step that makes an index, a foreign key or a check on a table that is there already.
pub(super) fn make(step: &mut Step, object: &Object, on_made_table: bool) {
    if on_made_table {
        return;
    }
    match object.kind {
        Kind::Index if is_plain_index(object) => {
            step.hazards
                .push(Hazard::BlocksWrites("nobody can write to the table while the index is built".into()));
            let create = object.create.replacen(" INDEX ", " INDEX CONCURRENTLY ", 1);
            let rest = step.statements.iter().skip(1).cloned();
            step.online = std::iter::once(Sql::from_server(create)).chain(rest).collect();
        }
        Kind::Constraint
            if matches!(object.detail("type"), "f" | "c")
                && object.detail("relkind") == "r"
                && !object.defined().ends_with(" NOT VALID")
                && !object.defined().ends_with(" NOT ENFORCED") =>
        {
            step.hazards.push(Hazard::BlocksWrites(
                "nobody can write to the table while its rows are checked".into(),
            ));
            let alter = object.alter.as_deref().unwrap_or_default();
            let validate = format!("{alter} VALIDATE CONSTRAINT {}", quoted(&object.name));
            let rest = step.statements.iter().skip(1).cloned();
            step.online = [format!("{} NOT VALID", object.create), validate]
                .into_iter()
                .map(Sql::from_server)
                .chain(rest)
                .collect();
        }
        Kind::Constraint
            if matches!(object.detail("type"), "p" | "u" | "x") && object.detail("relkind") == "r" =>
        {
            step.hazards.push(Hazard::BlocksWrites(
                "nobody can use the table while the index of the constraint is built".into(),
            ));
            if let Some(from_index) = built_as(object, &object.name) {
                let rest = step.statements.iter().skip(1).cloned();
                step.online = from_index.into_iter().map(Sql::from_server).chain(rest).collect();
            }
        }
        _ => {}
    }
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
            let on = format!(" ON {} USING ", object.detail("table"));
            let (head, rest) = object.create.split_once(&on)?;
            let unique = if head.starts_with("CREATE UNIQUE ") { "UNIQUE " } else { "" };
            Some(vec![format!("CREATE {unique}INDEX CONCURRENTLY {}{on}{rest}", quoted(index))])
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
pub(super) fn not_null(step: &mut Step, object: &Object, is_plain_table: bool) {
    let sets = |sql: &Sql| sql.as_str().ends_with(" SET NOT NULL");
    // From PostgreSQL 18 on it may be a constraint of its own, which is validated as others are.
    let adds = |sql: &Sql| {
        let text = sql.as_str();
        text.contains(" ADD CONSTRAINT ") && text.contains(" NOT NULL ") && !text.ends_with(" NOT VALID")
    };
    if !is_plain_table || !step.statements.iter().any(|sql| sets(sql) || adds(sql)) {
        return;
    }
    step.hazards.push(Hazard::BlocksWrites("nobody can use the table while its rows are checked".into()));
    let table = super::column::table_of(object);
    let mut name = format!("{}_not_null__check", object.name);
    if name.len() > 63 {
        name = format!("not_null__check_{}", object.details["number"]);
    }
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
