//! The functions that a mapping calls, and those that they call: where one is replaced, rows that nobody touched are mapped
//! to other values.
//!
//! They are known by their names, because a body that is a string says nothing else. So of functions that share a name all
//! are looked at: at worst rows are read again that are as they were.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::postgres::Session;
use crate::schema_to_schema::plan::{Plan, TablePlan};
use crate::sql::Sql;
use crate::sql::lex::{Token, TokenKind, lex};

/// Names, as the catalog has them.
type Names = BTreeSet<String>;

/// The functions that the tables of a plan depend on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Functions {
    /// Names that are called somewhere.
    pub(crate) watched: Vec<String>,
    /// Of every table of the plan, the names that its rows depend on.
    of: Vec<Names>,
}

/// One function of the source that a user has made.
pub(crate) struct Function {
    pub(crate) name: String,
    /// Its signature and a digest of what it computes.
    pub(crate) line: String,
    text: String,
    needs: Vec<String>,
}

/// What a text may call.
#[derive(Default)]
struct Mentioned {
    names: Names,
    /// Columns, or functions that are written like columns: `t.full_name`.
    dotted: Names,
    operators: Names,
}

impl Functions {
    /// Finds the functions that `plan` depends on, by its texts and the bodies of what they call.
    pub(crate) async fn read(source: &Session, plan: &Plan) -> Result<Self> {
        let mentioned: Vec<Mentioned> = plan.tables.iter().map(mentioned_by).collect();
        let mut unknown = Mentioned::default();
        for Mentioned { names, dotted, operators } in &mentioned {
            unknown.names.extend(names.iter().chain(dotted).cloned());
            unknown.operators.extend(operators.iter().cloned());
        }
        let mut watched: Names = mentioned.iter().flat_map(|one| one.names.iter().cloned()).collect();
        // What operators and casts call may be called by any table.
        let mut common = Names::new();
        let mut calls: BTreeMap<String, Names> = BTreeMap::new();
        let mut asked = Mentioned::default();
        let mut is_first = true;
        while is_first || !unknown.names.is_empty() || !unknown.operators.is_empty() {
            let names: Vec<String> = unknown.names.iter().cloned().collect();
            let operators: Vec<String> = unknown.operators.iter().cloned().collect();
            let found = functions(source, &names, &operators, is_first).await?;
            asked.names.append(&mut unknown.names);
            asked.operators.append(&mut unknown.operators);
            for function in found {
                if !asked.names.contains(&function.name) {
                    common.insert(function.name.clone());
                }
                let body = mentioned_in(&function.text);
                let called: Names = words_before_brackets(&function.text).chain(function.needs).collect();
                unknown.names.extend(called.iter().cloned());
                unknown.operators.extend(body.operators);
                watched.insert(function.name.clone());
                watched.extend(called.iter().cloned());
                calls.entry(function.name).or_default().extend(called);
            }
            unknown.names.retain(|name| !asked.names.contains(name));
            unknown.operators.retain(|operator| !asked.operators.contains(operator));
            is_first = false;
        }
        let of = mentioned.iter().map(|one| {
            let first = one.names.iter().chain(&one.dotted).chain(&common);
            reached(first.cloned().collect(), &calls)
        });
        Ok(Self { of: of.collect(), watched: watched.into_iter().collect() })
    }

    /// True where rows of the table at `index` depend on one of the functions called `name`.
    pub(crate) fn is_called(&self, name: &str, index: usize) -> bool {
        self.of.get(index).is_some_and(|names| names.contains(name))
    }
}

/// The users' functions of these names, and those behind users' operators and casts.
pub(crate) async fn functions(
    session: &Session,
    names: &[String],
    operators: &[String],
    with_casts: bool,
) -> Result<Vec<Function>> {
    let query = Sql::literal(include_str!("../../postgres/queries/functions.sql"));
    let rows = session.query(&query, &[&names, &operators, &with_casts]).await?;
    let function = |row: &crate::postgres::Row| Function {
        name: row.get(0),
        line: format!("{} {}", row.get::<_, &str>(1), row.get::<_, &str>(2)),
        text: row.get(3),
        needs: row.get(4),
    };
    Ok(rows.iter().map(function).collect())
}

/// All names that can be reached from the first ones.
fn reached(first: Names, calls: &BTreeMap<String, Names>) -> Names {
    let mut open: Vec<String> = first.iter().cloned().collect();
    let mut reached = first;
    while let Some(name) = open.pop() {
        for called in calls.get(&name).into_iter().flatten() {
            if reached.insert(called.clone()) {
                open.push(called.clone());
            }
        }
    }
    reached
}

/// What the SELECT of a table, and the queries of its `depends`, may call.
fn mentioned_by(table: &TablePlan) -> Mentioned {
    let written = table.columns.iter().filter(|column| column.source_column.is_none());
    let texts = written
        .map(|column| column.expression.as_str())
        .chain(table.query.filters.iter().map(Sql::as_str))
        .chain([table.query.joins.as_str()])
        .chain(table.depends.iter().map(|depends| depends.driving.value.as_str()));
    let mut all = Mentioned::default();
    for text in texts {
        let Mentioned { names, dotted, operators } = mentioned_in(text);
        all.names.extend(names);
        all.dotted.extend(dotted);
        all.operators.extend(operators);
    }
    all
}

fn mentioned_in(text: &str) -> Mentioned {
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let mut mentioned = Mentioned::default();
    for (index, token) in tokens.iter().enumerate() {
        if token.kind == TokenKind::Operator {
            mentioned.operators.insert(token.text(text).to_owned());
        }
        let Some(name) = token.identifier(text) else { continue };
        let is = |neighbour: Option<usize>, kind| {
            neighbour.and_then(|index| tokens.get(index)).is_some_and(|token| token.kind == kind)
        };
        if is(Some(index + 1), TokenKind::Open) {
            mentioned.names.insert(name.as_str().to_owned());
        } else if is(index.checked_sub(1), TokenKind::Dot) {
            mentioned.dotted.insert(name.as_str().to_owned());
        }
    }
    mentioned
}

/// Every word that has a bracket after it, also in strings, whatever the language.
fn words_before_brackets(text: &str) -> impl Iterator<Item = String> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
    let word = move |before: &str| {
        let before = before.trim_end();
        if let Some(quoted) = before.strip_suffix('"') {
            return quoted.rsplit('"').next().unwrap_or_default().to_owned();
        }
        before.rsplit(|letter| !is_part(letter)).next().unwrap_or_default().to_ascii_lowercase()
    };
    text.match_indices('(').map(move |(at, _)| word(&text[..at])).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Names {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_a_text_may_call_is_found() {
        let found = mentioned_in("lower(p.name) || app.\"Shown\" (p.*) @@@ p.full_name -- gone(x)");
        assert_eq!(found.names, names(&["lower", "Shown"]));
        assert_eq!(found.dotted, names(&["name", "full_name"]));
        assert!(found.operators.contains("@@@") && found.operators.contains("||"));
    }

    #[test]
    fn bodies_call_in_strings_too() {
        let found: Names =
            words_before_brackets("BEGIN EXECUTE 'SELECT app.Inner (1)'; RETURN \"My f\"(2) + (3); END")
                .collect();
        assert_eq!(found, names(&["inner", "My f"]));
    }

    #[test]
    fn what_is_called_calls_others() {
        let calls = [("a", &["b"][..]), ("b", &["c", "a"]), ("d", &["e"])];
        let calls = calls.into_iter().map(|(name, called)| (name.to_owned(), names(called))).collect();
        assert_eq!(reached(names(&["a"]), &calls), names(&["a", "b", "c"]));
    }
}
