//! A run that follows, opened: for the first time, or from what the ledger says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::feed::wal::SlotLost;
use crate::postgres::feed::{ChangeFeed, KeySet};
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::chunk::{self, all_ranges};
use crate::schema_to_schema::cutover::fence;
use crate::schema_to_schema::journal::{self, EntryKind};
use crate::schema_to_schema::ledger::{self as tables, TableRecord, TableState};
use crate::schema_to_schema::live::applier::Applier;
use crate::schema_to_schema::live::capture::{Captured, plan_capture};
use crate::schema_to_schema::live::coverage::Coverage;
use crate::schema_to_schema::live::feed;
use crate::schema_to_schema::live::follower::Follower;
use crate::schema_to_schema::live::gate::Gate;
use crate::schema_to_schema::live::ledger::{self, Direction, FeedKind, FollowRecord, Phase};
use crate::schema_to_schema::live::request;
use crate::schema_to_schema::live::run::Following;
use crate::schema_to_schema::live::stage::Stage;
use crate::schema_to_schema::load::{Reading, Run, WhileCaptured, file_of};
use crate::schema_to_schema::plan::{Route, TablePlan, Topology};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::report::Outcome;
use crate::schema_to_schema::resume::Work;
use crate::schema_to_schema::sessions::Sessions;
use crate::schema_to_schema::triage::{self, Need};
use crate::schema_to_schema::{failpoint, immediate, portion, preflight};
use crate::sql::{QualifiedName, Sql, sql};

impl Migration {
    /// Opens a run: captures changes where nobody does yet, and reads from the ledger how far every table is.
    pub(crate) async fn open_follower(
        self: &Arc<Self>,
        following: &Following,
        sessions: &Sessions,
        execution: &Execution,
    ) -> Result<(Follower, FeedKind)> {
        let options = &self.options;
        preflight::check_privileges(self).await?;
        let side = sessions.open_target(options).await?;
        AdvisoryLock::join(&side).await?;
        let captured = Arc::new(plan_capture(&self.plan, &self.source, &self.source_catalog).await?);
        let mut record = match ledger::read(&side).await? {
            Some(record) if record.phase == Phase::Immediate => return Err(immediate::is_open()),
            Some(record) if record.phase >= Phase::Armed => return Err(moved(&side)),
            Some(record) if record.phase > Phase::Preparing => record,
            begun => self.prepare_following(begun, following, &captured, &side, execution).await?,
        };
        self.take_fingerprints(&side).await?;
        let records = tables::read(&side).await?;
        let mut states = self.states(&records)?;
        let is_edited = |table: &&TablePlan| {
            records.get(&table.target).is_some_and(|record| record.fingerprint != table.fingerprint())
        };
        let edited: Vec<&TablePlan> = self.plan.tables.iter().filter(is_edited).collect();
        feed::refuse_others(record.feed, &record.id, &self.source, &captured).await?;
        self.check_servers(&mut record, &side, &mut states, execution).await?;
        if record.feed == FeedKind::Queue {
            self.mend_capture(&record.id, &captured, &side, &mut states, execution).await?;
        }
        let feed = self.open_feed(&record, &captured, &side, &mut states, execution).await?;
        let publication = feed::publication(record.feed, &record.id);
        let shapes = self.shapes(&side, &captured, publication, &mut states, &edited, execution).await?;
        ledger::set_stopped(&side, None).await?;
        let coverage = Coverage::read(&side, &self.plan, record.direction == Direction::Reverse).await?;
        request::take_over(&side).await?;
        let (applier, bypasses_constraints) = self.open_applier(&captured, &record.id, sessions).await?;
        let mut follower = Follower {
            migration: Arc::clone(self),
            captured,
            applier,
            feed,
            gate: Arc::new(Gate::new()),
            witness: following.witness.clone(),
            execution: execution.clone(),
            states,
            phase: record.phase,
            batches: record.batches,
            side,
            shapes,
            unbuilt: std::collections::BTreeMap::new(),
            heartbeat: Instant::now(),
            retained: 0,
            coverage,
            kind: record.feed,
            id: record.id.clone(),
            looked_for_gaps: Instant::now(),
            writing: None,
            align: false,
            aligned: None,
            bypasses_constraints,
            withheld: Vec::new(),
            gives_way: true,
            hands_over: false,
        };
        follower.announce().await?;
        Ok((follower, record.feed))
    }

    /// The sessions that apply changes, which pass the fence; and whether they may write past constraints.
    async fn open_applier(
        self: &Arc<Self>,
        captured: &Arc<Captured>,
        id: &str,
        sessions: &Sessions,
    ) -> Result<(Applier, bool)> {
        let target = sessions.open_target(&self.options).await?;
        AdvisoryLock::join(&target).await?;
        let source = match self.plan.topology {
            Topology::OneDatabase => target.clone(),
            Topology::TwoDatabases => sessions.open_source(&self.options).await?,
        };
        fence::pass(&target, id).await?;
        let bypasses = bypass(&target).await?;
        Ok((Applier::new(Arc::clone(self), Arc::clone(captured), source, target)?, bypasses))
    }

    /// Opens the feed. Where it has missed changes, captures them anew, and has the rows read again that may have changed.
    async fn open_feed(
        &self,
        record: &FollowRecord,
        captured: &Captured,
        side: &Session,
        states: &mut [TableState],
        execution: &Execution,
    ) -> Result<Box<dyn ChangeFeed + Sync>> {
        let (options, id) = (&self.options, &record.id);
        let gaps = match record.feed {
            FeedKind::Wal => feed::gaps(record.feed, id, &self.source, captured).await?,
            FeedKind::Queue => Vec::new(),
        };
        let why = match gaps.into_iter().next() {
            Some(gap) => format!("changes may have been missed: {gap}"),
            None => match feed::open(record.feed, id, options, captured, record.snapshot.clone()).await {
                Err(error) if SlotLost::of(&error).is_some() => error.to_string(),
                opened => return opened,
            },
        };
        execution.warn(format!("{why}; changes are captured by a new slot, and all rows are read again"));
        // The new slot comes last: until then, whoever begins again finds that the old one is lost.
        self.read_all_again(side, states).await?;
        feed::set_up(record.feed, id, options, captured, feed::PATIENCE, execution).await?;
        feed::open(record.feed, id, options, captured, None).await
    }

    /// The first steps, each of which may have been taken before: the ledger, the capture, the target's tables made ready.
    async fn prepare_following(
        self: &Arc<Self>,
        begun: Option<FollowRecord>,
        following: &Following,
        captured: &Captured,
        side: &Session,
        execution: &Execution,
    ) -> Result<FollowRecord> {
        let options = &self.options;
        let work = match self.is_partial() {
            true => Vec::new(),
            false => self.first_work(&triage::triage(self, side).await?)?,
        };
        let choice = match &begun {
            Some(record) => feed::Choice::again(record.feed),
            None => feed::choose(following.capture, self, captured, execution).await?,
        };
        tables::create(side).await?;
        ledger::create(side).await?;
        tables::remember_source(side, options).await?;
        failpoint::reached("follow: ledger made");
        if begun.is_none() {
            ledger::begin(side, &feed::new_id(side).await?, choice.kind, &choice.reason).await?;
            ledger::note(side, &self.beginning(Some(choice.kind))).await?;
        }
        failpoint::reached("follow: begun");
        let Some(mut record) = ledger::read(side).await? else {
            return Err(Error::unexpected("the ledger does not say what it was told"));
        };
        let set_up = feed::set_up(record.feed, &record.id, options, captured, feed::PATIENCE, execution);
        execution.step("Capturing changes", set_up).await?;
        failpoint::reached("follow: changes captured");
        if self.is_partial() {
            record.phase = self.adopt(side, following.assume_equal, execution).await?;
            return Ok(record);
        }
        self.set_up_foreign(side, execution).await?;
        let ready = self.prepare(side, &work, "", execution);
        execution.step("Taking keys, indexes and triggers off", ready).await?;
        failpoint::reached("follow: tables made ready");
        ledger::set_phase(side, Phase::Copying).await?;
        failpoint::reached("follow: copying");
        record.phase = Phase::Copying;
        Ok(record)
    }

    /// After a switch the ledger knows the tables, and not yet which SELECT defines them.
    async fn take_fingerprints(&self, side: &Session) -> Result<()> {
        let records = tables::read(side).await?;
        for table in &self.plan.tables {
            if records.get(&table.target).is_some_and(|record| record.fingerprint.is_empty()) {
                tables::set_fingerprint(side, table).await?;
            }
        }
        Ok(())
    }

    /// Takes tables that hold rows already as they are: nothing is taken off them, and every row is compared before anything
    /// is written, or, where the caller knows that both sides are equal, only what changes from now on. Returns how far that is.
    async fn adopt(&self, side: &Session, equal: bool, execution: &Execution) -> Result<Phase> {
        let (state, phase) = match equal {
            true => (TableState::Following, Phase::Following),
            false => (TableState::CatchingUp, Phase::CatchingUp),
        };
        portion::create(side).await?;
        let mut whole = KeySet::default();
        whole.insert_whole();
        let adopt = async {
            for table in &self.plan.tables {
                let (source, filter) = (&self.plan.source, self.options.filter.as_deref());
                tables::begin_table(side, table, source, filter, "").await?;
                tables::set_state(side, &table.target, state).await?;
                if !equal {
                    ledger::defer(side, &table.target, &whole).await?;
                }
            }
            ledger::set_phase(side, phase).await
        };
        side.transaction(adopt).await?;
        execution.note("Rows that are there stay: what others have in these tables is left alone.");
        failpoint::reached("follow: tables adopted");
        Ok(phase)
    }

    /// All of every table: nothing of it was captured before.
    fn first_work(&self, needs: &[Need]) -> Result<Vec<Work>> {
        let work = |(table, need): (&TablePlan, &Need)| {
            let truncate = match need {
                Need::All { truncate } => *truncate,
                // Begun by this run's predecessor, whose ledger still said that it was preparing; or copied without capture.
                Need::Rest(record) if record.chunks.is_empty() => false,
                Need::Rest(_) | Need::Nothing(_) => {
                    let name = table.target.short();
                    return Err(Error::refused(format!(
                        "{name} was copied before, and what changed since was not captured"
                    ))
                    .hint("to copy it again and follow from then on, say --restart (its rows in the target are removed)"));
                }
            };
            let ranges = all_ranges(table, self.plan.workers);
            Ok(Work { ranges, outcome: Outcome::Copied, rows_before: 0, truncate, snapshot: None })
        };
        self.plan.tables.iter().zip(needs).map(work).collect()
    }

    pub(super) fn states(
        &self,
        records: &std::collections::BTreeMap<QualifiedName, TableRecord>,
    ) -> Result<Vec<TableState>> {
        let state = |table: &TablePlan| {
            let name = table.target.short();
            let Some(record) = records.get(&table.target) else {
                return Err(Error::refused(format!(
                    "{name} is new in the mapping of a migration that follows"
                ))
                .hint("clean up and begin again, or leave it out with --tables"));
            };
            match record.source == self.plan.source {
                true => Ok(record.state),
                false => Err(follows_another(table, "source")),
            }
        };
        let states = self.plan.tables.iter().map(state).collect::<Result<Vec<_>>>()?;
        if let Some((name, _)) = records.iter().find(|(name, _)| self.plan.table(name).is_none()) {
            return Err(Error::refused(format!("{} follows too, and this run leaves it out", name.short()))
                .hint("name all tables of the migration, or none"));
        }
        Ok(states)
    }
}

impl Follower {
    /// Starts copying what is not there; ends by itself when all is. A table whose rows were given other pages meanwhile is
    /// begun again.
    pub(crate) async fn start_copying(
        &mut self,
        sessions: &Sessions,
        full: mpsc::UnboundedSender<usize>,
    ) -> Result<JoinSet<Result<()>>> {
        let mut copying = JoinSet::new();
        if !self.states.contains(&TableState::Copying) {
            return Ok(copying);
        }
        let plan = &self.migration.plan;
        let records = tables::read(&self.side).await?;
        let off = journal::entries(&self.side).await?;
        let off: BTreeSet<(&QualifiedName, &str)> = off
            .iter()
            .filter(|entry| entry.kind <= EntryKind::Constraint)
            .map(|entry| (&entry.table, entry.name.as_str()))
            .collect();
        let (mut work, mut files, mut stages) = (Vec::new(), Vec::new(), Vec::new());
        for (index, table) in plan.tables.iter().enumerate() {
            let mut now = Vec::new();
            for storage in &table.query.storage {
                now.push(file_of(&self.migration.source, storage.oid).await?.unwrap_or_default());
            }
            let record = records.get(&table.target);
            work.push(match record.filter(|_| self.states[index] == TableState::Copying) {
                None => nothing(),
                Some(record) => self.left_of(table, record, &now).await?,
            });
            stages.push(self.stage_for_load(index, table, &off));
            files.push(now);
        }
        let captured = WhileCaptured { files, stages, gate: Arc::clone(&self.gate) };
        let crews = self.migration.open_crews(sessions, &self.execution).await?;
        for (index, work) in work.iter().enumerate() {
            if self.states[index] == TableState::Copying && work.ranges.is_empty() {
                let name = &plan.tables[index].target;
                tables::set_state(&self.side, name, TableState::Copied).await?;
                full.send(index).ok();
            }
        }
        let (migration, execution) = (Arc::clone(&self.migration), self.execution.clone());
        let run = Arc::new(Run::new(migration, work, Reading::Captured(captured), execution));
        copying.spawn(async move { Run::move_rows(&run, crews, full).await });
        Ok(copying)
    }

    /// What is left of a table that an earlier run began.
    async fn left_of(&self, table: &TablePlan, record: &TableRecord, files: &[u32]) -> Result<Work> {
        let workers = self.migration.plan.workers;
        let is_same = |chunk: &tables::Chunk| {
            let is_it =
                |storage: &crate::schema_to_schema::Storage| storage.relation.to_string() == chunk.relation;
            let storage = table.query.storage.iter().position(is_it);
            storage.is_some_and(|storage| chunk.file.is_none_or(|file| files[storage] == file))
        };
        let from_the_start = || Work {
            ranges: all_ranges(table, workers),
            outcome: Outcome::Copied,
            rows_before: 0,
            truncate: false,
            snapshot: None,
        };
        if record.chunks.is_empty() {
            return Ok(from_the_start());
        }
        let done = record.ranges(table).filter(|_| record.chunks.iter().all(is_same));
        let Some(done) = done else {
            self.execution.note(format!(
                "{}: its source was rewritten or emptied meanwhile, so it is copied again",
                table.target.short()
            ));
            let again = sql!(
                "BEGIN; TRUNCATE {}; DELETE FROM confiture.chunk WHERE table_schema = {} AND table_name = {}; COMMIT",
                table.target,
                crate::sql::Literal(table.target.schema.as_str()),
                crate::sql::Literal(table.target.name.as_str())
            );
            self.side.batch(&again).await?;
            return Ok(from_the_start());
        };
        let ranges = match table.route {
            Route::Fdw => Vec::new(),
            Route::Copy | Route::Local => chunk::remaining(&table.query.storage, &done, workers),
        };
        Ok(Work { ranges, rows_before: record.rows, ..nothing() })
    }

    /// A stage, where a unique index stayed on the table during the load: a row that moved may come twice.
    fn stage_for_load(
        &self,
        index: usize,
        table: &TablePlan,
        off: &BTreeSet<(&QualifiedName, &str)>,
    ) -> Option<Stage> {
        let relation = self.migration.target_catalog.relations.get(&table.target)?;
        let is_off = |found: &crate::catalog::Index| {
            let name = found.constraint.as_ref().unwrap_or(&found.name);
            off.contains(&(&table.target, name.as_str()))
        };
        let stays = relation.indexes.iter().any(|found| found.unique && !is_off(found));
        stays.then(|| Stage::new(index, table, relation))
    }
}

fn moved(side: &Session) -> Error {
    Error::refused(format!(
        "{} takes the application's writes, so nothing is carried into it",
        side.connection()
    ))
    .hint("see where things are: confiture migrate schema-to-schema status")
}

pub(super) fn follows_another(table: &TablePlan, what: &str) -> Error {
    Error::refused(format!("{} follows with another {what} than this one", table.target.short()))
        .hint("put that back, or clean up and begin again")
}

fn nothing() -> Work {
    Work { ranges: Vec::new(), outcome: Outcome::Continued, rows_before: 0, truncate: false, snapshot: None }
}

impl Follower {
    /// Says in the ledger that a run is at work.
    async fn announce(&mut self) -> Result<()> {
        self.count_unbuilt().await?;
        if ledger::control(&self.side).await?.paused {
            self.execution.note("Paused, as somebody told it: nothing is copied or applied until `resume`.");
        }
        self.beat(std::time::Duration::ZERO).await?;
        let version = env!("CARGO_PKG_VERSION");
        let what = format!("run began after batch {} (confiture {version})", self.batches);
        ledger::note(&self.side, &what).await
    }
}

/// Has a session write past foreign keys and triggers, where its role may.
async fn bypass(session: &Session) -> Result<bool> {
    match session.batch(&Sql::literal("SET session_replication_role = replica")).await {
        Ok(()) => Ok(true),
        Err(error) if error.sqlstate_code() == Some("42501") => Ok(false),
        Err(error) => Err(error),
    }
}
