//! Sequences that number the same rows on both sides. While both are written they take turns: of two, one gives every other
//! number, the second those in between. So no number is given twice, and no role needs a right on the other side's.
//!
//! `ALTER SEQUENCE` is part of its transaction, what it restarts with too, and it waits for whoever has drawn a number and not
//! committed yet. Sessions that keep numbers in advance (`CACHE`) use them up: all of them are behind where both begin.

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Sequence};
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::schema_to_schema::sequences::stands_at;
use crate::sql::{QualifiedName, Sql, sql};

/// A sequence as it was before it took turns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Turn {
    schema: String,
    name: String,
    increment: i64,
    min: i64,
    max: i64,
}

impl Turn {
    fn sequence(&self) -> QualifiedName {
        QualifiedName::new(self.schema.as_str(), self.name.as_str())
    }
}

/// Refuses sequences that cannot take turns.
pub(super) fn check(turns: &[Vec<QualifiedName>], catalog: &Catalog) -> Result<()> {
    for group in turns {
        let known: Vec<&Sequence> = group.iter().filter_map(|name| catalog.sequences.get(name)).collect();
        let Some(first) = known.first() else { continue };
        if let Some(other) = known.iter().find(|other| (other.increment > 0) != (first.increment > 0)) {
            return Err(Error::refused(format!(
                "{} and {} number the same rows, one upwards and one downwards",
                first.name.short(),
                other.name.short()
            ))
            .hint("ALTER SEQUENCE … INCREMENT BY … of one of them"));
        }
    }
    Ok(())
}

/// Has the sequences of each group take turns, in the open transaction. Returns how they were.
pub(super) async fn take_turns(
    session: &Session,
    groups: &[Vec<QualifiedName>],
    catalog: &Catalog,
) -> Result<Vec<Vec<Turn>>> {
    let mut all = Vec::new();
    for group in groups {
        let turn = |sequence: &Sequence| Turn {
            schema: sequence.name.schema.as_str().to_owned(),
            name: sequence.name.name.as_str().to_owned(),
            increment: sequence.increment,
            min: sequence.min,
            max: sequence.max,
        };
        let turns: Vec<Turn> =
            group.iter().filter_map(|name| catalog.sequences.get(name)).map(turn).collect();
        let Some(widest) = turns.iter().map(|turn| turn.increment).max_by_key(|step| step.abs()) else {
            continue;
        };
        let step = widest.saturating_mul(turns.len() as i64);
        // Waits for all who have drawn a number; from here on nobody draws one.
        for turn in &turns {
            session.batch(&sql!("ALTER SEQUENCE {} INCREMENT BY {}", turn.sequence(), step)).await?;
        }
        let furthest = furthest(session, &turns, |turn| turn.increment).await?;
        for (at, turn) in turns.iter().enumerate() {
            let start = furthest.saturating_add(widest.saturating_mul(at as i64 + 1));
            if !(turn.min..=turn.max).contains(&start) {
                return Err(Error::refused(format!(
                    "{} has no number left that the other side's sequence has not given",
                    turn.sequence().short()
                ))
                .hint("give it a wider type: ALTER SEQUENCE … AS bigint"));
            }
            session.batch(&sql!("ALTER SEQUENCE {} RESTART WITH {}", turn.sequence(), start)).await?;
        }
        all.push(turns);
    }
    Ok(all)
}

/// Puts them back, each beyond every number that was given, in the open transaction.
pub(super) async fn put_back(session: &Session, groups: &[Vec<Turn>]) -> Result<()> {
    for group in groups {
        let mut turns = Vec::new();
        for turn in group {
            // Whoever dropped one needs it no more.
            let there = Sql::literal("SELECT pg_catalog.to_regclass($1) IS NOT NULL");
            if session.query_one(&there, &[&turn.sequence().to_string()]).await?.get(0) {
                turns.push(turn.clone());
            }
        }
        for turn in &turns {
            session
                .batch(&sql!("ALTER SEQUENCE {} INCREMENT BY {}", turn.sequence(), turn.increment))
                .await?;
        }
        let step = group.iter().map(|turn| turn.increment).max_by_key(|step| step.abs()).unwrap_or(1);
        let step = step.saturating_mul(group.len() as i64);
        let furthest = furthest(session, &turns, |_| step).await?;
        for turn in &turns {
            let start = furthest.saturating_add(turn.increment).clamp(turn.min, turn.max);
            session.batch(&sql!("ALTER SEQUENCE {} RESTART WITH {}", turn.sequence(), start)).await?;
        }
    }
    Ok(())
}

/// The last number that any of them has given; `step` is what they count by.
async fn furthest(session: &Session, turns: &[Turn], step: impl Fn(&Turn) -> i64) -> Result<i64> {
    let mut furthest: Option<i64> = None;
    for turn in turns {
        let stands = stands_at(session, &turn.sequence(), step(turn)).await?;
        furthest = Some(match furthest {
            Some(known) if turn.increment > 0 => known.max(stands),
            Some(known) => known.min(stands),
            None => stands,
        });
    }
    Ok(furthest.unwrap_or_default())
}
