//! Statements whose work would outlast a scratch database: they are about its server, or about another one.

use crate::error::{Error, Result};
use crate::postgres::Piece;
use crate::sql::lex::{Token, TokenKind, lex};
use crate::sql::{SplitScript, reaches_beyond_the_database};

/// Refuses what would outlast the scratch database in which migrations are tried, at its place: what makes a subscription, and what
/// is done to other databases or to the whole server.
///
/// # Errors
///
/// That of the first such statement.
pub fn refuse_what_outlasts<'a>(scripts: impl IntoIterator<Item = &'a SplitScript>) -> Result<()> {
    for script in scripts {
        for statement in &script.statements {
            let piece = Piece { script, statement };
            if makes_subscription(piece.text()) {
                return Err(Error::config(
                    "a subscription is not tried in a scratch database: it would take a slot on its publisher",
                )
                .at(script.script.place(statement.span.start))
                .excerpt(script.script.excerpt(statement.span.clone()))
                .hint("make it by hand, apart from migrations and schema files"));
            }
            stay_within(&piece)?;
        }
    }
    Ok(())
}

/// True for `CREATE SUBSCRIPTION`.
#[must_use]
pub fn makes_subscription(statement: &str) -> bool {
    let is_create =
        statement.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("CREATE"));
    is_create && is_about_subscription(statement)
}

/// True for a statement that makes, changes or drops a subscription, or says something of one.
pub(super) fn is_about_subscription(statement: &str) -> bool {
    let mut words = statement.split_whitespace().map(str::to_ascii_uppercase);
    let first = words.next().unwrap_or_default();
    let second = match (first.as_str(), words.next()) {
        ("COMMENT", _) => words.next(),
        ("CREATE" | "ALTER" | "DROP", second) => second,
        _ => None,
    };
    second.as_deref() == Some("SUBSCRIPTION")
}

/// What a script does to other databases, or to the whole server, would outlast the scratch database.
pub(super) fn stay_within(piece: &Piece<'_>) -> Result<()> {
    let Some(name) = reaches_beyond_the_database(piece.text()) else { return Ok(()) };
    let (script, span) = (&piece.script.script, &piece.statement.span);
    Err(Error::config(format!("{name} reaches beyond the schema, and is not run in a scratch database"))
        .at(script.place(span.start))
        .excerpt(script.excerpt(span.clone()))
        .hint("Remove the statement: a schema is what one database holds"))
}

/// True for what changes a database or a tablespace and not what is in it, or says something of them: `ALTER DATABASE … SET`,
/// `GRANT … ON DATABASE`.
#[must_use]
pub fn is_about_databases(statement: &str) -> bool {
    let is = |token: &Token, words: &[&str]| words.iter().any(|word| token.is_word(statement, word));
    let is_kind = |token: &Token| is(token, &["DATABASE", "TABLESPACE"]);
    // Of a statement that is no such, one token is read.
    let mut tokens = lex(statement).filter(|token| !token.is_blank());
    match tokens.next() {
        Some(first) if is(&first, &["ALTER"]) => {
            tokens.next().is_some_and(|kind| is_kind(&kind))
                && reaches_beyond_the_database(statement).is_none()
        }
        Some(first) if is(&first, &["GRANT", "REVOKE", "COMMENT", "SECURITY"]) => {
            let mut behind = tokens.skip_while(|token| !is(token, &["ON"])).skip(1);
            let is_name = |token: Token| {
                matches!(token.kind, TokenKind::Word | TokenKind::QuotedName) && !is(&token, &["TO", "FROM"])
            };
            behind.next().is_some_and(|kind| is_kind(&kind)) && behind.next().is_some_and(is_name)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_databases() {
        for (text, is_so) in [
            ("ALTER DATABASE \"We ird\" SET timezone = 'UTC'", true),
            ("/* a */ alter database a OWNER TO b", true),
            ("ALTER DATABASE a SET TABLESPACE b", false),
            ("ALTER TABLESPACE a OWNER TO b", true),
            ("ALTER TABLE database ADD COLUMN a int", false),
            ("GRANT CONNECT, TEMP ON DATABASE a, b TO c", true),
            ("GRANT SELECT ON database TO c", false),
            ("GRANT SELECT ON database, b TO c", false),
            ("REVOKE ALL ON TABLESPACE a FROM PUBLIC", true),
            ("COMMENT ON DATABASE a IS 'b'", true),
            ("COMMENT ON TABLE a IS 'ON DATABASE b'", false),
            ("CREATE DATABASE a", false),
            ("CREATE INDEX ON database (a)", false),
        ] {
            assert_eq!(is_about_databases(text), is_so, "{text}");
        }
    }
}
