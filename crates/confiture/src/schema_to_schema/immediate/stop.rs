//! Stopping: the queue's triggers in the place of ours, and the follower's position where both sides are equal now, in one
//! transaction. Triggers that no longer fire are dropped afterwards, which waits for readers.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::catalog::Oid;
use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::feed::SnapshotImage;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::cutover::{Tries, locks};
use crate::schema_to_schema::failpoint;
use crate::schema_to_schema::immediate::made::{self, Trigger};
use crate::schema_to_schema::immediate::{Opening, open};
use crate::schema_to_schema::live::ledger::{self, Phase};
use crate::schema_to_schema::live::shape::{Scope, Shapes};
use crate::schema_to_schema::sequences::turns;
use crate::sql::{Literal, QualifiedName, Sql, sql};

/// How long writers may have to wait before the server lets them go on by itself.
const LONGEST: Duration = Duration::from_secs(10);

/// What stopping did.
#[derive(Debug, Clone, Serialize)]
pub struct Stopped {
    /// How long writes had to wait.
    #[serde(rename = "stall_ms", serialize_with = "crate::event::as_milliseconds")]
    pub stall: Duration,
    /// Tries that were given up before, because somebody held a lock.
    pub tries: u32,
    /// What is still there, because somebody held a lock: it does nothing, and the next command removes it.
    pub left: Option<String>,
}

/// Ends that both sides are written at once: the new side follows the old one again, from where both are now.
///
/// # Errors
///
/// [`ErrorKind::Unsafe`] where that is not so; [`ErrorKind::Locked`]; [`ErrorKind::Server`] where somebody held a lock for too
/// long: then nothing has happened.
pub async fn stop(target: &Connection, opening: &Opening, execution: &Execution) -> Result<Stopped> {
    let lock = AdvisoryLock::take(target).await?;
    let session = Session::connect(target).await?;
    let stopped = stop_locked(&session, opening, execution).await;
    lock.release().await.ok();
    stopped
}

/// The same for whoever holds the lock and ends the migration; nothing where no such thing is there.
pub(crate) async fn end(session: &Session, execution: &Execution) -> Result<()> {
    let record = ledger::read(session).await?;
    if record.is_some_and(|record| record.phase == Phase::Immediate) {
        let stopped = stop_locked(session, &Opening::default(), execution).await?;
        return match stopped.left {
            // What comes next removes rows, and the table of what it was made by.
            Some(left) => Err(Error::new(ErrorKind::Server, left).sqlstate("55P03")),
            None => Ok(()),
        };
    }
    remove(session, Opening::default().patience, execution).await
}

async fn stop_locked(session: &Session, opening: &Opening, execution: &Execution) -> Result<Stopped> {
    let record = ledger::read(session).await?;
    match record.map(|record| record.phase) {
        Some(Phase::Immediate) => {}
        Some(Phase::Bidirectional) => {
            return Err(Error::refused("changes are carried in batches, so no trigger is there to stop")
                .hint(
                    "end it for one of the sides: confiture migrate schema-to-schema cutover, or rollback",
                ));
        }
        _ => {
            return Err(Error::refused("both sides are not written at once, so there is nothing to stop")
                .hint("see where things are: confiture migrate schema-to-schema status"));
        }
    }
    let ours = made::immediate(session).await?;
    let mut tries = Tries::new(opening.patience, vec![(session.clone(), oids(&ours))], "nothing was stopped");
    let working = locks::connect(session.connection(), LONGEST).await?;
    let stall = loop {
        let began = Instant::now();
        let error = match attempt(&working, &ours, opening).await {
            Ok(()) => break began.elapsed(),
            Err(error) => error,
        };
        working.batch(&Sql::literal("ROLLBACK")).await.ok();
        tries.again(error, execution).await?;
    };
    failpoint::reached("immediate: stopped");
    let left = remove(session, Duration::from_secs(10), execution).await.err();
    let left = left.map(|error| format!("triggers that no longer fire are still there: {error}"));
    Ok(Stopped { stall, tries: tries.count, left })
}

/// Tries once.
async fn attempt(session: &Session, ours: &[Trigger], opening: &Opening) -> Result<()> {
    let mut tables: Vec<QualifiedName> = ours.iter().map(|trigger| trigger.relation.clone()).collect();
    tables.sort();
    tables.dedup();
    if !tables.is_empty() {
        locks::begin(session, &tables, opening.lock_patience, Instant::now() + LONGEST).await?;
    }
    for group in open::turns(session).await? {
        turns::put_back(session, &group, &[]).await?;
    }
    let mut switched: Vec<Sql> = ours.iter().map(|trigger| trigger.enable(false)).collect();
    let queue = made::still(session).await?;
    switched.extend(queue.iter().map(|trigger| trigger.enable(true)));
    session.batch(&Sql::join(";\n", switched)).await?;
    failpoint::reached("immediate: triggers exchanged");
    Shapes::recapture(session, &Scope { oids: oids(&queue), ..Scope::default() }).await?;
    // Nobody writes, so whatever the queue holds is of the time before.
    let now = Sql::literal("SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text");
    let now: SnapshotImage = session.query_one(&now, &[]).await?.get::<_, &str>(0).parse()?;
    session
        .batch(&sql!(
            "DELETE FROM confiture.immediate; DELETE FROM confiture.coverage; DELETE FROM confiture.touched;
             UPDATE confiture.follow SET phase = 'following', snapshot = {};
             INSERT INTO confiture.event (what) VALUES ('only the old side is written from now on; the new one follows')",
            Literal(&now.to_string())
        ))
        .await?;
    failpoint::reached("immediate: about to be stopped");
    session.batch(&Sql::literal("COMMIT")).await
}

fn oids(triggers: &[Trigger]) -> Vec<Oid> {
    let mut oids: Vec<Oid> = triggers.iter().map(|trigger| trigger.oid).collect();
    oids.sort_unstable();
    oids.dedup();
    oids
}

/// Removes triggers that no longer fire, their functions and views. Dropping a trigger waits for readers too, so each try is short.
async fn remove(session: &Session, patience: Duration, execution: &Execution) -> Result<()> {
    let triggers = made::immediate(session).await?;
    let mut drops: Vec<Sql> = triggers
        .iter()
        .filter(|trigger| !trigger.is_clone)
        .map(|trigger| sql!("DROP TRIGGER IF EXISTS {} ON {}", trigger.name, trigger.relation))
        .collect();
    drops.extend(made::drop_rest(session).await?);
    if drops.is_empty() {
        return Ok(());
    }
    let locked = vec![(session.clone(), oids(&triggers))];
    let mut tries = Tries::new(patience, locked, "nothing is lost: the next command removes them");
    let script = sql!("BEGIN; SET LOCAL lock_timeout = '300ms';\n{};\nCOMMIT", Sql::join(";\n", drops));
    loop {
        let Err(error) = session.batch(&script).await else { return Ok(()) };
        session.batch(&Sql::literal("ROLLBACK")).await.ok();
        tries.again(error, execution).await?;
    }
}
