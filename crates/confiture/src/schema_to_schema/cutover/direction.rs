//! Which way changes go: from the old side to the new one, or, after a cutover, back. Read from the ledgers of both sides.
//!
//! Each side's ledger describes the migration into it. A switch is decided by one transaction, that which fences the side the
//! application leaves and says there that its ledger is the active one; the greater epoch tells which of two is right, where
//! a process died before the other side heard of it.

use std::time::Duration;

use tokio::time::sleep;

use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::live::ledger::{self, Direction, FollowRecord, Phase};
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::reverse::ReverseMapping;

/// What both ledgers say.
pub(crate) struct Ledgers {
    /// Of the migration into the new side.
    pub(crate) forward: Option<FollowRecord>,
    /// Of the migration back into the old side; in one database the two are one.
    pub(crate) reverse: Option<FollowRecord>,
}

impl Ledgers {
    /// Reads them; `options` are those of the way forward.
    pub(crate) async fn read(options: &Options) -> Result<Self> {
        let target = Session::connect(&options.target).await?;
        let found = ledger::read(&target).await?;
        let mut ledgers = Self { forward: None, reverse: None };
        for record in found.into_iter().chain(Self::on_the_source(options).await?) {
            match record.direction {
                Direction::Forward => ledgers.forward = Some(record),
                Direction::Reverse => ledgers.reverse = Some(record),
            }
        }
        Ok(ledgers)
    }

    /// What the old side's ledger says of the way back. A ledger of another migration, into the old side, is none of ours.
    async fn on_the_source(options: &Options) -> Result<Option<FollowRecord>> {
        if is_within(options) {
            return Ok(None);
        }
        let source = Session::connect(&options.source).await?;
        // Whoever may not read it has no way back in it.
        let found = match ledger::read(&source).await {
            Err(error) if error.sqlstate_code() == Some("42501") => None,
            found => found?,
        };
        let is_back = |record: &FollowRecord| record.direction == Direction::Reverse;
        Ok(found.filter(is_back))
    }

    /// Which way changes go.
    pub(crate) fn direction(&self) -> Direction {
        let is_active = |record: &FollowRecord| record.phase == Phase::Following;
        match (&self.forward, &self.reverse) {
            (Some(forward), Some(reverse)) if is_active(reverse) => {
                if !is_active(forward) || reverse.epoch > forward.epoch {
                    Direction::Reverse
                } else {
                    Direction::Forward
                }
            }
            (None, Some(_)) => Direction::Reverse,
            _ => Direction::Forward,
        }
    }

    /// True where a process died between the two commits of a switch.
    pub(crate) fn is_half_done(&self) -> bool {
        match (&self.forward, &self.reverse) {
            (Some(forward), Some(reverse)) => {
                forward.phase == Phase::Following && reverse.phase == Phase::Following
            }
            _ => false,
        }
    }

    /// True while both sides take writes.
    pub(crate) fn is_bidirectional(&self) -> bool {
        let is_both = |record: &Option<FollowRecord>| {
            record.as_ref().is_some_and(|record| record.phase == Phase::Bidirectional)
        };
        is_both(&self.forward) && is_both(&self.reverse)
    }

    /// True where the last cutover was one without a way back, or one that is made ready is.
    pub(crate) fn is_without_way_back(&self) -> bool {
        self.reverse.as_ref().is_some_and(|record| record.way_back.is_none())
    }

    /// The options of the way back, by what its ledger holds; `forward` are those of the way forward.
    pub(crate) fn way_back(&self, forward: &Options) -> Result<Options> {
        let stored = self.reverse.as_ref().and_then(|record| record.way_back.as_deref());
        let stored = stored.ok_or_else(|| {
            let what = format!("the application writes to {}, and there is no way back", forward.target);
            Error::refused(what)
                .hint("the cutover was asked for without one (--no-way-back): nothing is carried to the old side")
                .hint("when the old tables are needed no more: confiture migrate schema-to-schema cleanup")
        })?;
        Ok(ReverseMapping::restore(stored)?.options(forward))
    }

    /// Cutovers and rollbacks so far.
    pub(crate) fn epoch(&self) -> i64 {
        [&self.forward, &self.reverse].into_iter().flatten().map(|record| record.epoch).max().unwrap_or(0)
    }
}

/// True where both ends are named as one database: then they have one ledger.
pub(crate) fn is_within(options: &Options) -> bool {
    options.source.to_string() == options.target.to_string()
}

/// Waits until whoever took the work over is done, and plans what carries changes then. `options` are those of the way forward.
///
/// # Errors
///
/// [`crate::ErrorKind::Interrupted`]; [`crate::ErrorKind::Connect`] where a side cannot be reached.
pub async fn handed_over(options: &Options, execution: &Execution) -> Result<Migration> {
    let sides = [Session::connect(&options.target).await?, Session::connect(&options.source).await?];
    // Whoever asked takes the lock as soon as it is free.
    let mut free = 0;
    while free < 5 {
        let mut is_held = false;
        for side in &sides {
            is_held |= AdvisoryLock::holder(side).await?.is_some();
        }
        free = if is_held { 0 } else { free + 1 };
        tokio::select! {
            () = sleep(Duration::from_millis(200)) => {}
            () = execution.interrupted() => return Err(Error::interrupted("stopped while somebody else was at work")),
        }
    }
    super::settle(options, execution).await?;
    let (options, _) = active(options.clone()).await?;
    Box::pin(Migration::plan(options, execution)).await
}

/// True while both sides take writes. `options` are those of the way forward.
///
/// # Errors
///
/// [`crate::ErrorKind::Connect`] where a side cannot be reached.
pub async fn is_bidirectional(options: &Options) -> Result<bool> {
    Ok(Ledgers::read(options).await?.is_bidirectional())
}

/// The options of the migration that carries changes now, and which way that is: those given, or, after a cutover, those of
/// the way back.
///
/// # Errors
///
/// [`crate::ErrorKind::Connect`] where a side cannot be reached.
pub async fn active(options: Options) -> Result<(Options, Direction)> {
    let ledgers = Ledgers::read(&options).await?;
    match ledgers.direction() {
        Direction::Forward => Ok((options, Direction::Forward)),
        Direction::Reverse => Ok((ledgers.way_back(&options)?, Direction::Reverse)),
    }
}
