//! What clients were told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How one attempt to write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The commit returned.
    Acknowledged,
    /// It cannot have been committed; why.
    Failed(String),
    /// The answer is missing; why.
    Unknown(String),
}

/// One attempt to write.
#[derive(Debug, Clone)]
pub struct Write {
    /// Unique among all attempts of a [`Record`].
    pub id: i64,
    /// Who.
    pub client: u32,
    /// When the client wanted to write: earlier than `sent` where an attempt before this one had failed.
    pub asked: Instant,
    /// When this attempt began.
    pub sent: Instant,
    /// When it ended.
    pub ended: Instant,
    /// How.
    pub outcome: Outcome,
}

/// A client that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// Who.
    pub client: u32,
    /// Since when.
    pub since: Instant,
    /// How long, over all attempts.
    pub duration: Duration,
}

/// Everything that clients were told.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// All attempts, in no order.
    pub writes: Vec<Write>,
    /// Who had not been served when the clients were stopped.
    pub unserved: Vec<Stall>,
}

impl Record {
    /// Both; their ids must differ.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.writes.extend(other.writes);
        self.unserved.extend(other.unserved);
        self
    }

    /// The ids of the acknowledged writes.
    pub fn acknowledged(&self) -> impl Iterator<Item = i64> {
        self.served().map(|write| write.id)
    }

    /// What clients saw go wrong, and how often.
    #[must_use]
    pub fn errors(&self) -> BTreeMap<&str, usize> {
        let mut errors = BTreeMap::new();
        for write in &self.writes {
            if let Outcome::Failed(why) | Outcome::Unknown(why) = &write.outcome {
                *errors.entry(why.as_str()).or_default() += 1;
            }
        }
        errors
    }

    /// The longest that a client waited between asking and being served, whatever happened in between.
    #[must_use]
    pub fn longest_stall(&self) -> Option<Stall> {
        let served = self.served().map(|write| Stall {
            client: write.client,
            since: write.asked,
            duration: write.ended - write.asked,
        });
        served.chain(self.unserved.iter().copied()).max_by_key(|stall| stall.duration)
    }

    /// The longest time in which nobody at all was served.
    #[must_use]
    pub fn longest_silence(&self) -> Duration {
        let mut ends: Vec<Instant> = self.served().map(|write| write.ended).collect();
        ends.sort();
        ends.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// What `percent` of the served waited at most.
    #[must_use]
    pub fn latency(&self, percent: f64) -> Duration {
        let mut waits: Vec<Duration> = self.served().map(|write| write.ended - write.asked).collect();
        waits.sort();
        let last = waits.len().saturating_sub(1);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "an index of a list that fits into memory"
        )]
        let at = (last as f64 * percent / 100.0).round() as usize;
        waits.get(at.min(last)).copied().unwrap_or_default()
    }

    /// One line for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let count =
            |fits: fn(&Outcome) -> bool| self.writes.iter().filter(|write| fits(&write.outcome)).count();
        format!(
            "{} acknowledged, {} failed, {} unknown; waited {:.1?} (median), {:.1?} (99 %), {:.1?} (longest); longest silence {:.1?}",
            count(|outcome| matches!(outcome, Outcome::Acknowledged)),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
            count(|outcome| matches!(outcome, Outcome::Unknown(_))),
            self.latency(50.0),
            self.latency(99.0),
            self.longest_stall().map(|stall| stall.duration).unwrap_or_default(),
            self.longest_silence(),
        )
    }

    fn served(&self) -> impl Iterator<Item = &Write> {
        self.writes.iter().filter(|write| write.outcome == Outcome::Acknowledged)
    }
}
