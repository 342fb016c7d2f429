//! The commit that decides a switch, and what became of it where the answer was lost.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout, timeout_at};

use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::schema_to_schema::cutover::between::Plan;
use crate::schema_to_schema::cutover::locks;
use crate::schema_to_schema::failpoint;
use crate::schema_to_schema::live::ledger;
use crate::sql::Sql;

/// How long a server may take to say that it has committed: replicas that it waits for answer within that time, or not at all.
const ANSWER: Duration = Duration::from_secs(1);

/// Why nothing was decided, or why nobody knows.
pub(super) enum Failure {
    NotMade(Error),
    /// The connection was lost while the server was asked to commit, and the server did not answer since.
    Unknown(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::NotMade(error)
    }
}

/// Commits the open transaction of `session`, which makes its side's ledger the active one.
pub(super) async fn commit(
    session: &Session,
    plan: &Plan<'_>,
    deadline: Instant,
) -> std::result::Result<(), Failure> {
    failpoint::reached("switch: about to be decided");
    let commit = Sql::literal("COMMIT");
    let committed = timeout_at((deadline + ANSWER).into(), session.batch(&commit)).await;
    failpoint::reached("switch: decided");
    let error = match committed {
        Ok(Err(error)) if error.kind() == ErrorKind::Connect => error,
        Ok(committed) => return committed.map_err(Failure::NotMade),
        Err(_) => Error::new(ErrorKind::Connect, format!("{} does not answer", session.connection())),
    };
    match find_out(session, plan).await {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::NotMade(error)),
        None => Err(Failure::Unknown(error)),
    }
}

/// Asks the server, until it answers or patience ends, whether that transaction was committed.
async fn find_out(session: &Session, plan: &Plan<'_>) -> Option<bool> {
    let until = Instant::now() + plan.switching.patience;
    while Instant::now() < until {
        if let Ok(Ok(Some(is_decided))) = timeout(locks::SOON, ask(session, plan.epoch)).await {
            return Some(is_decided);
        }
        sleep(Duration::from_millis(200)).await;
    }
    None
}

/// What the ledger says once nothing more can come of the lost connection; `None` while that is still there.
async fn ask(session: &Session, epoch: i64) -> Result<Option<bool>> {
    let asking = Session::connect(session.connection()).await?;
    if !locks::end(&asking, session).await? {
        return Ok(None);
    }
    let record = ledger::read(&asking).await?;
    Ok(Some(record.is_some_and(|record| record.epoch >= epoch)))
}
