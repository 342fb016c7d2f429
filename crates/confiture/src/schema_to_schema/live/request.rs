//! Comparisons that somebody asks a run for: only the run at work can freeze both sides where they must be equal.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::immediate;
use crate::schema_to_schema::live::ledger::{self, Phase};
use crate::schema_to_schema::live::run::{Following, Until};
use crate::schema_to_schema::live::verifier::Verifying;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::verify::VerificationReport;
use crate::sql::Sql;

/// How often it is looked for the answer.
const LOOK: Duration = Duration::from_millis(200);

/// Somebody who asks.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    id: i64,
    /// Names of target tables; empty for all.
    pub(crate) tables: Vec<String>,
    pub(crate) complete: bool,
    pub(crate) repair: bool,
    pub(crate) show_values: bool,
}

/// The next request that somebody still waits for; it is at work from now on.
pub(crate) async fn take(session: &Session) -> Result<Option<Request>> {
    let take = Sql::literal(
        "UPDATE confiture.request SET state = 'at_work' WHERE id = (
             SELECT id FROM confiture.request WHERE state = 'waiting'
                 AND pid IN (SELECT pid FROM pg_catalog.pg_stat_activity) ORDER BY id LIMIT 1)
         RETURNING id, tables, complete, repair, show_values",
    );
    let row = session.query_opt(&take, &[]).await?;
    Ok(row.map(|row| Request {
        id: row.get(0),
        tables: row.get(1),
        complete: row.get(2),
        repair: row.get(3),
        show_values: row.get(4),
    }))
}

/// Has what an earlier run was asked for asked again of this one.
pub(crate) async fn take_over(session: &Session) -> Result<()> {
    let back = Sql::literal("UPDATE confiture.request SET state = 'waiting' WHERE state = 'at_work'");
    session.execute(&back, &[]).await?;
    Ok(())
}

impl Request {
    /// False where whoever asked has gone.
    pub(crate) async fn is_wanted(&self, session: &Session) -> Result<bool> {
        let query = Sql::literal(
            "SELECT EXISTS (SELECT FROM confiture.request WHERE id = $1 AND state = 'at_work'
                 AND pid IN (SELECT pid FROM pg_catalog.pg_stat_activity))",
        );
        Ok(session.query_one(&query, &[&self.id]).await?.get(0))
    }

    /// Tells what was found, where somebody still wants to know.
    pub(crate) async fn answer(&self, session: &Session, found: &VerificationReport) -> Result<()> {
        let text = serde_json::to_string(found)
            .map_err(|error| Error::unexpected("a report is no JSON").because(error))?;
        let answer = Sql::literal(
            "UPDATE confiture.request SET state = 'done', answer = $2::text::pg_catalog.jsonb
             WHERE id = $1 AND state = 'at_work' AND pid IN (SELECT pid FROM pg_catalog.pg_stat_activity)",
        );
        session.execute(&answer, &[&self.id, &text]).await?;
        Ok(())
    }

    /// Tells why nothing was found out.
    pub(crate) async fn refuse(&self, session: &Session, error: &Error) -> Result<()> {
        let answer = Sql::literal(
            "UPDATE confiture.request SET state = 'failed', answer = pg_catalog.to_jsonb($2::text)
             WHERE id = $1 AND state = 'at_work'",
        );
        session.execute(&answer, &[&self.id, &error.message()]).await?;
        Ok(())
    }

    /// Leaves it to another run.
    pub(crate) async fn give_back(&self, session: &Session) -> Result<()> {
        let back = Sql::literal(
            "UPDATE confiture.request SET state = 'waiting' WHERE id = $1 AND state = 'at_work'",
        );
        session.execute(&back, &[&self.id]).await?;
        Ok(())
    }
}

impl Migration {
    /// Compares a target that follows its source, as a batch has left both sides: by the run that is at work, or, where none
    /// is, by one that ends then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsafe`] where the target does not equal its source yet; [`ErrorKind::Interrupted`]. A difference is no
    /// error: the report says it.
    pub async fn verify_following(
        self: &Arc<Self>,
        verifying: Verifying,
        execution: &Execution,
    ) -> Result<VerificationReport> {
        let session = Session::connect(&self.options.target).await?;
        loop {
            if AdvisoryLock::holder(&session).await?.is_some() {
                if let Some(found) = self.ask(&session, verifying, execution).await? {
                    return Ok(found);
                }
                continue;
            }
            let phase = ledger::read(&session).await?.map(|record| record.phase);
            if phase == Some(Phase::Immediate) && verifying.repair {
                return Err(immediate::is_open());
            }
            if phase == Some(Phase::Immediate) {
                // Neither side is behind the other.
                return self.verify(execution).await;
            }
            if phase != Some(Phase::Following) {
                return Err(Error::refused("the target does not equal its source yet: it has not caught up")
                    .hint("let it catch up: confiture migrate schema-to-schema sync --until-caught-up"));
            }
            let following = Following {
                until: Until::CaughtUp,
                verify: true,
                verification: Verifying { every: None, ..verifying },
                ..Following::default()
            };
            match self.with_all_tables(execution).await?.follow(&following, execution).await {
                // Somebody was quicker.
                Err(error) if error.kind() == ErrorKind::Locked => sleep(LOOK).await,
                Err(error) => return Err(error),
                Ok(report) => match report.verification {
                    Some(mut found) => {
                        if !self.options.tables.is_empty() {
                            let names = self.plan.tables.iter().map(|table| table.target.clone());
                            found.keep_only(&names.collect::<Vec<_>>());
                        }
                        return Ok(found);
                    }
                    None => return Err(Error::interrupted("stopped before both sides were compared")),
                },
            }
        }
    }

    /// The same migration with all of its tables: those that follow, follow together.
    async fn with_all_tables(self: &Arc<Self>, execution: &Execution) -> Result<Arc<Self>> {
        if self.options.tables.is_empty() {
            return Ok(Arc::clone(self));
        }
        let options = crate::schema_to_schema::Options { tables: Vec::new(), ..self.options.clone() };
        Ok(Arc::new(Self::plan(options, execution).await?))
    }

    /// Asks the run that is at work, and waits; `None` where it has gone meanwhile.
    async fn ask(
        &self,
        session: &Session,
        verifying: Verifying,
        execution: &Execution,
    ) -> Result<Option<VerificationReport>> {
        let tables: Vec<String> = match self.options.tables.is_empty() {
            true => Vec::new(),
            false => self.plan.tables.iter().map(|table| table.target.to_string()).collect(),
        };
        let ask = Sql::literal(
            "INSERT INTO confiture.request (tables, complete, repair, show_values) VALUES ($1, $2, $3, $4)
             RETURNING id",
        );
        let (complete, repair) = (verifying.complete, verifying.repair);
        let row = session.query_one(&ask, &[&tables, &complete, &repair, &self.options.show_values]).await?;
        let id: i64 = row.get(0);
        execution.note("A run is at work: it is asked to compare both sides.");
        let answered = tokio::select! {
            answered = answer(session, id, execution) => answered,
            () = execution.interrupted() => Err(Error::interrupted(
                "stopped; the run at work goes on without comparing for this command",
            )),
        };
        // Also the report: it may hold values.
        let forget = Sql::literal(match answered {
            Err(_) => {
                "UPDATE confiture.request SET state = 'cancelled', answer = NULL WHERE id = $1 AND state <> 'done'"
            }
            Ok(_) => "UPDATE confiture.request SET answer = NULL WHERE id = $1",
        });
        session.execute(&forget, &[&id]).await?;
        answered
    }
}

/// Waits for the answer; `None` where no run is at work any more.
async fn answer(session: &Session, id: i64, execution: &Execution) -> Result<Option<VerificationReport>> {
    let query = Sql::literal(
        "SELECT state, answer::text, (SELECT paused FROM confiture.control) FROM confiture.request WHERE id = $1",
    );
    let mut said = false;
    loop {
        let Some(row) = session.query_opt(&query, &[&id]).await? else { return Ok(None) };
        let text = row.get::<_, Option<&str>>(1).unwrap_or_default();
        match row.get::<_, &str>(0) {
            "done" => {
                let report = serde_json::from_str(text);
                return report.map(Some).map_err(|error| {
                    Error::unexpected("the run's answer is of another version").because(error)
                });
            }
            "failed" => {
                let message: String = serde_json::from_str(text).unwrap_or_default();
                return Err(Error::new(ErrorKind::Server, message)
                    .hint("the run at work goes on; its migration is not touched by this"));
            }
            "waiting" | "at_work" if AdvisoryLock::holder(session).await?.is_none() => {
                let cancel = Sql::literal("UPDATE confiture.request SET state = 'cancelled' WHERE id = $1");
                session.execute(&cancel, &[&id]).await?;
                return Ok(None);
            }
            _ => {}
        }
        if row.get::<_, Option<bool>>(2) == Some(true) && !std::mem::replace(&mut said, true) {
            execution.warn("the run is paused, and compares nothing until `resume`");
        }
        sleep(LOOK).await;
    }
}
