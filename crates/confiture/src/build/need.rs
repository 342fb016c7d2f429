//! The order of what needs what, found out by trying: `build.order: dependencies`.
//!
//! All happens in one transaction. Every file runs behind a savepoint; where the server says that something is missing,
//! the file is taken back and waits until others have run. Where no whole file can run (two tables that refer to each
//! other), the first that can do so runs as far as it goes. Statements of one file keep their order. Nothing is left to
//! chance: the same files run in the same order every time.

use serde::Serialize;

use crate::build::guess::{defined_by, guess_order};
use crate::build::order::TreeFile;
use crate::build::plan::{Run, arrange};
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::{Piece, Session, roles, run_pieces};
use crate::sql::{Script, SplitScript, Sql, split};

/// A part of a file that ran at one go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ran {
    /// The file.
    pub file: String,
    /// Its statements, counted from 1: the first.
    pub first: usize,
    /// The last.
    pub last: usize,
    /// How many the file has; those that cannot run in a transaction, and what stands behind them, run at the end.
    pub of: usize,
}

/// Every file starts from the same settings, whatever ran before it.
const BEGIN_FILE: &str = "SAVEPOINT confiture_file; RESET ALL; SET client_min_messages = 'warning'";

/// A file on its way.
struct Waiting<'a> {
    file: &'a TreeFile,
    /// What runs in the transaction.
    pieces: Vec<Piece<'a>>,
    /// How many of these have run.
    done: usize,
    /// Why it waits: which piece failed, and what the server said.
    refusal: Option<(usize, Error)>,
}

/// Runs all files that are no seeds, in the transaction that is open, and says in which order they could run.
pub(super) async fn run_by_need(
    session: &Session,
    tree: &[TreeFile],
    execution: &Execution,
) -> Result<Vec<Ran>> {
    let files: Vec<&TreeFile> = tree.iter().filter(|file| !file.is_seed).collect();
    let (mut waiting, mut ran) = (Vec::new(), Vec::new());
    let sections = sections(&files);
    for (number, section) in sections.iter().enumerate() {
        for index in guess_order(section) {
            let pieces = transactional(section[index])?;
            if !pieces.is_empty() {
                waiting.push(Waiting { file: section[index], pieces, done: 0, refusal: None });
            }
        }
        while !waiting.is_empty() {
            let before = ran.len();
            let mut still = Vec::new();
            for mut one in waiting {
                if execution.is_interrupted() {
                    return Err(Error::interrupted("the build was interrupted; nothing of it stays"));
                }
                let (first, all) = (one.done, one.pieces.len());
                if one.run(session, all).await? {
                    ran.push(Ran { file: one.file.path.clone(), first: first + 1, last: all, of: all });
                } else {
                    still.push(one);
                }
            }
            waiting = still;
            if ran.len() > before || waiting.is_empty() {
                continue;
            }
            match advance_one(session, &mut waiting).await? {
                Some(part) => ran.push(part),
                // What it lacks may be made further on.
                None if number + 1 < sections.len() => break,
                // No file makes the role that one lacks, and the server is our own.
                None if make_role(session, &waiting).await? => {}
                None => return Err(never_resolved(session, &waiting)),
            }
        }
    }
    session.batch(&Sql::literal("RESET ALL; SET client_min_messages = 'warning'")).await?;
    Ok(ran)
}

/// Makes the first role that a file waits for, where roles may be made.
async fn make_role(session: &Session, waiting: &[Waiting<'_>]) -> Result<bool> {
    for (_, refusal) in waiting.iter().filter_map(|one| one.refusal.as_ref()) {
        if roles::make_missing(session, refusal).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lets the first file that can run a few statements run these.
async fn advance_one(session: &Session, waiting: &mut [Waiting<'_>]) -> Result<Option<Ran>> {
    for one in waiting.iter_mut() {
        let Some(failed) = one.refusal.as_ref().map(|(at, _)| *at).filter(|at| *at > one.done) else {
            continue;
        };
        let first = one.done;
        if one.run(session, failed).await? {
            return Ok(Some(Ran {
                file: one.file.path.clone(),
                first: first + 1,
                last: failed,
                of: one.pieces.len(),
            }));
        }
    }
    Ok(None)
}

/// Default privileges and event triggers act on all that is made after them, and need none of it. So a file with one keeps its
/// place among the names: what comes before it by name runs before it, as far as that can be.
fn sections<'a>(files: &[&'a TreeFile]) -> Vec<Vec<&'a TreeFile>> {
    let mut sections = vec![Vec::new()];
    for file in files {
        let acts_on_what_follows = file.script.statements.iter().any(|statement| {
            let words = crate::build::plan::first_words(file.script.text_of(statement));
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            matches!(
                words.as_slice(),
                ["ALTER", "DEFAULT", "PRIVILEGES", ..] | ["CREATE", "EVENT", "TRIGGER", ..]
            )
        });
        if acts_on_what_follows {
            sections.extend([vec![*file], Vec::new()]);
        } else if let Some(section) = sections.last_mut() {
            section.push(*file);
        }
    }
    sections
}

impl<'a> Waiting<'a> {
    /// Runs from where it is up to `end`. False where something is missing: then nothing of it has happened.
    async fn run(&mut self, session: &Session, end: usize) -> Result<bool> {
        session.batch(&Sql::literal(BEGIN_FILE)).await?;
        // What the file had set for itself before it had to wait.
        let settings: Vec<Piece<'a>> =
            self.pieces[..self.done].iter().copied().filter(|piece| sets(*piece)).collect();
        let outcome = async {
            run_pieces(session, &settings).await?;
            run_pieces(session, &self.pieces[self.done..end]).await
        };
        match outcome.await {
            Ok(()) => {
                session.batch(&Sql::literal("RELEASE confiture_file")).await?;
                self.done = end;
                self.refusal = None;
                Ok(true)
            }
            Err(error) if is_missing(&error) || roles::lacks_superuser(session, &error) => {
                session.batch(&Sql::literal("ROLLBACK TO confiture_file; RELEASE confiture_file")).await?;
                self.refusal = Some((self.failed_at(&error), error));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Which piece the error's place is in.
    fn failed_at(&self, error: &Error) -> usize {
        let Some(place) = error.place() else { return self.done };
        let starts = |piece: &Piece<'_>| {
            let start = piece.script.script.place(piece.statement.span.start);
            (start.line, start.column) <= (place.line, place.column)
        };
        self.pieces.partition_point(starts).saturating_sub(1).max(self.done)
    }
}

/// True for statements that set something for those behind them.
fn sets(piece: Piece<'_>) -> bool {
    let words = crate::build::plan::first_words(piece.text());
    words.first().is_some_and(|word| word == "SET" || word == "RESET") || piece.text().contains("set_config")
}

/// What may be made by a file that has not run yet: a relation, a type, a function, a schema, a column, a key, an
/// enum's value.
fn is_missing(error: &Error) -> bool {
    const MISSING: [&str; 8] = ["42P01", "42704", "42883", "3F000", "42703", "42830", "22P02", "42P17"];
    error.sqlstate_code().is_some_and(|code| MISSING.contains(&code))
}

/// The pieces of a file up to the first that cannot run in a transaction.
fn transactional(file: &TreeFile) -> Result<Vec<Piece<'_>>> {
    match arrange(std::slice::from_ref(file))?.runs.into_iter().next() {
        Some(Run::Together(pieces)) => Ok(pieces),
        _ => Ok(Vec::new()),
    }
}

/// One error for all files that wait for what nobody makes.
fn never_resolved(session: &Session, waiting: &[Waiting<'_>]) -> Error {
    let made: Vec<_> = waiting.iter().map(|one| defined_by(one.file)).collect();
    let lacks = |one: &Waiting<'_>| {
        let message = one.refusal.as_ref().map_or("", |(_, error)| error.message());
        message.split('"').nth(1).map(|name| name.rsplit('.').next().unwrap_or(name).to_owned())
    };
    // Who waits for a file that waits itself is no news.
    let root = waiting
        .iter()
        .position(|one| lacks(one).is_none_or(|name| !made.iter().any(|made| made.contains(&name))));
    let first = &waiting[root.unwrap_or(0)];
    let mut error = match &first.refusal {
        Some((_, refusal)) => copy_of(refusal),
        None => Error::unexpected("a file waits for nothing"),
    };
    error = match root {
        Some(_) if roles::missing_role(&error).is_some() => roles::advise(session, error),
        Some(_) => error.hint("no file makes it: it is misspelt, or its file is left out"),
        None => error.hint("these files need each other; inside a file statements keep their order, so put what both need into a file of its own"),
    };
    for one in waiting.iter().filter(|one| !std::ptr::eq(*one, first)).take(5) {
        if let Some((_, refusal)) = &one.refusal {
            let place = refusal.place().map_or_else(|| one.file.path.clone(), ToString::to_string);
            error = error.hint(format!("waits as well: {place}: {}", refusal.message()));
        }
    }
    match waiting.len().saturating_sub(6) {
        0 => error,
        more => error.hint(format!("and {more} more files wait")),
    }
}

/// What the server said, without what is underneath.
fn copy_of(error: &Error) -> Error {
    let mut copy = Error::new(error.kind(), error.message());
    if let Some(place) = error.place() {
        copy = copy.at(place.clone());
    }
    if let Some(excerpt) = error.excerpt_of() {
        copy = copy.excerpt(excerpt.clone());
    }
    if let Some(code) = error.sqlstate_code() {
        copy = copy.sqlstate(code);
    }
    error.hints().iter().fold(copy, super::super::error::Error::hint)
}

/// What runs after the transaction: of each file the rest from the first statement on that cannot run in one.
pub(super) fn tails(tree: &[TreeFile]) -> Result<Vec<Run<'_>>> {
    let mut tails = Vec::new();
    for file in tree.iter().filter(|file| !file.is_seed) {
        let runs = arrange(std::slice::from_ref(file))?.runs;
        tails.extend(runs.into_iter().skip_while(|run| matches!(run, Run::Together(_))));
    }
    Ok(tails)
}

/// The files as one text, in the order in which they ran. Each starts with the settings of the session, as it did there.
pub(super) fn render(text: &mut String, tree: &[TreeFile], ran: &[Ran]) -> Result<()> {
    use std::fmt::Write as _;
    for one in ran {
        let Some(file) = tree.iter().find(|file| file.path == one.file) else { continue };
        let pieces = transactional(file)?;
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "-- File: {}\n\nRESET ALL;", file.path);
        for piece in pieces[..one.first - 1].iter().filter(|piece| sets(**piece)) {
            let _ = writeln!(text, "{};", piece.text());
        }
        for piece in &pieces[one.first - 1..one.last] {
            push_piece(text, *piece);
        }
        text.push('\n');
    }
    for run in tails(tree)? {
        match run {
            Run::Together(pieces) => pieces.into_iter().for_each(|piece| push_piece(text, piece)),
            Run::Alone(_, piece) => push_piece(text, piece),
        }
    }
    Ok(())
}

/// The same as scripts, each part of a file with the statements that ran.
pub(super) fn in_order(tree: &[TreeFile], ran: &[Ran]) -> Result<Vec<SplitScript>> {
    let mut scripts = Vec::new();
    let reset = || split(Script::new("between two files", "RESET ALL;"));
    let part = |pieces: Vec<Piece<'_>>| {
        let script = pieces.first()?.script.script.clone();
        Some(SplitScript {
            script,
            statements: pieces.into_iter().map(|piece| piece.statement.clone()).collect(),
        })
    };
    for one in ran {
        let Some(file) = tree.iter().find(|file| file.path == one.file) else { continue };
        let pieces = transactional(file)?;
        let before = pieces[..one.first - 1].iter().filter(|piece| sets(**piece));
        let run = before.chain(&pieces[one.first - 1..one.last]).copied().collect();
        scripts.push(reset()?);
        scripts.extend(part(run));
    }
    for run in tails(tree)? {
        scripts.extend(match run {
            Run::Together(pieces) => part(pieces),
            Run::Alone(_, piece) => part(vec![piece]),
        });
    }
    Ok(scripts)
}

/// A statement with the comments in front of it, and its rows.
fn push_piece(text: &mut String, piece: Piece<'_>) {
    let source = piece.script.script.text();
    text.push_str(source[piece.statement.lead.clone()].trim_start_matches(['\n', '\r']));
    text.push_str(piece.text());
    text.push_str(";\n");
    if let Some(data) = &piece.statement.data {
        text.push_str(&source[data.clone()]);
        text.push_str("\\.\n");
    }
}
