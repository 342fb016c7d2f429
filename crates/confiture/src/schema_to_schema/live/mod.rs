//! A migration that follows its source while the application keeps writing.
//!
//! ```text
//! capture first --> chunks, each in a snapshot of its own --> what moved meanwhile out, key built --> what changed, applied
//!               --> other indexes --> batch after batch, each of which leaves the target equal to the source in a snapshot
//! ```
//!
//! From the feed come keys alone; their rows are read again in the batch's snapshot, by the one SELECT that defines the
//! table. A row that is copied twice, too early, or not at all because it moved, has changed, so its key was told. The ledger
//! in the target has every step's effect and record in one transaction: a run that dies is continued, never repaired.

mod again;
mod applier;
pub(crate) mod batch;
mod beside;
pub(crate) mod capture;
pub(crate) mod coverage;
pub(crate) mod feed;
mod finish;
pub(crate) mod follower;
mod function;
pub(crate) mod gate;
mod identity;
mod keyed;
pub(crate) mod ledger;
mod open;
mod planned;
mod recompare;
mod request;
pub(crate) mod run;
pub(crate) mod shape;
pub(crate) mod stage;
pub(crate) mod status;
mod trail;
mod verification;
pub(crate) mod verifier;

pub use applier::Applied;
pub use batch::BatchReport;
pub use follower::Witness;
pub use ledger::{Direction, FeedKind, Phase};
pub use run::{Capture, FollowReport, Following, Until};
pub use status::{CoverageStatus, FollowingStatus, Order, Status, TableStatus, follows, status, tell};
pub(crate) use trail::trail_of;
pub use trail::{TrailEntry, trail};
pub use verifier::Verifying;
