//! A database moved to a new schema: every row of the old one, renamed, cast and transformed as the mapping says, in the
//! new one, and the proof of it.
//!
//! ```text
//! mapping + both catalogs --resolve--> drafts --check (source's server)--> plan
//! plan --execute--> rows by all workers from one snapshot, then keys, indexes, foreign keys, sequences
//! plan --verify--> both sides hashed by the servers, bucket by bucket, and compared
//! ```
//!
//! One SELECT per target table defines its rows; the copy, the proof of a resumed run and verification all use it, and
//! PostgreSQL alone evaluates it.

mod check;
mod checklist;
mod chunk;
mod cleanup;
mod constraints;
mod copy;
pub mod cutover;
mod difference;
mod estimate;
mod execute;
#[cfg(feature = "failpoints")]
pub use crate::failpoint;
#[cfg(not(feature = "failpoints"))]
use crate::failpoint;
mod filter;
mod fingerprint;
mod foreign;
pub mod immediate;
mod journal;
mod ledger;
mod live;
mod load;
mod migrator;
#[cfg(feature = "failpoints")]
pub mod mutation;
#[cfg(not(feature = "failpoints"))]
#[allow(dead_code, unreachable_pub, reason = "only tests choose one")]
mod mutation;
mod options;
mod plan;
mod planner;
mod portion;
mod preflight;
mod probe;
mod recall;
mod relations;
mod report;
mod resolve;
mod resume;
mod reverse;
mod runbook;
mod scaffold;
mod sequences;
mod sessions;
mod setup;
mod snapshot;
mod statement;
mod transfer;
mod transformation;
mod triage;
mod verify;
mod volatility;
pub mod watch;

pub use checklist::{Check, Outcome as CheckOutcome, Standard, confirmable, read as read_checklist};
pub use cleanup::{Cleaning, CleanupReport, clean_up, remains};
pub use difference::{ColumnDifference, Difference, DifferenceKind, Differences};
pub use estimate::{Basis, Throughput};
pub use ledger::{RememberedSource, remembered_source};
pub use live::{
    Applied, BatchReport, Capture, CoverageStatus, Direction, FeedKind, FollowReport, Following,
    FollowingStatus, Order, Phase, Status, TableStatus, TrailEntry, Until, Verifying, Witness, follows,
    status, tell, trail,
};
pub use migrator::{SchemaToSchemaMigrator, TableAnalysis, TableMatch};
pub use options::{DEFAULT_THRESHOLD_ROWS, Options};
pub use plan::{
    ColumnPlan, CopyFormat, PageRange, Plan, Remark, Route, RowQuery, Storage, TablePlan, Topology,
};
pub use planner::Migration;
pub use portion::Portion;
pub use report::{MigrationReport, Outcome, TableReport, ViolatedForeignKey};
pub use reverse::{Finding, ReverseMapping, Severity, derive as derive_reverse};
pub use runbook::{
    Figures, Group, Names, Runbook, State as StepState, Step, SwitchFigures, read as read_runbook,
};
pub use scaffold::scaffold;
pub use sequences::AdvancedSequence;
pub use setup::SetupReport;
pub use verify::{ForeignKeyVerification, TableVerification, ValidationResult, VerificationReport};
