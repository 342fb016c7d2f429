//! Rows moved by all workers from one snapshot; keys and indexes built as soon as a table is full.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Execution, TableEstimate};
use crate::postgres::Session;
use crate::schema_to_schema::copy::{Moved, copy_range, insert_range};
use crate::schema_to_schema::journal::{self, Entry, EntryKind};
use crate::schema_to_schema::ledger::TableState;
use crate::schema_to_schema::live::gate::{Gate, Passer};
use crate::schema_to_schema::live::stage::Stage;
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
    reading: Reading,
    execution: Execution,
    /// Cancelled when one worker fails, so that the others stop too.
    stop: CancellationToken,
    work: Vec<Work>,
    queue: Mutex<VecDeque<(usize, PageRange)>>,
    progress: Vec<Progress>,
}

/// What the chunks are read in.
pub(crate) enum Reading {
    /// One snapshot for all.
    Frozen(Snapshot),
    /// A snapshot each, while changes are captured.
    Captured(WhileCaptured),
}

/// What reading each chunk in a snapshot of its own needs. A row that moved from one chunk to another may be there twice or
/// not at all; but it has changed, so its key was captured.
pub(crate) struct WhileCaptured {
    /// The files of every table's storage: rows of another file have other pages, which nobody captures.
    pub(crate) files: Vec<Vec<u32>>,
    /// Tables on which a unique index stayed, so that a row that is there twice must be passed over.
    pub(crate) stages: Vec<Option<Stage>>,
    /// Lets chunks pass.
    pub(crate) gate: Arc<Gate>,
}

impl Reading {
    /// The snapshot, as it is shown.
    fn shown(&self) -> &str {
        match self {
            Self::Frozen(snapshot) => &snapshot.shown,
            Self::Captured(_) => "",
        }
    }
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
        reading: Reading,
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
            reading,
            execution,
            stop: CancellationToken::new(),
            work,
            queue: Mutex::new(queue),
            progress,
        }
    }

    /// Moves all rows, and builds each table's indexes as soon as its rows are there. Returns how many were built.
    pub(crate) async fn move_and_build(run: &Arc<Self>, crews: Vec<Crew>, target: &Session) -> Result<usize> {
        run.announce();
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

    /// Moves all rows, and says of each table when it is full.
    pub(crate) async fn move_rows(
        run: &Arc<Self>,
        crews: Vec<Crew>,
        full: mpsc::UnboundedSender<usize>,
    ) -> Result<()> {
        run.announce();
        let mut workers = JoinSet::new();
        for crew in crews {
            let (copying, full) = (Arc::clone(run), full.clone());
            let copy =
                async move { copying.guard(copying.copy_worker(full, crew.reader, crew.writer)).await };
            workers.spawn_on(copy, &crew.thread);
        }
        drop(full);
        run.join(workers).await
    }

    fn announce(&self) {
        let estimate = |(table, work): (&TablePlan, &Work)| {
            (!work.ranges.is_empty()).then(|| TableEstimate {
                table: table.target.clone(),
                rows: table.rows,
                bytes: table.bytes,
            })
        };
        let tables = self.migration.plan.tables.iter().zip(&self.work).filter_map(estimate).collect();
        self.execution.emit(&Event::TablesPlanned { tables });
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
            if let Reading::Captured(captured) = &self.reading {
                captured.gate.spend(moved.rows, moved.bytes);
            }
            let progress = &self.progress[index];
            progress.rows.fetch_add(moved.rows, Ordering::Relaxed);
            progress.bytes.fetch_add(moved.bytes, Ordering::Relaxed);
            if progress.open.fetch_sub(1, Ordering::AcqRel) == 1 {
                failpoint::reached("table copied, not marked");
                ledger::set_state(&target, &table.target, TableState::Copied).await?;
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
        let (captured, stage) = match &self.reading {
            Reading::Frozen(_) => (None, None),
            Reading::Captured(captured) => (Some(captured), captured.stages[index].as_ref()),
        };
        if let Some(captured) = captured {
            captured.gate.wait(Passer::Chunk, &self.execution).await?;
        }
        let begin = match table.route {
            Route::Local => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Route::Copy | Route::Fdw => "BEGIN",
        };
        target.batch(&Sql::literal(begin)).await?;
        let moved = match table.route {
            Route::Copy => match stage {
                None => {
                    let into = table.target_columns();
                    copy_range(table, range, &into, source, target, &self.execution).await?
                }
                Some(stage) => {
                    target.batch(&stage.create()).await?;
                    let into = stage.row_columns();
                    copy_range(table, range, &into, source, target, &self.execution).await?;
                    let rows = target.execute(&stage.insert_new(), &[]).await?;
                    Moved { rows, bytes: 0 }
                }
            },
            Route::Local => {
                if let Reading::Frozen(snapshot) = &self.reading {
                    snapshot.adopt(target).await?;
                }
                match &table.query.statement {
                    Some(_) => foreign::insert(table, catalog, schema, target).await?,
                    None => insert_range(table, range, stage.is_some(), target).await?,
                }
            }
            Route::Fdw => foreign::insert(table, catalog, schema, target).await?,
        };
        failpoint::reached("chunk sent, not recorded");
        let file = match captured {
            Some(captured) if table.route != Route::Fdw => {
                Some(self.same_file(table, range, captured.files[index][range.storage], source).await?)
            }
            _ => None,
        };
        ledger::record_chunk(target, table, range, moved, file).await?;
        failpoint::reached("chunk recorded, not committed");
        target.batch(&Sql::literal("COMMIT")).await?;
        failpoint::reached("chunk committed");
        if table.route != Route::Copy {
            let (name, rows) = (table.target.clone(), moved.rows);
            self.execution.emit(&Event::TableProgress { table: name, rows, bytes: moved.bytes });
        }
        Ok(moved)
    }

    /// The file of a range's relation, which must be what it was when the first range was read.
    async fn same_file(
        &self,
        table: &TablePlan,
        range: &PageRange,
        file: u32,
        source: &Session,
    ) -> Result<u32> {
        let relation = &table.query.storage[range.storage];
        if file_of(source, relation.oid).await? == Some(file) {
            return Ok(file);
        }
        let relation = relation.relation.short();
        Err(Error::new(
            ErrorKind::Server,
            format!("{relation} was rewritten or emptied on the source while it was being copied"),
        )
        .sqlstate("40001")
        .hint("run the command again: that table is begun anew, the others go on"))
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
            snapshot: work.snapshot.clone().unwrap_or_else(|| self.reading.shown().to_owned()),
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
            snapshot: Some(self.reading.shown().to_owned()),
            elapsed: started.elapsed(),
        }
    }
}

/// The file that holds a relation's main fork; `None` where there is none, or no relation.
pub(crate) async fn file_of(session: &Session, oid: u32) -> Result<Option<u32>> {
    let query =
        Sql::literal("SELECT pg_catalog.pg_relation_filenode($1::pg_catalog.oid::pg_catalog.regclass)");
    Ok(session.query_one(&query, &[&oid]).await?.get(0))
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
