//! What a sync is told.

use std::time::Duration;

use crate::config::mapping::TableName;
use crate::config::sync_rules::{ColumnName, Unclassified};
use crate::config::{Connection, SyncRules};
use crate::sync::mask::MasterKey;

/// Everything that decides a sync, beside what the two databases hold.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where rows come from; only read.
    pub source: Connection,
    /// Where rows go; the tables' rows there are replaced.
    pub target: Connection,
    /// True where the target's environment says `production: true`.
    pub target_is_production: bool,
    /// `--tables`: empty for every table that both sides have.
    pub tables: Vec<TableName>,
    /// `--anonymize`: columns to mask by their name and type, beside those of the rules.
    pub anonymize: Vec<ColumnName>,
    /// The rules file.
    pub rules: SyncRules,
    /// The key, where there is one.
    pub key: Option<MasterKey>,
    /// True where the key is this run's alone: masks differ from run to run.
    pub ephemeral: bool,
    /// What happens to columns that nobody classified; before what the rules say.
    pub unclassified: Option<Unclassified>,
    /// How many sessions read the source at once; and write, in quarantine.
    pub workers: usize,
    /// Load into a schema of its own, table by table, and publish at the end.
    pub quarantine: bool,
    /// Go on where a run in quarantine has stopped.
    pub resume: bool,
    /// How long a lock is waited for.
    pub lock_timeout: Duration,
    /// A subset that grows beyond this is refused.
    pub max_rows: Option<u64>,
}

impl Options {
    /// Between two databases, by `rules`, without a key.
    #[must_use]
    pub fn new(source: Connection, target: Connection, rules: SyncRules) -> Self {
        Self {
            source,
            target,
            target_is_production: false,
            tables: Vec::new(),
            anonymize: Vec::new(),
            rules,
            key: None,
            ephemeral: false,
            unclassified: None,
            workers: 4,
            quarantine: false,
            resume: false,
            lock_timeout: Duration::from_secs(30),
            max_rows: None,
        }
    }
}
