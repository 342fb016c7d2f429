//! Template databases: a second build of the same files is a copy of the first.
//!
//! A template is named after a fingerprint of everything that decides what it holds: the files, the role, the server's
//! settings, the version of this program. It is built under an exclusive advisory lock, takes no connections once it is
//! done, and counts only when its comment says that it is complete; copying takes the lock in shared mode. So a
//! half-built one is never used, whoever died when. It is *not* marked `IS_TEMPLATE`: that would let every role with
//! CREATEDB copy it.

use std::pin::pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::build::order::TreeFile;
use crate::build::plan::{Content, first_words};
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::postgres::database::{self, Server};
use crate::sql::lex::{TokenKind, lex};
use crate::sql::{Identifier, Literal, Sql, sql};

const PREFIX: &str = "confiture_template_";

/// How many templates of one tree are kept, and how many of all trees of one role.
const KEPT_OF_TREE: usize = 3;
const KEPT_IN_ALL: usize = 12;

/// What the comment on a template database says.
#[derive(Serialize, Deserialize)]
struct Mark {
    /// Who made it.
    made_by: String,
    /// The tree, whatever its files held at the time.
    tree: String,
    /// All statements have run.
    complete: bool,
}

/// The name of the template that holds what `tree` makes on this server.
pub(super) async fn name_of(content: &Content, maintenance: &Session, server: &Server) -> Result<Identifier> {
    let Content { tree, order, record } = content;
    let mut hash = Fingerprint::new(&server.role);
    hash.add(&server.circumstances);
    if mentions_extensions(tree) {
        let versions = Sql::literal(include_str!("../postgres/queries/extension_versions.sql"));
        hash.add(maintenance.query_one(&versions, &[]).await?.get("digest"));
    }
    // In which order they run decides what they make.
    hash.add(order.word());
    for file in tree {
        hash.add(&file.path);
        hash.add(file.script.script.text());
    }
    if let Some(record) = record {
        hash.add("record");
        hash.add(record.as_str());
    }
    Ok(Identifier::new(format!("{PREFIX}{}", hash.finish())))
}

/// What stands for a tree, whatever its files hold.
pub(super) fn identity_of(tree: &str, role: &Identifier) -> String {
    let mut hash = Fingerprint::new(role);
    hash.add(tree);
    hash.finish()
}

struct Fingerprint(Sha256);

impl Fingerprint {
    fn new(role: &Identifier) -> Self {
        let mut hash = Self(Sha256::new());
        hash.add("build 2");
        hash.add(env!("CARGO_PKG_VERSION"));
        hash.add(role.as_str());
        hash
    }

    /// Each part with its length in front: no two lists of parts read the same.
    fn add(&mut self, part: &str) {
        self.0.update(part.len().to_le_bytes());
        self.0.update(part.as_bytes());
    }

    /// 32 hexadecimal digits: with the prefix they fit into a name.
    fn finish(self) -> String {
        let half = self.0.finalize().first_chunk().map_or(0, |half| u128::from_be_bytes(*half));
        format!("{half:032x}")
    }
}

fn mentions_extensions(tree: &[TreeFile]) -> bool {
    let mut statements =
        tree.iter().flat_map(|file| file.script.statements.iter().map(|one| file.script.text_of(one)));
    statements.any(|text| first_words(text).starts_with(&["CREATE".to_owned(), "EXTENSION".to_owned()]))
}

/// Why a copy of a template would not be what the files make: some statement acts outside of its database, or reads
/// what is not in the files.
pub(super) fn why_not_cached(tree: &[TreeFile]) -> Option<String> {
    tree.iter().find_map(|file| {
        file.script.statements.iter().find_map(|statement| {
            let reaches = reaches_outside(file.script.text_of(statement), statement.data.is_some())?;
            Some(format!("{reaches} at {}", file.script.script.place(statement.span.start)))
        })
    })
}

fn reaches_outside(statement: &str, has_data: bool) -> Option<String> {
    let first = first_words(statement);
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let words = words_of(statement, has_body(&first));
    match first.as_slice() {
        ["GRANT" | "REVOKE", ..] if !words.iter().any(|word| word == "ON") => {
            return Some("membership in a role is granted".to_owned());
        }
        ["COPY", ..] if !has_data => return Some("COPY reads a file of the server".to_owned()),
        ["IMPORT", ..] => return Some("another database is read by IMPORT FOREIGN SCHEMA".to_owned()),
        _ => {}
    }
    const ACTIONS: [&str; 4] = ["CREATE", "ALTER", "DROP", "ON"];
    const THINGS: [&str; 8] =
        ["DATABASE", "ROLE", "USER", "GROUP", "TABLESPACE", "SYSTEM", "SUBSCRIPTION", "PARAMETER"];
    let outside = words.windows(2).enumerate().find(|(at, pair)| {
        ACTIONS.contains(&pair[0].as_str())
            && THINGS.contains(&pair[1].as_str())
            && words.get(at + 2).is_none_or(|next| next != "MAPPING")
    });
    if let Some((_, pair)) = outside {
        return Some(format!("{} {} reaches beyond the database", pair[0], pair[1]));
    }
    const READERS: [&str; 8] = [
        "CURRENT_DATABASE",
        "CURRENT_CATALOG",
        "PG_READ_FILE",
        "PG_READ_BINARY_FILE",
        "LO_IMPORT",
        "DBLINK",
        "DBLINK_EXEC",
        "PG_CREATE_LOGICAL_REPLICATION_SLOT",
    ];
    let reader = words.iter().find(|word| READERS.contains(&word.as_str()))?;
    Some(format!("{} depends on more than the files", reader.to_lowercase()))
}

/// True for statements whose strings hold code.
fn has_body(first: &[&str]) -> bool {
    matches!(
        first,
        ["DO", ..]
            | ["CREATE", "FUNCTION" | "PROCEDURE", ..]
            | ["CREATE", "OR", "REPLACE", "FUNCTION" | "PROCEDURE", ..]
            | ["SELECT" | "CALL", ..]
    )
}

/// All words of a statement in upper case; with those in its strings where these hold code.
fn words_of(statement: &str, with_strings: bool) -> Vec<String> {
    let mut words = Vec::new();
    for token in lex(statement) {
        match token.kind {
            TokenKind::Word => words.push(token.text(statement).to_ascii_uppercase()),
            TokenKind::String | TokenKind::DollarString if with_strings => {
                let text = token.text(statement).split(|c: char| !c.is_alphanumeric() && c != '_');
                words.extend(text.filter(|word| !word.is_empty()).map(str::to_ascii_uppercase));
            }
            _ => {}
        }
    }
    words
}

/// Makes sure that the template is there and complete, building it with `build` where it is not, and takes its lock in
/// shared mode: nobody drops it until the session ends. True where it was there.
pub(super) async fn secure(
    maintenance: &Session,
    template: &Identifier,
    tree: &str,
    execution: &Execution,
    build: impl AsyncFnOnce() -> Result<()>,
) -> Result<bool> {
    let (key, why) =
        (key_of(template), "another build of the same files is at work; its result will be copied");
    lock(maintenance, &sql!("SELECT pg_advisory_lock_shared({})", key), execution, why).await?;
    if is_complete(maintenance, template).await? {
        return Ok(true);
    }
    // Two that wait for each other's shared lock would wait for ever: so it is given back first.
    maintenance.batch(&sql!("SELECT pg_advisory_unlock_shared({})", key)).await?;
    lock(maintenance, &sql!("SELECT pg_advisory_lock({})", key), execution, why).await?;
    let was_there = is_complete(maintenance, template).await?;
    if !was_there {
        make(maintenance, template, tree, build).await?;
    }
    // A session may hold both: in between nobody else can get in.
    maintenance.batch(&sql!("SELECT pg_advisory_lock_shared({})", key)).await?;
    maintenance.batch(&sql!("SELECT pg_advisory_unlock({})", key)).await?;
    Ok(was_there)
}

/// Waits for a lock, says `why` where that takes longer, and stops where the user asks to.
pub(super) async fn lock(
    maintenance: &Session,
    statement: &Sql,
    execution: &Execution,
    why: &str,
) -> Result<()> {
    let mut locked = pin!(maintenance.batch(statement));
    let patience = tokio::time::sleep(Duration::from_secs(1));
    tokio::select! {
        outcome = &mut locked => return outcome,
        () = execution.interrupted() => {}
        () = patience => {
            execution.note(why);
            tokio::select! {
                outcome = &mut locked => return outcome,
                () = execution.interrupted() => {}
            }
        }
    }
    drop(maintenance.cancel().await);
    Err(Error::interrupted("interrupted while another build was waited for; nothing was changed"))
}

async fn make(
    maintenance: &Session,
    template: &Identifier,
    tree: &str,
    build: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    // What a broken-off build has left: we hold the lock, so nobody is at it.
    database::drop_ours(maintenance, template).await?;
    database::create(maintenance, template, None).await?;
    let made = async {
        mark(maintenance, template, tree, false).await?;
        build().await?;
        maintenance.batch(&sql!("ALTER DATABASE {} ALLOW_CONNECTIONS false", template)).await?;
        mark(maintenance, template, tree, true).await
    };
    match made.await {
        Ok(()) => sweep(maintenance, template, tree).await,
        Err(error) => {
            // Should that fail too, the next build drops it: it is not marked as complete.
            if let Err(error) = database::drop_ours(maintenance, template).await {
                tracing::warn!(%template, %error, "a half-built template database stays behind");
            }
            Err(error)
        }
    }
}

async fn mark(maintenance: &Session, template: &Identifier, tree: &str, complete: bool) -> Result<()> {
    let mark = Mark { made_by: "confiture".to_owned(), tree: tree.to_owned(), complete };
    let mark = serde_json::to_string(&mark)
        .map_err(|error| Error::unexpected("a mark is not JSON").because(error))?;
    maintenance.batch(&sql!("COMMENT ON DATABASE {} IS {}", template, Literal(&mark))).await
}

async fn is_complete(maintenance: &Session, template: &Identifier) -> Result<bool> {
    let query = Sql::literal(
        "SELECT pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database \
         WHERE datname = $1::text AND NOT datallowconn",
    );
    let row = maintenance.query_opt(&query, &[&template.as_str()]).await?;
    Ok(row.is_some_and(|row| read_mark(row.get(0)).is_some_and(|mark| mark.complete)))
}

fn read_mark(comment: Option<String>) -> Option<Mark> {
    serde_json::from_str::<Mark>(&comment?).ok().filter(|mark| mark.made_by == "confiture")
}

/// Drops templates that we made and that are not worth their room: older ones of the same tree, the oldest of all, and
/// those that were never completed. One that is in use is left alone.
async fn sweep(maintenance: &Session, current: &Identifier, tree: &str) -> Result<()> {
    let rows =
        maintenance.query(&Sql::literal(include_str!("../postgres/queries/templates.sql")), &[]).await?;
    let (mut of_tree, mut in_all) = (0, 0);
    for row in rows {
        let template = Identifier::new(row.get::<_, String>("name"));
        let comment: Option<String> = row.get("comment");
        let mark = match (comment.is_some(), read_mark(comment)) {
            // Ours by name, but somebody has written something else on it: theirs now.
            (true, None) => continue,
            (_, mark) => mark,
        };
        let is_complete = mark.as_ref().is_some_and(|mark| mark.complete);
        if is_complete {
            in_all += 1;
            of_tree += usize::from(mark.is_some_and(|mark| mark.tree == tree));
        }
        let is_kept = is_complete && of_tree <= KEPT_OF_TREE && in_all <= KEPT_IN_ALL;
        if template != *current && !is_kept {
            drop_unused(maintenance, &template).await?;
        }
    }
    Ok(())
}

async fn drop_unused(maintenance: &Session, template: &Identifier) -> Result<()> {
    let key = key_of(template);
    let row = maintenance.query_one(&sql!("SELECT pg_try_advisory_lock({})", key), &[]).await?;
    if row.get(0) {
        database::drop_ours(maintenance, template).await?;
        maintenance.batch(&sql!("SELECT pg_advisory_unlock({})", key)).await?;
    }
    Ok(())
}

/// The advisory lock of a template: the first half of its fingerprint.
fn key_of(template: &Identifier) -> i64 {
    let digits = template.as_str().strip_prefix(PREFIX).and_then(|digits| digits.get(..16));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_beyond_the_database_is_not_cached() {
        for statement in [
            "ALTER DATABASE x SET a = 1",
            "COMMENT ON DATABASE x IS 'y'",
            "CREATE ROLE app",
            "DO $$ BEGIN CREATE ROLE app; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET a = 1', current_database()); END $$",
            "GRANT a TO b",
            "GRANT CONNECT ON DATABASE x TO y",
            "CREATE TABLESPACE x LOCATION 'y'",
            "COPY t FROM '/etc/passwd'",
            "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z",
            "CREATE MATERIALIZED VIEW v AS SELECT current_database()",
        ] {
            assert!(reaches_outside(statement, false).is_some(), "{statement}");
        }
    }

    #[test]
    fn everything_else_is() {
        for statement in [
            "CREATE TABLE database (role text, \"ALTER DATABASE\" int)",
            "COMMENT ON TABLE t IS 'see CREATE ROLE'",
            "INSERT INTO permissions VALUES ('create user')",
            "CREATE USER MAPPING FOR public SERVER s",
            "GRANT SELECT ON t TO reader",
            "ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT SELECT ON TABLES TO b",
            "ALTER TABLE t OWNER TO app",
            "CREATE POLICY p ON t TO app",
        ] {
            assert_eq!(reaches_outside(statement, false), None, "{statement}");
        }
        assert_eq!(reaches_outside("COPY t FROM stdin", true), None);
    }
}
