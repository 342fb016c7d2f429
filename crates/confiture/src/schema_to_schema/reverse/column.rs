//! Where the values of an old column are on the new side. Pure.

use crate::catalog::{Catalog, Column, Relation};
use crate::config::mapping::ColumnValue;
use crate::error::Place;
use crate::schema_to_schema::plan::{ColumnPlan, TablePlan};
use crate::schema_to_schema::reverse::fidelity::{Fidelity, way_back};
use crate::sql::Identifier;
use crate::sql::lex::{Token, TokenKind, lex};

/// A new table that an old one drives.
pub(super) struct Part<'a> {
    pub(super) table: &'a TablePlan,
    pub(super) relation: &'a Relation,
    pub(super) source: &'a Catalog,
    pub(super) target: &'a Catalog,
}

/// What a new table has of an old column.
pub(super) enum Found<'a> {
    /// Its values.
    Value(Value<'a>),
    /// The user says that it is left alone.
    Left,
    /// Something that was made of it, of which it does not come back by itself.
    Lost { why: String, place: Option<&'a Place> },
    /// Nothing.
    Nothing,
}

/// The values of an old column, as the new table has them.
pub(super) struct Value<'a> {
    pub(super) value: ColumnValue,
    /// Where that may be refused: a sentence each.
    pub(super) notes: Vec<String>,
    pub(super) place: Option<&'a Place>,
    /// The new column, where it is just that.
    pub(super) column: Option<&'a Column>,
}

impl<'a> Part<'a> {
    /// What it has of the old column `old`.
    pub(super) fn find(&self, old: &Column) -> Found<'a> {
        if let Some(written) = self.table.reverse.iter().find(|written| written.column.value == old.name) {
            let place = written.value.place.as_ref().or(written.column.place.as_ref());
            return match &written.value.value {
                ColumnValue::Default => Found::Left,
                value => Found::Value(Value { value: value.clone(), notes: Vec::new(), place, column: None }),
            };
        }
        if self.table.query.statement.is_some() {
            let why = format!("a whole statement fills {}", self.table.target.short());
            return Found::Lost { why, place: self.table.place.as_ref() };
        }
        let mut lost = None;
        let mut refused = None;
        for plain in
            self.table.columns.iter().filter(|column| column.source_column.as_ref() == Some(&old.name))
        {
            let Some(new) = self.relation.column(&plain.target) else { continue };
            match way_back(&old.data_type, self.source, &new.data_type, self.target) {
                Fidelity::Exact => return Found::Value(self.plain(plain, old, new, None)),
                Fidelity::Refuses(why) => {
                    refused.get_or_insert_with(|| self.plain(plain, old, new, Some(why)));
                }
                Fidelity::Alters(why) => {
                    let why = format!("{}.{} is made of it, and {why}", self.table.target.short(), new.name);
                    lost.get_or_insert(Found::Lost { why, place: plain.place.as_ref() });
                }
            }
        }
        match refused {
            Some(value) => Found::Value(value),
            None => lost.or_else(|| self.made_of(old)).unwrap_or(Found::Nothing),
        }
    }

    fn plain(
        &self,
        plain: &'a ColumnPlan,
        old: &Column,
        new: &'a Column,
        refused: Option<String>,
    ) -> Value<'a> {
        let mut notes: Vec<String> = refused
            .map(|why| format!("{why}: such a value stops the way back with an error, and is never altered"))
            .into_iter()
            .collect();
        if old.not_null && !new.not_null {
            notes.push(format!(
                "{}.{} may be null, and {} may not: such a row stops the way back",
                self.table.target.short(),
                new.name,
                old.name
            ));
        }
        let value = ColumnValue::Column(new.name.clone());
        Value { value, notes, place: plain.place.as_ref(), column: Some(new) }
    }

    /// The new columns whose expressions speak of an old column.
    fn made_of(&self, old: &Column) -> Option<Found<'a>> {
        let speaks = |column: &&ColumnPlan| {
            column.source_column.is_none() && mentions(&column.shown, &self.table.query.alias, &old.name)
        };
        let made: Vec<&ColumnPlan> = self.table.columns.iter().filter(speaks).collect();
        let first = made.first()?;
        let names: Vec<String> = made.iter().map(|column| column.target.to_string()).collect();
        let why = format!(
            "{} of {} {} made of it by {}, which {} not come back by {}",
            names.join(", "),
            self.table.target.short(),
            if made.len() == 1 { "is" } else { "are" },
            if made.len() == 1 { "an expression" } else { "expressions" },
            if made.len() == 1 { "does" } else { "do" },
            if made.len() == 1 { "itself" } else { "themselves" },
        );
        Some(Found::Lost { why, place: first.place.as_ref() })
    }

    /// True where rows of the old table may be missing in it.
    pub(super) fn leaves_rows_out(&self) -> bool {
        !self.table.query.filters.is_empty() || joins_leave_out(self.table.query.joins.as_str())
    }

    /// The conditions of its rows, each written in one way.
    fn conditions(&self) -> Vec<String> {
        let query = &self.table.query;
        query.filters.iter().flat_map(|filter| conditions(filter.as_str(), &query.alias)).collect()
    }

    /// True where every row of it is one of `other`, but for those where `column` is null, if that is named.
    pub(super) fn is_among(&self, other: &Part<'_>) -> bool {
        let own = self.conditions();
        let same_joins = self.table.query.joins == other.table.query.joins;
        let no_joins = |part: &Part<'_>| !joins_leave_out(part.table.query.joins.as_str());
        other.conditions().iter().all(|condition| own.contains(condition)) && (no_joins(other) || same_joins)
    }

    /// True where it has a row for every row of `main`, but for those where `column` is null.
    pub(super) fn lacks_only_nulls(&self, main: &Part<'_>, column: &Identifier) -> bool {
        let known = main.conditions();
        let not_null = format!(" {} is not null", column.as_str());
        let same_joins = self.table.query.joins == main.table.query.joins;
        self.conditions().iter().all(|condition| *condition == not_null || known.contains(condition))
            && (!joins_leave_out(self.table.query.joins.as_str()) || same_joins)
    }

    /// The columns that nothing of the old side fills, and that no `reverse` reads.
    pub(super) fn new_columns(&self) -> Vec<&'a Identifier> {
        let is_read = |name: &Identifier| {
            self.table.reverse.iter().any(|written| match &written.value.value {
                ColumnValue::Column(column) => column == name,
                ColumnValue::Expression(text) => {
                    lex(text).any(|token| token.identifier(text).as_ref() == Some(name))
                }
                ColumnValue::Default => false,
            })
        };
        let skipped = self.table.skipped.iter().map(|(name, _)| name);
        skipped
            .filter(|name| self.relation.column(name).is_some_and(Column::is_writable) && !is_read(name))
            .collect()
    }
}

/// True where a text speaks of the column `name` of the row `alias`: by that alias, or by its name alone.
fn mentions(text: &str, alias: &Identifier, name: &Identifier) -> bool {
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    tokens.iter().enumerate().any(|(index, token)| {
        let dotted = index.checked_sub(1).is_some_and(|before| tokens[before].kind == TokenKind::Dot);
        let owner =
            if dotted { index.checked_sub(2).and_then(|at| tokens[at].identifier(text)) } else { None };
        token.identifier(text).as_ref() == Some(name) && (!dotted || owner.as_ref() == Some(alias))
    })
}

/// True where joins may leave rows of the driving table out: all but LEFT JOIN.
fn joins_leave_out(text: &str) -> bool {
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let mut depth = 0_i32;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth -= 1,
            TokenKind::Comma if depth == 0 => return true,
            _ if depth == 0 && token.is_word(text, "join") => {
                let before = |steps: usize| index.checked_sub(steps).map(|at| &tokens[at]);
                let is = |steps, word| before(steps).is_some_and(|token| token.is_word(text, word));
                if !(is(1, "left") || (is(1, "outer") && is(2, "left"))) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// The conditions that a text is made of, between the words AND, each written in one way: two that are equal mean the same.
fn conditions(text: &str, alias: &Identifier) -> Vec<String> {
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let (mut found, mut depth, mut is_range) = (vec![String::new()], 0_i32, false);
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        index += 1;
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth -= 1,
            // What is not a list of conditions is one.
            TokenKind::Word if depth == 0 && (token.is_word(text, "or") || token.is_word(text, "case")) => {
                return vec![text.trim().to_owned()];
            }
            TokenKind::Word if depth == 0 && token.is_word(text, "between") => is_range = true,
            TokenKind::Word if depth == 0 && token.is_word(text, "and") && !std::mem::take(&mut is_range) => {
                found.push(String::new());
                continue;
            }
            _ if tokens.get(index).is_some_and(|next| next.kind == TokenKind::Dot)
                && token.identifier(text).as_ref() == Some(alias) =>
            {
                index += 1;
                continue;
            }
            _ => {}
        }
        let Some(condition) = found.last_mut() else { continue };
        condition.push(' ');
        match token.identifier(text) {
            Some(name) => condition.push_str(name.as_str()),
            None => condition.push_str(token.text(text)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Identifier {
        Identifier::new(name)
    }

    #[test]
    fn columns_are_found_in_expressions() {
        let (u, name) = (named("u"), named("name"));
        for text in ["u.name", "upper(name)", "f(u . \"name\", 'x')", "u.name || p.name"] {
            assert!(mentions(text, &u, &name), "{text}");
        }
        for text in ["p.name", "'name'", "u.names", "name_of(u.id) -- name", "p.name || u.id"] {
            assert!(!mentions(text, &u, &name), "{text}");
        }
    }

    #[test]
    fn joins_that_keep_all_rows_are_told() {
        for text in ["", "left join b on b.id = a.id", "LEFT OUTER JOIN (b join c on true) ON true"] {
            assert!(!joins_leave_out(text), "{text}");
        }
        for text in ["join b on true", "left join b on true inner join c on true", ", b", "cross join b"] {
            assert!(joins_leave_out(text), "{text}");
        }
    }

    #[test]
    fn conditions_are_told_apart_and_written_in_one_way() {
        let u = named("u");
        assert_eq!(conditions("u.bio IS NOT NULL", &u), [" bio is not null"]);
        assert_eq!(
            conditions("(a AND b) AND /* so */ \"bio\" is not null and u.x between 1 and 2 and p.y", &u),
            [" ( a and b )", " bio is not null", " x between 1 and 2", " p . y"]
        );
        assert_eq!(conditions("a and b or c", &u), ["a and b or c"]);
    }
}
