//! What a call asks for, free of how the command line spells it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use confiture::config::Hooks;
use confiture::config::mapping::{Strategy, SyncMode, TableName};
use confiture::schema_to_schema::cutover::{Policy, SwitchKind};
use confiture::schema_to_schema::{Capture, Cleaning, Order, Until, Verifying};
use confiture::sql::Identifier;

/// A schema-to-schema call, checked and complete; what is `None` or empty is left to the mapping and the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchemaToSchemaOptions {
    /// What to do.
    pub(crate) step: Step,
    /// The old database: an environment, a file, a URL or a DSN; else what `setup` recorded, or the mapping's.
    pub(crate) source: Option<String>,
    /// The new database.
    pub(crate) target: Option<String>,
    /// Where the mapping comes from.
    pub(crate) mapping: MappingFrom,
    /// Only these target tables.
    pub(crate) tables: Vec<TableName>,
    /// How tables travel.
    pub(crate) strategy: Option<Strategy>,
    /// These by FDW.
    pub(crate) fdw_tables: Vec<TableName>,
    /// These by COPY.
    pub(crate) copy_tables: Vec<TableName>,
    /// From so many rows on `hybrid` takes COPY.
    pub(crate) threshold_rows: Option<u64>,
    /// Workers in all.
    pub(crate) parallel: Option<u16>,
    /// An SQL condition on the source's rows.
    pub(crate) filter: Option<String>,
    /// Where the foreign tables stand.
    pub(crate) foreign_schema: Option<Identifier>,
    /// Rows a fetch over FDW.
    pub(crate) fetch_size: Option<u32>,
    /// Show the plan and change nothing.
    pub(crate) dry_run: bool,
    /// Verify what was migrated.
    pub(crate) verify: bool,
    /// The confirmation is given.
    pub(crate) yes: bool,
    /// Empty the target tables first.
    pub(crate) truncate: bool,
    /// Forget an earlier unfinished run.
    pub(crate) restart: bool,
    /// Reports may hold rows' values.
    pub(crate) show_values: bool,
    /// Write the mapping, in its canonical form, here.
    pub(crate) write_mapping: Option<PathBuf>,
    /// Append what happens to this file.
    pub(crate) events: Option<PathBuf>,
    /// Capture changes, and follow until then.
    pub(crate) follow: Option<Follow>,
    /// Show the status again and again.
    pub(crate) watch: bool,
    /// How far to clean up.
    pub(crate) cleaning: Cleaning,
    /// How both sides take writes.
    pub(crate) both: Option<BothOptions>,
    /// How to switch.
    pub(crate) switch: Option<SwitchOptions>,
    /// Where the report goes.
    pub(crate) report: Option<PathBuf>,
    /// How it is shown in a browser.
    pub(crate) monitor: Option<MonitorOptions>,
    /// Lines of the audit trail to show.
    pub(crate) trail: u32,
    /// What people have confirmed, before a cutover.
    pub(crate) confirmed: BTreeSet<String>,
    /// The longest that writes may wait.
    pub(crate) max_stall: Duration,
    /// Nothing is to be carried back after the cutover.
    pub(crate) no_way_back: bool,
    /// What is compared of a target that follows, how often, and what becomes of what differs.
    pub(crate) verifying: Verifying,
}

/// How a migration is shown in a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MonitorOptions {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// Whether a run may be told something.
    pub(crate) allow_control: bool,
    /// The file that holds the token.
    pub(crate) token_file: Option<PathBuf>,
}

/// How changes are captured, and when following ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Follow {
    /// Where changes come from.
    pub(crate) capture: Capture,
    /// When it ends.
    pub(crate) until: Until,
}

/// Both sides taking writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BothOptions {
    /// How changes are carried; `None` for what the mapping says.
    pub(crate) sync: Option<SyncMode>,
    /// End what triggers carry.
    pub(crate) stop: bool,
    /// How long to go on trying for locks.
    pub(crate) patience: Duration,
    /// Who wins a conflict.
    pub(crate) policy: Policy,
    /// Go although something would be lost on the way back.
    pub(crate) accept_losses: bool,
    /// When carrying ends.
    pub(crate) until: Until,
}

/// A cutover or a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SwitchOptions {
    /// Which.
    pub(crate) kind: SwitchKind,
    /// Go although something would be lost on the way back.
    pub(crate) accept_losses: bool,
    /// How long to go on trying.
    pub(crate) patience: Duration,
    /// By how many steps sequences begin ahead.
    pub(crate) sequence_gap: u32,
    /// A PgBouncer's console, its database, and its file.
    pub(crate) pgbouncer: Option<(String, String, Option<PathBuf>)>,
    /// Commands at its moments, beside those of the project.
    pub(crate) hooks: Hooks,
    /// Only stand by while another process does it.
    pub(crate) stand_by: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Plan, confirmation, copy, verification.
    Everything,
    /// Connect the target to the source and record it.
    Setup,
    /// Say how each table would travel.
    Analyze,
    /// Copy.
    Migrate,
    /// Copy one table.
    MigrateTable,
    /// Compare.
    Verify,
    /// Follow the source.
    Sync,
    /// Have both sides take writes.
    Bidirectional,
    /// Lead the application to the other side.
    Switch,
    /// Say how far it is.
    Status,
    /// Show it in a browser.
    Monitor,
    /// Write it into a file for people.
    Report,
    /// Tell a run that is at work something.
    Tell(Order),
    /// Look at what has to be so before a cutover.
    Checklist,
    /// Print the list of all steps.
    Runbook,
    /// Take away what `setup` made.
    Cleanup,
}

/// Where the mapping comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MappingFrom {
    /// The only `db/migrations/schema_to_schema/*/config.yaml`; without one, same names.
    Project,
    /// This file.
    File(PathBuf),
    /// The command line: one table.
    Table {
        /// The source table.
        source: TableName,
        /// The target table.
        target: TableName,
        /// Source column, target column; empty: columns of the same name.
        columns: Vec<(Identifier, Identifier)>,
    },
}

impl SchemaToSchemaOptions {
    /// Nothing but the step.
    pub(crate) fn new(step: Step) -> Self {
        Self {
            step,
            source: None,
            target: None,
            mapping: MappingFrom::Project,
            tables: Vec::new(),
            strategy: None,
            fdw_tables: Vec::new(),
            copy_tables: Vec::new(),
            threshold_rows: None,
            parallel: None,
            filter: None,
            foreign_schema: None,
            fetch_size: None,
            dry_run: false,
            verify: false,
            yes: false,
            truncate: false,
            restart: false,
            show_values: false,
            write_mapping: None,
            events: None,
            follow: None,
            watch: false,
            cleaning: Cleaning::default(),
            both: None,
            switch: None,
            report: None,
            monitor: None,
            trail: 10,
            confirmed: BTreeSet::new(),
            max_stall: Duration::from_secs(5),
            no_way_back: false,
            verifying: Verifying::default(),
        }
    }
}
