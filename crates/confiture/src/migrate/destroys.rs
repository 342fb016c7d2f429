//! Which statements destroy what held rows, by their words.

use crate::sql::words_of;

/// What a statement destroys that held rows, by its words; `None` where nothing is known to.
pub(super) fn destroys(statement: &str) -> Option<&'static str> {
    let words = words_of(statement);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // A dropped constraint or default holds no rows.
    let drops_column = || {
        words.windows(2).any(|pair| {
            pair[0] == "DROP"
                && !matches!(
                    pair[1],
                    "CONSTRAINT" | "DEFAULT" | "NOT" | "EXPRESSION" | "IDENTITY" | "STATISTICS" | "TRIGGER"
                )
        })
    };
    match words.as_slice() {
        ["DROP", "TABLE", ..] => Some("DROP TABLE"),
        ["DROP", "SCHEMA", ..] => Some("DROP SCHEMA"),
        ["DROP", "DATABASE", ..] => Some("DROP DATABASE"),
        ["DROP", "MATERIALIZED", ..] => Some("DROP MATERIALIZED VIEW"),
        ["DROP", "OWNED", ..] => Some("DROP OWNED"),
        ["DROP", _, ..] if words.last() == Some(&"CASCADE") => Some("DROP … CASCADE"),
        ["TRUNCATE", ..] => Some("TRUNCATE"),
        ["DELETE", ..] if !words.contains(&"WHERE") => Some("DELETE of all rows"),
        ["ALTER", "TABLE" | "FOREIGN", ..] if drops_column() => Some("DROP COLUMN"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_destroys_rows_is_known() {
        for (statement, what) in [
            ("DROP TABLE IF EXISTS t", Some("DROP TABLE")),
            ("ALTER TABLE t DROP bio", Some("DROP COLUMN")),
            ("ALTER TABLE t DROP COLUMN IF EXISTS bio", Some("DROP COLUMN")),
            ("ALTER TABLE t ALTER a DROP NOT NULL", None),
            ("ALTER TABLE t DROP CONSTRAINT c", None),
            ("DELETE FROM t", Some("DELETE of all rows")),
            ("DELETE FROM t WHERE a", None),
            ("DROP INDEX i", None),
            ("DROP TYPE x CASCADE", Some("DROP … CASCADE")),
        ] {
            assert_eq!(destroys(statement), what, "{statement}");
        }
    }
}
