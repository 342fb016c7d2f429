//! Sequences of which both sides draw numbers at once take turns, and each side's ledger remembers how its own counted before.

use crate::error::Result;
use crate::postgres::Session;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::sequences::{AdvancedSequence, Sided, shared, stands_at, turns};
use crate::sql::{Literal, QualifiedName, Sql, sql};

/// Has them take turns, in the open transactions of sessions of the old side and of the new one.
pub(super) async fn interleave(migration: &Migration, sides: [&Session; 2]) -> Result<Vec<AdvancedSequence>> {
    let mut interleaved = Vec::new();
    for group in groups(migration) {
        let members: Vec<_> =
            group.iter().map(|(is_new, name)| (sides[usize::from(*is_new)], *name)).collect();
        let taken = turns::take(&members).await?;
        for ((session, name), (turn, next)) in members.into_iter().zip(taken) {
            let remember = sql!(
                "INSERT INTO confiture.interleaved VALUES ({}, {}, {}) ON CONFLICT DO NOTHING",
                Literal(name.schema.as_str()),
                Literal(name.name.as_str()),
                turn.increment
            );
            session.batch(&remember).await?;
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
    for group in groups(migration) {
        let (own, others): (Vec<Sided<'_>>, Vec<_>) =
            group.into_iter().partition(|(is_of_new, _)| *is_of_new == is_new);
        let mut before = Vec::new();
        for (_, name) in own {
            before.extend(
                increment_before(here, name).await?.map(|increment| turns::Turn::new(name, increment)),
            );
        }
        if before.is_empty() {
            continue;
        }
        let mut given = Vec::new();
        for (_, name) in others {
            given.push(stands_at(other, name).await?);
        }
        let work = async {
            turns::put_back(here, &before, &given).await?;
            for turn in &before {
                here.batch(&forget(&turn.sequence())).await?;
            }
            Ok(())
        };
        here.transaction(work).await?;
    }
    Ok(())
}

/// Those of the old side and of the new one.
pub(super) fn names(migration: &Migration) -> [Vec<&QualifiedName>; 2] {
    let mut names = [Vec::new(), Vec::new()];
    for (is_new, name) in groups(migration).into_iter().flatten() {
        names[usize::from(is_new)].push(name);
    }
    names
}

fn groups(migration: &Migration) -> Vec<Vec<Sided<'_>>> {
    shared(&migration.plan, &migration.source_catalog, &migration.target_catalog)
}

fn forget(name: &QualifiedName) -> Sql {
    sql!(
        "DELETE FROM confiture.interleaved WHERE sequence_schema = {} AND sequence_name = {}",
        Literal(name.schema.as_str()),
        Literal(name.name.as_str())
    )
}

/// The steps in which a sequence counted before; `None` where it does not take turns.
async fn increment_before(session: &Session, name: &QualifiedName) -> Result<Option<i64>> {
    let query = Sql::literal(
        "SELECT increment FROM confiture.interleaved WHERE sequence_schema = $1 AND sequence_name = $2",
    );
    let row = session.query_opt(&query, &[&name.schema.as_str(), &name.name.as_str()]).await?;
    Ok(row.map(|row| row.get(0)))
}
