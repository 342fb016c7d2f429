//! Base types that differ in what no `ALTER TYPE` changes: columns hold them as bytes that only their functions know. So with range types that
//! a function of their own makes canonical: neither can be made, or go, without the other.

use crate::catalog::{Kind, Object, Objects};
use crate::diff;
use crate::error::{Error, ErrorKind, Result};
use crate::schema_diff::Source;
use crate::sql::SplitScript;
use crate::sql::lex::lex;

/// Refuses such a type that is another one on the other side, at its place where a file makes it.
pub(super) fn refuse(old: &Objects, (new, source): (&Objects, &Source)) -> Result<()> {
    let differs = |object: &&Object| {
        let Some((_, other)) = old.find(&object.key()) else { return false };
        let is_canonical = || [object, other].iter().any(|range| range.create.contains(", CANONICAL = "));
        (object.kind == Kind::BaseType || object.kind == Kind::Range && is_canonical())
            && other.defined() != object.defined()
    };
    let Some(found) = new.all.iter().find(differs) else { return Ok(()) };
    let what = if found.kind == Kind::Range { "range type" } else { "base type" };
    let message = format!("the {what} {} differs in what no ALTER TYPE changes", found.identity);
    let error = Error::new(ErrorKind::Config, message)
        .hint("make the other one under another name, and give it to the columns");
    Err(match source {
        Source::Scripts(scripts) => at_its_place(error, scripts, &found.name),
        Source::Live(live) => error.context(format!("in {}", live.database)),
    })
}

/// The last `CREATE TYPE` of this name: the first one makes a shell of it.
fn at_its_place(error: Error, scripts: &[SplitScript], name: &str) -> Error {
    let mut all = scripts.iter().flat_map(|script| script.statements.iter().map(move |one| (script, one)));
    let makes = |text: &str| {
        let mut words = lex(text).filter(|token| !token.is_blank()).skip(1);
        words.next().is_some_and(|word| word.is_word(text, "TYPE"))
            && diff::made_by(text).is_some_and(|made| made.last().is_some_and(|last| last == name))
    };
    match all.rfind(|(script, statement)| makes(script.text_of(statement))) {
        Some((script, statement)) => error
            .at(script.script.place(statement.span.start))
            .excerpt(script.script.excerpt(statement.span.clone())),
        None => error,
    }
}
