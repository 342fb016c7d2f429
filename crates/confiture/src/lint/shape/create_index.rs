//! `CREATE INDEX`.

use super::super::cursor::{Cursor, Name};
use crate::sql::Identifier;

/// `CREATE INDEX`.
#[derive(Debug, Clone)]
pub struct CreateIndex {
    /// `CONCURRENTLY`.
    pub concurrently: bool,
    /// `UNIQUE`.
    pub unique: bool,
    /// Its name, where it is said.
    pub name: Option<Name>,
    /// `ON ONLY`: of a partitioned table, without its partitions.
    pub only: bool,
    /// The table.
    pub table: Name,
    /// The columns; an expression gives none.
    pub columns: Vec<Identifier>,
    /// It has a `WHERE`.
    pub partial: bool,
}

pub(super) fn parse(mut cursor: Cursor<'_>) -> Option<CreateIndex> {
    let unique = cursor.eat("unique");
    cursor.eat("index");
    let concurrently = cursor.eat("concurrently");
    cursor.eat("if not exists");
    let name = if cursor.sees("on") { None } else { cursor.name() };
    if !cursor.eat("on") {
        return None;
    }
    let only = cursor.eat("only");
    let table = cursor.name()?;
    if cursor.eat("using") {
        cursor.advance();
    }
    let columns = cursor.names_in_parentheses();
    Some(CreateIndex { concurrently, unique, name, only, table, columns, partial: cursor.holds("where") })
}
