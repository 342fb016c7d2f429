//! Production copied to staging with personal data masked, and the proof of it.
//!
//! ```text
//! rules + both catalogs --classify, check--> plan: what the source sends, what the stream masks
//! plan --execute--> one transaction of the target: emptied, filled, keys built, scanned for leaks; then visible, or as before
//!               --> or: tables in quarantine, one by one, scanned for leaks; then one transaction publishes them
//! ```
//!
//! Nothing is guessed: a column that nobody has classified stops the run before the target is touched. Whatever stops it
//! later, also a crash, leaves the target as it was, because what others can see changes in one transaction.

mod check;
mod classify;
mod compile;
mod execute;
mod fingerprint;
mod forecast;
mod keys;
mod kind;
mod manifest;
pub mod mask;
mod options;
mod plan;
mod planner;
mod preview;
mod quarantine;
mod report;
mod restore;
mod risk;
mod scan;
mod sequences;
mod shuffle;
mod snapshot;
mod space;
mod stream;
mod subset;
mod suggest;
mod tuple;
mod types;

pub use manifest::{Manifest, ManifestCheck, ManifestTable, Signature, TableCheck};
pub use mask::MasterKey;
pub use options::Options;
pub use plan::{Applied, ColumnPlan, CopyFormat, Plan, TablePlan};
pub use planner::Sync;
pub use preview::Preview;
pub use quarantine::{Remains, repair};
pub use report::{ColumnReport, Finding, Report, ScanReport, TableReport};
pub use risk::{Combination, RiskQuestion, RiskReport, assess_risk};
pub use suggest::{SuggestedColumn, Suggestion, suggest};
pub use tuple::Count;
