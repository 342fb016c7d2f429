//! How the statements of a migration are cut into steps: what is one transaction, and what cannot be in any.

use crate::error::{Error, Result};
use crate::migrate::file_name::{Kind, parse_file_name};
use crate::migrate::part::Part;
use crate::postgres::Piece;
use crate::sql::lex::{TokenKind, lex};
use crate::sql::{Statement, cannot_run_in_transaction};

/// What is done and recorded at once.
#[derive(Debug, Clone)]
pub(super) enum Step<'a> {
    /// One transaction, together with the record that it is done.
    Together(Vec<Piece<'a>>),
    /// Outside of any transaction; the record comes before and after.
    Alone(&'static str, Piece<'a>),
}

/// The steps of one direction.
#[derive(Debug, Clone)]
pub(super) struct Steps<'a> {
    pub(super) steps: Vec<Step<'a>>,
    /// All is one transaction, the history's row included.
    pub(super) in_transaction: bool,
}

impl<'a> Step<'a> {
    pub(super) fn pieces(&self) -> &[Piece<'a>] {
        match self {
            Self::Together(pieces) => pieces,
            Self::Alone(_, piece) => std::slice::from_ref(piece),
        }
    }
}

impl<'a> Steps<'a> {
    /// Cuts a part into steps.
    ///
    /// # Errors
    ///
    /// A statement that a migration cannot hold, at its place.
    pub(super) fn of(part: &'a Part) -> Result<Self> {
        let pieces =
            || part.script.statements.iter().map(|statement| Piece { script: &part.script, statement });
        let asked = part.directives.no_transaction;
        let in_transaction =
            !asked && pieces().all(|piece| cannot_run_in_transaction(piece.text()).is_none());
        let mut steps = Self { steps: Vec::new(), in_transaction };
        let mut block = None;
        let mut open = false;
        let is_filled_in = is_versioned(part) && !part.directives.as_written;
        for piece in pieces() {
            if is_filled_in {
                refuse_placeholder(piece)?;
            }
            match control(piece)? {
                Control::Begin if in_transaction => {}
                Control::Commit if in_transaction => {}
                Control::Begin => (block, open) = (Some(piece), false),
                Control::Commit => (block, open) = (None, false),
                Control::None => {
                    let alone = alone(piece.text(), asked);
                    match (alone, block) {
                        (Some(what), Some(_)) => {
                            return Err(unfit(
                                piece,
                                &format!("{what} cannot stand between BEGIN and COMMIT"),
                                "write it in front of the BEGIN or behind the COMMIT",
                            ));
                        }
                        (Some(what), None) => {
                            steps.steps.push(Step::Alone(what, piece));
                            open = false;
                        }
                        // In a file that asks for it, each statement is a transaction; in one where a statement needs it, all
                        // statements up to that one.
                        (None, _) => {
                            steps.add(piece, open && (block.is_some() || !asked));
                            open = true;
                        }
                    }
                }
            }
        }
        if let Some(begin) = block {
            return Err(unfit(begin, "this BEGIN has no COMMIT", "end the transaction with COMMIT"));
        }
        Ok(steps)
    }

    fn add(&mut self, piece: Piece<'a>, to_last: bool) {
        match self.steps.last_mut() {
            Some(Step::Together(pieces)) if to_last => pieces.push(piece),
            _ => self.steps.push(Step::Together(vec![piece])),
        }
    }

    /// The settings that the steps before `from` have made for the session, which a run that goes on there must make again.
    pub(super) fn settings_before(&self, from: usize) -> Vec<Piece<'a>> {
        let before = self.steps.iter().take(from).flat_map(|step| step.pieces().iter().copied());
        before.filter(|piece| is_setting(piece.text())).collect()
    }

    /// How many statements the first `steps` steps have.
    pub(super) fn statements_in(&self, steps: usize) -> usize {
        self.steps.iter().take(steps).map(|step| step.pieces().len()).sum()
    }
}

/// True for `V1__x.sql` and `U1__x.sql`, whose texts Flyway fills in before it sends them.
fn is_versioned(part: &Part) -> bool {
    let name = part.script.script.file().file_name().unwrap_or_default().to_string_lossy();
    parse_file_name(&name).is_ok_and(|name| matches!(name.kind, Kind::Versioned | Kind::Undo))
}

/// In a string `${role}` would be run as it stands, and nobody would know.
fn refuse_placeholder(piece: Piece<'_>) -> Result<()> {
    let text = piece.text();
    let Some(placeholder) = text.match_indices("${").find_map(|(at, _)| placeholder_at(&text[at..])) else {
        return Ok(());
    };
    Err(unfit(
        piece,
        &format!("Flyway would put a value in the place of {placeholder}, and Confiture does not"),
        "write the value; where the text is meant as it stands, call the file V….up.sql",
    ))
}

/// `${flyway:user}`, at the beginning of a text.
fn placeholder_at(text: &str) -> Option<&str> {
    let end = text.find('}')?;
    let name = text.get(2..end).filter(|name| !name.is_empty())?;
    let is_name = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '-'));
    is_name.then(|| &text[..=end])
}

/// The name of a statement that is run outside of any transaction.
fn alone(statement: &str, asked: bool) -> Option<&'static str> {
    // These may commit on their own, and only where they are not in a transaction: that is what such files are written for.
    let may_commit = || match first_words(statement).first().map(String::as_str) {
        Some("CALL") => Some("CALL"),
        Some("DO") => Some("DO"),
        _ => None,
    };
    cannot_run_in_transaction(statement).or_else(|| if asked { may_commit() } else { None })
}

/// `SET …`, `RESET …`, `SELECT set_config(…)`, as long as it outlives its transaction.
fn is_setting(statement: &str) -> bool {
    let words = first_words(statement);
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["SET", "LOCAL" | "TRANSACTION" | "CONSTRAINTS", ..] => false,
        ["SET" | "RESET", ..] => true,
        ["SELECT", ..] => lex(statement).any(|token| token.is_word(statement, "set_config")),
        _ => false,
    }
}

enum Control {
    Begin,
    Commit,
    None,
}

/// What a statement means for transactions; an error for what a migration cannot hold.
fn control(piece: Piece<'_>) -> Result<Control> {
    let words = first_words(piece.text());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["BEGIN", "WORK" | "TRANSACTION", modes @ ..]
        | ["BEGIN", modes @ ..]
        | ["START", "TRANSACTION", modes @ ..] => {
            if modes.is_empty() {
                return Ok(Control::Begin);
            }
            Err(unfit(
                piece,
                "Confiture begins the transactions of a migration, and these modes would count for nothing",
                "write them as the first statement behind a plain BEGIN: SET TRANSACTION …",
            ))
        }
        ["COMMIT" | "END", .., "AND", "CHAIN"] => Err(unfit(
            piece,
            "Confiture begins the transactions of a migration, and this CHAIN would count for nothing",
            "write COMMIT and BEGIN",
        )),
        ["COMMIT" | "END", next @ ..] if next.first() != Some(&"PREPARED") => Ok(Control::Commit),
        ["ROLLBACK" | "ABORT", next @ ..] if !next.contains(&"TO") && next.first() != Some(&"PREPARED") => {
            Err(unfit(
                piece,
                "a migration cannot be rolled back from within",
                "remove the statement, and what it would undo",
            ))
        }
        ["PREPARE", "TRANSACTION", ..] => {
            Err(unfit(piece, "a migration cannot be prepared for two-phase commit", "remove the statement"))
        }
        ["COPY", ..] if copies_to_client(piece.text()) => {
            Err(unfit(piece, "the rows of this COPY have nowhere to go", "remove the statement"))
        }
        _ => Ok(Control::None),
    }
}

fn copies_to_client(statement: &str) -> bool {
    let tokens: Vec<_> = lex(statement).filter(|token| !token.is_blank()).collect();
    tokens.windows(2).any(|pair| pair[0].is_word(statement, "to") && pair[1].is_word(statement, "stdout"))
}

/// The first bare words of a statement, in upper case.
pub(super) fn first_words(statement: &str) -> Vec<String> {
    lex(statement)
        .filter(|token| !token.is_blank())
        .take_while(|token| token.kind == TokenKind::Word)
        .take(4)
        .map(|token| token.text(statement).to_ascii_uppercase())
        .collect()
}

pub(super) fn place_of(part: &Part, statement: &Statement) -> crate::Place {
    part.script.script.place(statement.span.start)
}

fn unfit(piece: Piece<'_>, message: &str, hint: &str) -> Error {
    let script = &piece.script.script;
    Error::config(message)
        .at(script.place(piece.statement.span.start))
        .excerpt(script.excerpt(piece.statement.span.clone()))
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Script;

    /// `[a, b]` for one transaction, `(c)` for what is alone.
    fn steps(text: &str) -> Result<String> {
        let part = Part::parse(Script::new("a.sql", text))?;
        let steps = Steps::of(&part)?;
        let shown = steps.steps.iter().map(|step| match step {
            Step::Together(pieces) => {
                format!("[{}]", pieces.iter().map(|piece| piece.text()).collect::<Vec<_>>().join(", "))
            }
            Step::Alone(_, piece) => format!("({})", piece.text()),
        });
        Ok(shown.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn one_transaction_where_nothing_forbids_it() {
        assert_eq!(steps("A; BEGIN; B; COMMIT; DO $$ $$; CALL x()").unwrap(), "[A, B, DO $$ $$, CALL x()]");
    }

    #[test]
    fn what_cannot_be_in_a_transaction_is_a_step_between_transactions() {
        assert_eq!(steps("A; B; VACUUM; C; BEGIN; D; COMMIT; E").unwrap(), "[A, B] (VACUUM) [C] [D] [E]");
        assert_eq!(steps("BEGIN; A; COMMIT; BEGIN; B; END; VACUUM").unwrap(), "[A] [B] (VACUUM)");
    }

    #[test]
    fn who_asks_for_no_transaction_gets_one_for_each_statement() {
        let text = "-- confiture: no-transaction\nA; B; BEGIN; C; D; COMMIT; CALL x(); E";
        assert_eq!(steps(text).unwrap(), "[A] [B] [C, D] (CALL x()) [E]");
    }

    #[test]
    fn settings_are_made_again() {
        let part = Part::parse(Script::new(
            "a.sql",
            "SET search_path = a; SET LOCAL x = 1; VACUUM; SELECT pg_catalog.set_config('a.b', 'c', false); VACUUM",
        ))
        .unwrap();
        let steps = Steps::of(&part).unwrap();
        let shown: Vec<_> = steps.settings_before(3).iter().map(|piece| piece.text().to_owned()).collect();
        assert_eq!(shown, ["SET search_path = a", "SELECT pg_catalog.set_config('a.b', 'c', false)"]);
        assert_eq!(steps.statements_in(2), 3);
    }

    #[test]
    fn what_a_migration_cannot_hold_is_refused_at_its_place() {
        for text in [
            "ROLLBACK",
            "PREPARE TRANSACTION 'x'",
            "COPY t TO STDOUT",
            "BEGIN ISOLATION LEVEL SERIALIZABLE",
            "BEGIN WORK READ ONLY",
            "START TRANSACTION READ ONLY, DEFERRABLE",
            "COMMIT AND CHAIN",
            "END TRANSACTION AND CHAIN",
        ] {
            let error = steps(&format!("SELECT 1; {text};")).unwrap_err();
            assert_eq!(error.place().unwrap().to_string(), "a.sql:1:11", "{text}");
        }
        assert!(
            steps("BEGIN WORK; A; COMMIT WORK AND NO CHAIN; START TRANSACTION; B; END TRANSACTION").is_ok()
        );
        assert!(steps("BEGIN; VACUUM; COMMIT").is_err() && steps("BEGIN; A; VACUUM").is_err());
        assert!(steps("SAVEPOINT a; ROLLBACK TO a; A").is_ok());
    }
}
