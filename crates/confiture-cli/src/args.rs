//! The command line as a whole. Each command's own arguments stand in its file under `commands/`.
#![allow(clippy::doc_markdown, reason = "doc comments here are help texts, read in a terminal")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _, Parser};
use confiture::Error;
use confiture::config::yaml::parse_duration;

use crate::commands::Command;
use crate::{exit_code, output};

/// Builds PostgreSQL databases from DDL files, and moves live ones to a new schema with proof.
#[derive(Debug, Parser)]
#[command(name = "confiture", version, max_term_width = 110, arg_required_else_help = true)]
#[command(subcommand_required = true, after_help = exit_code::help())]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// How the result is printed on stdout.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,

    /// No progress and no remarks on stderr; warnings and errors stay.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// A line with the time for everything that happens; errors say what is underneath.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,

    /// No colours and no symbols, as with the variable NO_COLOR.
    #[arg(long, global = true)]
    pub(crate) no_color: bool,

    /// The project's folder: relative paths start there.
    #[arg(short = 'C', long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) project: Option<PathBuf>,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// For `lint`: SARIF, as code scanning reads it.
    Sarif,
    /// For `lint`: annotations of a pull request on GitHub.
    Github,
    /// For `runbook`: a page for a wiki or a change request.
    Markdown,
}

/// Reads the arguments, the program's name first.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Stop> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // An argument that clap stumbles over comes before it knows the format, so the format is looked up first.
    let stop = |error| Stop { error, json: asks_for_json(&arguments) };
    let mut command = Cli::command();
    if arguments.iter().any(|argument| argument == "--no-color") {
        command = command.color(ColorChoice::Never);
    }
    let matches = command.try_get_matches_from_mut(&arguments).map_err(stop)?;
    Cli::from_arg_matches(&matches).map_err(|error| stop(error.format(&mut command)))
}

/// Why there is nothing to run: a wrong argument, or `--help` and `--version`.
#[derive(Debug)]
pub(crate) struct Stop {
    error: clap::Error,
    json: bool,
}

impl Stop {
    /// Prints what is to be said and gives the exit status.
    pub(crate) fn print(self) -> ExitCode {
        if self.error.use_stderr() && self.json {
            return output::usage(&self.as_error());
        }
        // Where the reader has gone, there is nobody to tell.
        let _ = self.error.print();
        ExitCode::from(u8::try_from(self.error.exit_code()).unwrap_or(1))
    }

    /// The first paragraph of what clap says is the message; its tips are hints.
    fn as_error(&self) -> Error {
        let text = self.error.render().to_string();
        let mut message = Vec::new();
        let mut hints = Vec::new();
        let mut lines = text.lines().map(str::trim);
        message.extend(lines.by_ref().take_while(|line| !line.is_empty()));
        for line in lines {
            hints.extend(line.strip_prefix("tip: ").map(str::to_owned));
            hints.extend(line.strip_prefix("Usage: ").map(|usage| format!("usage: {usage}")));
        }
        let message = message.join(" ");
        let message = match self.error.kind() {
            // Here clap says all of the help instead, or a list that the help has.
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
                "a command is missing; --help lists them"
            }
            _ => message.strip_prefix("error: ").unwrap_or(&message),
        };
        let error = Error::usage(message);
        hints.into_iter().fold(error, Error::hint)
    }
}

fn asks_for_json(arguments: &[OsString]) -> bool {
    let pairs = arguments.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json");
    pairs || arguments.iter().any(|argument| argument == "--format=json")
}

/// A row count as people write it: `5000000`, `5_000_000`, `5,000,000`.
pub(crate) fn rows(text: &str) -> Result<u64, String> {
    let digits: String = text.chars().filter(|character| !matches!(character, '_' | ',')).collect();
    match digits.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(rows) => Ok(rows),
        Err(_) => Err("must be a number of rows, as 5000000 or 5_000_000".to_owned()),
    }
}

/// A time span as PostgreSQL's settings take it, and `10m` for ten minutes.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let minutes = text.strip_suffix('m').map(|number| format!("{number}min"));
    let known = parse_duration(text).or_else(|| parse_duration(&minutes?));
    known.filter(|time| !time.is_zero()).ok_or_else(|| "must be a time, as 30s, 10m or 2h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_flag_says_what_it_is_for() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let id = argument.get_id();
                assert!(argument.get_help().is_some(), "{} of {} has no help", id, command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn row_counts_may_be_grouped() {
        for text in ["5000000", "5_000_000", "5,000,000"] {
            assert_eq!(rows(text), Ok(5_000_000));
        }
        assert!(rows("0").is_err() && rows("").is_err() && rows("-3").is_err() && rows("5M").is_err());
    }
}
