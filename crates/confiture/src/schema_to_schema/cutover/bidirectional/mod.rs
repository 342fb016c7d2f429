//! Both sides take writes for a while: changes are carried both ways, by the feeds and the appliers of the two directions.
//!
//! ```text
//! following --open--> carry over, carry back, carry over … --cutover--> the old side is fenced, the way back follows
//!                                                          --rollback-> the new side is fenced, the way forward follows
//! ```
//!
//! A batch of either direction holds the rows that it has written until it commits; then, before it commits, the other feed is
//! asked which rows the other side has changed and nobody has carried yet. A row that is in both is a conflict, which a policy
//! settles: never the order in which two batches happened to come. What a batch writes is marked, so that it is not carried
//! back as if the application had written it.

mod close;
mod conflict;
mod interleave;
mod key;
mod open;
mod pair;
mod reference;
mod run;

use std::time::Duration;

use crate::error::Result;
use crate::postgres::Session;
use crate::sql::{Identifier, Sql};

pub use run::both_ways;

pub(super) use close::{close, finish, is_unfinished};

use crate::schema_to_schema::live::{Direction, Until};
use crate::schema_to_schema::reverse::ReverseMapping;
use crate::schema_to_schema::sequences::AdvancedSequence;

/// Who wins where both sides have changed a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// The old side.
    Source,
    /// The new side.
    Target,
    /// The row whose column of this name, of the new side's table, is greater: the old one where both are equal; and whichever
    /// is still there, where the other side has deleted it. Of a table without that column nobody wins.
    Latest(Identifier),
    /// Nobody: it stops, and waits for a decision.
    Fail,
}

impl Policy {
    /// Its word on the command line and in the ledger.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
            Self::Latest(_) => "latest",
            Self::Fail => "fail",
        }
    }

    /// Writes it into the ledger of the new side.
    async fn remember(&self, new: &Session) -> Result<()> {
        let remember = Sql::literal(
            "INSERT INTO confiture.bidirectional (policy, latest_by) VALUES ($1, $2)
             ON CONFLICT (only_one) DO UPDATE SET policy = excluded.policy, latest_by = excluded.latest_by",
        );
        let by = match self {
            Self::Latest(by) => Some(by.as_str()),
            _ => None,
        };
        new.execute(&remember, &[&self.word(), &by]).await.map(|_| ())
    }

    /// What was told last.
    async fn read(new: &Session) -> Result<Self> {
        let query = Sql::literal("SELECT policy, latest_by FROM confiture.bidirectional");
        let Some(row) = new.query_opt(&query, &[]).await? else { return Ok(Self::Fail) };
        Ok(match (row.get::<_, &str>(0), row.get::<_, Option<String>>(1)) {
            ("source", _) => Self::Source,
            ("target", _) => Self::Target,
            ("latest", Some(by)) => Self::Latest(Identifier::new(by)),
            _ => Self::Fail,
        })
    }

    /// Who wins where a side was emptied, or nobody knows which of its rows have changed.
    fn wins_whole(&self) -> Option<Direction> {
        match self {
            Self::Source => Some(Direction::Forward),
            Self::Target | Self::Latest(_) => Some(Direction::Reverse),
            Self::Fail => None,
        }
    }
}

/// How both sides take writes.
#[derive(Clone)]
pub struct Bidirectional {
    /// Who wins a conflict.
    pub policy: Policy,
    /// The way back, from the new side's tables to those of the old one; `None` for what follows from the plan.
    pub way_back: Option<ReverseMapping>,
    /// Go although something would be lost on the way back.
    pub accept_losses: bool,
    /// When to stop carrying; both sides go on taking writes, and changes go on being captured.
    pub until: Until,
    /// How long to try again after a connection was lost.
    pub patience: Duration,
}

impl Default for Bidirectional {
    fn default() -> Self {
        Self {
            policy: Policy::Fail,
            way_back: None,
            accept_losses: false,
            until: Until::Interrupted,
            patience: Duration::from_secs(300),
        }
    }
}

/// What was carried.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct BidirectionalReport {
    /// True where this run has opened the new side to writes.
    pub opened: bool,
    /// The word of the policy.
    pub policy: String,
    /// Batches of this run from the old side to the new one, and back.
    pub batches: [u64; 2],
    /// Rows that they wrote or deleted.
    pub rows: [u64; 2],
    /// Rows that both sides had changed.
    pub conflicts: u64,
    /// Sequences of which both sides draw other numbers since.
    pub interleaved: Vec<AdvancedSequence>,
    /// True where the run ended because a cutover or a rollback takes over.
    pub handed_over: bool,
    /// From beginning to end.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::event::as_milliseconds")]
    pub elapsed: Duration,
}
