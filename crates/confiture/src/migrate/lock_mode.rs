//! The strongest lock on what is there that a statement is known to take, by its words. Locks on what the statement itself makes
//! do not count, and neither do those on a table that becomes a partition. It is advice for people: the server decides. A test
//! holds it against what the server takes.

use crate::sql::lex::{TokenKind, lex};

/// The lock modes that keep anybody waiting who changes tables or rows, as PostgreSQL's manual names them, weakest first.
const MODES: [&str; 7] = [
    ROW_SHARE,
    ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    EXCLUSIVE,
    ACCESS_EXCLUSIVE,
];
const ROW_SHARE: &str = "ROW SHARE";
const ROW_EXCLUSIVE: &str = "ROW EXCLUSIVE";
const SHARE_UPDATE_EXCLUSIVE: &str = "SHARE UPDATE EXCLUSIVE";
const SHARE: &str = "SHARE";
const SHARE_ROW_EXCLUSIVE: &str = "SHARE ROW EXCLUSIVE";
const EXCLUSIVE: &str = "EXCLUSIVE";
const ACCESS_EXCLUSIVE: &str = "ACCESS EXCLUSIVE";

/// The lock mode; `None` where nobody is kept waiting, or nobody knows.
pub(super) fn strongest_lock(statement: &str) -> Option<&'static str> {
    let words = words_of(statement);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let has = |wanted: &[&str]| contains(&words, wanted);
    match words.as_slice() {
        ["CREATE", "INDEX" | "UNIQUE", ..] | ["DROP", "INDEX", ..] | ["REINDEX", ..]
            if has(&["CONCURRENTLY"]) =>
        {
            Some(SHARE_UPDATE_EXCLUSIVE)
        }
        ["CREATE", "INDEX", ..] | ["CREATE", "UNIQUE", "INDEX", ..] => Some(SHARE),
        // On the index; whoever reads the table asks for a lock on each of its indexes.
        ["REINDEX", ..] => Some(ACCESS_EXCLUSIVE),
        ["CREATE", "TRIGGER", ..]
        | ["CREATE", "OR", "REPLACE", "TRIGGER", ..]
        | ["CREATE", "CONSTRAINT", "TRIGGER", ..] => Some(SHARE_ROW_EXCLUSIVE),
        ["CREATE", "TABLE", ..] if has(&["PARTITION", "OF"]) => Some(ACCESS_EXCLUSIVE),
        ["CREATE", "TABLE", ..] if has(&["REFERENCES"]) => Some(SHARE_ROW_EXCLUSIVE),
        ["CREATE", "TABLE", ..] if has(&["INHERITS"]) => Some(SHARE_UPDATE_EXCLUSIVE),
        ["CREATE", "POLICY" | "RULE", ..]
        | ["CREATE", "OR", "REPLACE", "RULE" | "VIEW", ..]
        | ["ALTER" | "DROP", "POLICY" | "RULE" | "TRIGGER", ..] => Some(ACCESS_EXCLUSIVE),
        ["CREATE" | "DROP", "STATISTICS", ..] | ["ANALYZE", ..] => Some(SHARE_UPDATE_EXCLUSIVE),
        [
            "COMMENT",
            "ON",
            "TABLE" | "COLUMN" | "VIEW" | "INDEX" | "MATERIALIZED" | "FOREIGN" | "SEQUENCE" | "CONSTRAINT"
            | "TRIGGER" | "RULE" | "POLICY",
            rest @ ..,
        ] if !rest.contains(&"WRAPPER") && !rest.contains(&"DOMAIN") => of_comment(words[2]),
        ["ALTER", "TABLE", ..] => of_alter_table(statement),
        ["ALTER", "INDEX", ..] if has(&["RENAME"]) || has(&["SET", "."]) || has(&["RESET", "."]) => {
            Some(SHARE_UPDATE_EXCLUSIVE)
        }
        ["ALTER", "SEQUENCE", ..] if !["RENAME", "OWNER", "SET"].iter().any(|word| has(&[word])) => {
            Some(SHARE_ROW_EXCLUSIVE)
        }
        ["ALTER", "VIEW" | "MATERIALIZED" | "SEQUENCE" | "INDEX" | "FOREIGN", ..] => Some(ACCESS_EXCLUSIVE),
        [
            "DROP",
            "TABLE" | "VIEW" | "MATERIALIZED" | "INDEX" | "SCHEMA" | "SEQUENCE" | "OWNED" | "FOREIGN",
            ..,
        ]
        | ["TRUNCATE" | "CLUSTER", ..] => Some(ACCESS_EXCLUSIVE),
        ["REFRESH", ..] => Some(if has(&["CONCURRENTLY"]) { EXCLUSIVE } else { ACCESS_EXCLUSIVE }),
        ["VACUUM", ..] => Some(if has(&["FULL"]) { ACCESS_EXCLUSIVE } else { SHARE_UPDATE_EXCLUSIVE }),
        ["LOCK", ..] => of_lock(&words),
        ["INSERT" | "UPDATE" | "DELETE" | "MERGE", ..] => Some(ROW_EXCLUSIVE),
        ["COPY", ..] if has(&["FROM"]) => Some(ROW_EXCLUSIVE),
        ["WITH", ..] if ["INSERT", "UPDATE", "DELETE", "MERGE"].iter().any(|word| has(&[word])) => {
            Some(ROW_EXCLUSIVE)
        }
        ["SELECT" | "WITH", ..]
            if ["UPDATE", "SHARE", "NO", "KEY"].iter().any(|word| has(&["FOR", word])) =>
        {
            Some(ROW_SHARE)
        }
        _ => None,
    }
}

/// A statement's words in upper case; what is none is a dot.
fn words_of(statement: &str) -> Vec<String> {
    let tokens = lex(statement).filter(|token| !token.is_blank());
    let word = |token: crate::sql::lex::Token| match token.kind {
        TokenKind::Word => token.text(statement).to_ascii_uppercase(),
        _ => ".".to_owned(),
    };
    tokens.map(word).collect()
}

fn contains(words: &[&str], wanted: &[&str]) -> bool {
    words.windows(wanted.len()).any(|some| some == wanted)
}

fn of_comment(on: &str) -> Option<&'static str> {
    // What hangs on a table is only looked up.
    (!matches!(on, "CONSTRAINT" | "TRIGGER" | "RULE" | "POLICY")).then_some(SHARE_UPDATE_EXCLUSIVE)
}

/// `LOCK TABLE a, b IN SHARE MODE`.
fn of_lock(words: &[&str]) -> Option<&'static str> {
    let Some(at) = words.iter().position(|word| *word == "IN") else { return Some(ACCESS_EXCLUSIVE) };
    let end = words.iter().position(|word| *word == "MODE").unwrap_or(words.len());
    let wanted = words.get(at + 1..end)?.join(" ");
    MODES.into_iter().find(|mode| *mode == wanted)
}

/// The strongest of its actions, which commas part.
fn of_alter_table(statement: &str) -> Option<&'static str> {
    let (mut depth, mut start, mut actions) = (0_usize, 0, Vec::new());
    for token in lex(statement) {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            TokenKind::Comma if depth == 0 => {
                actions.push(&statement[start..token.span.start]);
                start = token.span.end;
            }
            _ => {}
        }
    }
    actions.push(&statement[start..]);
    let modes = actions.into_iter().map(of_action);
    modes.max_by_key(|mode| MODES.iter().position(|known| known == mode))
}

fn of_action(action: &str) -> &'static str {
    let words = words_of(action);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let weak = [
        &["VALIDATE", "CONSTRAINT"][..],
        &["SET", "STATISTICS"],
        &["ATTACH", "PARTITION"],
        &["CLUSTER", "ON"],
        &["SET", "WITHOUT", "CLUSTER"],
        &["SET", "."],
        &["RESET", "."],
        &["CONCURRENTLY"],
    ];
    let middle = [
        &["FOREIGN", "KEY"][..],
        &["ENABLE", "TRIGGER"],
        &["DISABLE", "TRIGGER"],
        &["REPLICA", "TRIGGER"],
        &["ALWAYS", "TRIGGER"],
    ];
    let any = |list: &[&[&str]]| list.iter().any(|wanted| contains(&words, wanted));
    if any(&weak) && !words.contains(&"USER_CATALOG_TABLE") {
        SHARE_UPDATE_EXCLUSIVE
    } else if any(&middle) && !words.contains(&"COLUMN") {
        SHARE_ROW_EXCLUSIVE
    } else {
        ACCESS_EXCLUSIVE
    }
}

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
    fn locks_by_the_manual() {
        for (statement, lock) in [
            ("ALTER TABLE t ADD COLUMN a int", Some("ACCESS EXCLUSIVE")),
            ("ALTER TABLE t VALIDATE CONSTRAINT c", Some("SHARE UPDATE EXCLUSIVE")),
            ("ALTER TABLE t VALIDATE CONSTRAINT c, ADD a int CHECK (a IN (1, 2))", Some("ACCESS EXCLUSIVE")),
            ("ALTER TABLE t DETACH PARTITION p CONCURRENTLY", Some("SHARE UPDATE EXCLUSIVE")),
            ("VACUUM FULL t", Some("ACCESS EXCLUSIVE")),
            ("LOCK TABLE t, u IN SHARE ROW EXCLUSIVE MODE NOWAIT", Some("SHARE ROW EXCLUSIVE")),
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
