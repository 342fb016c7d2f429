//! `CREATE TABLE`.

use super::super::cursor::{Cursor, Name};
use super::column::{Column, Constraint, parse_column, parse_constraint, starts_constraint};
use crate::sql::lex::TokenKind;

/// `CREATE TABLE`, `CREATE TABLE … AS`, `CREATE MATERIALIZED VIEW`.
#[derive(Debug, Clone)]
pub struct CreateTable {
    /// Its name.
    pub name: Name,
    /// `TEMPORARY`.
    pub is_temporary: bool,
    /// Its columns come from elsewhere: a query, a parent, a type, `LIKE`.
    pub is_derived: bool,
    /// `INHERITS`.
    pub inherits: bool,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its constraints, without those that stand at a column.
    pub constraints: Vec<Constraint>,
}

pub(super) fn parse(mut cursor: Cursor<'_>) -> Option<CreateTable> {
    let mut is_temporary = false;
    while !cursor.eat("table") {
        if cursor.eat("materialized view") {
            cursor.eat("if not exists");
            return Some(empty(cursor.name()?, false));
        }
        is_temporary |= cursor.sees("temporary") || cursor.sees("temp");
        cursor.peek()?;
        cursor.advance();
    }
    cursor.eat("if not exists");
    let mut table = CreateTable { is_derived: false, ..empty(cursor.name()?, is_temporary) };
    if cursor.sees("partition of") || cursor.sees("of") || cursor.sees("as") {
        table.is_derived = true;
        return Some(table);
    }
    if !cursor.eat_kind(TokenKind::Open) {
        // `CREATE TABLE t USING heap AS SELECT …`
        table.is_derived = true;
        return cursor.holds("as").then_some(table);
    }
    parse_elements(&mut cursor, &mut table)?;
    table.inherits = cursor.holds("inherits");
    // `CREATE TABLE t (a, b) AS SELECT …` has names without types, which read as nothing.
    table.is_derived |= cursor.holds("as");
    Some(table)
}

fn empty(name: Name, is_temporary: bool) -> CreateTable {
    let (columns, constraints) = (Vec::new(), Vec::new());
    CreateTable { name, is_temporary, is_derived: true, inherits: false, columns, constraints }
}

fn parse_elements(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Option<()> {
    if cursor.eat_kind(TokenKind::Close) {
        return Some(());
    }
    loop {
        if cursor.eat("like") {
            table.is_derived = true;
            cursor.skip_until(|_| false);
        } else if starts_constraint(cursor) {
            table.constraints.push(parse_constraint(cursor)?);
        } else {
            let mut bare = cursor.clone();
            let is_bare = bare.identifier().is_some() && bare.ends_item();
            if is_bare {
                cursor.advance();
            } else {
                table.columns.push(parse_column(cursor)?);
            }
        }
        if !cursor.eat_kind(TokenKind::Comma) {
            return cursor.eat_kind(TokenKind::Close).then_some(());
        }
    }
}
