//! Opening: under locks that keep writers waiting and readers not, the last batch, then the triggers of both sides in the place of
//! those of the queue, all in one transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::Oid;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::schema_to_schema::cutover::{Tries, fence, locks, take_over};
use crate::schema_to_schema::immediate::{Opened, Opening, Proposal, made};
use crate::schema_to_schema::live::follower::Follower;
use crate::schema_to_schema::live::ledger::Phase;
use crate::schema_to_schema::reverse::Severity;
use crate::schema_to_schema::sequences::turns::{self, Turn};
use crate::schema_to_schema::sessions::Sessions;
use crate::schema_to_schema::{failpoint, journal};
use crate::sql::{Literal, QualifiedName, Sql, sql};

/// What remains to be done when writers are locked out: a batch that takes no longer than this.
const SHORT: Duration = Duration::from_millis(100);

impl Proposal {
    /// Opens: from its commit on, both sides may be written. Whatever fails before leaves everything as it was.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsafe`] where something would be lost, and that was not accepted; [`ErrorKind::Found`] where both sides
    /// differ; [`ErrorKind::Server`] where somebody held a lock for too long.
    pub async fn open(&self, opening: &Opening, execution: &Execution) -> Result<Opened> {
        self.check_losses(opening)?;
        let migration = &self.migration;
        let lock = take_over(&migration.options.target, execution).await?;
        let sessions = Arc::new(Sessions::default());
        let opened = async {
            let (mut follower, report) = migration.follow_for_a_switch(&sessions, &lock, execution).await?;
            check_equal(&follower, report.verification.is_some_and(|found| found.ok), execution)?;
            self.try_to_open(&mut follower, opening, execution).await
        };
        let opened = Box::pin(opened).await;
        sessions.end(&migration.source, &migration.target, opened.is_err()).await;
        lock.release().await.ok();
        opened
    }

    fn check_losses(&self, opening: &Opening) -> Result<()> {
        let lost = self.findings.iter().find(|finding| finding.severity == Severity::Loses);
        let Some(lost) = lost.filter(|_| !opening.accept_losses) else { return Ok(()) };
        let column = lost.column.as_ref().map(|column| format!(".{column}")).unwrap_or_default();
        let what = format!(
            "what is written on the new side would not all stand on the old one: {}{column}: {}",
            lost.table.short(),
            lost.message
        );
        let error = lost.hint.iter().fold(Error::refused(what), |error, hint| error.hint(hint.as_str()));
        let error = error.hint("or accept that, and say so: --accept-losses");
        Err(match &lost.place {
            Some(place) => error.at(place.clone()),
            None => error,
        })
    }

    async fn try_to_open(
        &self,
        follower: &mut Follower,
        opening: &Opening,
        execution: &Execution,
    ) -> Result<Opened> {
        let catalog = &self.migration.target_catalog;
        let relations: Vec<Oid> = self.bridge.tables(catalog).iter().map(|table| table.oid).collect();
        let mut tries =
            Tries::new(opening.patience, vec![(follower.side.clone(), relations)], "nothing was opened");
        locks::give_way(&follower.applier.target).await?;
        loop {
            follower.settle_down(SHORT).await?;
            let began = Instant::now();
            let error = match self.attempt(follower, opening).await {
                Ok(last_rows) => {
                    let (tables, stall) = (self.tables.clone(), began.elapsed());
                    return Ok(Opened { tables, last_rows, stall, tries: tries.count });
                }
                Err(error) => error,
            };
            follower.applier.roll_back().await;
            if error.kind() == ErrorKind::Connect {
                return Err(error.hint("`status` says whether both sides are written at once already"));
            }
            tries.again(error, execution).await?;
        }
    }

    /// Tries once.
    async fn attempt(&self, follower: &mut Follower, opening: &Opening) -> Result<u64> {
        let catalog = &self.migration.target_catalog;
        let tables = self.bridge.tables(catalog);
        let names: Vec<&QualifiedName> = self.tables.iter().flat_map(|(old, new)| [old, new]).collect();
        let mut names: Vec<QualifiedName> = names.into_iter().cloned().collect();
        names.sort();
        names.dedup();
        let patience = format!("{}ms", opening.lock_patience.as_millis().max(1));
        let lock = sql!(
            "SET LOCAL statement_timeout = {}; {}; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {};
             SET LOCAL idle_in_transaction_session_timeout = '10s'",
            Literal(&patience),
            locks::statement(&names, "SHARE ROW EXCLUSIVE"),
            Literal(&patience)
        );
        let batch = follower.open_batch(&lock).await?;
        failpoint::reached("immediate: last batch");
        let session = follower.applier.target.clone();
        let entries = journal::entries(&session).await?;
        session.batch(&journal::restore_at_once(&entries, QualifiedName::clone)).await?;
        session.batch(&Sql::join(";\n", fence::take_down(&session, &follower.id).await?)).await?;
        let mut turns: Vec<Vec<Turn>> = Vec::new();
        for group in &self.sequences {
            let members: Vec<_> = group.iter().map(|name| (&session, name)).collect();
            turns.push(turns::take(&members).await?.into_iter().map(|(turn, _)| turn).collect());
        }
        failpoint::reached("immediate: sequences take turns");
        let captured: Vec<Oid> =
            follower.captured.tables.iter().flat_map(crate::postgres::feed::CapturedTable::oids).collect();
        let queue = made::capturing(&session, &captured).await?;
        session.batch(&Sql::join(";\n", queue.iter().map(|trigger| trigger.enable(false)))).await?;
        session.batch(&Sql::join(";\n", self.bridge.statements(&follower.id, catalog))).await?;
        failpoint::reached("immediate: triggers made");
        session.batch(&ledger(&turns, tables.len())?).await?;
        failpoint::reached("immediate: about to be opened");
        session.batch(&Sql::literal("COMMIT")).await?;
        failpoint::reached("immediate: opened");
        Ok(batch.applied.rows_written + batch.applied.rows_deleted)
    }
}

/// What the ledger says from now on.
fn ledger(turns: &[Vec<Turn>], tables: usize) -> Result<Sql> {
    let turns = serde_json::to_string(turns)
        .map_err(|error| Error::unexpected("sequences are no JSON").because(error))?;
    let what = format!("both sides are written at once from now on: triggers on {tables} tables");
    Ok(sql!(
        "{};
         INSERT INTO confiture.immediate (sequences) VALUES ({});
         UPDATE confiture.follow SET phase = 'immediate';
         INSERT INTO confiture.event (what) VALUES ({})",
        Sql::literal(include_str!("../../postgres/queries/immediate.sql")),
        Literal(&turns),
        Literal(&what)
    ))
}

/// Refuses where both sides are not known to be equal.
fn check_equal(follower: &Follower, is_equal: bool, execution: &Execution) -> Result<()> {
    if execution.is_interrupted() {
        return Err(Error::interrupted("stopped; nothing was opened"));
    }
    match follower.phase == Phase::Following && is_equal {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Found, "both sides differ, so nothing was opened")
            .hint("see what differs: confiture migrate schema-to-schema verify --show-values")
            .hint("read those rows again: confiture migrate schema-to-schema verify --repair")),
    }
}

/// The same of a session that is there.
pub(super) async fn turns(session: &Session) -> Result<Vec<Vec<Turn>>> {
    let query = Sql::literal("SELECT sequences::text FROM confiture.immediate");
    let Some(row) = session.query_opt(&query, &[]).await? else { return Ok(Vec::new()) };
    serde_json::from_str(row.get(0))
        .map_err(|error| Error::unexpected("the ledger's sequences are of another version").because(error))
}
