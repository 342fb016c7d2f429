//! The end of the way back: nothing is carried to the old side any more.

use crate::config::Connection;
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::cleanup::{Cleaning, drop_ledger};
use crate::schema_to_schema::cutover::direction::Ledgers;
use crate::schema_to_schema::cutover::{fence, within};
use crate::schema_to_schema::ledger as tables;
use crate::schema_to_schema::live::feed;
use crate::schema_to_schema::live::ledger::{Direction, FollowRecord, Phase};
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::planner::is_same_database;
use crate::sql::{QualifiedName, Sql, sql};

/// What was ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended {
    /// True where there was a way back.
    pub(crate) way_back: bool,
    /// Old tables that were dropped.
    pub(crate) dropped: Vec<QualifiedName>,
}

/// True where the application writes to the new side, by that side's ledger.
pub(crate) fn is_over(record: &FollowRecord) -> bool {
    record.phase == Phase::CutOver || record.direction == Direction::Reverse
}

/// Ends the way back between two databases: what captures changes on the new side, the fences on both, the old side's ledger,
/// and, where asked, the old tables. What must not be dropped is refused before anything is done.
pub(crate) async fn end_way_back(
    source: &Connection,
    target: &Connection,
    cleaning: Cleaning,
    execution: &Execution,
) -> Result<Ended> {
    let options = Options::new(source.clone(), target.clone(), crate::config::Mapping::default());
    let ledgers = Ledgers::read(&options).await?;
    let (old, new) = (Session::connect(source).await?, Session::connect(target).await?);
    if let Some(forward) = &ledgers.forward {
        fence::remove(&new, &forward.id).await?;
    }
    let Some(reverse) = &ledgers.reverse else {
        return match cleaning.drop_old {
            true => Err(not_cut_over()),
            false => Ok(Ended::default()),
        };
    };
    let is_cut_over = ledgers.direction() == Direction::Reverse;
    if cleaning.drop_old {
        check_age(&new, cleaning, is_cut_over).await?;
    }
    // One database has one lock, and one ledger, which goes with everything else.
    let is_one = is_same_database(&old, &new).await?;
    let lock = match is_one {
        true => None,
        false => Some(AdvisoryLock::take(source).await?),
    };
    feed::tear_down(reverse.feed, &reverse.id, target, execution).await?;
    fence::remove(&old, &reverse.id).await?;
    let names: Vec<QualifiedName> = tables::read(&old).await?.into_keys().collect();
    let drops = if cleaning.drop_old { names } else { Vec::new() };
    if !drops.is_empty() {
        old.batch(&sql!("DROP TABLE {}", Sql::join(", ", &drops))).await.map_err(|error| {
            error.context("dropping the old tables").hint("nothing that depends on them is dropped with them")
        })?;
    }
    within::drop_empty_schemas(&old, &drops).await?;
    if let Some(lock) = lock {
        drop_ledger(&old).await?;
        lock.release().await?;
    }
    Ok(Ended { way_back: true, dropped: drops })
}

/// Old tables are dropped only after a cutover, and not before they may be.
async fn check_age(new: &Session, cleaning: Cleaning, is_cut_over: bool) -> Result<()> {
    if !is_cut_over {
        return Err(not_cut_over());
    }
    let Some(keep) = cleaning.keep_old else { return Ok(()) };
    let query = Sql::literal(
        "SELECT extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.max(committed_at))::pg_catalog.float8
         FROM confiture.cutover WHERE kind = 'cutover'",
    );
    let age: Option<f64> = new.query_one(&query, &[]).await?.get(0);
    let (age, keep) = (age.unwrap_or(0.0), keep.as_secs_f64());
    if age >= keep {
        return Ok(());
    }
    const DAY: f64 = 86_400.0;
    Err(Error::refused(format!(
        "the cutover was {:.1} days ago, and the old tables are kept for {:.1} days",
        age / DAY,
        keep / DAY
    ))
    .hint("nothing was removed; leave out --drop-old to end the way back and keep them"))
}

fn not_cut_over() -> Error {
    Error::refused("there was no cutover: the old tables are what the application uses")
}
