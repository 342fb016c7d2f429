//! Sequences that get other bounds: one that stands outside of them has to be moved first.

use crate::diff::compare::Change;

/// Moves the sequence into the new bounds where it may stand outside of them, and gives what has to follow the statement that
/// sets them: where old and new bounds have nothing in common, it starts afresh.
pub(super) fn fit(change: &mut Change, name: &str, before: &str, after: &str) -> &'static str {
    let (Some((lowest, highest)), Some((low, high))) = (bounds(before), bounds(after)) else { return "" };
    if low > highest || high < lowest {
        return " RESTART";
    }
    let literal = crate::sql::Literal(name).to_string();
    let literal = literal.trim_start();
    if low > lowest {
        change.push(format!(
            "SELECT pg_catalog.setval({literal}, {low}, false) FROM {name} WHERE last_value < {low}"
        ));
    }
    if high < highest {
        change.push(format!(
            "SELECT pg_catalog.setval({literal}, {high}, true) FROM {name} WHERE last_value > {high}"
        ));
    }
    ""
}

/// Between which numbers a sequence with these parameters stays.
pub(super) fn bounds(parameters: &str) -> Option<(i64, i64)> {
    Some((number(parameters, "MINVALUE")?, number(parameters, "MAXVALUE")?))
}

/// The number behind a word.
fn number(parameters: &str, word: &str) -> Option<i64> {
    let mut words = parameters.split(' ');
    words.find(|one| *one == word)?;
    words.next()?.parse().ok()
}
