//! `confiture migrate schema-to-schema migrate-table`.

use confiture::Result;
use confiture::config::mapping::TableName;
use confiture::sql::Identifier;

use super::flags::{Ends, How, Run};
use super::names;
use super::options::{MappingFrom, SchemaToSchemaOptions, Step};

/// Copies one table whose mapping stands on the command line, then compares both sides.
#[derive(Debug, clap::Args)]
pub(super) struct MigrateTable {
    #[command(flatten)]
    ends: Ends,

    /// The source table.
    #[arg(long, value_name = "TABLE", value_parser = names::table)]
    source_table: TableName,

    /// The target table; without it the source table's name.
    #[arg(long, value_name = "TABLE", value_parser = names::table)]
    target_table: Option<TableName>,

    /// Source and target columns, as `full_name:display_name,email:email`; other target columns get their defaults.
    /// Without it, columns of the same name.
    #[arg(long, value_name = "COLUMNS")]
    mapping: Option<Columns>,

    /// Only the source's rows for which this SQL condition is true.
    #[arg(long = "where", value_name = "SQL")]
    filter: Option<String>,

    #[command(flatten)]
    how: How,

    #[command(flatten)]
    run: Run,

    /// Compare both sides after the copy; this is the default.
    #[arg(long)]
    verify: bool,
}

/// The pairs of `--mapping`.
#[derive(Debug, Clone)]
struct Columns(Vec<(Identifier, Identifier)>);

impl std::str::FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        names::columns(text).map(Self)
    }
}

impl MigrateTable {
    pub(super) fn options(self) -> Result<SchemaToSchemaOptions> {
        let mut options = SchemaToSchemaOptions::new(Step::MigrateTable);
        self.ends.fill(&mut options);
        let name = TableName { schema: None, name: self.source_table.name.clone() };
        options.mapping = MappingFrom::Table {
            source: self.source_table,
            target: self.target_table.unwrap_or(name),
            columns: self.mapping.map_or(Vec::new(), |Columns(columns)| columns),
        };
        options.filter = self.filter;
        self.how.fill(&mut options)?;
        self.run.fill(&mut options);
        options.verify |= self.verify;
        Ok(options)
    }
}
