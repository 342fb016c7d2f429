//! The end of a migration: the application is led to the new side while its writes wait for some milliseconds, and back again
//! where it has to be.
//!
//! ```text
//! follow until equal --> arm the way back --> lock writers out --> last batch --> lead the application over
//!                    --> fence the side that it leaves (this commit decides) --> open the side that it goes to
//! ```
//!
//! A rollback is the same switch the other way round: since the cutover, changes of the new side have been carried back. Every
//! step before the deciding commit is undone by the servers themselves where the process dies; every step after it is done
//! again by the next command. Two databases cannot commit as one: between the two commits both sides are fenced, never none.

pub(crate) mod application;
mod arm;
mod between;
pub(crate) mod bidirectional;
mod commands;
mod decision;
pub(crate) mod direction;
mod end;
pub(crate) mod fence;
pub(crate) mod locks;
mod pooled;
mod record;
mod settle;
mod stand_by;
mod switch;
mod tries;
mod within;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub use application::{Application, Occasion, Pooler};
pub use bidirectional::{Bidirectional, BidirectionalReport, Policy, both_ways};
pub use commands::{Commands, Several};
pub use direction::{active, handed_over, is_bidirectional};
pub(crate) use end::{Ended, end_way_back, is_over};
pub use pooled::Pooled;
pub use settle::{settle, settle_with, unfinished};
pub use stand_by::stand_by;
pub(crate) use switch::take_over;
pub use switch::{cut_over, roll_back};
pub(crate) use tries::Tries;
pub(crate) use within::Exchange;

use crate::schema_to_schema::checklist::Check;
use crate::schema_to_schema::live::Direction;
use crate::schema_to_schema::reverse::ReverseMapping;
use crate::schema_to_schema::sequences::AdvancedSequence;
use crate::schema_to_schema::verify::VerificationReport;

/// Which way the application goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchKind {
    /// To the new side.
    Cutover,
    /// Back to the old side.
    Rollback,
}

impl SwitchKind {
    /// Which way changes go after it.
    pub(crate) fn leads_to(self) -> Direction {
        match self {
            Self::Cutover => Direction::Reverse,
            Self::Rollback => Direction::Forward,
        }
    }

    /// Its word, as the ledger has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Cutover => "cutover",
            Self::Rollback => "rollback",
        }
    }
}

/// How to switch.
#[derive(Clone)]
pub struct Switching {
    /// The way back, from the new side's tables to those of the old one; `None` for what follows from the plan.
    pub way_back: Option<ReverseMapping>,
    /// Go although something would be lost on the way back.
    pub accept_losses: bool,
    /// Go without any way back: nothing is carried to the old side, and a rollback would lose what is written since.
    pub no_way_back: bool,
    /// What people have confirmed, by the words of the list.
    pub confirmed: BTreeSet<String>,
    /// How long writes may wait. What takes longer is given up, and writers go on where they were.
    pub max_stall: Duration,
    /// How long one try may wait for writers to let go, and new ones behind it.
    pub lock_patience: Duration,
    /// How long to go on trying; and asking, where a server does not answer whether it has committed.
    pub patience: Duration,
    /// By how many steps the other side's sequences begin ahead: numbers that a client drew on this side and has not
    /// written yet are never drawn again.
    pub sequence_gap: u32,
    /// Do everything up to the fence, and nothing after it.
    pub rehearse: bool,
    /// Who leads the application.
    pub application: Arc<dyn Application>,
}

impl Default for Switching {
    fn default() -> Self {
        Self {
            way_back: None,
            accept_losses: false,
            no_way_back: false,
            confirmed: BTreeSet::new(),
            max_stall: Duration::from_secs(5),
            lock_patience: Duration::from_millis(300),
            patience: Duration::from_secs(60),
            sequence_gap: 1000,
            rehearse: false,
            application: Arc::new(()),
        }
    }
}

/// What a cutover or a rollback did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SwitchReport {
    /// Which.
    pub kind: SwitchKind,
    /// The side that the application has left.
    pub from: String,
    /// The side that takes its writes now.
    pub to: String,
    /// False of a rehearsal: nothing was switched.
    pub switched: bool,
    /// False where nothing is carried to the side that the application has left.
    pub way_back: bool,
    /// How long writes had to wait: from the lock that was had until the other side took them. Of a rehearsal, what it would
    /// be by what was measured.
    #[serde(rename = "stall_ms", serialize_with = "crate::event::as_milliseconds")]
    pub stall: Duration,
    /// Tries that were given up before, because somebody held a lock.
    pub tries: u32,
    /// Rows that the last batch wrote or deleted.
    pub last_rows: u64,
    /// What had to be so before, and what was found.
    pub checklist: Vec<Check>,
    /// The comparison of both sides before the switch.
    pub verification: Option<VerificationReport>,
    /// Sequences of the side that takes writes now.
    pub sequences: Vec<AdvancedSequence>,
    /// What went wrong after the switch, and does not undo it.
    pub afterwards: Vec<String>,
    /// From beginning to end.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::event::as_milliseconds")]
    pub elapsed: Duration,
}
