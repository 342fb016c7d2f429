//! Flags that several of the steps share.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use clap::builder::PossibleValuesParser;
use confiture::config::mapping::{Strategy, TableName};
use confiture::schema_to_schema::{Capture, FeedKind, Until, confirmable};
use confiture::sql::Identifier;
use confiture::{Error, Result};

use super::names;
use super::options::{Follow, MappingFrom, SchemaToSchemaOptions};
use crate::args::{rows, time};

/// Tables of one `--tables a,b`; a type of its own, or clap would take the list for repeated values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tables(Vec<TableName>);

impl std::str::FromStr for Tables {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        names::tables(text).map(Self)
    }
}

fn joined(lists: Vec<Tables>) -> Vec<TableName> {
    lists.into_iter().flat_map(|Tables(names)| names).collect()
}

/// The two databases.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Ends {
    /// The old database: an environment's name, an environment file, a PostgreSQL URL or DSN, or `embedded`.
    ///
    /// Without it, what `setup` recorded in the target.
    #[arg(long, visible_alias = "source", value_name = "DATABASE")]
    pub(super) from: Option<String>,

    /// The new database, named likewise.
    #[arg(long, visible_alias = "target", value_name = "DATABASE")]
    pub(super) to: Option<String>,
}

/// One migration: its databases and its mapping.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Selection {
    #[command(flatten)]
    ends: Ends,

    /// The mapping; without it the only db/migrations/schema_to_schema/*/config.yaml, or else the same names.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    mapping: Option<PathBuf>,

    /// The mapping, as --mapping.
    #[arg(short, long, value_name = "FILE", conflicts_with = "mapping", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
}

/// One migration, and which of its rows.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Which {
    #[command(flatten)]
    migration: Selection,

    /// Only these target tables, as `users,app.posts`.
    #[arg(long, value_name = "TABLES")]
    tables: Vec<Tables>,

    /// Only the source's rows for which this SQL condition is true, in every table that has the columns it names.
    #[arg(long = "where", value_name = "SQL")]
    filter: Option<String>,
}

/// How tables travel.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Strategy")]
pub(super) struct How {
    /// How tables travel.
    #[arg(long, value_enum, value_name = "STRATEGY", conflicts_with = "auto_strategy")]
    strategy: Option<StrategyName>,

    /// As --strategy auto: the best way for each table, with its reason. The default.
    #[arg(long)]
    auto_strategy: bool,

    /// These tables by FDW, as `users,posts`.
    #[arg(long, value_name = "TABLES")]
    fdw_tables: Vec<Tables>,

    /// These tables by COPY, as `events,page_views`.
    #[arg(long, value_name = "TABLES")]
    copy_tables: Vec<Tables>,

    /// From so many rows on a table is large [default: 10_000_000].
    #[arg(long, value_name = "ROWS", value_parser = rows)]
    threshold: Option<u64>,

    /// Workers in all, across and within tables.
    #[arg(long, value_name = "WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: Option<u16>,

    /// The schema of the foreign tables on the target [default: old_schema].
    #[arg(long, value_name = "SCHEMA", value_parser = names::identifier)]
    foreign_schema: Option<Identifier>,

    /// Rows that one fetch over FDW brings.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    fetch_size: Option<u32>,

    /// Rows stream from server to server and never touch a disk in between; this is always so.
    #[arg(long)]
    streaming: bool,

    /// Refused: see --streaming.
    #[arg(long, hide = true)]
    no_streaming: bool,
}

/// `--strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StrategyName {
    /// The best way for each table, with its reason.
    Auto,
    /// FDW below the threshold where it is faster, COPY from there on.
    Hybrid,
    /// COPY through this program.
    Copy,
    /// INSERT … SELECT on the target over foreign tables.
    Fdw,
}

/// A run that writes rows.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Run")]
pub(super) struct Run {
    /// Show the plan and change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Do not compare both sides after the copy.
    #[arg(long, conflicts_with = "verify")]
    no_verify: bool,

    /// Empty the target tables first.
    #[arg(long)]
    truncate: bool,

    /// Forget an earlier run that did not finish, and begin anew.
    #[arg(long)]
    restart: bool,

    /// Answer the confirmation with yes.
    #[arg(short, long)]
    yes: bool,

    /// Append what happens to this file, a line of JSON for each event.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    events: Option<PathBuf>,

    /// Let reports show rows' values; without it they show columns' names, and of keys only numbers.
    #[arg(long)]
    show_values: bool,
}

/// What a cutover is asked, by itself and by those who look at it before.
#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// What people have made sure of, as `backup,application,team`: the list shows it as passed.
    #[arg(long, value_name = "POINTS", value_delimiter = ',', value_parser = PossibleValuesParser::new(confirmable()))]
    confirm: Vec<String>,

    /// How long writes may wait; what would take longer is given up, and writers go on where they were.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "5s")]
    max_stall: Duration,
}

/// A step that copies every table of a mapping, and compares.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Copying {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    how: How,

    #[command(flatten)]
    run: Run,

    /// Compare both sides once everything is copied; this is the default.
    #[arg(long)]
    verify: bool,
}

/// `--capture`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum CaptureName {
    /// The WAL where server and role allow it, else the queue.
    Auto,
    /// Logical decoding: a publication and a slot. Costs the application least.
    Wal,
    /// Triggers that write the keys of changed rows to a queue. Works for any owner of the tables.
    Queue,
    /// Copy once, from one snapshot; what changes meanwhile is not in it.
    None,
}

impl CaptureName {
    /// The feed; `None` for none.
    pub(super) fn capture(self) -> Option<Capture> {
        match self {
            Self::Auto => Some(Capture::Auto),
            Self::Wal => Some(Capture::Only(FeedKind::Wal)),
            Self::Queue => Some(Capture::Only(FeedKind::Queue)),
            Self::None => None,
        }
    }
}

/// Whether changes are captured.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Changes meanwhile")]
pub(super) struct Changes {
    /// Capture what the application changes while the tables are copied, and apply it [default: none, or auto with --follow].
    #[arg(long, value_enum, value_name = "FEED")]
    capture: Option<CaptureName>,

    /// Go on applying changes after the copy, until Ctrl-C.
    #[arg(long)]
    follow: bool,
}

impl Changes {
    /// True where a flag was given.
    pub(super) fn is_asked(&self) -> bool {
        self.follow || self.capture.is_some()
    }

    /// Writes itself into `options`.
    pub(super) fn fill(self, options: &mut SchemaToSchemaOptions) -> Result<()> {
        let capture = match (self.capture, self.follow) {
            (None, false) | (Some(CaptureName::None), false) => return Ok(()),
            (Some(CaptureName::None), true) => {
                return Err(Error::usage(
                    "--follow needs changes to be captured, and --capture none says they are not",
                ));
            }
            (None, true) => Capture::Auto,
            (Some(name), _) => name.capture().unwrap_or_default(),
        };
        let until = if self.follow { Until::Interrupted } else { Until::CaughtUp };
        options.follow = Some(Follow { capture, until });
        Ok(())
    }
}

impl Copying {
    /// Writes itself into `options`.
    pub(super) fn fill(self, options: &mut SchemaToSchemaOptions) -> Result<()> {
        self.which.fill(options);
        self.how.fill(options)?;
        self.run.fill(options);
        options.verify |= self.verify;
        Ok(())
    }
}

impl Ends {
    /// Writes itself into `options`.
    pub(super) fn fill(self, options: &mut SchemaToSchemaOptions) {
        options.source = self.from;
        options.target = self.to;
    }
}

impl Selection {
    /// Writes itself into `options`.
    pub(super) fn fill(self, options: &mut SchemaToSchemaOptions) {
        self.ends.fill(options);
        if let Some(file) = self.mapping.or(self.config) {
            options.mapping = MappingFrom::File(file);
        }
    }
}

impl Asked {
    /// Writes itself into `options`.
    pub(super) fn fill(self, options: &mut SchemaToSchemaOptions) {
        options.confirmed = self.confirm.into_iter().collect();
        options.max_stall = self.max_stall;
    }
}

impl Which {
    /// Writes itself into `options`.
    pub(super) fn fill(self, options: &mut SchemaToSchemaOptions) {
        self.migration.fill(options);
        options.tables = joined(self.tables);
        options.filter = self.filter;
    }
}

impl How {
    /// True where a flag says how a copy is to be done, so that one is wanted.
    pub(super) fn is_asked(&self) -> bool {
        self.strategy.is_some()
            || self.auto_strategy
            || self.streaming
            || self.threshold.is_some()
            || self.parallel.is_some()
            || !self.fdw_tables.is_empty()
            || !self.copy_tables.is_empty()
    }

    /// Writes itself into `options`.
    pub(super) fn fill(self, options: &mut SchemaToSchemaOptions) -> Result<()> {
        if self.no_streaming {
            return Err(Error::usage("--no-streaming: there is no other way than streaming")
                .hint("rows go from server to server through a few megabytes of memory, so nothing is gained by a file in between; leave the flag out"));
        }
        options.strategy = match self.strategy {
            Some(StrategyName::Auto) => Some(Strategy::Auto),
            Some(StrategyName::Hybrid) => Some(Strategy::Hybrid),
            Some(StrategyName::Copy) => Some(Strategy::Copy),
            Some(StrategyName::Fdw) => Some(Strategy::Fdw),
            None => self.auto_strategy.then_some(Strategy::Auto),
        };
        options.fdw_tables = joined(self.fdw_tables);
        options.copy_tables = joined(self.copy_tables);
        if let Some(twice) = options.fdw_tables.iter().find(|table| options.copy_tables.contains(table)) {
            return Err(Error::usage(format!("{} is in --fdw-tables and in --copy-tables", twice.name)));
        }
        options.threshold_rows = self.threshold;
        options.parallel = self.parallel;
        options.foreign_schema = self.foreign_schema;
        options.fetch_size = self.fetch_size;
        Ok(())
    }
}

impl Run {
    /// True where a flag makes sense only for a copy.
    pub(super) fn is_asked(&self) -> bool {
        self.dry_run || self.truncate || self.restart || self.yes
    }

    /// Writes itself into `options`.
    pub(super) fn fill(self, options: &mut SchemaToSchemaOptions) {
        options.dry_run = self.dry_run;
        options.verify = !self.no_verify;
        options.truncate = self.truncate;
        options.restart = self.restart;
        options.yes = self.yes;
        options.events = self.events;
        options.show_values = self.show_values;
    }
}
