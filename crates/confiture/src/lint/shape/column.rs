//! Columns and constraints, as `CREATE TABLE` and `ALTER TABLE … ADD` write them.

use std::ops::Range;

use super::super::cursor::{Cursor, Name};
use crate::sql::Identifier;
use crate::sql::lex::TokenKind;

/// A column's definition.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: Identifier,
    /// Its type.
    pub data_type: DataType,
    /// The bytes of its default's expression.
    pub default: Option<Range<usize>>,
    /// `NOT NULL`.
    pub not_null: bool,
    /// Constraints that stand in the definition.
    pub constraints: Vec<Constraint>,
    /// `GENERATED …`.
    pub generated: Option<Generated>,
    /// From its name to its end, in bytes of the statement.
    pub span: Range<usize>,
}

impl Column {
    /// A column of which no more than its name and type is known.
    pub(crate) fn of_type(name: Identifier, data_type: DataType) -> Self {
        let span = data_type.span.clone();
        Self {
            name,
            data_type,
            default: None,
            not_null: false,
            constraints: Vec::new(),
            generated: None,
            span,
        }
    }

    /// True for `PRIMARY KEY` in the definition.
    #[must_use]
    pub fn is_primary_key(&self) -> bool {
        self.constraints.iter().any(|one| matches!(one.kind, ConstraintKind::PrimaryKey))
    }
}

/// `GENERATED …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generated {
    /// `AS IDENTITY`.
    Identity,
    /// `AS (…) STORED`, and without a word before PostgreSQL 18.
    Stored,
    /// `AS (…) VIRTUAL`.
    Virtual,
}

/// A type's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataType {
    /// The name that the manual prefers, in lower case, without its schema: `character varying`.
    pub name: String,
    /// What stands in parentheses: `255`.
    pub modifier: Option<String>,
    /// An array of it.
    pub is_array: bool,
    /// In bytes of the statement.
    pub span: Range<usize>,
}

/// A constraint.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// Its name, where it is said.
    pub name: Option<Identifier>,
    /// What it demands.
    pub kind: ConstraintKind,
    /// The columns that it lists.
    pub columns: Vec<Identifier>,
    /// `NOT VALID`.
    pub not_valid: bool,
    /// `USING INDEX`.
    pub using_index: bool,
    /// The bytes of what stands in parentheses.
    pub inside: Range<usize>,
    /// In bytes of the statement.
    pub span: Range<usize>,
}

/// What a constraint demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConstraintKind {
    /// `PRIMARY KEY`.
    PrimaryKey,
    /// `UNIQUE`.
    Unique,
    /// `CHECK`.
    Check,
    /// `REFERENCES` this table.
    ForeignKey(Name),
    /// `EXCLUDE`.
    Exclusion,
    /// `NOT NULL` with a name of its own (PostgreSQL 18).
    NotNull,
}

/// Reads a column, from its name to the comma or parenthesis behind it.
pub(super) fn parse_column(cursor: &mut Cursor<'_>) -> Option<Column> {
    let start = cursor.position();
    let name = cursor.identifier()?;
    let data_type = parse_type(cursor)?;
    let mut column = Column {
        name,
        data_type,
        default: None,
        not_null: false,
        constraints: Vec::new(),
        generated: None,
        span: start..start,
    };
    while !cursor.ends_item() {
        parse_part(cursor, &mut column)?;
    }
    column.span.end = cursor.last_end();
    Some(column)
}

/// One clause of a column's definition.
fn parse_part(cursor: &mut Cursor<'_>, column: &mut Column) -> Option<()> {
    let mut named = cursor.clone();
    if named.eat("constraint") && named.identifier().is_some() && named.eat("not null") {
        *cursor = named;
        column.not_null = true;
    } else if cursor.eat("not null") {
        column.not_null = true;
    } else if cursor.eat("default") {
        // The first word is the expression's, also where it reads as a clause: `DEFAULT NULL`.
        let first = cursor.skip();
        column.default = Some(first.start..cursor.skip_until(starts_clause).end);
    } else if cursor.eat("generated") {
        cursor.skip_until(|cursor| cursor.sees("as"));
        cursor.eat("as");
        column.generated = Some(if cursor.eat("identity") {
            Generated::Identity
        } else {
            cursor.skip();
            if cursor.eat("virtual") { Generated::Virtual } else { Generated::Stored }
        });
    } else if starts_constraint(cursor) {
        column.constraints.push(parse_constraint(cursor)?);
    } else {
        cursor.skip();
    }
    Some(())
}

fn starts_clause(cursor: &Cursor<'_>) -> bool {
    [
        "not null",
        "null",
        "generated",
        "collate",
        "storage",
        "compression",
        "deferrable",
        "initially",
        "not deferrable",
    ]
    .into_iter()
    .any(|words| cursor.sees(words))
        || starts_constraint(cursor)
}

pub(super) fn starts_constraint(cursor: &Cursor<'_>) -> bool {
    ["constraint", "primary key", "unique", "check", "references", "foreign key", "exclude"]
        .into_iter()
        .any(|words| cursor.sees(words))
}

/// Reads a constraint of a column or of a table.
pub(super) fn parse_constraint(cursor: &mut Cursor<'_>) -> Option<Constraint> {
    let start = cursor.position();
    let name = if cursor.eat("constraint") { Some(cursor.identifier()?) } else { None };
    let mut columns = Vec::new();
    let mut inside = start..start;
    let kind = if cursor.eat("primary key") {
        columns = cursor.names_in_parentheses();
        ConstraintKind::PrimaryKey
    } else if cursor.eat("unique") {
        cursor.eat("nulls distinct");
        cursor.eat("nulls not distinct");
        columns = cursor.names_in_parentheses();
        ConstraintKind::Unique
    } else if cursor.eat("check") {
        inside = cursor.skip();
        ConstraintKind::Check
    } else if cursor.eat("exclude") {
        cursor.skip_until(|_| false);
        ConstraintKind::Exclusion
    } else if cursor.eat("not null") {
        columns.extend(cursor.identifier());
        ConstraintKind::NotNull
    } else {
        if cursor.eat("foreign key") {
            columns = cursor.names_in_parentheses();
        }
        if !cursor.eat("references") {
            return None;
        }
        let table = cursor.name()?;
        cursor.names_in_parentheses();
        ConstraintKind::ForeignKey(table)
    };
    let mut constraint =
        Constraint { name, kind, columns, not_valid: false, using_index: false, inside, span: start..start };
    parse_attributes(cursor, &mut constraint);
    constraint.span.end = cursor.last_end();
    Some(constraint)
}

/// `NOT VALID`, `USING INDEX`, `ON DELETE …`, `DEFERRABLE`: what belongs to the constraint, up to the column's next
/// clause.
fn parse_attributes(cursor: &mut Cursor<'_>, constraint: &mut Constraint) {
    loop {
        if cursor.eat("not valid") {
            constraint.not_valid = true;
        } else if cursor.eat("using index") {
            constraint.using_index = !cursor.sees("tablespace");
        } else if cursor.eat("on delete") || cursor.eat("on update") {
            // `SET NULL` and `SET DEFAULT` would read as clauses of the column.
            if cursor.eat("set") {
                cursor.advance();
            }
        } else if cursor.ends_item()
            || starts_constraint(cursor)
            || ["not null", "null", "default", "generated", "collate"]
                .into_iter()
                .any(|words| cursor.sees(words))
        {
            return;
        } else {
            cursor.skip();
        }
    }
}

/// Reads a type's name with its modifiers.
pub(super) fn parse_type(cursor: &mut Cursor<'_>) -> Option<DataType> {
    let start = cursor.position();
    cursor.eat("setof");
    let name = cursor.name()?;
    let mut name = name.name.as_str().to_owned();
    let follow = |cursor: &mut Cursor<'_>, word: &str| cursor.eat(word);
    match name.as_str() {
        "double" if follow(cursor, "precision") => name = "double precision".into(),
        "national" if follow(cursor, "character") || follow(cursor, "char") => name = "character".into(),
        _ => {}
    }
    if matches!(name.as_str(), "character" | "char" | "nchar" | "bit") && cursor.eat("varying") {
        name = if name == "bit" { "bit varying".into() } else { "character varying".into() };
    }
    let modifier = match cursor.peek() {
        Some(token) if token.kind == TokenKind::Open => {
            let span = cursor.skip();
            Some(cursor.source()[span.start + 1..span.end.max(span.start + 2) - 1].trim().to_owned())
        }
        _ => None,
    };
    if cursor.eat("with time zone") {
        name =
            if name.starts_with("time") && name != "time" { "timestamptz".into() } else { "timetz".into() };
    } else {
        cursor.eat("without time zone");
    }
    let mut is_array = cursor.eat("array");
    while let Some(token) = cursor.peek().filter(|token| token.kind == TokenKind::Other) {
        if token.text(cursor.source()) != "[" {
            break;
        }
        is_array = true;
        while let Some(token) = cursor.peek() {
            let closes = token.text(cursor.source()) == "]";
            cursor.advance();
            if closes {
                break;
            }
        }
    }
    Some(DataType { name: preferred(&name).to_owned(), modifier, is_array, span: start..cursor.last_end() })
}

/// The manual's first name of a type.
fn preferred(name: &str) -> &str {
    match name {
        "int" | "int4" => "integer",
        "int2" => "smallint",
        "int8" => "bigint",
        "serial4" => "serial",
        "serial8" => "bigserial",
        "serial2" => "smallserial",
        "bool" => "boolean",
        "varchar" => "character varying",
        "char" | "bpchar" | "nchar" => "character",
        "decimal" | "dec" => "numeric",
        "float4" => "real",
        "float8" | "float" => "double precision",
        "varbit" => "bit varying",
        other => other,
    }
}
