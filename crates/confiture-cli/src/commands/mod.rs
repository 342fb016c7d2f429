//! The commands, one file each; a command's doc comment is its help.
#![allow(clippy::doc_markdown, reason = "doc comments here are help texts, read in a terminal")]

pub(crate) mod build;
mod completions;
mod demo;
mod init;
mod man;
pub(crate) mod migrate;
mod migrations;
pub(crate) mod schema_to_schema;
mod server;

use confiture::Result;

use crate::invocation::Invocation;
use crate::output::Reply;

/// What the program can do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Build(build::Build),
    Migrate(Box<migrate::Migrate>),
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
            Self::Migrate(migrate) => migrate.name(),
            Self::Server(server) => server.name(),
            Self::Demo(_) => "demo",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }

    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        match self {
            Self::Init(init) => init.run(invocation),
            Self::Build(build) => build.run(invocation),
            Self::Migrate(migrate) => migrate.run(invocation),
            Self::Server(server) => server.run(invocation),
            Self::Demo(demo) => demo.run(invocation),
            Self::Completions(completions) => completions.run(),
            Self::Man(man) => man.run(),
        }
    }
}
