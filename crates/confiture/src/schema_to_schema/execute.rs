//! A plan carried out, in this order: what may go wrong is looked for; the source is frozen; what is left to do is found
//! out; the target's tables are made ready in one transaction; rows move; keys come back; sequences follow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::constraints;
use crate::schema_to_schema::load::{Reading, Run};
use crate::schema_to_schema::plan::TablePlan;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::report::{MigrationReport, Outcome, TableReport};
use crate::schema_to_schema::resume::{self, Work};
use crate::schema_to_schema::sessions::{Crew, Sessions};
use crate::schema_to_schema::snapshot::Snapshot;
use crate::schema_to_schema::triage::{self, Need};
use crate::schema_to_schema::{failpoint, journal, ledger, live, preflight, sequences};
use crate::sql::{Sql, sql};

impl Migration {
    /// Carries the plan out. Run again after whatever stopped it, it continues; run again after it finished, it changes
    /// nothing. The source is only read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsafe`] where the target holds rows that are not ours; [`ErrorKind::Locked`] where another run is at
    /// work; [`ErrorKind::Interrupted`] where the user stopped it. All leave a state that the same command continues from,
    /// and no statement running on either server.
    pub async fn migrate(self: &Arc<Self>, execution: &Execution) -> Result<MigrationReport> {
        let sessions = Arc::new(Sessions::default());
        let result = tokio::select! {
            result = Box::pin(self.migrate_with(&sessions, execution)) => result,
            () = execution.interrupted() => Err(interrupted()),
            error = sessions.watch(&self.source, &self.target, self.options.lock_timeout) => Err(error),
        };
        sessions.end(&self.source, &self.target, result.is_err()).await;
        result
    }

    async fn migrate_with(
        self: &Arc<Self>,
        sessions: &Sessions,
        execution: &Execution,
    ) -> Result<MigrationReport> {
        let started = Instant::now();
        let options = &self.options;
        if self.is_partial() {
            return Err(Error::usage("tables that are filled in part can be followed, not copied"));
        }
        preflight::check_privileges(self).await?;
        let lock = AdvisoryLock::take_on(sessions.open_target(options).await?).await?;
        let target = sessions.open_target(options).await?;
        AdvisoryLock::join(&target).await?;
        if let Some(following) = live::ledger::read(&target).await? {
            return Err(Error::refused(format!(
                "the target follows a source, by the {}: a plain copy would not fit in",
                following.feed.word()
            ))
            .hint("`sync` goes on following; `cleanup` ends it"));
        }
        let needs = triage::triage(self, &target).await?;
        if needs.iter().all(|need| matches!(need, Need::Nothing(_))) && journal_is_empty(&target).await? {
            return Ok(self.already_done(&needs, started));
        }
        let crews = self.open_crews(sessions, execution).await?;
        let freeze = Snapshot::export_locked(sessions.open_source(options).await?, &self.plan);
        let snapshot = execution.step("Freezing the source", freeze).await?;
        failpoint::reached("snapshot exported");
        let (readers, writers) = share(&crews, &snapshot).await?;
        let work = resume::plan_work(self, &needs, &readers, &writers, execution).await?;
        ledger::create(&target).await?;
        failpoint::reached("ledger made");
        ledger::remember_source(&target, options).await?;
        failpoint::reached("source remembered");
        live::ledger::note(&target, &self.beginning(None)).await?;
        self.set_up_foreign(&target, execution).await?;
        failpoint::reached("foreign tables made");
        execution
            .step(
                "Taking keys, indexes and triggers off",
                self.prepare(&target, &work, &snapshot.shown, execution),
            )
            .await?;
        failpoint::reached("tables made ready");
        let run = Arc::new(Run::new(Arc::clone(self), work, Reading::Frozen(snapshot), execution.clone()));
        let builders: Vec<Session> = crews.iter().map(|crew| crew.builder.clone()).collect();
        let rebuilt = Run::move_and_build(&run, crews, &target).await?;
        failpoint::reached("rows moved");
        let violated = constraints::put_back(self, &target, &builders, execution).await?;
        failpoint::reached("constraints put back");
        let advanced =
            sequences::advance(&self.plan, &self.source_catalog, &self.target_catalog, &self.source, &target)
                .await?;
        failpoint::reached("sequences advanced");
        if !lock.is_held() {
            return Err(Error::new(
                ErrorKind::Connect,
                "the connection that held the lock was lost during the migration",
            )
            .hint("run the command again: it looks at what is there and continues"));
        }
        let tables: Vec<_> = self.plan.tables.iter().map(|table| &table.target).collect();
        ledger::finish(&target, &tables, &format!("migrated {} tables", tables.len())).await?;
        failpoint::reached("finished");
        Ok(run.report(rebuilt, violated, advanced, started))
    }

    /// The sessions of every worker, all of them before anything is written. Where a server has no more connections, fewer
    /// workers do; one must.
    pub(crate) async fn open_crews(&self, sessions: &Sessions, execution: &Execution) -> Result<Vec<Crew>> {
        let mut crews = vec![sessions.open_crew(&self.options).await?];
        while crews.len() < self.plan.workers {
            match sessions.open_crew(&self.options).await {
                Ok(crew) => crews.push(crew),
                Err(error) if error.sqlstate_code() == Some("53300") => {
                    let (got, wanted) = (crews.len(), self.plan.workers);
                    execution.warn(format!(
                        "a server has no connection left: {got} of {wanted} workers go to work"
                    ));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(crews)
    }

    /// What begins, for the audit trail.
    pub(crate) fn beginning(&self, feed: Option<live::FeedKind>) -> String {
        let (plan, options) = (&self.plan, &self.options);
        let tables = match plan.tables.len() {
            1 => "1 table".to_owned(),
            tables => format!("{tables} tables"),
        };
        let mapping = options.mapping_file.as_deref().unwrap_or("same names");
        let print = plan.fingerprint.get(..12).unwrap_or_default();
        let changes = match feed {
            Some(feed) => format!("changes captured by the {}", feed.word()),
            None => "changes not captured".to_owned(),
        };
        format!("began: {tables} of {}, mapping {mapping} ({print}), {changes}", plan.source)
    }

    fn already_done(&self, needs: &[Need], started: Instant) -> MigrationReport {
        let report = |(table, need): (&TablePlan, &Need)| {
            let (rows, snapshot) = match need {
                Need::Nothing(record) => (record.rows, record.snapshot.clone()),
                _ => (0, String::new()),
            };
            TableReport {
                table: table.target.clone(),
                outcome: Outcome::AlreadyDone,
                route: table.route,
                rows,
                snapshot,
                bytes: 0,
                elapsed: Duration::ZERO,
            }
        };
        MigrationReport {
            already_done: true,
            tables: self.plan.tables.iter().zip(needs).map(report).collect(),
            sequences: Vec::new(),
            rebuilt: 0,
            violated: Vec::new(),
            snapshot: None,
            elapsed: started.elapsed(),
        }
    }

    /// One transaction: keys, indexes and triggers off the tables that will be loaded, those emptied that must be, and all
    /// of them begun in the ledger. Whatever stops it, the target is as it was.
    pub(crate) async fn prepare(
        &self,
        target: &Session,
        work: &[Work],
        snapshot: &str,
        execution: &Execution,
    ) -> Result<()> {
        let preparing = async {
            self.prepare_in_transaction(target, work, snapshot, execution).await?;
            failpoint::reached("tables made ready, not committed");
            Ok(())
        };
        target.transaction(preparing).await
    }

    async fn prepare_in_transaction(
        &self,
        target: &Session,
        work: &[Work],
        snapshot: &str,
        execution: &Execution,
    ) -> Result<()> {
        let tables = || self.plan.tables.iter().zip(work);
        let oid = |name| self.target_catalog.relations.get(name).map(|relation| relation.oid);
        let loaded: Vec<u32> = tables()
            .filter(|(_, work)| !work.ranges.is_empty())
            .filter_map(|(table, _)| oid(&table.target))
            .collect();
        journal::take_off(target, &loaded, execution).await?;
        let emptied: Vec<_> =
            tables().filter(|(_, work)| work.truncate).map(|(table, _)| &table.target).collect();
        if !emptied.is_empty() {
            target.batch(&sql!("TRUNCATE {}", Sql::join(", ", emptied))).await?;
        }
        for (table, work) in tables() {
            if work.is_from_the_start() {
                let (source, filter) = (&self.plan.source, self.options.filter.as_deref());
                ledger::begin_table(target, table, source, filter, snapshot).await?;
            } else if work.outcome == Outcome::Continued {
                ledger::adopt_snapshot(target, &table.target, snapshot).await?;
            }
        }
        Ok(())
    }
}

/// Has all readers share the snapshot. Returns them, and the writers.
async fn share(crews: &[Crew], snapshot: &Snapshot) -> Result<(Vec<Session>, Vec<Session>)> {
    futures_util::future::try_join_all(crews.iter().map(|crew| snapshot.share(&crew.reader))).await?;
    Ok(crews.iter().map(|crew| (crew.reader.clone(), crew.writer.clone())).unzip())
}

async fn journal_is_empty(session: &Session) -> Result<bool> {
    Ok(!ledger::exists(session).await? || journal::entries(session).await?.is_empty())
}

fn interrupted() -> Error {
    Error::interrupted(
        "stopped; the source is untouched, and what was copied so far is recorded in the target",
    )
    .hint("run the same command again: it continues from here")
}
