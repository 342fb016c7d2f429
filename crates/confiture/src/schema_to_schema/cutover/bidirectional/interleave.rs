//! Sequences of which both sides draw numbers at once: each counts in steps of twice its own, so that neither draws the other's.
//!
//! A sequence that is altered is locked until the transaction ends: nobody draws from it meanwhile, and where it stands is exact.

use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::sequences::{AdvancedSequence, counterparts};
use crate::sql::{Literal, QualifiedName, Sql, sql};

/// Interleaves the sequences of the two sides, in the open transactions of their sessions: the old side draws what comes next,
/// the new one what comes after that, and so on. Done again, it changes nothing.
pub(super) async fn interleave(
    migration: &Migration,
    [old, new]: [&Session; 2],
) -> Result<Vec<AdvancedSequence>> {
    let mut interleaved = Vec::new();
    for (source, target) in
        counterparts(&migration.plan, &migration.source_catalog, &migration.target_catalog)
    {
        if is_interleaved(old, &source).await? {
            continue;
        }
        let (ours, theirs) = (hold(old, &source).await?, hold(new, &target).await?);
        if (ours.increment > 0) != (theirs.increment > 0) {
            return Err(Error::refused(format!(
                "{} and {} count in opposite directions, so their numbers would meet",
                source.short(),
                target.short()
            ))
            .hint("ALTER SEQUENCE … INCREMENT BY …, so that both count the same way"));
        }
        let is_up = ours.increment > 0;
        let step = match is_up {
            true => ours.increment.max(theirs.increment),
            false => ours.increment.min(theirs.increment),
        };
        let reached = match is_up {
            true => ours.reached.max(theirs.reached),
            false => ours.reached.min(theirs.reached),
        };
        let first = reached.saturating_add(step);
        for (session, name, was, next) in
            [(old, &source, &ours, first), (new, &target, &theirs, first.saturating_add(step))]
        {
            was.check_room(name, next)?;
            remember(session, name, was.increment).await?;
            set(session, name, step.saturating_mul(2), next).await?;
            interleaved.push(AdvancedSequence { sequence: name.clone(), last_value: next });
        }
    }
    Ok(interleaved)
}

/// Has the sequences of one side count as before, beyond what both sides have drawn; `other` is a session of the other side.
pub(super) async fn part(migration: &Migration, is_new: bool, here: &Session, other: &Session) -> Result<()> {
    let exists = Sql::literal("SELECT pg_catalog.to_regclass('confiture.interleaved') IS NOT NULL");
    if !here.query_one(&exists, &[]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    for (source, target) in
        counterparts(&migration.plan, &migration.source_catalog, &migration.target_catalog)
    {
        let (own, others) = if is_new { (&target, &source) } else { (&source, &target) };
        let Some(increment) = interleaved_from(here, own).await? else { continue };
        let theirs = reached(other, others).await?;
        let work = async {
            let was = hold(here, own).await?;
            let furthest = if increment > 0 { was.reached.max(theirs) } else { was.reached.min(theirs) };
            set(here, own, increment, furthest.saturating_add(increment)).await?;
            let forget = sql!(
                "DELETE FROM confiture.interleaved WHERE sequence_schema = {} AND sequence_name = {}",
                Literal(own.schema.as_str()),
                Literal(own.name.as_str())
            );
            here.batch(&forget).await
        };
        here.transaction(work).await?;
    }
    Ok(())
}

/// Where a sequence stands.
struct Standing {
    increment: i64,
    /// The last number that may have been drawn.
    reached: i64,
    bounds: [i64; 2],
    cycles: bool,
}

impl Standing {
    fn check_room(&self, name: &QualifiedName, next: i64) -> Result<()> {
        let room = next.saturating_add(self.increment.saturating_mul(2000));
        if self.cycles || (self.bounds[0]..=self.bounds[1]).contains(&room) {
            return Ok(());
        }
        Err(Error::refused(format!("{} has too few numbers left to be shared", name.short()))
            .hint("give the column and its sequence a larger type first"))
    }
}

/// Locks a sequence until the transaction ends, and says where it stands.
async fn hold(session: &Session, name: &QualifiedName) -> Result<Standing> {
    let query = Sql::literal(
        "SELECT seqincrement, seqmin, seqmax, seqcycle FROM pg_catalog.pg_sequence
         WHERE seqrelid = $1::text::pg_catalog.regclass",
    );
    let row = session.query_one(&query, &[&name.to_string()]).await?;
    let increment: i64 = row.get(0);
    let alter = sql!("ALTER SEQUENCE {} INCREMENT BY {}", name, increment);
    session.batch(&alter).await.map_err(|error| {
        error
            .context(format!("having {} count in other steps", name.short()))
            .hint("the role must own the sequences, and no transaction that has drawn from them may stay open for long")
    })?;
    Ok(Standing {
        increment,
        reached: reached(session, name).await?,
        bounds: [row.get(1), row.get(2)],
        cycles: row.get(3),
    })
}

/// The last number that was drawn, or the one before its first.
async fn reached(session: &Session, name: &QualifiedName) -> Result<i64> {
    let query = sql!(
        "SELECT CASE WHEN s.is_called THEN s.last_value ELSE s.last_value - q.seqincrement END
         FROM {} AS s, pg_catalog.pg_sequence AS q WHERE q.seqrelid = {}::pg_catalog.regclass",
        name,
        Literal(&name.to_string())
    );
    Ok(session.query_one(&query, &[]).await?.get(0))
}

async fn set(session: &Session, name: &QualifiedName, increment: i64, next: i64) -> Result<()> {
    session.batch(&sql!("ALTER SEQUENCE {} INCREMENT BY {} RESTART WITH {}", name, increment, next)).await
}

async fn remember(session: &Session, name: &QualifiedName, increment: i64) -> Result<()> {
    session
        .batch(&sql!(
            "INSERT INTO confiture.interleaved VALUES ({}, {}, {})",
            Literal(name.schema.as_str()),
            Literal(name.name.as_str()),
            increment
        ))
        .await
}

async fn is_interleaved(session: &Session, name: &QualifiedName) -> Result<bool> {
    Ok(interleaved_from(session, name).await?.is_some())
}

/// The steps in which a sequence counted before; `None` where it is not interleaved.
async fn interleaved_from(session: &Session, name: &QualifiedName) -> Result<Option<i64>> {
    let query = Sql::literal(
        "SELECT increment FROM confiture.interleaved WHERE sequence_schema = $1 AND sequence_name = $2",
    );
    let row = session.query_opt(&query, &[&name.schema.as_str(), &name.name.as_str()]).await?;
    Ok(row.map(|row| row.get(0)))
}
