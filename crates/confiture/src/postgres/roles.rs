//! Roles belong to a server and not to a database: those that files name and nobody makes, and those that files make.

use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::sql::lex::{Token, TokenKind, lex};
use crate::sql::{Identifier, Sql, sql};

/// How often something that stumbles over a role that is not there may make one.
const MOST: usize = 50;

/// Does `work` again for each role that it lacks, made meanwhile, where the server is our own. No transaction may be open.
///
/// # Errors
///
/// What `work` says, with advice where it lacks a role on a server of somebody else's.
pub async fn with_roles<T>(session: &Session, mut work: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    for _ in 0..MOST {
        match work().await {
            Err(error) if make_missing(session, &error).await? => {}
            outcome => return outcome.map_err(|error| advise(session, error)),
        }
    }
    work().await
}

/// Makes the role that `error` lacks, or makes it the superuser that it has to be, where the server is our own. False where that was
/// not it.
///
/// # Errors
///
/// What the server refuses.
pub async fn make_missing(session: &Session, error: &Error) -> Result<bool> {
    if !session.connection().own_server {
        return Ok(false);
    }
    match (missing_role(error), weak_owner(error)) {
        (Some(role), _) => create_role(session, &role).await.map(|()| true),
        // A role that the files make themselves is gone with their transaction, and is what they say.
        (None, Some(role)) => Ok(session.batch(&sql!("ALTER ROLE {} SUPERUSER", role)).await.is_ok()),
        (None, None) => Ok(false),
    }
}

/// True where a role has to be a superuser and can be made one.
pub(crate) fn lacks_superuser(session: &Session, error: &Error) -> bool {
    session.connection().own_server && weak_owner(error).is_some()
}

/// The role that is to own what only a superuser may own, an event trigger or a foreign-data wrapper, and is none.
fn weak_owner(error: &Error) -> Option<Identifier> {
    let excerpt = error.excerpt_of().filter(|_| error.sqlstate_code() == Some("42501"))?;
    let text = excerpt.text.get(excerpt.mark.clone())?;
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let begins = |words: &[&str]| tokens.iter().zip(words).all(|(token, word)| token.is_word(text, word));
    if !begins(&["ALTER", "EVENT", "TRIGGER"]) && !begins(&["ALTER", "FOREIGN", "DATA", "WRAPPER"]) {
        return None;
    }
    let owner =
        tokens.windows(3).find(|three| three[0].is_word(text, "OWNER") && three[1].is_word(text, "TO"));
    owner?[2].identifier(text)
}

/// Makes those of the roles that are not there.
///
/// # Errors
///
/// What the server refuses.
pub async fn make_roles(session: &Session, roles: &[String]) -> Result<()> {
    for role in absent(session, roles.to_vec()).await? {
        create_role(session, &role).await?;
    }
    Ok(())
}

/// Those of the roles that are not there.
pub(crate) async fn absent(session: &Session, mut roles: Vec<String>) -> Result<Vec<String>> {
    let query =
        Sql::literal("SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY ($1::text[])");
    let there: Vec<String> = session.query(&query, &[&roles]).await?.iter().map(|row| row.get(0)).collect();
    roles.retain(|role| !there.contains(role));
    Ok(roles)
}

/// Makes a role; somebody else may just have done so.
async fn create_role(session: &Session, role: &str) -> Result<()> {
    match session.batch(&sql!("CREATE ROLE {}", Identifier::new(role))).await {
        Err(error) if !is_there_already(&error) => Err(error),
        _ => Ok(()),
    }
}

/// What is to be made is there, or somebody is making it at this moment.
pub(super) fn is_there_already(error: &Error) -> bool {
    matches!(error.sqlstate_code(), Some("42710" | "23505"))
}

/// On a server of somebody else's, a role that is missing is theirs to make.
pub(crate) fn advise(session: &Session, error: Error) -> Error {
    match missing_role(&error) {
        Some(role) if !session.connection().own_server => error.hint(format!(
            "roles belong to the whole server, and nothing makes {} on this one: CREATE ROLE it there. Where a scratch server \
             was named, leave it out: on one of its own, Confiture makes the roles that are missing",
            Identifier::new(role)
        )),
        _ => error,
    }
}

/// The role in `role "app" does not exist`; of one that is the value of a setting, `CREATE FUNCTION … SET role TO app`, that is said otherwise.
pub(crate) fn missing_role(error: &Error) -> Option<String> {
    let is_missing = matches!(error.sqlstate_code(), Some("42704" | "22023"));
    let (_, rest) = error.message().split_once("role \"").filter(|_| is_missing)?;
    Some(rest.strip_suffix("\" does not exist").unwrap_or(rest.split('"').next()?).to_owned())
}

/// The roles that a text makes with `CREATE ROLE`, `CREATE USER` or `CREATE GROUP`, in a `DO` block too.
#[must_use]
pub fn made_in(text: &str) -> Vec<String> {
    roles_after(text, &["CREATE"])
}

/// The roles that a text gives something to, or takes it from, and does not make itself: those behind `GRANT … TO`, `REVOKE … FROM` and
/// `OWNER TO`.
pub(super) fn named_in(text: &str) -> Vec<String> {
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let made = made_in(text);
    let mut named: Vec<String> = Vec::new();
    for statement in tokens.split(|token| token.kind == TokenKind::Semicolon) {
        let is =
            |at: usize, word: &str| statement.get(at).is_some_and(|token: &Token| token.is_word(text, word));
        let behind = (0..statement.len()).rev().find(|at| match is(0, "GRANT") {
            true => is(*at, "TO"),
            false => {
                is(0, "REVOKE") && is(*at, "FROM")
                    || at.checked_sub(1).is_some_and(|at| is(at, "OWNER")) && is(*at, "TO")
            }
        });
        let Some(behind) = behind else { continue };
        for one in statement[behind + 1..].split(|token| token.kind == TokenKind::Comma) {
            let role = one.iter().find(|token| !token.is_word(text, "GROUP"));
            let is_own = |role: &Token| OWN.iter().any(|word| role.is_word(text, word));
            let role = role.filter(|role| !is_own(role)).and_then(|role| role.identifier(text));
            named.extend(role.map(|role| role.as_str().to_owned()).filter(|role| !made.contains(role)));
        }
    }
    named.sort();
    named.dedup();
    named
}

/// Words that stand for a role, and are none.
const OWN: [&str; 4] = ["PUBLIC", "CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"];

/// True for a text that makes, alters or drops roles, in a `DO` block too, or says which are members of which.
pub(super) fn are_touched_by(text: &str) -> bool {
    !roles_after(text, &["CREATE", "ALTER", "DROP"]).is_empty() || changes_membership(text)
}

/// True for a text with a `GRANT` or `REVOKE` that is of roles: no `ON` stands between it and whom it is about.
fn changes_membership(text: &str) -> bool {
    let mut may_be = false;
    for token in lex(text).filter(|token| !token.is_blank()) {
        if token.kind == TokenKind::DollarString && changes_membership(dollar_body(token.text(text))) {
            return true;
        }
        match ["GRANT", "REVOKE", "TO", "FROM"].iter().position(|word| token.is_word(text, word)) {
            Some(0 | 1) => may_be = true,
            Some(_) if may_be => return true,
            _ => may_be &= !token.is_word(text, "ON") && token.text(text) != ";",
        }
    }
    false
}

/// True for a statement that alters or drops a role, says something of it, or says of whom it is a member, where one of those that
/// it names is not among `made`.
pub(super) fn is_about_others(statement: &str, made: &[String]) -> bool {
    let tokens: Vec<Token> = lex(statement).filter(|token| !token.is_blank()).collect();
    let is = |at: usize, words: &[&str]| {
        tokens.get(at).is_some_and(|token| words.iter().any(|word| token.is_word(statement, word)))
    };
    let is_on_role = |verb: &str| is(0, &[verb]) && is(1, &["ROLE", "USER", "GROUP"]) && !is(2, &["MAPPING"]);
    if is_on_role("ALTER") {
        return !is_among(tokens.get(2), statement, made);
    }
    if is(0, &["COMMENT"]) && is(1, &["ON"]) && is(2, &["ROLE"]) {
        return !is_among(tokens.get(3), statement, made);
    }
    let first = if is_on_role("DROP") {
        2
    } else if is(0, &["GRANT", "REVOKE"]) && changes_membership(statement) {
        1
    } else {
        return false;
    };
    let names =
        tokens[first..].iter().filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedName));
    let mut names =
        names.filter(|token| !WORDS.iter().chain(&OWN).any(|word| token.is_word(statement, word)));
    names.any(|name| !is_among(Some(name), statement, made))
}

fn is_among(role: Option<&Token>, text: &str, roles: &[String]) -> bool {
    let role = role.and_then(|role| role.identifier(text));
    role.is_some_and(|role| roles.iter().any(|one| one == role.as_str()))
}

/// Words between the roles of `GRANT`, `REVOKE` and `DROP ROLE`.
const WORDS: [&str; 15] = [
    "ADMIN", "BY", "CASCADE", "EXISTS", "FALSE", "FOR", "FROM", "GRANTED", "GROUP", "IF", "INHERIT",
    "OPTION", "RESTRICT", "TO", "WITH",
];

/// What stands between the tags of a dollar-quoted string.
fn dollar_body(string: &str) -> &str {
    let tag = string[1..].find('$').map_or(string.len(), |end| end + 2);
    string.get(tag..string.len().saturating_sub(tag)).unwrap_or_default()
}

/// The first role that stands behind each of `verbs`, and `ROLE`, `USER` or `GROUP`.
fn roles_after(text: &str, verbs: &[&str]) -> Vec<String> {
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let mut roles = Vec::new();
    for body in tokens.iter().filter(|token| token.kind == TokenKind::DollarString) {
        roles.extend(roles_after(dollar_body(body.text(text)), verbs));
    }
    for three in tokens.windows(3) {
        let is_about_one = verbs.iter().any(|verb| three[0].is_word(text, verb))
            && ["ROLE", "USER", "GROUP"].iter().any(|word| three[1].is_word(text, word))
            && !three[2].is_word(text, "MAPPING");
        if let Some(role) = three[2].identifier(text).filter(|_| is_about_one) {
            roles.push(role.as_str().to_owned());
        }
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_roles() {
        for (text, made) in [
            ("CREATE ROLE app; create user \"We ird\" LOGIN", &["app", "We ird"][..]),
            ("DO $$ BEGIN IF true THEN CREATE ROLE app LOGIN; END IF; END $$", &["app"]),
            ("DO $a$ BEGIN CREATE GROUP b; END $a$", &["b"]),
            ("CREATE USER MAPPING FOR app SERVER s; -- CREATE ROLE no", &[]),
            ("DO $$", &[]),
        ] {
            assert_eq!(made_in(text), made, "{text}");
            assert_eq!(are_touched_by(text), !made.is_empty(), "{text}");
        }
        let text = "GRANT SELECT ON TABLE t TO a, \"We ird\" WITH GRANT OPTION; REVOKE ALL ON SCHEMA s FROM GROUP b, PUBLIC; \
            ALTER TABLE t OWNER TO c; ALTER TABLE t OWNER TO CURRENT_USER; ALTER TABLE t RENAME TO d; CREATE ROLE e; GRANT e TO e, a";
        assert_eq!(named_in(text), ["We ird", "a", "b", "c"]);
        for (text, is_so) in [
            ("ALTER ROLE a SET search_path = b", false),
            ("ALTER USER b PASSWORD 'a'", true),
            ("ALTER ROLE ALL SET work_mem = '1MB'", true),
            ("ALTER USER MAPPING FOR b SERVER a OPTIONS (SET a 'b')", false),
            ("DROP ROLE IF EXISTS a, \"We ird\"", true),
            ("DROP ROLE IF EXISTS a", false),
            ("COMMENT ON ROLE b IS 'b'", true),
            ("GRANT a TO b", true),
            ("GRANT a TO a, CURRENT_USER WITH ADMIN OPTION GRANTED BY a", false),
            ("REVOKE ADMIN OPTION FOR b FROM a", true),
            ("GRANT SELECT ON t TO b", false),
            ("CREATE ROLE b", false),
        ] {
            assert_eq!(is_about_others(text, &["a".to_owned()]), is_so, "{text}");
        }
        assert!(made_in("ALTER ROLE app SET search_path = a").is_empty());
        assert!(are_touched_by("ALTER ROLE app SET search_path = a"));
        for (text, are_touched) in [
            ("GRANT a, b TO c", true),
            ("DO $$ BEGIN REVOKE ADMIN OPTION FOR a FROM b; END $$", true),
            ("GRANT SELECT ON t TO a WITH GRANT OPTION; SELECT * FROM t", false),
            ("REVOKE GRANT OPTION FOR SELECT (a), UPDATE ON t FROM b", false),
        ] {
            assert_eq!(are_touched_by(text), are_touched, "{text}");
        }
    }
}
