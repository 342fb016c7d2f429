//! Rows moved by all workers from one snapshot; keys and indexes built as soon as a table is full.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::event::{Event, Execution, TableEstimate};
use crate::postgres::Session;
use crate::schema_to_schema::copy::{Moved, copy_range, insert_range};
use crate::schema_to_schema::journal::{self, Entry, EntryKind};
use crate::schema_to_schema::plan::{PageRange, Route, TablePlan};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::report::{MigrationReport, TableReport, ViolatedForeignKey};
use crate::schema_to_schema::resume::Work;
use crate::schema_to_schema::sessions::Crew;
use crate::schema_to_schema::snapshot::Snapshot;
use crate::schema_to_schema::{failpoint, foreign, ledger, sequences};
use crate::sql::{Sql, sql};

/// What all workers of one run share.
pub(crate) struct Run {
    migration: Arc<Migration>,
    snapshot: Snapshot,
    execution: Execution,
    /// Cancelled when one worker fails, so that the others stop too.
    stop: CancellationToken,
    work: Vec<Work>,
    queue: Mutex<VecDeque<(usize, PageRange)>>,
    progress: Vec<Progress>,
}

#[derive(Default)]
struct Progress {
    open: AtomicUsize,
    rows: AtomicU64,
    bytes: AtomicU64,
    started: Mutex<Option<Instant>>,
    elapsed: Mutex<Duration>,
}

impl Run {
    pub(crate) fn new(
        migration: Arc<Migration>,
        work: Vec<Work>,
        snapshot: Snapshot,
        execution: Execution,
    ) -> Self {
        let tables = &migration.plan.tables;
        let mut order: Vec<usize> = (0..tables.len()).collect();
        // The largest first, so that no long table is left for the end.
        order.sort_by_key(|index| std::cmp::Reverse(tables[*index].bytes));
        let mut queue = VecDeque::new();
        let progress: Vec<Progress> = work
            .iter()
            .map(|work| Progress { open: work.ranges.len().into(), ..Progress::default() })
            .collect();
        for index in order {
            queue.extend(work[index].ranges.iter().map(|range| (index, range.clone())));
        }
        Self {
            migration,
            snapshot,
            execution,
            stop: CancellationToken::new(),
            work,
            queue: Mutex::new(queue),
            progress,
        }
    }

    /// Moves all rows, and builds each table's indexes as soon as its rows are there. Returns how many were built.
    pub(crate) async fn move_and_build(run: &Arc<Self>, crews: Vec<Crew>, target: &Session) -> Result<usize> {
        let plan = &run.migration.plan;
        let estimate = |(table, work): (&TablePlan, &Work)| {
            (!work.ranges.is_empty()).then(|| TableEstimate {
                table: table.target.clone(),
                rows: table.rows,
                bytes: table.bytes,
            })
        };
        let tables = plan.tables.iter().zip(&run.work).filter_map(estimate).collect();
        run.execution.emit(&Event::TablesPlanned { tables });
        let (full, filled) = mpsc::unbounded_channel();
        for (index, work) in run.work.iter().enumerate() {
            if work.ranges.is_empty() {
                full.send(index).ok();
            }
        }
        let builds = Arc::new(Builds::new(journal::entries(target).await?, filled));
        let mut workers = JoinSet::new();
        for crew in crews {
            let (copying, full) = (Arc::clone(run), full.clone());
            let copy =
                async move { copying.guard(copying.copy_worker(full, crew.reader, crew.writer)).await };
            workers.spawn_on(copy, &crew.thread);
            let (building, builds) = (Arc::clone(run), Arc::clone(&builds));
            workers.spawn(async move { building.guard(building.build_worker(builds, crew.builder)).await });
        }
        drop(full);
        run.join(workers).await?;
        Ok(builds.built.load(Ordering::Relaxed))
    }

    /// Runs a worker until it is done or another worker fails.
    async fn guard(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        let result = tokio::select! {
            result = work => result,
            () = self.stop.cancelled() => return Ok(()),
        };
        if result.is_err() {
            self.stop.cancel();
        }
        result
    }

    /// Waits for all workers; the first failure is the run's.
    async fn join(&self, mut workers: JoinSet<Result<()>>) -> Result<()> {
        let mut first = Ok(());
        while let Some(ended) = workers.join_next().await {
            let result =
                ended.unwrap_or_else(|panic| Err(Error::unexpected("a worker panicked").because(panic)));
            if first.is_ok() {
                first = result;
            }
        }
        first
    }

    async fn copy_worker(
        &self,
        full: mpsc::UnboundedSender<usize>,
        source: Session,
        target: Session,
    ) -> Result<()> {
        // What a crash of the server takes of the last chunks, it takes of their record too.
        target.batch(&Sql::literal("SET synchronous_commit = off")).await?;
        loop {
            let Some((index, range)) = self.queue.lock().expect("not poisoned").pop_front() else {
                return Ok(());
            };
            let table = &self.migration.plan.tables[index];
            self.begin(index);
            let moved = self.move_range(index, &range, &source, &target).await?;
            let progress = &self.progress[index];
            progress.rows.fetch_add(moved.rows, Ordering::Relaxed);
            progress.bytes.fetch_add(moved.bytes, Ordering::Relaxed);
            if progress.open.fetch_sub(1, Ordering::AcqRel) == 1 {
                failpoint::reached("table copied, not marked");
                ledger::set_copied(&target, &table.target).await?;
                failpoint::reached("table marked copied");
                self.finish(index);
                full.send(index).ok();
            }
        }
    }

    /// Moves one range and records it, in one transaction of the target.
    async fn move_range(
        &self,
        index: usize,
        range: &PageRange,
        source: &Session,
        target: &Session,
    ) -> Result<Moved> {
        let table = &self.migration.plan.tables[index];
        let (catalog, schema) = (&self.migration.source_catalog, &self.migration.options.foreign_schema);
        let moved = match table.route {
            Route::Copy => {
                target.batch(&Sql::literal("BEGIN")).await?;
                copy_range(table, range, source, target, &self.execution).await?
            }
            Route::Local => {
                target.batch(&Sql::literal("BEGIN ISOLATION LEVEL REPEATABLE READ")).await?;
                self.snapshot.adopt(target).await?;
                match &table.query.statement {
                    Some(_) => foreign::insert(table, catalog, schema, target).await?,
                    None => insert_range(table, range, target).await?,
                }
            }
            Route::Fdw => {
                target.batch(&Sql::literal("BEGIN")).await?;
                foreign::insert(table, catalog, schema, target).await?
            }
        };
        failpoint::reached("chunk sent, not recorded");
        ledger::record_chunk(target, table, range, moved).await?;
        failpoint::reached("chunk recorded, not committed");
        target.batch(&Sql::literal("COMMIT")).await?;
        failpoint::reached("chunk committed");
        if table.route != Route::Copy {
            let (name, rows) = (table.target.clone(), moved.rows);
            self.execution.emit(&Event::TableProgress { table: name, rows, bytes: moved.bytes });
        }
        Ok(moved)
    }

    fn begin(&self, index: usize) {
        let mut started = self.progress[index].started.lock().expect("not poisoned");
        if started.is_none() {
            *started = Some(Instant::now());
            self.execution
                .emit(&Event::TableStarted { table: self.migration.plan.tables[index].target.clone() });
        }
    }

    fn finish(&self, index: usize) {
        let progress = &self.progress[index];
        let started = *progress.started.lock().expect("not poisoned");
        let elapsed = started.map_or(Duration::ZERO, |started| started.elapsed());
        *progress.elapsed.lock().expect("not poisoned") = elapsed;
        self.execution.emit(&Event::TableFinished {
            table: self.migration.plan.tables[index].target.clone(),
            rows: progress.rows.load(Ordering::Relaxed),
            bytes: progress.bytes.load(Ordering::Relaxed),
            elapsed,
        });
    }

    /// Builds indexes of full tables, and analyses a table after its last one.
    async fn build_worker(&self, builds: Arc<Builds>, session: Session) -> Result<()> {
        session.batch(&Sql::literal("SET maintenance_work_mem = '256MB'")).await?;
        while let Some((index, entry)) = builds.next(&self.migration).await {
            let table = &self.migration.plan.tables[index];
            if let Some(entry) = entry {
                let work = journal::restore(&session, &entry);
                self.execution
                    .step(&format!("Building {} on {}", entry.name, table.target.short()), work)
                    .await?;
                failpoint::reached("index put back");
                builds.built.fetch_add(1, Ordering::Relaxed);
            }
            if builds.is_last(index) {
                session.batch(&sql!("ANALYZE {}", table.target)).await?;
            }
        }
        Ok(())
    }

    pub(crate) fn report(
        &self,
        rebuilt: usize,
        violated: Vec<ViolatedForeignKey>,
        sequences: Vec<sequences::AdvancedSequence>,
        started: Instant,
    ) -> MigrationReport {
        let tables = self.migration.plan.tables.iter().zip(&self.work).zip(&self.progress);
        let report = |((table, work), progress): ((&TablePlan, &Work), &Progress)| TableReport {
            table: table.target.clone(),
            outcome: work.outcome,
            route: table.route,
            snapshot: work.snapshot.clone().unwrap_or_else(|| self.snapshot.shown.clone()),
            rows: work.rows_before + progress.rows.load(Ordering::Relaxed),
            bytes: progress.bytes.load(Ordering::Relaxed),
            elapsed: *progress.elapsed.lock().expect("not poisoned"),
        };
        MigrationReport {
            already_done: false,
            tables: tables.map(report).collect(),
            sequences,
            rebuilt,
            violated,
            snapshot: Some(self.snapshot.shown.clone()),
            elapsed: started.elapsed(),
        }
    }
}

/// A table by its index in the plan, and what to build on it.
type Build = (usize, Option<Entry>);

/// Indexes and constraints to build, by the tables that become full.
struct Builds {
    entries: Vec<Entry>,
    filled: tokio::sync::Mutex<(mpsc::UnboundedReceiver<usize>, VecDeque<Build>)>,
    open: Mutex<std::collections::BTreeMap<usize, usize>>,
    built: AtomicUsize,
}

impl Builds {
    fn new(entries: Vec<Entry>, filled: mpsc::UnboundedReceiver<usize>) -> Self {
        let filled = tokio::sync::Mutex::new((filled, VecDeque::new()));
        Self { entries, filled, open: Mutex::default(), built: AtomicUsize::new(0) }
    }

    /// The next thing to build: an index of a full table, or, for a table without any, nothing but to analyse it.
    async fn next(&self, migration: &Migration) -> Option<Build> {
        let mut filled = self.filled.lock().await;
        loop {
            if let Some(build) = filled.1.pop_front() {
                return Some(build);
            }
            let index = filled.0.recv().await?;
            let table = &migration.plan.tables[index].target;
            let is_built = |entry: &&Entry| &entry.table == table && entry.kind <= EntryKind::Constraint;
            let entries: Vec<Entry> = self.entries.iter().filter(is_built).cloned().collect();
            self.open.lock().expect("not poisoned").insert(index, entries.len().max(1));
            match entries.is_empty() {
                true => filled.1.push_back((index, None)),
                false => filled.1.extend(entries.into_iter().map(|entry| (index, Some(entry)))),
            }
        }
    }

    /// True for the last build of a table that ends.
    fn is_last(&self, index: usize) -> bool {
        let mut open = self.open.lock().expect("not poisoned");
        let left = open.entry(index).or_insert(1);
        *left -= 1;
        *left == 0
    }
}
