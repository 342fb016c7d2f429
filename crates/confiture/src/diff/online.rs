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
        _ => {}
    }
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
