//! The mapping of one table as the command line takes it: `full_name:display_name,email:email`.

use super::canonical::assign;
use super::lexer::{Fault, Token, lex};
use super::{ColumnMapping, ColumnValue, FromClause, Mapping, TableMapping, TableName, UnnamedColumns};
use crate::config::Spanned;
use crate::error::{Error, Result};
use crate::sql::Identifier;

impl Mapping {
    /// Reads `old:new,old:new` for one table: only the named columns are migrated. Names are written as in SQL, so that
    /// `"a:b":c` is the column `a:b`.
    pub fn parse_inline(source_table: &str, target_table: &str, text: &str) -> Result<Self> {
        let source = TableName::parse(source_table).map_err(|fault| usage(fault, "the source table"))?;
        let target = TableName::parse(target_table).map_err(|fault| usage(fault, "the target table"))?;
        let tokens = lex(text).map_err(|fault| usage(fault, "the column mapping"))?;
        let mut columns = Vec::new();
        for pair in tokens.split(|token| token.is_sign(',')) {
            let (old, new) = renaming(pair).ok_or_else(|| not_a_pair(text, pair))?;
            let column = Spanned::nowhere(new);
            let value = Spanned::nowhere(ColumnValue::Column(old));
            assign(&mut columns, ColumnMapping { column, value })
                .map_err(|error| Error::usage(error.message()).context("the column mapping"))?;
        }
        let table = TableMapping {
            from: Spanned::nowhere(FromClause::table(source)),
            columns,
            unnamed_columns: UnnamedColumns::Default,
            ..TableMapping::same_name(Spanned::nowhere(target))
        };
        Ok(Self { tables: vec![table], ..Self::default() })
    }
}

fn renaming(pair: &[Token]) -> Option<(Identifier, Identifier)> {
    match pair {
        [old, colon, new] if colon.is_sign(':') => Some((old.name()?, new.name()?)),
        _ => None,
    }
}

fn not_a_pair(text: &str, pair: &[Token]) -> Error {
    let written = pair.first().zip(pair.last()).map_or("", |(first, last)| &text[first.start..last.end]);
    Error::usage(format!("the column mapping: `{written}` is not `old_column:new_column`"))
        .hint("write pairs with commas in between, as in \"full_name:display_name,email:email\"")
}

/// A table's name on the command line or in code, written as in SQL.
impl std::str::FromStr for TableName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        TableName::parse(text).map_err(|fault| usage(fault, "the table's name"))
    }
}

fn usage(fault: Fault, what: &str) -> Error {
    let error = Error::usage(format!("{what}: {}", fault.message));
    match fault.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
