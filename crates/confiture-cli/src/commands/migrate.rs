//! `confiture migrate`.

use confiture::Result;

use super::diff::Diff;
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
    Diff(Box<Diff>),
    SchemaToSchema(Box<SchemaToSchema>),
}

impl Migrate {
    /// The command as JSON output names it.
    pub(crate) fn name(&self) -> &'static str {
        match &self.command {
            Command::Diff(_) => "migrate diff",
            Command::SchemaToSchema(command) => command.name(),
        }
    }

    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        match self.command {
            Command::Diff(diff) => diff.run(invocation),
            Command::SchemaToSchema(command) => command.run(invocation),
        }
    }

    /// The command beneath, where it is this one.
    #[cfg(test)]
    pub(crate) fn into_schema_to_schema(self) -> SchemaToSchema {
        match self.command {
            Command::SchemaToSchema(command) => *command,
            Command::Diff(_) => panic!("not schema-to-schema"),
        }
    }
}
