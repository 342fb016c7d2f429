//! Columns.

use tokio_postgres::Row;

use super::relations::ByOid;
use super::{identifier, letter, qualified_name, rendered, value};
use crate::catalog::{Column, Generated, Identity, Oid, TypeUse};
use crate::error::{Error, Result};

pub(super) fn read(rows: &[Row], relations: &mut ByOid) -> Result<()> {
    for row in rows {
        if let Some(relation) = relations.get_mut(&value::<Oid>(row, "relation")?) {
            relation.columns.push(column(row)?);
        }
    }
    Ok(())
}

fn column(row: &Row) -> Result<Column> {
    let has_default = value::<bool>(row, "has_default")?;
    Ok(Column {
        name: identifier(row, "name")?,
        number: value(row, "number")?,
        data_type: TypeUse {
            oid: value(row, "type_oid")?,
            modifier: value(row, "type_modifier")?,
            text: value(row, "type_text")?,
        },
        not_null: value(row, "not_null")?,
        default: has_default.then(|| rendered(row, "default")).transpose()?,
        identity: match letter(row, "identity")? {
            None => None,
            Some('a') => Some(Identity::Always),
            Some('d') => Some(Identity::ByDefault),
            Some(other) => return Err(unknown("identity", other)),
        },
        generated: match letter(row, "generated")? {
            None => None,
            Some('s') => Some(Generated::Stored),
            Some('v') => Some(Generated::Virtual),
            Some(other) => return Err(unknown("generated column", other)),
        },
        collation: qualified_name(row, "collation_schema", "collation_name")?,
        storage: letter(row, "storage")?.unwrap_or('p'),
        compression: letter(row, "compression")?,
        sequence: None,
    })
}

fn unknown(what: &str, letter: char) -> Error {
    Error::unexpected(format!("a kind of {what}, {letter:?}, is new to this program"))
}
