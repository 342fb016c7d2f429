//! Triggers of users.

use tokio_postgres::Row;

use super::relations::ByOid;
use super::{identifier, rendered, value};
use crate::catalog::{Oid, Trigger, TriggerEnabled};
use crate::error::{Error, Result};

pub(super) fn read(rows: &[Row], relations: &mut ByOid) -> Result<()> {
    for row in rows {
        if let Some(relation) = relations.get_mut(&value::<Oid>(row, "relation")?) {
            relation.triggers.push(Trigger {
                name: identifier(row, "name")?,
                definition: rendered(row, "definition")?,
                enabled: enabled(row)?,
                inherited: value(row, "inherited")?,
            });
        }
    }
    Ok(())
}

fn enabled(row: &Row) -> Result<TriggerEnabled> {
    Ok(match value::<&str>(row, "enabled")? {
        "O" => TriggerEnabled::Origin,
        "D" => TriggerEnabled::Disabled,
        "R" => TriggerEnabled::Replica,
        "A" => TriggerEnabled::Always,
        other => {
            return Err(Error::unexpected(format!("a trigger's mode {other:?} is new to this program")));
        }
    })
}
