//! The commands, one file each; a command's doc comment is its help.
#![allow(clippy::doc_markdown, reason = "doc comments here are help texts, read in a terminal")]

pub(crate) mod build;
mod completions;
mod demo;
mod diff;
mod init;
mod lint;
mod man;
pub(crate) mod migrate;
mod migrations;
pub(crate) mod schema_to_schema;
mod server;
mod sync;

use confiture::{Error, Result};

use crate::args::Format;
use crate::invocation::Invocation;
use crate::output::Reply;

/// What the program can do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Build(build::Build),
    Diff(Box<diff::Diff>),
    Drift(diff::Drift),
    Migrate(Box<migrate::Migrate>),
    Lint(lint::Lint),
    Sync(Box<sync::Sync>),
    Server(server::Server),
    Demo(demo::Demo),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// The command as JSON output names it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Build(_) => "build",
            Self::Diff(_) => "diff",
            Self::Drift(_) => "drift",
            Self::Migrate(migrate) => migrate.name(),
            Self::Lint(_) => "lint",
            Self::Sync(sync) => sync.name(),
            Self::Server(server) => server.name(),
            Self::Demo(_) => "demo",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }

    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let format = invocation.terminal.format;
        if matches!(format, Format::Sarif | Format::Github) && !matches!(self, Self::Lint(_)) {
            return Err(Error::usage("--format sarif and --format github are for `confiture lint`")
                .hint("every command has --format text and --format json"));
        }
        if format == Format::Markdown && self.name() != "migrate schema-to-schema runbook" {
            return Err(Error::usage(
                "--format markdown is for `confiture migrate schema-to-schema runbook`",
            )
            .hint("every command has --format text and --format json"));
        }
        match self {
            Self::Init(init) => init.run(invocation),
            Self::Build(build) => build.run(invocation),
            Self::Diff(diff) => diff.run(invocation),
            Self::Drift(drift) => drift.run(invocation),
            Self::Migrate(migrate) => migrate.run(invocation),
            Self::Lint(lint) => lint.run(invocation),
            Self::Sync(sync) => sync.run(invocation),
            Self::Server(server) => server.run(invocation),
            Self::Demo(demo) => demo.run(invocation),
            Self::Completions(completions) => completions.run(),
            Self::Man(man) => man.run(),
        }
    }
}
