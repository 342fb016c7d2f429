//! What PostgreSQL itself has no way for, and docs/diff.md names under "What is refused".

/// Words of the error, and why it is right that there is one.
const REFUSED: &[(&str, &str)] = &[];

/// Why a plan that is refused so cannot be.
pub(crate) fn reason(why: &str) -> Option<&'static str> {
    let error = why.strip_prefix("diff: ")?;
    REFUSED.iter().find(|(words, _)| error.contains(words)).map(|(_, reason)| *reason)
}
