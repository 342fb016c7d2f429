//! Runs the statements of scripts: many in one round trip, and still every error at its exact place.
//!
//! The server answers each statement of a batch with one `CommandComplete`, in order. So the number of answers before an error
//! *is* the statement that failed, without a second run; `position`, where the server gives one, then says which character.

use std::pin::pin;

use bytes::Bytes;
use futures_util::{SinkExt, TryStreamExt};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::ErrorPosition;

use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::sql::{Script, SplitScript, Sql, Statement, lex::lex};

/// The server parses a batch as a whole before it runs its first statement: beyond this many bytes a new batch starts.
const BATCH_BYTES: usize = 1 << 20;

/// How much `COPY` data is sent at a time.
const COPY_BYTES: usize = 64 << 10;

/// One statement of one script.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The script.
    pub script: &'a SplitScript,
    /// One of its statements.
    pub statement: &'a Statement,
}

impl<'a> Piece<'a> {
    /// The statement's text, without its semicolon.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.script.text_of(self.statement)
    }

    fn source(self) -> &'a Script {
        &self.script.script
    }
}

/// Runs statements in order and stops at the first error. Whether they are one transaction is the caller's choice: without a
/// `BEGIN` before, each batch is one.
///
/// # Errors
///
/// What the server refused, at its place in the user's file, with the lines around it.
pub async fn run_pieces(session: &Session, pieces: &[Piece<'_>]) -> Result<()> {
    let mut batch = Batch::default();
    for &piece in pieces {
        if piece.statement.data.is_some() {
            batch.run(session).await?;
            copy(session, piece).await?;
            continue;
        }
        batch.add(piece);
        if batch.is_full() {
            batch.run(session).await?;
        }
    }
    batch.run(session).await
}

/// Runs statements with others of ours in front and behind, all in as few messages as there can be: a transaction with its record.
///
/// # Errors
///
/// As [`run_pieces`]; with the number of the statement behind, from 0, where it is one of those that was refused.
pub async fn run_pieces_between(
    session: &Session,
    before: &[Sql],
    pieces: &[Piece<'_>],
    after: &[Sql],
) -> std::result::Result<(), (Error, Option<usize>)> {
    let here = |error| (error, None);
    let mut batch = Batch::default();
    before.iter().for_each(|statement| batch.add_ours(statement));
    batch.before = before.len();
    for &piece in pieces {
        if piece.statement.data.is_some() {
            batch.run_all(session).await?;
            copy(session, piece).await.map_err(here)?;
            continue;
        }
        batch.add(piece);
        if batch.is_full() {
            batch.run_all(session).await?;
        }
    }
    after.iter().for_each(|statement| batch.add_ours(statement));
    batch.run_all(session).await
}

/// Statements on their way to the server in one message.
#[derive(Default)]
struct Batch<'a> {
    text: String,
    /// Each statement, and where in `text` it starts.
    pieces: Vec<(usize, Piece<'a>)>,
    /// How many statements of ours stand in front of them.
    before: usize,
    /// What comes next is read otherwise.
    reads_on_otherwise: bool,
}

impl<'a> Batch<'a> {
    fn add(&mut self, piece: Piece<'a>) {
        self.pieces.push((self.text.len(), piece));
        self.text.push_str(piece.text());
        self.text.push_str(";\n");
        self.reads_on_otherwise |= piece.text().contains("standard_conforming_strings");
    }

    /// The server reads a batch as a whole, by the settings that were made before it.
    fn is_full(&self) -> bool {
        self.text.len() >= BATCH_BYTES || self.reads_on_otherwise
    }

    fn add_ours(&mut self, statement: &Sql) {
        self.text.push_str(statement.as_str());
        self.text.push_str(";\n");
    }

    async fn run(&mut self, session: &Session) -> Result<()> {
        self.run_all(session).await.map_err(|(error, _)| error)
    }

    /// With an error, the number of the statement of ours behind the others that failed, where it is one.
    async fn run_all(&mut self, session: &Session) -> std::result::Result<(), (Error, Option<usize>)> {
        let batch = std::mem::take(self);
        if batch.text.is_empty() {
            return Ok(());
        }
        let mut completed = 0;
        let answers = session.client().simple_query_raw(&batch.text).await;
        let answers = answers.map_err(|error| (session.refused(error), None))?;
        let mut answers = pin!(answers);
        loop {
            match answers.try_next().await {
                Ok(Some(SimpleQueryMessage::CommandComplete(_))) => completed += 1,
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(batch.explain_all(session, error, completed)),
            }
        }
    }

    fn explain_all(
        &self,
        session: &Session,
        error: tokio_postgres::Error,
        completed: usize,
    ) -> (Error, Option<usize>) {
        match completed.checked_sub(self.before) {
            Some(completed) if completed < self.pieces.len() => {
                (self.explain(session, error, completed), None)
            }
            Some(completed) => (session.refused(error), Some(completed - self.pieces.len())),
            // A syntax error anywhere comes before the first statement has run.
            None if completed == 0 && character_of(&error).is_some() && !self.pieces.is_empty() => {
                (self.explain(session, error, 0), None)
            }
            None => (session.refused(error), None),
        }
    }

    fn explain(&self, session: &Session, error: tokio_postgres::Error, completed: usize) -> Error {
        let at = character_of(&error).map(|character| byte_of(&self.text, character));
        let (piece, offset) = self.locate(at, completed);
        explain(session.refused(error), piece, offset)
    }

    /// The statement that failed after `completed` ones, and the byte in it where the server points, if it does.
    ///
    /// A syntax error anywhere in the batch comes before the first statement has run: then the position alone decides.
    fn locate(&self, at: Option<usize>, completed: usize) -> (Piece<'a>, Option<usize>) {
        let pointed = at.and_then(|at| {
            let index = self.pieces.partition_point(|(start, _)| *start <= at).checked_sub(1)?;
            let (start, piece) = self.pieces[index];
            Some((index, piece, (at - start).min(piece.text().len())))
        });
        match pointed {
            Some((index, piece, offset)) if index == completed || completed == 0 => (piece, Some(offset)),
            // A position that lies elsewhere is one in text that is not the user's: the script of an extension.
            _ => (self.pieces[completed.min(self.pieces.len() - 1)].1, None),
        }
    }
}

async fn copy(session: &Session, piece: Piece<'_>) -> Result<()> {
    let refused = |error: tokio_postgres::Error| {
        let line = line_of_data(&error);
        let offset = character_of(&error).map(|character| byte_of(piece.text(), character));
        let refused = session.refused(error);
        match line {
            Some(line) => explain_data(refused, piece, line),
            None => explain(refused, piece, offset),
        }
    };
    let statement = Sql::from_user(piece.text());
    let sink = session.client().copy_in(statement.as_str()).await.map_err(refused)?;
    let mut sink = pin!(sink);
    let data = piece.statement.data.clone().unwrap_or_default();
    let data = Bytes::copy_from_slice(&piece.source().text().as_bytes()[data]);
    for start in (0..data.len()).step_by(COPY_BYTES) {
        // Where the server has already given up, its reason comes with `finish`.
        if sink.feed(data.slice(start..data.len().min(start + COPY_BYTES))).await.is_err() {
            break;
        }
    }
    sink.finish().await.map_err(refused)?;
    Ok(())
}

/// The character of the sent text to which the server points, from 0.
fn character_of(error: &tokio_postgres::Error) -> Option<usize> {
    match error.as_db_error()?.position()? {
        ErrorPosition::Original(position) => (*position as usize).checked_sub(1),
        ErrorPosition::Internal { .. } => None,
    }
}

fn byte_of(text: &str, character: usize) -> usize {
    text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
}

/// The line of `COPY` data to which the server's context points, from 1: the first number behind the table's name in
/// `COPY users, line 3, column id: …`, in whatever language.
fn line_of_data(error: &tokio_postgres::Error) -> Option<usize> {
    let context = error.as_db_error()?.where_()?;
    let line = context.strip_prefix("COPY ")?.split(", ").find_map(|part| {
        let number =
            part.split(|c: char| c == ':' || c.is_whitespace()).find(|word| word.parse::<usize>().is_ok());
        part.chars().next().is_some_and(char::is_alphabetic).then_some(number).flatten()
    })?;
    line.parse().ok()
}

fn explain(error: Error, piece: Piece<'_>, offset: Option<usize>) -> Error {
    let (script, span) = (piece.source(), piece.statement.span.clone());
    let mark = match offset {
        Some(offset) => {
            let token = lex(&piece.text()[offset..]).next().map_or(1, |token| token.span.len());
            span.start + offset..span.start + offset + token
        }
        None => span,
    };
    error.at(script.place(mark.start)).excerpt(script.excerpt(mark))
}

/// An error in line `line` (from 1) of the rows of a `COPY`. The row itself is not shown: it is data.
fn explain_data(error: Error, piece: Piece<'_>, line: usize) -> Error {
    let script = piece.source();
    let first = piece.statement.data.as_ref().map_or(piece.statement.span.start, |data| data.start);
    let line = script.place(first).line + line - 1;
    error.at(script.place(script.line_start(line))).excerpt(script.excerpt(piece.statement.span.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::split;

    #[test]
    fn the_statement_is_the_one_after_those_that_completed() {
        let script = split(Script::new("a.sql", "one;\ntwé b;\nthree;")).unwrap();
        let mut batch = Batch::default();
        for statement in &script.statements {
            batch.add(Piece { script: &script, statement });
        }
        let located = |at: Option<usize>, completed| {
            let (piece, offset) = batch.locate(at, completed);
            (piece.text(), offset)
        };
        let b = batch.text.find('b').unwrap();
        assert_eq!(byte_of(&batch.text, 9), b);
        assert_eq!(located(Some(b), 1), ("twé b", Some(5)));
        assert_eq!(located(Some(b), 0), ("twé b", Some(5)), "a syntax error comes before everything");
        assert_eq!(located(None, 2), ("three", None));
        assert_eq!(located(Some(0), 2), ("three", None), "a position in somebody else's text");
        assert_eq!(located(Some(batch.text.len()), 2), ("three", Some(5)), "at the end of input");
    }
}
