//! The strongest lock on what is there that a statement is known to take, by its words. Locks on what the statement itself makes
//! do not count, and neither do those on a table that becomes a partition. It is advice for people: the server decides. A test
//! holds it against what the server takes.

use crate::sql::lex::{TokenKind, lex};

/// The modes of locks on tables, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum LockMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

use LockMode::{
    AccessExclusive, AccessShare, Exclusive, RowExclusive, RowShare, Share, ShareRowExclusive,
    ShareUpdateExclusive,
};

impl LockMode {
    const ALL: [Self; 8] = [
        AccessShare,
        RowShare,
        RowExclusive,
        ShareUpdateExclusive,
        Share,
        ShareRowExclusive,
        Exclusive,
        AccessExclusive,
    ];

    /// What the manual calls it: `SHARE ROW EXCLUSIVE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AccessShare => "ACCESS SHARE",
            RowShare => "ROW SHARE",
            RowExclusive => "ROW EXCLUSIVE",
            ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Share => "SHARE",
            ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Exclusive => "EXCLUSIVE",
            AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// The mode that `pg_locks` calls `text`: `ShareRowExclusiveLock`.
    #[must_use]
    pub fn from_pg_locks(text: &str) -> Option<Self> {
        let letters = text.strip_suffix("Lock")?;
        Self::ALL.into_iter().find(|mode| mode.name().replace(' ', "").eq_ignore_ascii_case(letters))
    }

    /// Whom it keeps waiting, of those who use the table.
    #[must_use]
    pub fn blocks(self) -> &'static str {
        match self {
            AccessExclusive => "nobody reads or writes",
            Share | ShareRowExclusive | Exclusive => "nobody writes",
            _ => "others read and write",
        }
    }
}

/// The lock mode; `None` where nobody is kept waiting, or nobody knows.
#[must_use]
pub fn strongest_lock(statement: &str) -> Option<LockMode> {
    let words = words_of(statement);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let has = |wanted: &[&str]| contains(&words, wanted);
    match words.as_slice() {
        ["CREATE", "INDEX" | "UNIQUE", ..] | ["DROP", "INDEX", ..] | ["REINDEX", ..]
            if has(&["CONCURRENTLY"]) =>
        {
            Some(ShareUpdateExclusive)
        }
        ["CREATE", "INDEX", ..] | ["CREATE", "UNIQUE", "INDEX", ..] => Some(Share),
        // On the index; whoever reads the table asks for a lock on each of its indexes.
        ["REINDEX", ..] => Some(AccessExclusive),
        ["CREATE", "TRIGGER", ..]
        | ["CREATE", "OR", "REPLACE", "TRIGGER", ..]
        | ["CREATE", "CONSTRAINT", "TRIGGER", ..] => Some(ShareRowExclusive),
        ["CREATE", "TABLE", ..] if has(&["PARTITION", "OF"]) => Some(AccessExclusive),
        ["CREATE", "TABLE", ..] if has(&["REFERENCES"]) => Some(ShareRowExclusive),
        ["CREATE", "TABLE", ..] if has(&["INHERITS"]) => Some(ShareUpdateExclusive),
        ["CREATE", "POLICY" | "RULE", ..]
        | ["CREATE", "OR", "REPLACE", "RULE" | "VIEW", ..]
        | ["ALTER" | "DROP", "POLICY" | "RULE" | "TRIGGER", ..] => Some(AccessExclusive),
        ["CREATE" | "DROP", "STATISTICS", ..] | ["ANALYZE", ..] => Some(ShareUpdateExclusive),
        [
            "COMMENT",
            "ON",
            "TABLE" | "COLUMN" | "VIEW" | "INDEX" | "MATERIALIZED" | "FOREIGN" | "SEQUENCE" | "CONSTRAINT"
            | "TRIGGER" | "RULE" | "POLICY",
            rest @ ..,
        ] if !rest.contains(&"WRAPPER") && !rest.contains(&"DOMAIN") => of_comment(words[2]),
        ["ALTER", "TABLE", ..] => of_alter_table(statement),
        ["ALTER", "INDEX", ..] if has(&["RENAME"]) || has(&["SET", "."]) || has(&["RESET", "."]) => {
            Some(ShareUpdateExclusive)
        }
        ["ALTER", "SEQUENCE", ..] if !["RENAME", "OWNER", "SET"].iter().any(|word| has(&[word])) => {
            Some(ShareRowExclusive)
        }
        ["ALTER", "VIEW" | "MATERIALIZED" | "SEQUENCE" | "INDEX" | "FOREIGN", ..] => Some(AccessExclusive),
        [
            "DROP",
            "TABLE" | "VIEW" | "MATERIALIZED" | "INDEX" | "SCHEMA" | "SEQUENCE" | "OWNED" | "FOREIGN",
            ..,
        ]
        | ["TRUNCATE" | "CLUSTER", ..] => Some(AccessExclusive),
        ["REFRESH", ..] => Some(if has(&["CONCURRENTLY"]) { Exclusive } else { AccessExclusive }),
        ["VACUUM", ..] => Some(if has(&["FULL"]) { AccessExclusive } else { ShareUpdateExclusive }),
        ["LOCK", ..] => of_lock(&words),
        ["INSERT" | "UPDATE" | "DELETE" | "MERGE", ..] => Some(RowExclusive),
        ["COPY", ..] if has(&["FROM"]) => Some(RowExclusive),
        ["WITH", ..] if ["INSERT", "UPDATE", "DELETE", "MERGE"].iter().any(|word| has(&[word])) => {
            Some(RowExclusive)
        }
        ["SELECT" | "WITH", ..]
            if ["UPDATE", "SHARE", "NO", "KEY"].iter().any(|word| has(&["FOR", word])) =>
        {
            Some(RowShare)
        }
        _ => None,
    }
}

/// A statement's words in upper case; what is none is a dot.
pub(crate) fn words_of(statement: &str) -> Vec<String> {
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

fn of_comment(on: &str) -> Option<LockMode> {
    // What hangs on a table is only looked up.
    (!matches!(on, "CONSTRAINT" | "TRIGGER" | "RULE" | "POLICY")).then_some(ShareUpdateExclusive)
}

/// `LOCK TABLE a, b IN SHARE MODE`.
fn of_lock(words: &[&str]) -> Option<LockMode> {
    let Some(at) = words.iter().position(|word| *word == "IN") else { return Some(AccessExclusive) };
    let end = words.iter().position(|word| *word == "MODE").unwrap_or(words.len());
    let wanted = words.get(at + 1..end)?.join(" ");
    LockMode::ALL.into_iter().find(|mode| mode.name() == wanted)
}

/// The strongest of its actions, which commas part.
fn of_alter_table(statement: &str) -> Option<LockMode> {
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
    actions.into_iter().map(of_action).max()
}

fn of_action(action: &str) -> LockMode {
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
        ShareUpdateExclusive
    } else if any(&middle) && !words.contains(&"COLUMN") {
        ShareRowExclusive
    } else {
        AccessExclusive
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
            assert_eq!(strongest_lock(statement).map(LockMode::name), lock, "{statement}");
        }
    }
}
