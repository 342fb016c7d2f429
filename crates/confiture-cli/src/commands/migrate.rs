//! `confiture migrate`.

use confiture::Result;

use super::diff::Diff;
use super::migrations;
use super::schema_to_schema::SchemaToSchema;
use crate::invocation::Invocation;
use crate::output::Reply;

/// Moves a database forward.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Migrate {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Generate(migrations::Generate),
    Up(migrations::Up),
    Down(migrations::Down),
    Redo(migrations::Redo),
    Status(migrations::Status),
    Validate(migrations::Validate),
    Baseline(migrations::Baseline),
    Squash(migrations::Squash),
    Diff(Box<Diff>),
    SchemaToSchema(Box<SchemaToSchema>),
}

impl Migrate {
    /// The command as JSON output names it.
    pub(crate) fn name(&self) -> &'static str {
        match &self.command {
            Command::Diff(_) => "migrate diff",
            Command::Generate(_) => "migrate generate",
            Command::Up(_) => "migrate up",
            Command::Down(_) => "migrate down",
            Command::Redo(_) => "migrate redo",
            Command::Status(_) => "migrate status",
            Command::Validate(_) => "migrate validate",
            Command::Baseline(_) => "migrate baseline",
            Command::Squash(_) => "migrate squash",
            Command::SchemaToSchema(command) => command.name(),
        }
    }

    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        match self.command {
            Command::Diff(diff) => diff.run(invocation),
            Command::Generate(command) => command.run(invocation),
            Command::Up(command) => command.run(invocation),
            Command::Down(command) => command.run(invocation),
            Command::Redo(command) => command.run(invocation),
            Command::Status(command) => command.run(invocation),
            Command::Validate(command) => command.run(invocation),
            Command::Baseline(command) => command.run(invocation),
            Command::Squash(command) => command.run(invocation),
            Command::SchemaToSchema(command) => command.run(invocation),
        }
    }

    /// The command beneath, where it is this one.
    #[cfg(test)]
    pub(crate) fn into_schema_to_schema(self) -> SchemaToSchema {
        match self.command {
            Command::SchemaToSchema(command) => *command,
            other => panic!("{other:?} is another command"),
        }
    }
}
