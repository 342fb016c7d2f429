//! The flags of `sync` and its steps.

use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueHint;
use confiture::config::mapping::TableName;
use confiture::config::sync_rules::{ColumnName, Unclassified};

/// What `sync` and its steps are told.
#[derive(Debug, clap::Args)]
pub(super) struct SyncFlags {
    /// The database that rows come from: an environment's name, an environment file, a PostgreSQL URL or DSN, or `embedded`.
    #[arg(long, visible_alias = "source", value_name = "DATABASE", global = true)]
    pub(super) from: Option<String>,

    /// The database whose rows are replaced, named likewise. Never one that says `production: true`.
    #[arg(long, visible_alias = "target", value_name = "DATABASE", global = true)]
    pub(super) to: Option<String>,

    /// Only these tables, as `users,app.posts`; without it every table that both sides have.
    #[arg(long, value_name = "TABLES", global = true)]
    pub(super) tables: Vec<Tables>,

    /// Mask these columns by their names and types, as `users.email,users.phone`, beside those of the rules.
    #[arg(long, value_name = "COLUMNS", global = true)]
    pub(super) anonymize: Vec<Columns>,

    /// The rules; without it db/sync_config.yaml, where there is one.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, global = true)]
    pub(super) config: Option<PathBuf>,

    /// What happens to columns without a rule: fail, null, mask (by type) or keep.
    #[arg(long, value_name = "WHAT", value_parser = unclassified, global = true)]
    pub(super) unclassified: Option<Unclassified>,

    /// Make a key for this run alone: masks cannot be computed again, and differ from run to run.
    #[arg(long, global = true)]
    pub(super) ephemeral_key: bool,

    /// Load into a schema that nobody else may use, table by table and with as many writers as --jobs; publish at the end.
    /// Until then the target's tables can be read.
    #[arg(long, global = true)]
    pub(super) quarantine: bool,

    /// Go on where a --quarantine run was stopped: tables that it has finished are not written again.
    #[arg(long)]
    pub(super) resume: bool,

    /// How many sessions read the source at once; with --quarantine, and write.
    #[arg(long, visible_alias = "parallel", value_name = "N", global = true)]
    pub(super) jobs: Option<u16>,

    /// Refuse a subset that grows beyond so many rows.
    #[arg(long, value_name = "ROWS", value_parser = crate::args::rows, global = true)]
    pub(super) max_rows: Option<u64>,

    /// Where the manifest is written, and read by `verify`; without it .confiture/sync-manifest.json.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, global = true)]
    pub(super) manifest: Option<PathBuf>,

    /// Agree to replace the target's rows.
    #[arg(short, long, global = true)]
    pub(super) yes: bool,

    /// Show the plan and change nothing, as `sync plan`.
    #[arg(long, global = true)]
    pub(super) dry_run: bool,

    /// Throw away what a --quarantine run that was stopped has left in the database of --to. Other runs leave nothing.
    #[arg(long, conflicts_with = "resume")]
    pub(super) repair: bool,
}

fn unclassified(text: &str) -> Result<Unclassified, String> {
    let found = Unclassified::ALL.iter().find(|(word, _)| *word == text);
    found.map(|(_, choice)| *choice).ok_or_else(|| "must be fail, null, mask or keep".to_owned())
}

/// Tables of one `--tables a,b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tables(pub(super) Vec<TableName>);

impl FromStr for Tables {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let table = |name: &str| TableName::read(name.trim()).map_err(|error| error.message().to_owned());
        text.split(',').map(table).collect::<Result<_, _>>().map(Self)
    }
}

/// Columns of one `--anonymize a.b,c.d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns(pub(super) Vec<ColumnName>);

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        super::column_names(text).map(Self)
    }
}
