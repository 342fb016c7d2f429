//! What PostgreSQL itself has no way for, and docs/diff.md names under "What is refused".

/// Words of the error, and why it is right that there is one.
const REFUSED: &[(&str, &str)] = &[
    ("used as a catalog table", "what rewrites a table that is a user_catalog_table"),
    // The server writes such a row with a value, or none, for each column that has ever been there.
    ("RETURN ROW(", "what counts on the places of a table's columns"),
    ("bit string length … does not match type bit(", "a default that its column does not take"),
    ("differs in what no ALTER TYPE changes", "a base type that differs in what no ALTER TYPE changes"),
];

/// Why a plan that is refused so cannot be.
pub(crate) fn reason(why: &str) -> Option<&'static str> {
    let error = why.strip_prefix("diff: ")?;
    REFUSED.iter().find(|(words, _)| error.contains(words)).map(|(_, reason)| *reason)
}
