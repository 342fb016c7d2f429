//! Statements that PostgreSQL refuses to run in a transaction block (`PreventInTransactionBlock` in its source).

use crate::sql::lex::{TokenKind, lex};

/// The statement's name, such as `CREATE INDEX CONCURRENTLY`, where the server would refuse it in a transaction.
///
/// What only the server can know is not found here: `CLUSTER` or `REINDEX` of a partitioned table, a `CALL` of a procedure
/// that commits.
#[must_use]
pub fn cannot_run_in_transaction(statement: &str) -> Option<&'static str> {
    let words: Vec<String> = lex(statement)
        .filter(|token| !token.is_blank())
        .map(|token| match token.kind {
            TokenKind::Word => token.text(statement).to_ascii_uppercase(),
            TokenKind::Open => "(".to_owned(),
            TokenKind::Close => ")".to_owned(),
            _ => String::from("."),
        })
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let has = |word: &str| words.contains(&word);
    match words.as_slice() {
        ["VACUUM", ..] => Some("VACUUM"),
        ["CREATE", "DATABASE", ..] => Some("CREATE DATABASE"),
        ["DROP", "DATABASE", ..] => Some("DROP DATABASE"),
        ["ALTER", "DATABASE", _, "SET", "TABLESPACE", ..] => Some("ALTER DATABASE … SET TABLESPACE"),
        ["CREATE", "TABLESPACE", ..] => Some("CREATE TABLESPACE"),
        ["DROP", "TABLESPACE", ..] => Some("DROP TABLESPACE"),
        ["ALTER", "SYSTEM", ..] => Some("ALTER SYSTEM"),
        ["CREATE", "INDEX", "CONCURRENTLY", ..] | ["CREATE", "UNIQUE", "INDEX", "CONCURRENTLY", ..] => {
            Some("CREATE INDEX CONCURRENTLY")
        }
        ["DROP", "INDEX", "CONCURRENTLY", ..] => Some("DROP INDEX CONCURRENTLY"),
        ["REINDEX", rest @ ..] => reindex(rest),
        ["CLUSTER"] | ["CLUSTER", "VERBOSE"] | ["CLUSTER", "(", "VERBOSE", ")"] => Some("CLUSTER"),
        ["ALTER", "TABLE", ..] if words.windows(2).any(|pair| pair == ["DETACH", "PARTITION"]) => {
            (words.last() == Some(&"CONCURRENTLY")).then_some("ALTER TABLE … DETACH PARTITION CONCURRENTLY")
        }
        // With `create_slot = false`, `connect = false` or `refresh = false` the server would take them: run alone all the same.
        ["CREATE", "SUBSCRIPTION", ..] => Some("CREATE SUBSCRIPTION"),
        ["DROP", "SUBSCRIPTION", ..] => Some("DROP SUBSCRIPTION"),
        ["ALTER", "SUBSCRIPTION", ..] if has("PUBLICATION") => Some("ALTER SUBSCRIPTION … PUBLICATION"),
        ["COMMIT" | "ROLLBACK", "PREPARED", ..] => Some("COMMIT PREPARED"),
        ["DISCARD", "ALL"] => Some("DISCARD ALL"),
        _ => None,
    }
}

/// The statement's name where it makes or drops a database or a tablespace, or sets what holds for the whole server.
#[must_use]
pub fn reaches_beyond_the_database(statement: &str) -> Option<&'static str> {
    cannot_run_in_transaction(statement).filter(|name| {
        name.ends_with(" DATABASE") && !name.starts_with("REINDEX")
            || name.ends_with(" TABLESPACE")
            || *name == "ALTER SYSTEM"
    })
}

/// What stands behind `REINDEX`: options, the kind, perhaps `CONCURRENTLY`.
fn reindex(rest: &[&str]) -> Option<&'static str> {
    let (options, rest) = match rest {
        ["(", inner @ ..] => inner.split_at(inner.iter().position(|word| *word == ")")? + 1),
        _ => (&[] as &[&str], rest),
    };
    let concurrently = options
        .iter()
        .position(|word| *word == "CONCURRENTLY")
        .is_some_and(|at| !matches!(options.get(at + 1), Some(&"FALSE" | &"OFF")));
    match rest {
        ["SCHEMA" | "DATABASE" | "SYSTEM", ..] => Some("REINDEX SCHEMA, DATABASE or SYSTEM"),
        [_, "CONCURRENTLY", ..] => Some("REINDEX CONCURRENTLY"),
        _ => concurrently.then_some("REINDEX CONCURRENTLY"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_refuses_in_a_transaction() {
        for statement in [
            "create /* x */ unique index concurrently on t (a)",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)",
            "DROP INDEX CONCURRENTLY i",
            "REINDEX (VERBOSE) TABLE CONCURRENTLY t",
            "REINDEX (CONCURRENTLY) TABLE t",
            "REINDEX SCHEMA public",
            "VACUUM FULL t",
            "ALTER SYSTEM SET work_mem = '1MB'",
            "CREATE DATABASE d",
            "ALTER DATABASE \"d\" SET TABLESPACE x",
            "ALTER TABLE p DETACH PARTITION c CONCURRENTLY",
            "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p",
        ] {
            assert!(cannot_run_in_transaction(statement).is_some(), "{statement}");
        }
    }

    #[test]
    fn what_is_the_servers_and_not_the_databases() {
        for statement in
            ["create database d", "DROP DATABASE IF EXISTS d", "ALTER SYSTEM RESET ALL", "DROP TABLESPACE t"]
        {
            assert!(reaches_beyond_the_database(statement).is_some(), "{statement}");
        }
        for statement in
            ["VACUUM", "REINDEX DATABASE d", "CREATE INDEX CONCURRENTLY i ON t (a)", "CREATE ROLE r"]
        {
            assert_eq!(reaches_beyond_the_database(statement), None, "{statement}");
        }
    }

    #[test]
    fn what_it_takes_there() {
        for statement in [
            "CREATE INDEX \"concurrently\" ON t (a)",
            "CREATE INDEX i ON t (a)",
            "REINDEX (CONCURRENTLY false) TABLE t",
            "ALTER DATABASE d SET work_mem = '1MB'",
            "ALTER TABLE p DETACH PARTITION c",
            "ALTER TABLE p DETACH PARTITION \"concurrently\"",
            "CLUSTER t USING i",
            "COMMENT ON TABLE t IS 'VACUUM'",
            "SELECT 1",
            "",
        ] {
            assert_eq!(cannot_run_in_transaction(statement), None, "{statement}");
        }
    }
}
