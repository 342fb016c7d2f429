//! The strongest lock on a table in use that a statement is known to take, by its words. Locks on what the statement itself makes
//! do not count. It is advice for people: the server decides.

use crate::sql::lex::{TokenKind, lex};

/// The lock mode, as PostgreSQL's manual names it; `None` where no table in use is locked, or nobody knows.
pub(super) fn strongest_lock(statement: &str) -> Option<&'static str> {
    let words: Vec<String> = lex(statement)
        .filter(|token| !token.is_blank())
        .map(|token| match token.kind {
            TokenKind::Word => token.text(statement).to_ascii_uppercase(),
            _ => ".".to_owned(),
        })
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let has = |wanted: &[&str]| words.windows(wanted.len()).any(|some| some == wanted);
    match words.as_slice() {
        ["CREATE", "INDEX" | "UNIQUE", ..] | ["DROP", "INDEX", ..] | ["REINDEX", ..]
            if has(&["CONCURRENTLY"]) =>
        {
            Some("SHARE UPDATE EXCLUSIVE")
        }
        ["CREATE", "INDEX", ..] | ["CREATE", "UNIQUE", "INDEX", ..] | ["REINDEX", ..] => Some("SHARE"),
        ["CREATE", "TRIGGER", ..]
        | ["CREATE", "OR", "REPLACE", "TRIGGER", ..]
        | ["CREATE", "CONSTRAINT", "TRIGGER", ..] => Some("SHARE ROW EXCLUSIVE"),
        ["CREATE", "TABLE", ..] if has(&["REFERENCES"]) => Some("SHARE ROW EXCLUSIVE"),
        ["CREATE", "POLICY" | "RULE", ..] | ["ALTER" | "DROP", "POLICY" | "RULE" | "TRIGGER", ..] => {
            Some("ACCESS EXCLUSIVE")
        }
        ["CREATE", "STATISTICS", ..] | ["COMMENT", "ON", ..] | ["ANALYZE", ..] => {
            Some("SHARE UPDATE EXCLUSIVE")
        }
        ["ALTER", "TABLE", ..] => Some(of_alter_table(&has)),
        ["ALTER", "VIEW" | "MATERIALIZED" | "SEQUENCE" | "INDEX" | "FOREIGN", ..] => Some("ACCESS EXCLUSIVE"),
        [
            "DROP",
            "TABLE" | "VIEW" | "MATERIALIZED" | "INDEX" | "SCHEMA" | "SEQUENCE" | "OWNED" | "FOREIGN",
            ..,
        ]
        | ["TRUNCATE" | "CLUSTER", ..] => Some("ACCESS EXCLUSIVE"),
        ["REFRESH", ..] => Some(if has(&["CONCURRENTLY"]) { "EXCLUSIVE" } else { "ACCESS EXCLUSIVE" }),
        ["VACUUM", ..] => Some(if has(&["FULL"]) { "ACCESS EXCLUSIVE" } else { "SHARE UPDATE EXCLUSIVE" }),
        ["LOCK", ..] => Some("as it says"),
        ["INSERT" | "UPDATE" | "DELETE" | "MERGE" | "COPY", ..] => Some("ROW EXCLUSIVE"),
        _ => None,
    }
}

fn of_alter_table(has: &impl Fn(&[&str]) -> bool) -> &'static str {
    let weak = [&["VALIDATE", "CONSTRAINT"][..], &["SET", "STATISTICS"], &["ATTACH", "PARTITION"]];
    let weaker = [&["FOREIGN", "KEY"][..], &["ENABLE", "TRIGGER"], &["DISABLE", "TRIGGER"]];
    if has(&["CONCURRENTLY"]) || weak.iter().any(|words| has(words)) {
        "SHARE UPDATE EXCLUSIVE"
    } else if weaker.iter().any(|words| has(words)) && !has(&["COLUMN"]) {
        "SHARE ROW EXCLUSIVE"
    } else {
        "ACCESS EXCLUSIVE"
    }
}

/// What a statement destroys that held rows, by its words; `None` where nothing is known to.
pub(super) fn destroys(statement: &str) -> Option<&'static str> {
    let words: Vec<String> = lex(statement)
        .filter(|token| !token.is_blank())
        .map(|token| match token.kind {
            TokenKind::Word => token.text(statement).to_ascii_uppercase(),
            _ => ".".to_owned(),
        })
        .collect();
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
    fn locks_by_the_manual() {
        for (statement, lock) in [
            ("ALTER TABLE t ADD COLUMN a int", Some("ACCESS EXCLUSIVE")),
            ("ALTER TABLE t VALIDATE CONSTRAINT c", Some("SHARE UPDATE EXCLUSIVE")),
            ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES b", Some("SHARE ROW EXCLUSIVE")),
            ("CREATE INDEX i ON t (a)", Some("SHARE")),
            ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", Some("SHARE UPDATE EXCLUSIVE")),
            ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", Some("EXCLUSIVE")),
            ("UPDATE t SET a = 1", Some("ROW EXCLUSIVE")),
            ("CREATE TABLE t (a int)", None),
            ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", None),
        ] {
            assert_eq!(strongest_lock(statement), lock, "{statement}");
        }
    }

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
