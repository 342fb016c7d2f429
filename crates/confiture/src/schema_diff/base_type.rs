//! Types whose input and output are functions in C: a catalog does not tell what makes them.

use crate::catalog::{Kind, Objects};
use crate::diff;
use crate::error::{Error, ErrorKind, Result};
use crate::schema_diff::Source;
use crate::sql::SplitScript;
use crate::sql::lex::lex;

/// Refuses a base type that is on one side only, at its place where a file makes it: on both sides it is left as it is.
pub(super) fn refuse(one: (&Objects, &Source), other: (&Objects, &Source)) -> Result<()> {
    for ((here, source), there) in [(one, other.0), (other, one.0)] {
        let alone =
            |kind, name: &String| kind == Kind::BaseType && there.find(&(kind, name.clone())).is_none();
        if let Some(found) = here.all.iter().find(|object| alone(object.kind, &object.identity)) {
            let error = Error::new(
                ErrorKind::Config,
                format!(
                    "the base type {} is in one schema only, and no plan can make or drop it",
                    found.identity
                ),
            )
            .hint("have it on both sides: they are then compared without it; or make it with an extension");
            return Err(match source {
                Source::Scripts(scripts) => at_its_place(error, scripts, &found.name),
                Source::Live(live) => error.context(format!("in {}", live.database)),
            });
        }
    }
    Ok(())
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
