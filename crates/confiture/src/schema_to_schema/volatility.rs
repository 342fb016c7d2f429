//! What a mapping may not call: functions that give another value each time. A row's values are computed when it is copied,
//! when a stopped run is proven, and when it is verified; all three must give the same.
//!
//! Functions that come with the server or an extension are known by what the catalog says of them, and the volatile ones
//! are refused. A user's own function is volatile wherever nobody wrote otherwise, so that says little: a remark tells it.

use crate::error::{Error, Place, Result};
use crate::postgres::Session;
use crate::schema_to_schema::check::located;
use crate::schema_to_schema::plan::Remark;
use crate::schema_to_schema::resolve::Draft;
use crate::sql::lex::{Token, TokenKind, lex};
use crate::sql::{Identifier, Sql};

/// A function that a piece of the mapping calls.
struct Call {
    schema: Option<Identifier>,
    name: Identifier,
    place: Option<Place>,
}

/// Refuses volatile functions; returns remarks about those that may be.
pub(crate) async fn check(draft: &Draft<'_>, session: &Session) -> Result<Vec<Remark>> {
    let pieces = pieces(draft);
    let calls: Vec<Call> = pieces.iter().flat_map(|(text, place)| calls(text, *place)).collect();
    let mut remarks: Vec<Remark> = pieces.iter().filter_map(|(text, place)| clock(text, *place)).collect();
    if calls.is_empty() {
        return Ok(remarks);
    }
    let schemas: Vec<Option<&str>> =
        calls.iter().map(|call| call.schema.as_ref().map(Identifier::as_str)).collect();
    let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
    let query = Sql::literal(include_str!("../postgres/queries/volatile.sql"));
    for (call, row) in calls.iter().zip(session.query(&query, &[&schemas, &names]).await?) {
        match row.get::<_, &str>(1) {
            "volatile" => return Err(refused(call)),
            "unknown" => remarks.push(Remark {
                message: format!(
                    "{} is marked VOLATILE: where it does not give the same for a row each time, verification finds differences; where it does, mark it STABLE or IMMUTABLE",
                    call.name
                ),
                place: call.place.clone(),
                warning: true,
            }),
            _ => {}
        }
    }
    Ok(remarks)
}

fn refused(call: &Call) -> Error {
    let name = &call.name;
    let error = Error::config(format!("{name}() gives another value each time, so no copy could be verified"))
        .hint("leave the column out, and give it a default in the target: that is computed once, when the row arrives")
        .hint(format!(
            "where it gives the same for the same row, call it in a function of your own that is marked STABLE instead of {name}()"
        ));
    located(error, call.place.as_ref())
}

/// The pieces of SQL that a user wrote for one table.
fn pieces<'a>(draft: &'a Draft<'_>) -> Vec<(&'a str, Option<&'a Place>)> {
    let mut pieces = Vec::new();
    for column in draft.columns.iter().filter(|column| column.source_column.is_none()) {
        pieces.push((column.shown.as_str(), column.place.as_ref()));
    }
    if let Some(filter) = &draft.filter {
        pieces.push((filter.value.as_str(), filter.place.as_ref()));
    }
    pieces.push((draft.query.joins.as_str(), draft.from_place.as_ref()));
    if let Some(statement) = &draft.query.statement {
        pieces.push((statement.as_str(), draft.place.as_ref()));
    }
    pieces
}

/// Names before an opening bracket. Some are no functions (`IN (`); of these the catalog knows nothing.
fn calls(text: &str, place: Option<&Place>) -> Vec<Call> {
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let mut calls = Vec::new();
    for (index, pair) in tokens.windows(2).enumerate() {
        let (Some(name), TokenKind::Open) = (pair[0].identifier(text), pair[1].kind) else { continue };
        let schema = match index.checked_sub(2).map(|before| &tokens[before..index]) {
            Some([schema, dot]) if dot.kind == TokenKind::Dot => schema.identifier(text),
            _ => None,
        };
        calls.push(Call { schema, name, place: place.cloned() });
    }
    calls
}

/// The names that the mapping of one table calls as functions, and words that only look so.
pub(crate) fn called_by(draft: &Draft<'_>) -> Vec<String> {
    pieces(draft).into_iter().flat_map(|(text, _)| called(text).collect::<Vec<_>>()).collect()
}

/// The names that `text` calls as functions, and words that only look so.
pub(crate) fn called(text: &str) -> impl Iterator<Item = String> {
    calls(text, None).into_iter().map(|call| call.name.as_str().to_owned())
}

/// A remark about the first word that means the present moment.
fn clock(text: &str, place: Option<&Place>) -> Option<Remark> {
    const CALLED: [&str; 3] = ["now", "transaction_timestamp", "statement_timestamp"];
    const BARE: [&str; 5] =
        ["current_timestamp", "current_date", "current_time", "localtimestamp", "localtime"];
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let means_now = |(index, token): (usize, &Token)| {
        let is_one_of = |words: &[&str]| words.iter().any(|word| token.is_word(text, word));
        let called = tokens.get(index + 1).is_some_and(|next| next.kind == TokenKind::Open);
        ((called && is_one_of(&CALLED)) || is_one_of(&BARE)).then(|| token.text(text))
    };
    let word = tokens.iter().enumerate().find_map(means_now)?;
    Some(Remark {
        message: format!(
            "{word} is another moment in each transaction, so verification may find differences; write a fixed time, or leave the column to its default"
        ),
        place: place.cloned(),
        warning: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_in_code_only() {
        let text = "lower(pg_catalog . random()) || 'nextval(' || \"My f\" (x) -- f(\n in (1)";
        let names: Vec<(Option<String>, String)> = calls(text, None)
            .into_iter()
            .map(|call| (call.schema.map(|schema| schema.to_string()), call.name.as_str().to_owned()))
            .collect();
        let bare = |name: &str| (None, name.to_owned());
        let qualified = (Some("pg_catalog".to_owned()), "random".to_owned());
        assert_eq!(names, [bare("lower"), qualified, bare("My f"), bare("in")]);
        assert!(clock("u.now", None).is_none() && clock("'now()'", None).is_none());
        assert!(clock("NOW ()", None).is_some() && clock("x < Current_Date", None).is_some());
    }
}
