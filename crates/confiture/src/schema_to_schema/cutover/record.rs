//! Cutovers and rollbacks as the ledger has them: begun, and how they ended.

use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::schema_to_schema::checklist::Check;
use crate::schema_to_schema::cutover::SwitchKind;
use crate::schema_to_schema::cutover::application::Pooler;
use crate::schema_to_schema::live::ledger;
use crate::sql::Sql;

/// A switch that was begun, and of which nobody has said how it ended.
pub(crate) struct Unfinished {
    pub(crate) id: i64,
    pub(crate) kind: SwitchKind,
    pub(crate) pooler: Option<Pooler>,
}

/// The one that was left in the middle, where there is one.
pub(crate) async fn unfinished(session: &Session) -> Result<Option<Unfinished>> {
    if !ledger::exists(session).await? {
        return Ok(None);
    }
    let query = Sql::literal(
        "SELECT id, kind, pooler::pg_catalog.text FROM confiture.cutover WHERE outcome = 'begun' ORDER BY id DESC LIMIT 1",
    );
    let row = session.query_opt(&query, &[]).await?;
    Ok(row.map(|row| {
        let kind =
            if row.get::<_, &str>(1) == "cutover" { SwitchKind::Cutover } else { SwitchKind::Rollback };
        // One of another version is looked for by nobody.
        let pooler = row.get::<_, Option<&str>>(2).and_then(|text| serde_json::from_str(text).ok());
        Unfinished { id: row.get(0), kind, pooler }
    }))
}

/// Says that a switch begins; returns its number.
pub(crate) async fn begin(
    session: &Session,
    kind: SwitchKind,
    checklist: &[Check],
    pooler: Option<&Pooler>,
) -> Result<i64> {
    let insert = Sql::literal(
        "WITH ended AS (
             UPDATE confiture.cutover SET outcome = 'given_up', found = 'the process ended'
             WHERE outcome = 'begun' AND committed_at IS NULL
         ), event AS (INSERT INTO confiture.event (what) VALUES ($1 || ' begun'))
         INSERT INTO confiture.cutover (kind, checklist, pooler)
         VALUES ($1, $2::text::pg_catalog.jsonb, $3::text::pg_catalog.jsonb) RETURNING id",
    );
    let no_json = |error| Error::unexpected("a switch is no JSON").because(error);
    let checklist = serde_json::to_string(checklist).map_err(no_json)?;
    let pooler = pooler.map(serde_json::to_string).transpose().map_err(no_json)?;
    Ok(session.query_one(&insert, &[&kind.word(), &checklist, &pooler]).await?.get(0))
}

/// Says that the other side takes writes, in the transaction that has it so.
pub(crate) fn committed(id: i64) -> Sql {
    crate::sql::sql!(
        "UPDATE confiture.cutover SET committed_at = pg_catalog.clock_timestamp() WHERE id = {}",
        id
    )
}

/// Says that the switch that was begun is decided; it ends when the application was told.
pub(crate) async fn decided(session: &Session) -> Result<()> {
    let decided = Sql::literal(
        "UPDATE confiture.cutover SET committed_at = pg_catalog.clock_timestamp(), outcome = 'begun', ended_at = NULL
         WHERE committed_at IS NULL AND id = (SELECT pg_catalog.max(id) FROM confiture.cutover)",
    );
    session.execute(&decided, &[]).await.map(|_| ())
}

/// Says that the switch that was begun was done, by whoever brings it to its end.
pub(crate) async fn commit_begun(session: &Session) -> Result<()> {
    let committed = Sql::literal(
        "UPDATE confiture.cutover SET committed_at = coalesce(committed_at, pg_catalog.clock_timestamp()),
             outcome = 'done', ended_at = coalesce(ended_at, pg_catalog.clock_timestamp()) WHERE committed_at IS NULL
             AND id = (SELECT pg_catalog.max(id) FROM confiture.cutover)",
    );
    session.execute(&committed, &[]).await.map(|_| ())
}

/// Says how a switch ended.
pub(crate) async fn end(
    session: &Session,
    id: i64,
    fenced_at: Option<SystemTime>,
    stall: Option<Duration>,
    found: Option<&str>,
) -> Result<()> {
    let update = Sql::literal(
        "WITH ended AS (
             UPDATE confiture.cutover SET ended_at = pg_catalog.clock_timestamp(), fenced_at = $2, stall_ms = $3, found = $4,
                 outcome = CASE WHEN committed_at IS NULL THEN 'given_up' ELSE 'done' END
             WHERE id = $1 RETURNING kind, outcome)
         INSERT INTO confiture.event (what)
         SELECT pg_catalog.concat_ws(': ', kind || ' ' || replace(outcome, '_', ' '), $4) FROM ended",
    );
    let milliseconds = stall.map(|stall| stall.as_secs_f64() * 1e3);
    session.execute(&update, &[&id, &fenced_at, &milliseconds, &found]).await?;
    Ok(())
}
