//! The pieces of SQL that a mapping is made of: names, `from` clauses, expressions, queries, statements.

use std::fmt;

use super::lexer::{Fault, Kind, Token, lex};
use super::{ColumnValue, FromClause, TableName};
use crate::sql::{Identifier, QualifiedName};

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

impl TableName {
    /// True where this name means `relation`; a name without a schema means it in any.
    #[must_use]
    pub fn names(&self, relation: &QualifiedName) -> bool {
        self.name == relation.name && self.schema.as_ref().is_none_or(|schema| *schema == relation.schema)
    }

    /// Reads `users`, `app.users` or `app."Weird Name"`.
    ///
    /// # Errors
    ///
    /// Where it is no such name; without a place.
    pub fn read(text: &str) -> crate::Result<Self> {
        Self::parse(text).map_err(Fault::error)
    }

    /// Reads `users`, `app.users` or `app."Weird Name"`; what is not quoted is folded to lower case, as PostgreSQL does.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let tokens = lex_name(text)?;
        let mut names = Names { tokens: &tokens, at: 0 };
        match names.table()? {
            Some(name) if names.at == tokens.len() => Ok(name),
            _ => Err(not_a_name(text)),
        }
    }
}

/// Reads one column's name.
pub(super) fn column_name(text: &str) -> Result<Identifier, Fault> {
    match lex_name(text)?.as_slice() {
        [only] => only.name().ok_or_else(|| not_a_name(text)),
        _ => Err(not_a_name(text)),
    }
}

fn lex_name(text: &str) -> Result<Vec<Token>, Fault> {
    let tokens = lex(text)?;
    // `users -- the old ones` would be a name with a comment; nobody means that.
    let end = tokens.last().map_or(0, |token| token.end);
    if text[end..].trim().is_empty() { Ok(tokens) } else { Err(not_a_name(text)) }
}

fn not_a_name(text: &str) -> Fault {
    let quoted = Identifier::new(text).to_string();
    if text.trim().is_empty() {
        return Fault::new(0, "a name cannot be empty");
    }
    Fault::new(0, format!("`{text}` is not a name as SQL writes it"))
        .hint(format!("a name with other characters than a-z, 0-9 and _ wants double quotes, and YAML quotes around them: '{quoted}'"))
}

/// Names of tables, one after the other.
struct Names<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Names<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn name(&mut self) -> Option<Identifier> {
        let name = self.peek()?.name()?;
        self.at += 1;
        Some(name)
    }

    fn sign(&mut self, sign: char) -> bool {
        let there = self.peek().is_some_and(|token| token.is_sign(sign));
        self.at += usize::from(there);
        there
    }

    fn table(&mut self) -> Result<Option<TableName>, Fault> {
        let start = self.peek().map_or(0, |token| token.start);
        let missing = || Fault::new(start, "a name is missing after the dot");
        let Some(first) = self.name() else { return Ok(None) };
        if !self.sign('.') {
            return Ok(Some(TableName { schema: None, name: first }));
        }
        let second = self.name().ok_or_else(missing)?;
        if self.sign('.') {
            return Err(Fault::new(start, "a table's name has at most two parts, `schema.table`")
                .hint("the database is chosen by `source` and `target`"));
        }
        Ok(Some(TableName { schema: Some(first), name: second }))
    }
}

const JOINS: &[&str] = &["join", "left", "right", "full", "inner", "cross", "natural"];
const CLAUSES: &[&str] = &[
    "where",
    "group",
    "order",
    "having",
    "limit",
    "offset",
    "union",
    "intersect",
    "except",
    "window",
    "fetch",
    "for",
];

impl FromClause {
    /// One table alone.
    #[must_use]
    pub fn table(driving: TableName) -> Self {
        Self { alias: driving.name.clone(), driving, aliased: false, rest: String::new() }
    }

    /// Takes `schema."Table" [as] alias [joins…]` apart after the driving table.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let tokens = whole(text)?;
        let mut names = Names { tokens: &tokens, at: 0 };
        if names
            .peek()
            .is_some_and(|token| token.is_sign('(') || token.is_word(&["lateral", "select", "only"]))
        {
            return Err(Fault::new(
                tokens[0].start,
                "`from` must start with a table: its key drives the migration",
            )
            .hint("name the driving table first and join the rest to it"));
        }
        let driving = names.table()?.ok_or_else(|| Fault::new(0, "`from` names no table"))?;
        if let Some(sign) = names.peek().filter(|token| token.is_sign('(')) {
            return Err(Fault::new(sign.start, "`from` must start with a table, not a function"));
        }
        let alias = names.alias()?;
        let aliased = alias.is_some();
        let alias = alias.unwrap_or_else(|| driving.name.clone());
        check_joins(&tokens[names.at..])?;
        let rest = names.peek().zip(tokens.last()).map_or("", |(first, last)| &text[first.start..last.end]);
        Ok(Self { driving, alias, aliased, rest: rest.to_owned() })
    }
}

impl Names<'_> {
    fn alias(&mut self) -> Result<Option<Identifier>, Fault> {
        let Some(next) = self.peek() else { return Ok(None) };
        let offset = next.start;
        if next.is_word(&["as"]) {
            self.at += 1;
            return self.name().map(Some).ok_or_else(|| Fault::new(offset, "an alias is missing after AS"));
        }
        if next.is_word(JOINS) || next.is_word(CLAUSES) || next.is_word(&["on", "using", "tablesample"]) {
            return Ok(None);
        }
        Ok(self.name())
    }
}

/// After the driving table, only joins may follow.
fn check_joins(rest: &[Token]) -> Result<(), Fault> {
    let mut depth = 0;
    for (index, token) in rest.iter().enumerate() {
        match token.kind {
            Kind::Sign('(' | '[') => depth += 1,
            Kind::Sign(')' | ']') => depth -= 1,
            _ if depth == 0 && token.is_word(CLAUSES) => {
                return Err(Fault::new(token.start, "`from` holds tables and joins only")
                    .hint("a condition goes into `where:`; grouping needs a view or `custom_sql:`"));
            }
            _ => {}
        }
        if index == 0 && !token.is_sign(',') && !token.is_word(JOINS) {
            return Err(Fault::new(token.start, "a join or the end is expected here")
                .hint("write: schema.table alias [join other o on …]"));
        }
    }
    Ok(())
}

/// Reads an SQL expression: its text without comments around it, and where in `text` that starts.
pub(super) fn expression(text: &str) -> Result<(&str, usize), Fault> {
    let tokens = whole(text)?;
    let mut depth = 0;
    for token in &tokens {
        match token.kind {
            Kind::Sign('(' | '[') => depth += 1,
            Kind::Sign(')' | ']') => depth -= 1,
            Kind::Sign(',') if depth == 0 => {
                return Err(Fault::new(token.start, "one expression is expected, here a second one follows"));
            }
            _ if depth == 0 && token.is_word(&["as"]) => {
                return Err(Fault::new(token.start, "an expression has no AS").hint("leave it out"));
            }
            _ => {}
        }
    }
    Ok(trimmed(text, &tokens))
}

/// Reads a query: one statement that starts with SELECT or the like.
pub(super) fn query(text: &str) -> Result<(&str, usize), Fault> {
    statement(text, &["select", "with", "values", "table"], "a query (SELECT …)")
}

/// Reads a whole `INSERT INTO … SELECT …`.
pub(super) fn insert(text: &str) -> Result<(&str, usize), Fault> {
    statement(text, &["insert", "with"], "one INSERT INTO … SELECT …")
}

fn statement<'a>(text: &'a str, starts: &[&str], what: &str) -> Result<(&'a str, usize), Fault> {
    let mut tokens = lex(text)?;
    while tokens.last().is_some_and(|token| token.is_sign(';')) {
        tokens.pop();
    }
    check_whole(&tokens)?;
    match tokens.iter().find(|token| !token.is_sign('(')) {
        Some(first) if first.is_word(starts) => Ok(trimmed(text, &tokens)),
        first => Err(Fault::new(first.map_or(0, |token| token.start), format!("{what} is expected here"))),
    }
}

fn trimmed<'a>(text: &'a str, tokens: &[Token]) -> (&'a str, usize) {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => (&text[first.start..last.end], first.start),
        _ => ("", 0),
    }
}

/// The tokens of a piece that is neither empty nor cut off.
fn whole(text: &str) -> Result<Vec<Token>, Fault> {
    let tokens = lex(text)?;
    if tokens.is_empty() {
        return Err(Fault::new(0, "SQL is expected here, but there is none"));
    }
    check_whole(&tokens)?;
    Ok(tokens)
}

fn check_whole(tokens: &[Token]) -> Result<(), Fault> {
    let mut open: Vec<(char, usize)> = Vec::new();
    for token in tokens {
        let Kind::Sign(sign) = token.kind else { continue };
        match sign {
            '(' => open.push((')', token.start)),
            '[' => open.push((']', token.start)),
            ')' | ']' if open.pop().is_none_or(|(closing, _)| closing != sign) => {
                return Err(Fault::new(token.start, format!("this `{sign}` closes nothing")));
            }
            ';' => return Err(Fault::new(token.start, "a `;` cannot stand here")),
            _ => {}
        }
    }
    match open.pop() {
        Some((_, offset)) => Err(Fault::new(offset, "this parenthesis is never closed")),
        None => Ok(()),
    }
}

impl ColumnValue {
    /// A column of the driving table where the expression is nothing else, so that the way back can be derived; else the
    /// expression. Without a `from` clause (the way back) a bare name is a column of the target.
    pub(super) fn of(expression: &str, from: Option<&FromClause>) -> Self {
        let tokens = lex(expression).unwrap_or_default();
        let column = match (tokens.as_slice(), from) {
            ([only], None) => bare_column(only),
            ([only], Some(from)) if from.rest.is_empty() => {
                bare_column(only).filter(|column| *column != from.alias)
            }
            ([alias, dot, column], Some(from)) if dot.is_sign('.') => {
                column.name().filter(|_| alias.name().as_ref() == Some(&from.alias))
            }
            _ => None,
        };
        column.map_or_else(|| Self::Expression(expression.to_owned()), Self::Column)
    }

    /// The SQL that [`ColumnValue::of`] reads as this very value; `None` for the target's default.
    pub(super) fn sql(&self, from: Option<&FromClause>) -> Option<String> {
        match (self, from) {
            (Self::Default, _) => None,
            (Self::Expression(expression), _) => Some(expression.clone()),
            (Self::Column(column), Some(from))
                if from.aliased || !from.rest.is_empty() || *column == from.alias =>
            {
                Some(format!("{}.{column}", from.alias))
            }
            (Self::Column(column), _) => Some(column.to_string()),
        }
    }
}

/// A bare word is a column unless it is a keyword (`current_user`, `true`).
fn bare_column(token: &Token) -> Option<Identifier> {
    let name = token.name()?;
    let keyword = match &token.kind {
        Kind::Word(word) => {
            word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && name.to_string() != *word
        }
        _ => false,
    };
    (!keyword).then_some(name)
}
