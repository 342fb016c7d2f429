//! Sequences that number the same rows, while both sides are written: of three, each gives every third number. So no number is
//! given twice, and no role needs a right on the other side's.
//!
//! `ALTER SEQUENCE` is part of its transaction, what it restarts with too, and it waits for whoever has drawn a number and not
//! committed yet; from then on nobody draws one until the transaction ends. Sessions that keep numbers in advance (`CACHE`) use
//! them up: all of them are behind where the turns begin.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::schema_to_schema::sequences::stands_at;
use crate::sql::{QualifiedName, Sql, sql};

/// How many turns each sequence has room for at least.
const ROOM: i64 = 1000;

/// A sequence as it was before it took turns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Turn {
    schema: String,
    name: String,
    pub(crate) increment: i64,
}

impl Turn {
    pub(crate) fn new(sequence: &QualifiedName, increment: i64) -> Self {
        let (schema, name) = (sequence.schema.as_str().to_owned(), sequence.name.as_str().to_owned());
        Self { schema, name, increment }
    }

    pub(crate) fn sequence(&self) -> QualifiedName {
        QualifiedName::new(self.schema.as_str(), self.name.as_str())
    }
}

/// Refuses sequences that cannot take turns: their names and increments.
pub(crate) fn check<'a>(group: impl IntoIterator<Item = (&'a QualifiedName, i64)>) -> Result<()> {
    let mut group = group.into_iter();
    let Some((first, increment)) = group.next() else { return Ok(()) };
    match group.find(|(_, other)| (*other > 0) != (increment > 0)) {
        Some((other, _)) => Err(Error::refused(format!(
            "{} and {} number the same rows, one upwards and one downwards",
            first.short(),
            other.short()
        ))
        .hint("ALTER SEQUENCE … INCREMENT BY … of one of them")),
        None => Ok(()),
    }
}

/// Has sequences take turns, each in the open transaction of its session. Returns how they were, and what each gives next.
pub(crate) async fn take(group: &[(&Session, &QualifiedName)]) -> Result<Vec<(Turn, i64)>> {
    let mut held = Vec::new();
    for (session, name) in group {
        held.push(hold(session, name).await?);
    }
    check(group.iter().zip(&held).map(|((_, name), was)| (*name, was.increment)))?;
    let widest = held.iter().map(|was| was.increment).max_by_key(|step| step.unsigned_abs()).unwrap_or(1);
    let step = widest.saturating_mul(i64::try_from(group.len()).unwrap_or(i64::MAX));
    let mut next = furthest(held.iter().map(|was| was.reached), widest);
    let mut turns = Vec::new();
    for ((session, name), was) in group.iter().zip(&held) {
        next = next.saturating_add(widest);
        let last = next.saturating_add(step.saturating_mul(ROOM));
        if !was.cycles && !(was.min..=was.max).contains(&last) {
            return Err(Error::refused(format!("{} has too few numbers left to be shared", name.short()))
                .hint("give the column and its sequence a larger type first"));
        }
        set(session, name, step, next).await?;
        turns.push((Turn::new(name, was.increment), next));
    }
    Ok(turns)
}

/// Has the sequences that a session sees count as before, in its open transaction: beyond every number that they and the others
/// of their group have given.
pub(crate) async fn put_back(session: &Session, turns: &[Turn], others: &[i64]) -> Result<()> {
    let mut held = Vec::new();
    for turn in turns {
        let name = turn.sequence();
        // Whoever dropped one needs it no more.
        let there = Sql::literal("SELECT pg_catalog.to_regclass($1) IS NOT NULL");
        if session.query_one(&there, &[&name.to_string()]).await?.get(0) {
            held.push((hold(session, &name).await?, name, turn.increment));
        }
    }
    let Some((_, _, direction)) = held.first() else { return Ok(()) };
    let reached = held.iter().map(|(was, ..)| was.reached).chain(others.iter().copied());
    let reached = furthest(reached, *direction);
    for (was, name, increment) in &held {
        set(session, name, *increment, reached.saturating_add(*increment).clamp(was.min, was.max)).await?;
    }
    Ok(())
}

fn furthest(reached: impl Iterator<Item = i64>, increment: i64) -> i64 {
    let furthest = if increment > 0 { reached.max() } else { reached.min() };
    furthest.unwrap_or_default()
}

/// A sequence that nobody draws from until the transaction ends.
struct Held {
    increment: i64,
    min: i64,
    max: i64,
    cycles: bool,
    /// The last number that may have been drawn.
    reached: i64,
}

async fn hold(session: &Session, name: &QualifiedName) -> Result<Held> {
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
    let reached = stands_at(session, name).await?;
    Ok(Held { increment, min: row.get(1), max: row.get(2), cycles: row.get(3), reached })
}

async fn set(session: &Session, name: &QualifiedName, increment: i64, next: i64) -> Result<()> {
    session.batch(&sql!("ALTER SEQUENCE {} INCREMENT BY {} RESTART WITH {}", name, increment, next)).await
}
