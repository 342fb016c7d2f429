//! What goes on beside the batches: tables are copied, keys and indexes built, foreign keys put back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::schema_to_schema::constraints;
use crate::schema_to_schema::journal::{self, EntryKind};
use crate::schema_to_schema::ledger::{TableState, set_state};
use crate::schema_to_schema::live::finish::{Builders, Finisher};
use crate::schema_to_schema::live::follower::Follower;
use crate::schema_to_schema::live::ledger::Phase;
use crate::schema_to_schema::live::run::FollowReport;
use crate::schema_to_schema::report::ViolatedForeignKey;
use crate::schema_to_schema::sessions::Sessions;

/// Everything that goes on beside the batches.
pub(crate) struct Beside {
    sessions: Arc<Sessions>,
    finisher: Finisher,
    copying: JoinSet<Result<()>>,
    /// Says which tables are full.
    filled: mpsc::UnboundedReceiver<usize>,
    /// Tables that were full before the batch that is at work took its snapshot.
    full: Vec<usize>,
    building: JoinSet<Result<usize>>,
    built: BTreeSet<usize>,
    referring: JoinSet<Result<Vec<ViolatedForeignKey>>>,
}

impl Beside {
    /// Starts copying what is not there.
    pub(crate) async fn start(follower: &mut Follower, sessions: &Arc<Sessions>) -> Result<Self> {
        let (full, filled) = mpsc::unbounded_channel();
        let copying = follower.start_copying(sessions, full).await?;
        let finisher = Finisher {
            migration: Arc::clone(&follower.migration),
            applier: Arc::new(
                follower.applier.beside(follower.applier.source.clone(), follower.applier.target.clone()),
            ),
            sessions: Arc::clone(sessions),
            builders: Arc::new(Builders::new(follower.migration.plan.workers)),
            execution: follower.execution.clone(),
        };
        Ok(Self {
            sessions: Arc::clone(sessions),
            finisher,
            copying,
            filled,
            full: follower.tables_in(TableState::Copied),
            building: JoinSet::new(),
            built: BTreeSet::new(),
            referring: JoinSet::new(),
        })
    }

    /// What tables are made ready with.
    pub(crate) fn finisher(&self) -> &Finisher {
        &self.finisher
    }

    /// Before a batch: tables that are full by now. Whatever moved while they were copied waits once that batch is done.
    pub(crate) fn take_full(&mut self, states: &mut [TableState]) {
        while let Ok(index) = self.filled.try_recv() {
            states[index] = TableState::Copied;
            self.full.push(index);
        }
    }

    /// After a batch: begins what can begin, and takes in what has ended.
    pub(crate) async fn go_on(&mut self, follower: &mut Follower, report: &mut FollowReport) -> Result<()> {
        for index in self.full.drain(..) {
            self.built.insert(index);
            self.building.spawn(self.finisher.clone().build_key(index));
        }
        for index in follower.tables_in(TableState::Indexing) {
            if self.built.insert(index) {
                self.building.spawn(self.finisher.clone().build_rest(index));
            }
        }
        while let Some(ended) = self.building.try_join_next() {
            let index = ended.unwrap_or_else(panicked)?;
            self.built.remove(&index);
            let name = follower.migration.plan.tables[index].target.clone();
            follower.count_unbuilt_of(index, &name).await?;
            set_state(&follower.side, &name, TableState::CatchingUp).await?;
            follower.states[index] = TableState::CatchingUp;
        }
        while let Some(ended) = self.copying.try_join_next() {
            if let Err(error) = ended.unwrap_or_else(panicked) {
                return Err(follower.explain_altered(error).await);
            }
        }
        if self.copying.is_empty() && follower.phase == Phase::Copying {
            follower.set_phase(Phase::CatchingUp).await?;
        }
        while let Some(ended) = self.referring.try_join_next() {
            report.violated = ended.unwrap_or_else(panicked)?;
        }
        Ok(())
    }

    /// Puts foreign keys back, where changes can be applied past them. Returns whether they have to wait.
    pub(crate) async fn put_foreign_keys_back(&mut self, follower: &Follower) -> Result<bool> {
        let entries = journal::entries(&follower.side).await?;
        if !entries.iter().any(|entry| entry.kind >= EntryKind::ForeignKey) {
            return Ok(false);
        }
        if !follower.bypasses_constraints {
            return Ok(true);
        }
        let options = &follower.migration.options;
        let session = self.sessions.open_target(options).await?;
        let builder = self.sessions.open_target(options).await?;
        let execution = follower.execution.clone();
        self.referring.spawn(put_back_patiently(session, builder, execution));
        Ok(false)
    }

    /// True while foreign keys are being put back or validated.
    pub(crate) fn is_referring(&self) -> bool {
        !self.referring.is_empty()
    }

    /// True while something is going to change how far a table is.
    pub(crate) fn is_building(&self) -> bool {
        !self.copying.is_empty() || !self.building.is_empty() || !self.referring.is_empty()
    }

    /// Stops everything.
    pub(crate) async fn end(mut self) {
        self.copying.shutdown().await;
        self.building.shutdown().await;
        self.referring.shutdown().await;
    }
}

/// Puts foreign keys back beside batches. A foreign key locks two tables in its own order, and so does a batch: one of them
/// may be a deadlock's victim.
async fn put_back_patiently(
    session: Session,
    builder: Session,
    execution: Execution,
) -> Result<Vec<ViolatedForeignKey>> {
    let builders = [builder];
    let mut tries = 0;
    loop {
        match constraints::put_foreign_keys_back(&session, &builders, &execution).await {
            Err(error) if matches!(error.sqlstate_code(), Some("40P01" | "55P03")) && tries < 50 => {
                tries += 1;
                sleep(Duration::from_millis(20 * tries)).await;
            }
            done => return done,
        }
    }
}

fn panicked<T>(panic: JoinError) -> Result<T> {
    Err(Error::unexpected("a worker panicked").because(panic))
}
