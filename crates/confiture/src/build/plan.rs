//! What a build will do, as data: which statements run together, on which database, and what would be lost.

use serde::Serialize;

use crate::build::aside;
use crate::build::order::{TreeFile, notes_on_order};
use crate::build::template;
use crate::config::{BuildOrder, Connection};
use crate::error::{Error, Place, Result};
use crate::postgres::database::{self, Server};
use crate::postgres::{Piece, Session};
use crate::sql::{Identifier, Sql, cannot_run_in_transaction, lex};

/// How to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildOptions {
    /// Replace a database that is not empty. It is lost.
    pub drop_existing: bool,
    /// The user has agreed to lose what [`BuildPlan::loses`] says.
    pub loss_confirmed: bool,
    /// Keep the result as a template database, and copy that the next time.
    pub cache: bool,
    /// End the connections of others to the database that is replaced.
    pub disconnect: bool,
    /// The environment is marked `production: true`: nothing is left there but the database itself.
    pub production: bool,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            drop_existing: false,
            loss_confirmed: false,
            cache: true,
            disconnect: false,
            production: false,
        }
    }
}

/// What a build will do.
#[derive(Debug, Clone, Serialize)]
pub struct BuildPlan {
    /// The database that is built.
    pub database: Identifier,
    /// What is there now.
    pub target: Target,
    /// The database is dropped and made anew: what it holds is lost.
    pub replaces: bool,
    /// What a build that was killed has set aside, and this one puts back, or drops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Identifier>,
    /// How the database comes about.
    pub way: Way,
    /// Why the result is not kept as a template; `None` where it is.
    pub not_cached: Option<String>,
    /// How many files run.
    pub files: usize,
    /// How many statements run.
    pub statements: usize,
    /// Statements that cannot run in a transaction. What stands before each is committed first.
    pub outside_transaction: Vec<OutsideTransaction>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    #[serde(skip)]
    pub(super) content: Content,
    #[serde(skip)]
    pub(super) connection: Connection,
    #[serde(skip)]
    pub(super) loss_confirmed: bool,
    #[serde(skip)]
    pub(super) disconnect: bool,
}

/// What runs.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) tree: Vec<TreeFile>,
    pub(super) order: BuildOrder,
    /// What runs behind the files.
    pub(super) record: Option<Sql>,
}

/// What is there before the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Target {
    /// No such database.
    Missing,
    /// A database in which users have made nothing.
    Empty,
    /// A database that holds something.
    Occupied {
        /// A few of the objects, in the server's words.
        examples: Vec<String>,
        /// How many there are.
        objects: u64,
    },
}

/// How the database comes about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum Way {
    /// The statements run in the empty database that is there.
    InPlace,
    /// The database is created and the statements run in it.
    Create,
    /// The database is a copy of a template database, which is built first where it is missing.
    Template {
        /// The template database.
        template: Identifier,
        /// Which tree it belongs to, whatever its files hold: how old templates of the same tree are found.
        tree: String,
    },
}

/// A statement that PostgreSQL refuses to run in a transaction.
#[derive(Debug, Clone, Serialize)]
pub struct OutsideTransaction {
    /// What it is: `CREATE INDEX CONCURRENTLY`.
    pub statement: &'static str,
    /// `file:line:column`.
    #[serde(serialize_with = "as_text")]
    pub place: Place,
}

fn as_text<S: serde::Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(place)
}

impl BuildPlan {
    /// What is about to be lost, to ask the user about: "dropping the database …"; `None` where nothing is.
    #[must_use]
    pub fn loses(&self) -> Option<String> {
        let left = self
            .left
            .as_ref()
            .map(|left| format!("the database {left}, which a build that was ended has set aside"));
        match (&self.target, left) {
            (Target::Occupied { examples, objects }, left) if self.replaces => Some(format!(
                "dropping the database {} with {}, all rows, and the database's own settings and privileges{}",
                self.database,
                some_of(examples, *objects),
                left.map(|left| format!("; and {left}")).unwrap_or_default()
            )),
            (_, left) => left.map(|left| format!("dropping {left}")),
        }
    }
}

/// Looks at the server and decides.
pub(super) async fn plan_build(
    content: Content,
    identity: &str,
    connection: &Connection,
    options: BuildOptions,
) -> Result<BuildPlan> {
    let tree = &content.tree;
    let runs = arrange(tree)?;
    let outside_transaction: Vec<_> = runs.outside_transaction();
    let statements = runs.statements();
    let on_order = if content.order == BuildOrder::Names { notes_on_order(tree) } else { Vec::new() };
    let mut notes = [runs.notes, on_order].concat();
    let database = Identifier::new(&connection.database);
    if matches!(database.as_str(), "template0" | "template1") {
        return Err(Error::refused(format!(
            "what {database} holds, every database of this server gets that is made from now on"
        ))
        .hint("build into another database"));
    }
    let maintenance = match database::connect_to_maintenance(connection).await {
        Ok(session) => Some(session),
        Err(error) if error.sqlstate_code().is_none() => return Err(error),
        Err(error) => {
            notes.push(format!("only {database} itself could be reached: {error}"));
            None
        }
    };
    let aside = aside::name_of(&database);
    let server = match &maintenance {
        Some(session) => {
            aside::lock_in_time(session, &database, &aside).await?;
            if options.cache {
                // What a session has written in template1 is counted when it ends.
                database::wait_until_unused(session, &Identifier::new("template1")).await?;
            }
            Some(database::read_server(session, &database).await?)
        }
        None => None,
    };
    let target = match &server {
        Some(server) if !server.exists => Target::Missing,
        _ => look_into(connection).await?,
    };
    if target == Target::Missing && server.as_ref().is_some_and(|server| !server.may_create) {
        return Err(may_not_create(&database, server.as_ref()));
    }
    let left = match &maintenance {
        Some(session) => {
            let is_left = aside::is_left(session, &aside).await?;
            aside::unlock(session, &aside).await?;
            is_left.then_some(aside)
        }
        None => None,
    };
    if let Some(left) = left.as_ref().filter(|_| !options.drop_existing) {
        notes.push(format!(
            "a build that was ended has left the database {left}, with what was there before it: --drop-existing drops that"
        ));
    }
    let left = left.filter(|_| options.drop_existing);
    let replaces = refuse_or_replace(&database, &target, options, server.as_ref())? || left.is_some();
    let (way, not_cached) = match (&maintenance, &server) {
        (Some(maintenance), Some(server)) if target != Target::Empty || left.is_some() => {
            choose_way(&content, identity, &database, maintenance, server, options).await?
        }
        _ => (Way::InPlace, Some("the database was there already".to_owned())),
    };
    Ok(BuildPlan {
        database,
        target,
        replaces,
        left,
        way,
        not_cached,
        files: tree.len(),
        statements,
        outside_transaction,
        notes,
        content,
        connection: connection.clone(),
        loss_confirmed: options.loss_confirmed,
        disconnect: options.disconnect,
    })
}

async fn choose_way(
    content: &Content,
    identity: &str,
    name: &Identifier,
    maintenance: &Session,
    server: &Server,
    options: BuildOptions,
) -> Result<(Way, Option<String>)> {
    let why_not = if !options.cache {
        Some("the cache is switched off".to_owned())
    } else if database::is_maintenance(name) {
        Some(format!("the lock that guards templates lives in a database such as {name}"))
    } else if options.production {
        Some("the environment is marked as production, and no template is left there".to_owned())
    } else {
        template::why_not_cached(&content.tree)
    };
    Ok(match why_not {
        Some(reason) => (Way::Create, Some(reason)),
        None => {
            let template = template::name_of(content, maintenance, server).await?;
            let tree = template::identity_of(identity, &server.role);
            (Way::Template { template, tree }, None)
        }
    })
}

pub(super) async fn look_into(connection: &Connection) -> Result<Target> {
    let session = Session::connect(connection).await?;
    let (examples, objects) = database::read_user_objects(&session).await?;
    Ok(if objects == 0 { Target::Empty } else { Target::Occupied { examples, objects } })
}

/// True where the database is to be replaced, and may be as far as the options go.
fn refuse_or_replace(
    database: &Identifier,
    target: &Target,
    options: BuildOptions,
    server: Option<&Server>,
) -> Result<bool> {
    let Target::Occupied { examples, objects } = target else {
        return Ok(false);
    };
    if !options.drop_existing {
        return Err(Error::refused(format!("the database {database} is not empty: it holds {}", some_of(examples, *objects)))
            .hint("build into another database, or drop and rebuild this one, with all its rows, by --drop-existing")
            .hint("to change the schema of a database in use, see `confiture migrate`"));
    }
    match server {
        Some(server) if server.may_create => Ok(true),
        _ => Err(may_not_create(database, server)),
    }
}

fn may_not_create(database: &Identifier, server: Option<&Server>) -> Error {
    match server {
        Some(server) => Error::new(
            crate::ErrorKind::Server,
            format!(
                "the database {database} cannot be created: the role {} may not create databases",
                server.role
            ),
        )
        .hint(format!("have an administrator run: CREATE DATABASE {database} OWNER {};", server.role))
        .hint(format!("or: ALTER ROLE {} CREATEDB;", server.role)),
        None => Error::new(
            crate::ErrorKind::Connect,
            format!(
                "the database {database} cannot be replaced: no other database of the server can be reached"
            ),
        )
        .hint("allow connections to the database postgres, or drop and create the database yourself"),
    }
}

fn some_of(examples: &[String], objects: u64) -> String {
    let more = objects.saturating_sub(examples.len() as u64);
    let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{and_more}", examples.join(", "))
}

/// The statements of a tree, in the groups in which they run.
pub(super) struct Runs<'a> {
    pub(super) runs: Vec<Run<'a>>,
    notes: Vec<String>,
}

pub(super) enum Run<'a> {
    /// In one transaction.
    Together(Vec<Piece<'a>>),
    /// On its own, outside of any.
    Alone(&'static str, Piece<'a>),
}

impl Runs<'_> {
    fn statements(&self) -> usize {
        self.runs.iter().map(|run| if let Run::Together(pieces) = run { pieces.len() } else { 1 }).sum()
    }

    fn outside_transaction(&self) -> Vec<OutsideTransaction> {
        let alone = |run: &Run<'_>| match run {
            Run::Together(_) => None,
            Run::Alone(statement, piece) => Some(OutsideTransaction { statement, place: place_of(*piece) }),
        };
        self.runs.iter().filter_map(alone).collect()
    }
}

fn place_of(piece: Piece<'_>) -> Place {
    piece.script.script.place(piece.statement.span.start)
}

/// Groups the statements. A tree's own `BEGIN` and `COMMIT` are left out: the build is one transaction already.
pub(super) fn arrange(tree: &[TreeFile]) -> Result<Runs<'_>> {
    let mut runs = Runs { runs: Vec::new(), notes: Vec::new() };
    for piece in tree.iter().flat_map(pieces) {
        let words = first_words(piece.text());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["BEGIN" | "END", ..] | ["START", "TRANSACTION", ..] => runs.left_out(piece),
            ["COMMIT", next @ ..] if next.first() != Some(&"PREPARED") => runs.left_out(piece),
            ["ROLLBACK" | "ABORT", next @ ..]
                if !next.contains(&"TO") && next.first() != Some(&"PREPARED") =>
            {
                return Err(unfit(
                    piece,
                    "a build cannot be rolled back from within",
                    "remove the statement, and what it would undo",
                ));
            }
            ["PREPARE", "TRANSACTION", ..] => {
                return Err(unfit(
                    piece,
                    "a build cannot be prepared for two-phase commit",
                    "remove the statement",
                ));
            }
            ["COPY", ..] if copies_to_client(piece.text()) => {
                return Err(unfit(piece, "the rows of this COPY have nowhere to go", "remove the statement"));
            }
            ["SET", "CLIENT_ENCODING" | "NAMES", ..] if !sets_utf8(piece.text()) => {
                return Err(unfit(
                    piece,
                    "the files are read as UTF-8",
                    "remove the statement, and save the file as UTF-8",
                ));
            }
            _ => runs.add(piece),
        }
    }
    Ok(runs)
}

impl<'a> Runs<'a> {
    fn add(&mut self, piece: Piece<'a>) {
        match (cannot_run_in_transaction(piece.text()), self.runs.last_mut()) {
            (Some(statement), _) => self.runs.push(Run::Alone(statement, piece)),
            (None, Some(Run::Together(pieces))) => pieces.push(piece),
            (None, _) => self.runs.push(Run::Together(vec![piece])),
        }
    }

    fn left_out(&mut self, piece: Piece<'_>) {
        let word = piece.text().split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        self.notes.push(format!("{}: {word} is left out, for the build is one transaction", place_of(piece)));
    }
}

fn pieces(file: &TreeFile) -> impl Iterator<Item = Piece<'_>> {
    file.script.statements.iter().map(|statement| Piece { script: &file.script, statement })
}

/// The first bare words of a statement, in upper case.
pub(super) fn first_words(statement: &str) -> Vec<String> {
    lex::lex(statement)
        .filter(|token| !token.is_blank())
        .take_while(|token| token.kind == lex::TokenKind::Word)
        .take(4)
        .map(|token| token.text(statement).to_ascii_uppercase())
        .collect()
}

fn copies_to_client(statement: &str) -> bool {
    let tokens: Vec<_> = lex::lex(statement).filter(|token| !token.is_blank()).collect();
    tokens.windows(2).any(|pair| pair[0].is_word(statement, "to") && pair[1].is_word(statement, "stdout"))
}

fn sets_utf8(statement: &str) -> bool {
    let value: String = statement.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    ["utf8", "unicode", "default"].iter().any(|name| value.ends_with(name))
}

fn unfit(piece: Piece<'_>, message: &str, hint: &str) -> Error {
    Error::config(message)
        .at(place_of(piece))
        .excerpt(piece.script.script.excerpt(piece.statement.span.clone()))
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Script, split};

    fn tree(text: &str) -> Vec<TreeFile> {
        vec![TreeFile {
            path: "a.sql".into(),
            script: split(Script::new("a.sql", text)).unwrap(),
            is_seed: false,
        }]
    }

    #[test]
    fn statements_run_together_as_far_as_they_can() {
        let tree = tree(
            "BEGIN; CREATE TABLE t (); COMMIT; CREATE INDEX CONCURRENTLY ON t (a); SELECT 1; SELECT 2; VACUUM",
        );
        let runs = arrange(&tree).unwrap();
        let shape: Vec<_> = runs
            .runs
            .iter()
            .map(
                |run| if let Run::Together(pieces) = run { pieces.len().to_string() } else { "alone".into() },
            )
            .collect();
        assert_eq!(shape, ["1", "alone", "2", "alone"]);
        assert_eq!(runs.notes[1], "a.sql:1:27: COMMIT is left out, for the build is one transaction");
        assert_eq!(runs.outside_transaction()[1].place.to_string(), "a.sql:1:91");
    }

    #[test]
    fn what_a_build_cannot_do_is_refused_at_its_place() {
        for text in [
            "ROLLBACK",
            "abort work",
            "PREPARE TRANSACTION 'x'",
            "COPY t TO STDOUT",
            "SET client_encoding = 'LATIN1'",
            "SET NAMES 'x'",
        ] {
            let tree = tree(&format!("SELECT 1; {text};"));
            let error = arrange(&tree).err().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(error.place().unwrap().to_string(), "a.sql:1:11");
        }
        for text in ["SAVEPOINT a", "ROLLBACK TO a", "SET client_encoding = 'UTF8'", "COPY t TO '/x'"] {
            assert!(arrange(&tree(text)).is_ok(), "{text}");
        }
    }
}
