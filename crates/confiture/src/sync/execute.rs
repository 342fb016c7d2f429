//! A plan carried out, in one transaction of the target: emptied, filled, keys built, scanned; then visible, all at once.
//!
//! Until that transaction commits, everybody else sees the target as it was or waits; whatever stops the run before, a
//! killed process included, PostgreSQL takes back. So there is nothing to repair and no half of anything to be reached.

use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Execution, TableEstimate};
use crate::postgres::{AdvisoryLock, Session, WorkerThread};
use crate::sql::{Literal, Sql, sql};
use crate::sync::fingerprint::Fingerprints;
use crate::sync::planner::Sync;
use crate::sync::report::{ColumnReport, Report, ScanReport, TableReport};
use crate::sync::restore::{self, TakenOff};
use crate::sync::scan::{check_changed, interrupted, scan_table};
use crate::sync::stream::{Moved, Reader, fill};
use crate::sync::{sequences, subset};

impl Sync {
    /// Carries the plan out. The source is only read; the target changes at the very end, or not at all.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Found`] where an original value was found in what would be published; [`ErrorKind::Locked`] where another
    /// run is at work; [`ErrorKind::Interrupted`] where the user stopped it. All leave the target as it was.
    pub async fn execute(self: &Arc<Self>, execution: &Execution) -> Result<Report> {
        let lock = AdvisoryLock::take_on(Session::connect(&self.options.target).await?).await?;
        let writer = Session::connect(&self.options.target).await?;
        AdvisoryLock::join(&writer).await?;
        let work = self.execute_on(&writer, &lock, execution);
        let result = tokio::select! {
            result = work => result,
            () = execution.interrupted() => Err(interrupted()),
        };
        if result.is_err() && !writer.is_closed() {
            // What still runs is cancelled; closing the connection would end it too, but later.
            writer.cancel().await.ok();
        }
        result
    }

    async fn execute_on(
        self: &Arc<Self>,
        writer: &Session,
        lock: &AdvisoryLock,
        execution: &Execution,
    ) -> Result<Report> {
        let started = Instant::now();
        let (snapshot, shown, readers) = execution.step("Freezing the source", self.open_readers()).await?;
        let tables = self.plan.tables.iter().map(|table| TableEstimate {
            table: table.table.clone(),
            rows: table.rows,
            bytes: table.bytes,
        });
        execution.emit(&Event::TablesPlanned { tables: tables.collect() });
        let taken =
            execution.step("Taking keys, indexes and triggers off", self.begin(writer, execution)).await?;
        let subset = self.choose_rows(&snapshot, execution).await?;
        let expected = self.expected_fingerprints();
        let fingerprints = Arc::new(Fingerprints::new(expected, self.seed));
        let mut moved = Vec::new();
        for index in 0..self.plan.tables.len() {
            let chosen =
                subset.as_ref().map(|subset| subset.selects(&self.plan.tables[index], &self.source_catalog));
            let rows =
                fill(self, index, chosen.transpose()?, &readers, writer, &fingerprints, execution).await?;
            check_changed(self, index, &rows.counts)?;
            restore::indexes(writer, &taken, &self.plan.tables[index].table, execution).await?;
            moved.push(rows);
        }
        drop(readers);
        let rebuilt = execution.step("Putting keys and triggers back", restore::rest(writer, &taken)).await?;
        restore::refresh_views(writer, &self.target_oids(), execution).await?;
        let sequences = sequences::set(self, &snapshot, writer).await?;
        drop(snapshot);
        let (scan, checksums) = self.scan(writer, fingerprints, &moved, execution).await?;
        if !lock.is_held() {
            return Err(Error::new(
                ErrorKind::Connect,
                "the connection that held the lock was lost: nothing was changed",
            ));
        }
        crate::failpoint::reached("before the commit");
        writer.batch(&Sql::literal("COMMIT")).await?;
        let report = Report {
            warnings: self.warnings(&scan),
            tables: self.table_reports(moved, checksums),
            rebuilt,
            sequences,
            scan,
            snapshot: shown,
            elapsed: started.elapsed(),
        };
        self.after_commit(writer, execution).await;
        Ok(Report { elapsed: started.elapsed(), ..report })
    }

    /// Reads everything back and searches it. A finding is an error.
    async fn scan(
        &self,
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
            for (index, moved) in moved.iter().enumerate() {
                let found = scan_table(self, index, writer, &frozen, &mut scan, execution).await?;
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

    /// One snapshot of the source, and readers that share it. Tables are locked against ALTER and TRUNCATE first, which do
    /// not wait for snapshots.
    async fn open_readers(&self) -> Result<(Session, String, Vec<Reader>)> {
        let holder = Session::connect(&self.options.source).await?;
        holder.batch(&Sql::literal("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
        let relations =
            self.plan.tables.iter().map(|table| &self.source_catalog.relations[&table.table].name);
        let lock = sql!("LOCK TABLE {} IN ACCESS SHARE MODE", Sql::join(", ", relations));
        holder
            .batch(&lock)
            .await
            .map_err(|error| error.context("locking the source's tables against changes of their form"))?;
        let export = "SELECT pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_export_snapshot()";
        let row = holder.query_one(&Sql::literal(export), &[]).await?;
        let (shown, exported): (String, String) = (row.get(0), row.get(1));
        self.check_unchanged(&holder).await?;
        let mut readers = Vec::new();
        for _ in 0..self.plan.workers {
            let thread = WorkerThread::start()?;
            let connection = self.options.source.clone();
            let open = thread.spawn(async move { Session::connect(&connection).await });
            let opened = open
                .await
                .map_err(|panic| Error::unexpected("connecting a reader panicked").because(panic))?;
            let session = match opened {
                Ok(session) => session,
                // The server has no connection left: fewer readers do.
                Err(error) if error.sqlstate_code() == Some("53300") && !readers.is_empty() => break,
                Err(error) => return Err(error),
            };
            session.batch(&Sql::literal("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
            session.batch(&sql!("SET TRANSACTION SNAPSHOT {}", Literal(&exported))).await?;
            readers.push(Reader { session, thread });
        }
        Ok((holder, shown, readers))
    }

    /// The plan is that of the tables as they are now: a column that came since is not classified.
    async fn check_unchanged(&self, holder: &Session) -> Result<()> {
        let now = crate::postgres::read_catalog_in_transaction(holder).await?;
        for table in &self.plan.tables {
            let form = |catalog: &crate::catalog::Catalog| {
                catalog.relations.get(&table.table).map(|relation| {
                    let column = |column: &crate::catalog::Column| {
                        (column.name.clone(), column.data_type.text.clone())
                    };
                    relation.columns.iter().map(column).collect::<Vec<_>>()
                })
            };
            if form(&now) != form(&self.source_catalog) {
                return Err(Error::refused(format!(
                    "{} was altered since the plan was made: nothing was changed",
                    table.table.short()
                ))
                .hint("plan again: a new column must be classified first"));
            }
        }
        Ok(())
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

    fn target_oids(&self) -> Vec<u32> {
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
    async fn choose_rows(&self, snapshot: &Session, execution: &Execution) -> Result<Option<subset::Subset>> {
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

    fn warnings(&self, scan: &ScanReport) -> Vec<String> {
        let mut warnings = Vec::new();
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
