//! A plan carried out, in one of two ways. At once: one transaction of the target empties, fills, builds keys and scans; then
//! everything is visible. In quarantine: tables are loaded and scanned where nobody sees them, and one transaction publishes
//! them.
//!
//! Until that transaction commits, everybody else sees the target as it was or waits; whatever stops the run before, a
//! killed process included, PostgreSQL takes back. So there is no half of anything to be reached.

use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Execution, TableEstimate};
use crate::postgres::{AdvisoryLock, Session};
use crate::sql::{Sql, sql};
use crate::sync::fingerprint::Fingerprints;
use crate::sync::planner::Sync;
use crate::sync::report::{ColumnReport, Report, ScanReport, TableReport};
use crate::sync::restore::{self, TakenOff};
use crate::sync::scan::{check_changed, check_source_masks, interrupted, scan_table};
use crate::sync::snapshot::Snapshot;
use crate::sync::stream::{Filling, Moved};
use crate::sync::{quarantine, sequences, subset};

impl Sync {
    /// Carries the plan out. The source is only read; the target changes at the very end, or not at all.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Found`] where an original value was found in what would be published; [`ErrorKind::Locked`] where another
    /// run is at work; [`ErrorKind::Interrupted`] where the user stopped it. All leave the target as it was.
    pub async fn execute(self: &Arc<Self>, execution: &Execution) -> Result<Report> {
        let lock = AdvisoryLock::take_on(Session::connect(&self.options.target).await?).await?;
        let mut writers = Vec::new();
        for _ in 0..if self.plan.quarantine { self.plan.workers } else { 1 } {
            match Session::connect(&self.options.target).await {
                Ok(writer) => writers.push(writer),
                // The server has no connection left: fewer writers do.
                Err(error) if error.sqlstate_code() == Some("53300") && !writers.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        for writer in &writers {
            AdvisoryLock::join(writer).await?;
        }
        let work = async {
            if self.plan.quarantine {
                self.in_quarantine(&writers, &lock, execution).await
            } else {
                self.at_once(&writers[0], &lock, execution).await
            }
        };
        let result = tokio::select! {
            result = work => result,
            () = execution.interrupted() => Err(interrupted()),
        };
        let Err(error) = result else { return result };
        for writer in writers.iter().filter(|writer| !writer.is_closed()) {
            // What still runs is cancelled; closing the connection would end it too, but later.
            writer.cancel().await.ok();
        }
        if !self.plan.quarantine {
            return Err(error);
        }
        for writer in writers.iter().filter(|writer| !writer.is_closed()) {
            writer.batch(&Sql::literal("ROLLBACK")).await.ok();
        }
        Err(self.quarantined(error, lock.session()).await)
    }

    /// Everything in one transaction.
    async fn at_once(
        self: &Arc<Self>,
        writer: &Session,
        lock: &AdvisoryLock,
        execution: &Execution,
    ) -> Result<Report> {
        let started = Instant::now();
        let snapshot = execution.step("Freezing the source", self.freeze_source()).await?;
        self.tell_tables(execution);
        let taken =
            execution.step("Taking keys, indexes and triggers off", self.begin(writer, execution)).await?;
        let subset = self.choose_rows(&snapshot.holder, execution).await?;
        let fingerprints = Arc::new(Fingerprints::new(self.expected_fingerprints(), self.seed));
        let mut moved = Vec::new();
        for (index, table) in self.plan.tables.iter().enumerate() {
            let filling = self.filling(index, subset.as_ref(), &snapshot, &fingerprints)?;
            let rows = filling.fill(&table.table, &[writer], execution).await?;
            check_changed(self, index, &rows.counts)?;
            restore::indexes(writer, &taken, &table.table, execution).await?;
            moved.push(rows);
        }
        let rebuilt = execution.step("Putting keys and triggers back", restore::rest(writer, &taken)).await?;
        restore::refresh_views(writer, &self.target_oids(), execution).await?;
        let sequences = sequences::set(self, &snapshot.holder, writer).await?;
        let shown = snapshot.name.clone();
        drop(snapshot);
        let places: Vec<Sql> = self.truncated();
        let (scan, checksums) = self.scan(&places, writer, fingerprints, &moved, execution).await?;
        self.commit(writer, lock).await?;
        let report = self.report((moved, checksums), (rebuilt, sequences), scan, shown);
        self.after_commit(writer, execution).await;
        Ok(Report { elapsed: started.elapsed(), ..report })
    }

    /// Table by table into a schema of its own, by many writers; published at the end, in one transaction.
    async fn in_quarantine(
        self: &Arc<Self>,
        writers: &[Session],
        lock: &AdvisoryLock,
        execution: &Execution,
    ) -> Result<Report> {
        let started = Instant::now();
        let writer = &writers[0];
        let all: Vec<&Session> = writers.iter().collect();
        quarantine::check_rules(self, writer).await?;
        let snapshot = execution.step("Freezing the source", self.freeze_source()).await?;
        quarantine::open(self, writer, execution).await?;
        self.tell_tables(execution);
        let subset = self.choose_rows(&snapshot.holder, execution).await?;
        let fingerprints = Arc::new(Fingerprints::new(self.expected_fingerprints(), self.seed));
        let mut moved = Vec::new();
        for (index, table) in self.plan.tables.iter().enumerate() {
            let filling = self.filling(index, subset.as_ref(), &snapshot, &fingerprints)?;
            if let Some(finished) = quarantine::finished(self, index, writer).await? {
                execution.note(format!("{} was loaded by the earlier run", table.table.short()));
                filling.look_again().await?;
                moved.push(finished);
                continue;
            }
            let place = quarantine::make_place(self, table, writer).await?;
            let rows = filling.fill(&place, &all, execution).await?;
            check_changed(self, index, &rows.counts)?;
            quarantine::record(self, index, &rows, writer).await?;
            moved.push(rows);
        }
        let places = self.plan.tables.iter().map(|table| sql!("{}", quarantine::place_of(self, table)));
        let places: Vec<Sql> = places.collect();
        let (scan, checksums) = self.scan(&places, writer, fingerprints, &moved, execution).await?;
        crate::failpoint::reached("quarantine searched");
        let publishing = self.publish(writer, &snapshot.holder, &moved, execution);
        let (rebuilt, sequences) = execution.step("Publishing", publishing).await?;
        self.commit(writer, lock).await?;
        let report = self.report((moved, checksums), (rebuilt, sequences), scan, snapshot.name.clone());
        drop(snapshot);
        self.after_commit(writer, execution).await;
        Ok(Report { elapsed: started.elapsed(), ..report })
    }

    /// What was searched replaces what was there, and the quarantine goes: all that is left to do is to commit.
    async fn publish(
        &self,
        writer: &Session,
        source: &Session,
        moved: &[Moved],
        execution: &Execution,
    ) -> Result<(usize, usize)> {
        let taken = self.begin(writer, execution).await?;
        for (index, (table, moved)) in self.plan.tables.iter().zip(moved).enumerate() {
            quarantine::publish(self, index, moved.rows, writer).await?;
            restore::indexes(writer, &taken, &table.table, execution).await?;
        }
        let rebuilt = restore::rest(writer, &taken).await?;
        restore::refresh_views(writer, &self.target_oids(), execution).await?;
        let sequences = sequences::set(self, source, writer).await?;
        quarantine::remove(writer).await?;
        Ok((rebuilt, sequences))
    }

    /// Says how to go on; what a leak was found in is thrown away, so that nobody can.
    async fn quarantined(&self, error: Error, session: &Session) -> Error {
        if error.kind() == ErrorKind::Found {
            return match quarantine::remove(session).await {
                Ok(()) => error,
                Err(_) => error.hint("`confiture sync --repair` throws away what was loaded"),
            };
        }
        if self.options.resume && error.sqlstate_code() == Some("23503") {
            return error.hint(
                "tables of two snapshots do not fit each other here: leave --resume out to begin anew",
            );
        }
        match quarantine::remains(session).await {
            Ok(Some(remains)) if !remains.tables.is_empty() => {
                let message = format!(
                    "{} of {} tables wait in quarantine, where only their owner may look: `--resume` goes on with the next, `--repair` throws them away",
                    remains.tables.len(),
                    self.plan.tables.len()
                );
                error.hint(message)
            }
            Ok(Some(_)) => {
                quarantine::remove(session).await.ok();
                error
            }
            _ => error,
        }
    }

    async fn commit(&self, writer: &Session, lock: &AdvisoryLock) -> Result<()> {
        if !lock.is_held() {
            return Err(Error::new(
                ErrorKind::Connect,
                "the connection that held the lock was lost: nothing was changed",
            ));
        }
        crate::failpoint::reached("before the commit");
        writer.batch(&Sql::literal("COMMIT")).await?;
        crate::failpoint::reached("after the commit");
        Ok(())
    }

    fn tell_tables(&self, execution: &Execution) {
        let tables = self.plan.tables.iter().map(|table| TableEstimate {
            table: table.table.clone(),
            rows: table.rows,
            bytes: table.bytes,
        });
        execution.emit(&Event::TablesPlanned { tables: tables.collect() });
    }

    pub(crate) fn filling<'a>(
        self: &'a Arc<Self>,
        index: usize,
        subset: Option<&subset::Subset>,
        snapshot: &'a Snapshot,
        fingerprints: &'a Arc<Fingerprints>,
    ) -> Result<Filling<'a>> {
        let chosen = subset.map(|subset| subset.selects(&self.plan.tables[index], &self.source_catalog));
        Ok(Filling { sync: self, index, chosen: chosen.transpose()?, snapshot, fingerprints })
    }

    fn report(
        &self,
        (moved, checksums): (Vec<Moved>, Vec<String>),
        (rebuilt, sequences): (usize, usize),
        scan: ScanReport,
        snapshot: String,
    ) -> Report {
        Report {
            warnings: self.warnings(&scan, &moved),
            tables: self.table_reports(moved, checksums),
            rebuilt,
            sequences,
            scan,
            snapshot,
            elapsed: std::time::Duration::ZERO,
        }
    }

    /// Reads everything back and searches it. A finding is an error.
    async fn scan(
        &self,
        places: &[Sql],
        writer: &Session,
        fingerprints: Arc<Fingerprints>,
        moved: &[Moved],
        execution: &Execution,
    ) -> Result<(ScanReport, Vec<String>)> {
        let frozen = Arc::new(
            Arc::into_inner(fingerprints)
                .ok_or_else(|| Error::unexpected("a reader is still at work"))?
                .freeze(),
        );
        let mut scan = ScanReport {
            fingerprints: frozen.held as u64,
            not_looked_for: frozen.refused,
            ..ScanReport::default()
        };
        let work = async {
            let mut checksums = Vec::new();
            for (index, (moved, place)) in moved.iter().zip(places).enumerate() {
                check_source_masks(self, index, place, writer).await?;
                let found = scan_table(self, index, place, writer, &frozen, &mut scan, execution).await?;
                if found.rows != moved.rows {
                    return Err(self.lost_rows(index, moved.rows, found.rows));
                }
                checksums.push(format!("{:016x}", found.checksum));
            }
            Ok(checksums)
        };
        let checksums = execution.step("Scanning for leaks", work).await?;
        if scan.findings.is_empty() { Ok((scan, checksums)) } else { Err(leak(&scan)) }
    }

    /// Begins the transaction: locks, takes off what slows a load or fires in it, empties.
    async fn begin(&self, writer: &Session, execution: &Execution) -> Result<TakenOff> {
        let patience = format!("{}ms", self.options.lock_timeout.as_millis());
        writer
            .query(&Sql::literal("SELECT pg_catalog.set_config('lock_timeout', $1, false)"), &[&patience])
            .await?;
        // Somebody who reads a table while it is emptied waits for the end, or is waited for.
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL maintenance_work_mem = '256MB'";
        writer.batch(&Sql::literal(begin)).await?;
        let names = || self.plan.tables.iter().map(|table| &table.table);
        let lock = sql!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", Sql::join(", ", names()));
        writer.batch(&lock).await.map_err(|error| error.context("locking the target's tables"))?;
        let taken = restore::take_off(writer, &self.target_oids(), execution).await?;
        // In one statement and without CASCADE: nothing else is emptied, whatever refers to it.
        writer.batch(&sql!("TRUNCATE {}", Sql::join(", ", self.truncated()))).await.map_err(|error| {
            error
                .context("emptying the target's tables")
                .hint("add the table that refers to them to --tables")
        })?;
        writer.batch(&Sql::literal("SET LOCAL lock_timeout = 0")).await?;
        Ok(taken)
    }

    pub(crate) fn target_oids(&self) -> Vec<u32> {
        self.plan.tables.iter().map(|table| self.target_catalog.relations[&table.table].oid).collect()
    }

    /// The tables as TRUNCATE names them: a table with heirs alone, a partitioned one with its partitions.
    fn truncated(&self) -> Vec<Sql> {
        let is_partitioned =
            |name| self.target_catalog.relations[name].kind == crate::catalog::RelationKind::PartitionedTable;
        let named = self.plan.tables.iter().map(|table| &table.table);
        named
            .map(|name| if is_partitioned(name) { sql!("{}", name) } else { sql!("ONLY {}", name) })
            .collect()
    }

    /// The rows of the subset, where the rules ask for one.
    pub(crate) async fn choose_rows(
        &self,
        snapshot: &Session,
        execution: &Execution,
    ) -> Result<Option<subset::Subset>> {
        if self.options.rules.subset.is_empty() {
            return Ok(None);
        }
        let chosen = execution.step("Choosing rows", subset::choose(self, snapshot)).await?;
        for reason in chosen.reasons() {
            execution.note(reason);
        }
        Ok(Some(chosen))
    }

    /// About how many original values there are.
    fn expected_fingerprints(&self) -> u64 {
        let of = |(table, program): (&crate::sync::plan::TablePlan, &crate::sync::compile::Program)| {
            let columns =
                program.columns.iter().filter(|column| column.mask.is_some() || !column.sent_raw).count();
            table.rows.max(1000) * columns as u64
        };
        self.plan.tables.iter().zip(&self.programs).map(of).sum()
    }

    fn lost_rows(&self, index: usize, sent: u64, there: u64) -> Error {
        let name = self.plan.tables[index].table.short();
        Error::new(
            ErrorKind::Found,
            format!("{sent} rows of {name} were written, and {there} are there: nothing was changed"),
        )
        .hint("a rule or a trigger of the target takes rows away")
    }

    fn warnings(&self, scan: &ScanReport, moved: &[Moved]) -> Vec<String> {
        let mut warnings = Vec::new();
        let earlier = self.plan.tables.iter().zip(moved).filter(|(_, moved)| moved.earlier);
        let earlier: Vec<String> = earlier.map(|(table, _)| table.table.short()).collect();
        if !earlier.is_empty() {
            warnings.push(format!(
                "rows of {} are of the earlier run's snapshot, all others of this one's: foreign keys between them were checked",
                earlier.join(", ")
            ));
        }
        for finding in &scan.suspicious {
            warnings.push(format!(
                "{} is kept, and {} of its values look like: {}",
                finding.column, finding.values, finding.what
            ));
        }
        if scan.not_looked_for > 0 {
            warnings.push(format!(
                "{} of {} original values were too many to be looked for",
                scan.not_looked_for,
                scan.not_looked_for + scan.fingerprints
            ));
        }
        if self.plan.key_id.is_some() && !self.plan.ephemeral_key {
            warnings.push(
                "masks follow from the key: this is pseudonymised data, which is still personal data in law"
                    .to_owned(),
            );
        }
        warnings
    }

    fn table_reports(&self, moved: Vec<Moved>, checksums: Vec<String>) -> Vec<TableReport> {
        let tables = self.plan.tables.iter().zip(moved).zip(checksums);
        tables
            .map(|((table, moved), checksum)| TableReport {
                table: table.table.clone(),
                rows: moved.rows,
                bytes: moved.bytes,
                format: table.format,
                columns: table
                    .columns
                    .iter()
                    .zip(&moved.counts)
                    .map(|(column, count)| ColumnReport {
                        name: column.name.as_str().to_owned(),
                        rule: column.rule.clone(),
                        applied: column.applied,
                        masked: count.masked,
                        unchanged: count.unchanged,
                    })
                    .collect(),
                checksum,
                snapshot: moved.snapshot,
                elapsed: moved.elapsed,
            })
            .collect()
    }

    /// What is no part of the data: statistics.
    async fn after_commit(&self, writer: &Session, execution: &Execution) {
        let names = self.plan.tables.iter().map(|table| &table.table);
        if let Err(error) = writer.batch(&sql!("ANALYZE {}", Sql::join(", ", names))).await {
            execution.warn(format!("the tables are filled, but not analysed: {error}"));
        }
    }
}

fn leak(scan: &ScanReport) -> Error {
    let lines: Vec<String> = scan
        .findings
        .iter()
        .map(|finding| format!("{}: {} values", finding.column, finding.values))
        .collect();
    Error::new(ErrorKind::Found, "original values of masked columns would have arrived: nothing was changed in the target")
        .detail(lines.join("\n"))
        .hint("mask these columns too; where both columns may rightly share values, add `scan: {ignore: [table.column]}`")
}
