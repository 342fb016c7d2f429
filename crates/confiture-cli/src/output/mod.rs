//! What is said at the end: the result as text or JSON on stdout, an error on stderr.

pub(crate) mod analysis;
pub(crate) mod bidirectional;
pub(crate) mod checklist;
pub(crate) mod error;
pub(crate) mod following;
pub(crate) mod immediate;
mod json;
pub(crate) mod lint;
pub(crate) mod lint_formats;
pub(crate) mod migration;
pub(crate) mod numbers;
pub(crate) mod plan;
pub(crate) mod runbook;
pub(crate) mod screen;
pub(crate) mod style;
pub(crate) mod switching;
pub(crate) mod sync;
pub(crate) mod text;
pub(crate) mod verification;
pub(crate) mod way_back;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use confiture::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::args::Format;
use crate::exit_code;
use crate::terminal::Terminal;

/// What a command has to say when it is through: the same thing for people and for programs.
#[derive(Debug)]
pub(crate) struct Reply {
    /// For programs.
    result: serde_json::Value,
    /// For people; empty where there is nothing to say.
    text: String,
    /// The answer "no" of a command that worked: a check that found something.
    verdict: Option<Error>,
}

impl Reply {
    /// `result` for programs, `text` for people.
    pub(crate) fn new(result: &impl Serialize, text: impl Into<String>) -> Result<Self> {
        Ok(Self { result: as_value(result)?, text: text.into(), verdict: None })
    }

    /// Why the answer is no, where it is.
    pub(crate) fn verdict(&self) -> Option<&Error> {
        self.verdict.as_ref()
    }

    /// The command worked, and its answer is no.
    pub(crate) fn but(mut self, verdict: Option<Error>) -> Self {
        self.verdict = verdict;
        self
    }
}

/// A report as JSON.
pub(crate) fn as_value(report: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(report)
        .map_err(|error| Error::unexpected("the result cannot be written as JSON").because(error))
}

/// Prints what came out of `command` and gives the exit status.
pub(crate) fn show(terminal: &Terminal, command: &str, outcome: Result<Reply>) -> ExitCode {
    let (reply, error) = match outcome {
        Ok(Reply { result, text, verdict }) => (Some((result, text)), verdict),
        Err(error) => (None, Some(error)),
    };
    match terminal.format {
        Format::Json => json::print(&json::object(command, reply.map(|(result, _)| result), error.as_ref())),
        Format::Text | Format::Sarif | Format::Github | Format::Markdown => {
            if let Some((_, text)) = reply {
                print(&text);
            }
            if let Some(error) = &error {
                error::print(terminal, error);
            }
        }
    }
    let unheard = UNHEARD.load(Ordering::Relaxed);
    let done = if unheard { exit_code::of(ErrorKind::Unexpected) } else { exit_code::DONE };
    ExitCode::from(error.map_or(done, |error| exit_code::of(error.kind())))
}

/// True once a result could not be written: whoever waits for it must not take silence for success.
static UNHEARD: AtomicBool = AtomicBool::new(false);

/// Prints a wrong call of the program as JSON and gives its exit status.
pub(crate) fn usage(error: &Error) -> ExitCode {
    json::print(&json::object("confiture", None, Some(error)));
    ExitCode::from(exit_code::of(error.kind()))
}

/// A remark as a sentence of its own: with a capital and a full stop. A path or a qualified name in front is left as it is.
pub(crate) fn sentence(remark: &str) -> String {
    let stop = if remark.ends_with(['.', '!', '?', ':']) { "" } else { "." };
    let first = remark.split(' ').next().unwrap_or_default().trim_end_matches([',', ':', ';']);
    if first.contains(|c: char| !c.is_alphabetic() && !matches!(c, '-' | '\'')) {
        return format!("{remark}{stop}");
    }
    let mut characters = remark.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}{stop}", characters.as_str())
}

/// Writes to stdout. A reader that has seen enough (`| head`) is no failure of ours.
pub(crate) fn print(text: &str) {
    if text.is_empty() {
        return;
    }
    let mut stdout = io::stdout().lock();
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let written = write!(stdout, "{text}{newline}").and_then(|()| stdout.flush());
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        UNHEARD.store(true, Ordering::Relaxed);
        let _ = writeln!(io::stderr().lock(), "error: the result cannot be written to stdout: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn a_sentence_begins_with_a_capital_and_leaves_names_alone() {
        for (remark, said) in [
            ("the rest is read", "The rest is read."),
            ("nothing: all is there!", "Nothing: all is there!"),
            ("db/schema/a.sql:1:1: BEGIN is left out", "db/schema/a.sql:1:1: BEGIN is left out."),
            ("public.users is left out", "public.users is left out."),
            ("a2 is on another server", "a2 is on another server."),
        ] {
            assert_eq!(sentence(remark), said);
        }
    }
}
