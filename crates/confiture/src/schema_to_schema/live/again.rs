//! Where changes may have been missed, all rows are read again: the next batches compare them with the target and write
//! what differs.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::event::Execution;
use crate::postgres::feed::{CapturedTable, KeySet};
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::ledger::{self as tables, TableState};
use crate::schema_to_schema::live::capture::Captured;
use crate::schema_to_schema::live::feed;
use crate::schema_to_schema::live::follower::BothShapes;
use crate::schema_to_schema::live::function::Functions;
use crate::schema_to_schema::live::identity::Identity;
use crate::schema_to_schema::live::ledger::{self, FeedKind, FollowRecord, Phase};
use crate::schema_to_schema::live::open::follows_another;
use crate::schema_to_schema::live::shape::{Scope, Shapes};
use crate::schema_to_schema::plan::{TablePlan, Topology};
use crate::schema_to_schema::planner::Migration;

impl Migration {
    /// `--restart` of a migration that follows: its capture stays, and all rows are read again.
    pub(crate) async fn restart_following(&self, execution: &Execution) -> Result<()> {
        let side = Session::connect(&self.options.target).await?;
        if ledger::read(&side).await?.is_none_or(|record| record.phase == Phase::Preparing) {
            return Ok(());
        }
        let lock = AdvisoryLock::take(&self.options.target).await?;
        let mut states = self.states(&tables::read(&side).await?)?;
        self.read_all_again(&side, &mut states).await?;
        ledger::note(&side, "--restart: all rows are read again").await?;
        execution.note("--restart: all rows are read again, and changes go on being captured.");
        lock.release().await
    }

    /// Looks whether both servers are those of the last run. One that was promoted or restored may lack commits that the
    /// other has: then all rows are read again, and positions are forgotten.
    pub(super) async fn check_servers(
        &self,
        record: &mut FollowRecord,
        side: &Session,
        states: &mut [TableState],
        execution: &Execution,
    ) -> Result<()> {
        let now = [Identity::read(&self.source).await?, Identity::read(side).await?];
        let mut broken = Vec::new();
        if let Some(then) = &record.servers {
            for ((then, now), side) in then.iter().zip(&now).zip(["source", "target"]) {
                broken.extend(then.broken_by(now).map(|why| format!("the {side} is not what it was: {why}")));
            }
        } else if now.iter().any(Identity::is_vague) {
            execution.note("The role may not ask which server this is, so a promoted standby goes unnoticed; see docs/following.md.");
        }
        if self.plan.topology == Topology::OneDatabase {
            broken.truncate(1);
        }
        if !broken.is_empty() {
            let why = broken.join("; ");
            execution.warn(format!("{why}; commits may be lost, so all rows are read again"));
            ledger::note(side, &format!("all rows are read again: {why}")).await?;
            // The servers come last: until then, whoever begins again finds that they differ.
            self.read_all_again(side, states).await?;
            record.snapshot = None;
        }
        ledger::set_servers(side, &now, !broken.is_empty()).await
    }

    /// Has all rows of all tables read again by the next batches.
    pub(super) async fn read_all_again(&self, side: &Session, states: &mut [TableState]) -> Result<()> {
        for (table, state) in self.plan.tables.iter().zip(states) {
            self.read_again(side, table, state).await?;
        }
        Ok(())
    }

    /// Mends what captures changes, where somebody broke it, and has everything read again that may have been missed.
    pub(super) async fn mend_capture(
        &self,
        id: &str,
        captured: &Captured,
        side: &Session,
        states: &mut [TableState],
        execution: &Execution,
    ) -> Result<()> {
        let gaps = feed::gaps(FeedKind::Queue, id, &self.source, captured).await?;
        if gaps.is_empty() {
            return Ok(());
        }
        for gap in gaps {
            execution.warn(format!("changes may have been missed: {gap}"));
        }
        let anew = feed::mend(id, &self.options, captured, execution).await?;
        for ((followed, table), state) in captured.followed.iter().zip(&self.plan.tables).zip(states) {
            let read = std::iter::once(followed.driving).chain(followed.depends.iter().map(|one| one.table));
            if read.into_iter().any(|index| anew.contains(&captured.tables[index].name)) {
                self.read_again(side, table, state).await?;
            }
        }
        Ok(())
    }

    /// How the tables look now; where that is not how they looked, rows that nobody captured may have changed with it.
    pub(super) async fn shapes(
        &self,
        side: &Session,
        captured: &Captured,
        publication: String,
        states: &mut [TableState],
        edited: &[&TablePlan],
        execution: &Execution,
    ) -> Result<BothShapes> {
        let mut edited: BTreeSet<_> = edited.iter().map(|table| &table.target).collect();
        let oid =
            |table: &TablePlan| self.target_catalog.relations.get(&table.target).map(|relation| relation.oid);
        let target_scope =
            Scope { oids: self.plan.tables.iter().filter_map(oid).collect(), ..Scope::default() };
        let functions = Functions::read(&self.source, &self.plan).await?;
        let source_scope = Scope {
            oids: captured.tables.iter().flat_map(CapturedTable::oids).collect(),
            functions: functions.watched.clone(),
            publication,
        };
        let source = Shapes::read(&self.source, &source_scope).await?;
        self.check_still_planned(captured).await?;
        let target = Shapes::read(side, &target_scope).await?;
        let before = Shapes::remembered(side, "source").await?;
        if let Some(before) = &before {
            let (rewritten, changed) = (before.rewritten(&source), before.changed_functions(&source));
            for change in before.differences(&source) {
                execution.warn(format!("altered on the source since the last run: {change}"));
            }
            for (index, ((followed, table), state)) in
                captured.followed.iter().zip(&self.plan.tables).zip(&mut *states).enumerate()
            {
                let read = std::iter::once(followed.driving)
                    .chain(followed.depends.iter().map(|dependent| dependent.table))
                    .map(|table| &captured.tables[table]);
                let names: Vec<String> = read
                    .flat_map(|table| {
                        std::iter::once(&table.name).chain(table.partitions.iter().map(|(name, _)| name))
                    })
                    .map(ToString::to_string)
                    .collect();
                let is_mapped_anew = changed.iter().any(|name| functions.is_called(name, index));
                if !is_mapped_anew && !rewritten.iter().any(|table| names.contains(table)) {
                    continue;
                }
                execution.note(format!("{}: all of its rows are read again", table.target.short()));
                self.read_again(side, table, state).await?;
                // An altered column's values are written otherwise, or come from another column.
                if edited.remove(&table.target) {
                    tables::set_fingerprint(side, table).await?;
                }
            }
        }
        for (table, state) in self.plan.tables.iter().zip(states) {
            if !edited.contains(&table.target) {
                continue;
            }
            if before.is_some() {
                return Err(follows_another(table, "mapping"));
            }
            // Altered before the first batch.
            self.read_again(side, table, state).await?;
            tables::set_fingerprint(side, table).await?;
        }
        source.remember(side, "source").await?;
        Ok(BothShapes { source, source_scope, target, target_scope })
    }

    /// Has a whole table read again by the next batches.
    pub(super) async fn read_again(
        &self,
        side: &Session,
        table: &TablePlan,
        state: &mut TableState,
    ) -> Result<()> {
        let mut whole = KeySet::default();
        whole.insert_whole();
        ledger::defer(side, &table.target, &whole).await?;
        if *state == TableState::Following {
            *state = TableState::CatchingUp;
            tables::set_state(side, &table.target, *state).await?;
        }
        Ok(())
    }
}
