//! What a statement is, as far as rules ask.
//!
//! This reads by our own lexer and not by a parser of PostgreSQL's whole grammar. `squawk-syntax`, the candidate, was
//! looked at: its newest release wants a newer compiler than this project, its tree changes between releases, and what
//! rules ask is a dozen statements deep. What is not read here is no fault: the server decides what a statement means,
//! and a statement of these kinds that cannot be read is *said* to be unread ([`Shape::Unread`]), so that nobody takes
//! silence for a yes.

mod alter_table;
mod column;
mod create_index;
mod create_table;

pub use alter_table::{Action, AlterTable, What};
pub use column::{Column, Constraint, ConstraintKind, DataType, Generated};
pub use create_index::CreateIndex;
pub use create_table::CreateTable;

use super::cursor::{Cursor, Name};

/// A statement, as far as rules ask.
#[derive(Debug, Clone)]
pub enum Shape {
    /// `CREATE TABLE`, also `CREATE TABLE … AS` and `CREATE MATERIALIZED VIEW`.
    CreateTable(CreateTable),
    /// `ALTER TABLE` and its kin for views, indexes and sequences.
    AlterTable(AlterTable),
    /// `CREATE INDEX`.
    CreateIndex(CreateIndex),
    /// `DROP` of anything.
    Drop(Drop),
    /// `BEGIN` or `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`, `ROLLBACK`, `ABORT`.
    EndTransaction,
    /// Another statement: rules look at its words.
    Other,
    /// A statement of a kind that rules ask about, which could not be read.
    Unread,
}

/// `DROP TABLE a, b CASCADE`.
#[derive(Debug, Clone)]
pub struct Drop {
    /// What is dropped, in upper case: `TABLE`, `INDEX`, `MATERIALIZED VIEW`.
    pub kind: String,
    /// `CONCURRENTLY`.
    pub concurrently: bool,
    /// The names.
    pub names: Vec<Name>,
    /// `CASCADE`.
    pub cascade: bool,
}

/// Reads one statement.
pub(in crate::lint) fn parse_shape(text: &str) -> Shape {
    let mut cursor = Cursor::new(text);
    if cursor.sees("create") {
        return parse_create(cursor);
    }
    if cursor.eat("alter") {
        let kinds = ["table", "materialized view", "view", "index", "sequence", "foreign table"];
        return match kinds.into_iter().find(|kind| cursor.eat(kind)) {
            Some(kind) => alter_table::parse(cursor, kind).map_or(Shape::Unread, Shape::AlterTable),
            None => Shape::Other,
        };
    }
    if cursor.eat("drop") {
        return parse_drop(cursor).map_or(Shape::Other, Shape::Drop);
    }
    let is_transaction = |mut cursor: Cursor<'_>| {
        cursor.advance();
        while ["transaction", "work"].into_iter().any(|word| cursor.eat(word)) {}
        cursor.at_end()
    };
    match cursor.word().as_deref() {
        Some("begin") => Shape::Begin,
        Some("start") if cursor.sees("start transaction") => Shape::Begin,
        Some("commit" | "end" | "rollback" | "abort") if is_transaction(cursor.clone()) => {
            Shape::EndTransaction
        }
        _ => Shape::Other,
    }
}

fn parse_create(cursor: Cursor<'_>) -> Shape {
    let mut after = cursor.clone();
    after.advance();
    let before_table = ["or replace", "global", "local", "temporary", "temp", "unlogged"];
    while before_table.into_iter().any(|word| after.eat(word)) {}
    if after.sees("table") || after.sees("materialized view") {
        return create_table::parse(cursor).map_or(Shape::Unread, Shape::CreateTable);
    }
    if after.sees("index") || after.sees("unique index") {
        return create_index::parse(after).map_or(Shape::Unread, Shape::CreateIndex);
    }
    Shape::Other
}

fn parse_drop(mut cursor: Cursor<'_>) -> Option<Drop> {
    let two_words =
        ["materialized view", "foreign table", "event trigger", "access method", "owned by", "user mapping"];
    let kind = two_words.into_iter().find(|kind| cursor.eat(kind)).map(str::to_uppercase);
    let kind = match kind {
        Some(kind) => kind,
        None => {
            let kind = cursor.word()?.to_uppercase();
            cursor.advance();
            kind
        }
    };
    let concurrently = cursor.eat("concurrently");
    cursor.eat("if exists");
    let mut names = Vec::new();
    let mut rest = cursor.clone();
    while let Some(name) = rest.name() {
        names.push(name);
        rest.skip_until(|cursor| cursor.sees("cascade") || cursor.sees("restrict"));
        if !rest.eat_kind(crate::sql::lex::TokenKind::Comma) {
            break;
        }
    }
    Some(Drop { kind, concurrently, names, cascade: cursor.holds("cascade") })
}
