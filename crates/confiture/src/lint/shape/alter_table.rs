//! `ALTER TABLE` and its kin.

use std::ops::Range;

use super::super::cursor::{Cursor, Name};
use super::column::{
    Column, Constraint, DataType, parse_column, parse_constraint, parse_type, starts_constraint,
};
use crate::sql::Identifier;
use crate::sql::lex::TokenKind;

/// `ALTER TABLE`, `ALTER VIEW`, `ALTER INDEX`, ….
#[derive(Debug, Clone)]
pub struct AlterTable {
    /// `table`, `view`, `materialized view`, `index`, `sequence`, `foreign table`.
    pub kind: &'static str,
    /// `ONLY`.
    pub only: bool,
    /// Its name.
    pub name: Name,
    /// What is changed, in order.
    pub actions: Vec<Action>,
}

/// One action of an `ALTER TABLE`.
#[derive(Debug, Clone)]
pub struct Action {
    /// What it does.
    pub what: What,
    /// In bytes of the statement.
    pub span: Range<usize>,
}

/// What an action does.
#[derive(Debug, Clone)]
pub enum What {
    /// `ADD COLUMN`.
    AddColumn(Box<Column>),
    /// `DROP COLUMN`.
    DropColumn(Identifier),
    /// `ALTER COLUMN … TYPE`.
    AlterType {
        /// The column.
        column: Identifier,
        /// Its new type.
        data_type: DataType,
        /// With `USING`.
        using: bool,
    },
    /// `ALTER COLUMN … SET NOT NULL`.
    SetNotNull(Identifier),
    /// `ALTER COLUMN … DROP NOT NULL`.
    DropNotNull(Identifier),
    /// `ALTER COLUMN … ADD GENERATED … AS IDENTITY`.
    AddIdentity(Identifier),
    /// `ADD CONSTRAINT` and its short forms.
    AddConstraint(Box<Constraint>),
    /// `DROP CONSTRAINT`.
    DropConstraint(Identifier),
    /// `VALIDATE CONSTRAINT`.
    Validate(Identifier),
    /// `RENAME COLUMN`.
    RenameColumn(Identifier),
    /// `RENAME TO`.
    Rename(Identifier),
    /// `SET SCHEMA`.
    SetSchema(Identifier),
    /// `ATTACH PARTITION`.
    AttachPartition(Name),
    /// `DETACH PARTITION`; true: `CONCURRENTLY`.
    DetachPartition(bool),
    /// What writes the table anew: `SET LOGGED`, `SET TABLESPACE`, `SET ACCESS METHOD`.
    Rewrite(&'static str),
    /// `ENABLE ROW LEVEL SECURITY`: true; `DISABLE …`: false.
    RowSecurity(bool),
    /// Anything else.
    Other,
}

pub(super) fn parse(mut cursor: Cursor<'_>, kind: &'static str) -> Option<AlterTable> {
    if cursor.eat("all in tablespace") {
        return None;
    }
    cursor.eat("if exists");
    let only = cursor.eat("only");
    let name = cursor.name()?;
    if cursor.peek().is_some_and(|token| token.text(cursor.source()) == "*") {
        cursor.advance();
    }
    let mut actions = Vec::new();
    loop {
        let start = cursor.position();
        let what = parse_action(&mut cursor)?;
        cursor.skip_until(|_| false);
        actions.push(Action { what, span: start..cursor.last_end() });
        if !cursor.eat_kind(TokenKind::Comma) {
            return cursor.at_end().then_some(AlterTable { kind, only, name, actions });
        }
    }
}

fn parse_action(cursor: &mut Cursor<'_>) -> Option<What> {
    if cursor.eat("add") {
        return parse_add(cursor);
    }
    if cursor.eat("drop constraint") {
        cursor.eat("if exists");
        return Some(What::DropConstraint(cursor.identifier()?));
    }
    if cursor.eat("drop") {
        cursor.eat("column");
        cursor.eat("if exists");
        return Some(What::DropColumn(cursor.identifier()?));
    }
    if cursor.eat("alter constraint") {
        return Some(What::Other);
    }
    if cursor.eat("alter") {
        cursor.eat("column");
        return parse_alter_column(cursor);
    }
    if cursor.eat("validate constraint") {
        return Some(What::Validate(cursor.identifier()?));
    }
    if cursor.eat("rename") {
        return Some(match () {
            () if cursor.eat("to") => What::Rename(cursor.identifier()?),
            () if cursor.eat("constraint") => What::Other,
            () => {
                cursor.eat("column");
                What::RenameColumn(cursor.identifier()?)
            }
        });
    }
    if cursor.eat("set schema") {
        return Some(What::SetSchema(cursor.identifier()?));
    }
    if cursor.eat("attach partition") {
        return Some(cursor.name().map_or(What::Other, What::AttachPartition));
    }
    if cursor.eat("detach partition") {
        cursor.name();
        return Some(What::DetachPartition(cursor.eat("concurrently")));
    }
    let simple = [
        ("set logged", What::Rewrite("SET LOGGED")),
        ("set unlogged", What::Rewrite("SET UNLOGGED")),
        ("set tablespace", What::Rewrite("SET TABLESPACE")),
        ("set access method", What::Rewrite("SET ACCESS METHOD")),
        ("enable row level security", What::RowSecurity(true)),
        ("disable row level security", What::RowSecurity(false)),
    ];
    Some(simple.into_iter().find(|(words, _)| cursor.eat(words)).map_or(What::Other, |(_, what)| what))
}

fn parse_add(cursor: &mut Cursor<'_>) -> Option<What> {
    if starts_constraint(cursor) || cursor.sees("not null") {
        return Some(What::AddConstraint(Box::new(parse_constraint(cursor)?)));
    }
    cursor.eat("column");
    cursor.eat("if not exists");
    Some(What::AddColumn(Box::new(parse_column(cursor)?)))
}

fn parse_alter_column(cursor: &mut Cursor<'_>) -> Option<What> {
    let column = cursor.identifier()?;
    if cursor.eat("type") || cursor.eat("set data type") {
        let data_type = parse_type(cursor)?;
        cursor.skip_until(|cursor| cursor.sees("using"));
        return Some(What::AlterType { column, data_type, using: cursor.sees("using") });
    }
    Some(match () {
        () if cursor.eat("set not null") => What::SetNotNull(column),
        () if cursor.eat("drop not null") => What::DropNotNull(column),
        () if cursor.sees("add generated") => What::AddIdentity(column),
        () => What::Other,
    })
}
