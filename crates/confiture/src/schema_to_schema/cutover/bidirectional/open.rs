//! The new side opened to writes: captured, its keys and triggers in force, its sequences apart from those of the old side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::Oid;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session};
use crate::schema_to_schema::cutover::arm::{self, Armed};
use crate::schema_to_schema::cutover::bidirectional::{Bidirectional, interleave, key};
use crate::schema_to_schema::cutover::switch::{check_equal, check_way_back, refuse_obstacles};
use crate::schema_to_schema::cutover::{Tries, locks};
use crate::schema_to_schema::live::feed;
use crate::schema_to_schema::live::follower::Follower;
use crate::schema_to_schema::live::ledger::{Direction, FeedKind};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::sequences::AdvancedSequence;
use crate::schema_to_schema::sessions::Sessions;
use crate::schema_to_schema::{failpoint, journal};
use crate::sql::{QualifiedName, Sql};

/// How long one try may keep writers waiting.
const LOCK_PATIENCE: Duration = Duration::from_millis(300);

/// How long to go on trying.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the new side of a migration that follows, once both sides are equal. `epoch` is the number of switches so far.
pub(super) async fn open(
    forward: &Arc<Migration>,
    how: &Bidirectional,
    epoch: i64,
    lock: &AdvisoryLock,
    execution: &Execution,
) -> Result<Vec<AdvancedSequence>> {
    let way_back = how.way_back.clone().unwrap_or_else(|| forward.reversed());
    check_way_back(&way_back, how.accept_losses)?;
    let back = Box::pin(forward.plan_reverse(&way_back, execution))
        .await
        .map_err(|error| error.context("planning the way back"))?;
    refuse_obstacles(&back).await?;
    key::refuse_loose([forward, &back]).await?;
    let sessions = Arc::new(Sessions::default());
    let opened = Box::pin(async {
        let (follower, caught_up) = forward.follow_for_a_switch(&sessions, lock, execution).await?;
        check_equal(execution, follower.phase, &caught_up)?;
        refuse_bound(&follower)?;
        let armed = Armed::between(Arc::new(back), Some(&way_back), epoch, feed::PATIENCE, execution);
        let armed = execution.step("Making the way back ready", armed).await?;
        failpoint::reached("bidirectional: armed");
        take_turns(&follower, &armed, how, epoch, execution).await
    });
    let opened = opened.await;
    sessions.end(&forward.source, &forward.target, opened.is_err()).await;
    opened
}

/// Tries until nobody holds what has to be locked for a moment.
async fn take_turns(
    follower: &Follower,
    armed: &Armed,
    how: &Bidirectional,
    epoch: i64,
    execution: &Execution,
) -> Result<Vec<AdvancedSequence>> {
    let migration = &follower.migration;
    let [old, new] = interleave::names(migration);
    let tables = migration.plan.tables.iter().map(|table| &table.target);
    let locked = vec![
        seen_by(&migration.source, old).await?,
        seen_by(&migration.target, new.into_iter().chain(tables).collect()).await?,
    ];
    let mut tries = Tries::new(PATIENCE, locked, "the new side was not opened");
    loop {
        match attempt(follower, armed, how, epoch).await {
            Err(error) => tries.again(error, execution).await?,
            done => return done,
        }
    }
}

/// What is going to be locked, with a session that sees who holds it.
async fn seen_by(session: &Session, names: Vec<&QualifiedName>) -> Result<(Session, Vec<Oid>)> {
    let query =
        Sql::literal("SELECT pg_catalog.to_regclass(name)::oid FROM pg_catalog.unnest($1::text[]) AS name");
    let names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
    let rows = session.query(&query, &[&names]).await?;
    Ok((session.clone(), rows.iter().filter_map(|row| row.get(0)).collect()))
}

async fn attempt(
    follower: &Follower,
    armed: &Armed,
    how: &Bidirectional,
    epoch: i64,
) -> Result<Vec<AdvancedSequence>> {
    let migration = &follower.migration;
    let Some(carrier) = &armed.carrier else { return Err(Error::unexpected("nothing carries changes back")) };
    let longest = Duration::from_secs(5);
    let old = locks::connect(&migration.options.source, longest).await?;
    let new = locks::connect(&migration.options.target, longest).await?;
    let ready = async {
        arm::hold_target(migration, &new, LOCK_PATIENCE, Instant::now() + longest).await?;
        let entries = journal::entries(&follower.side).await?;
        new.batch(&journal::restore_at_once(&entries, Clone::clone)).await?;
        if carrier.feed == FeedKind::Wal {
            // Nobody but this migration has written there.
            feed::skip(&armed.id, &carrier.migration.source).await?;
        }
        new.batch(&armed.open_up(&new, &follower.id).await?).await?;
        let make = Sql::literal(include_str!("../../../postgres/queries/bidirectional.sql"));
        new.batch(&make).await?;
        how.policy.remember(&new).await?;
        old.batch(&Sql::literal(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '300ms'",
        ))
        .await?;
        old.batch(&make).await?;
        let interleaved = interleave::interleave(migration, [&old, &new]).await?;
        let targets: Vec<_> =
            carrier.migration.plan.tables.iter().map(|table| table.target.clone()).collect();
        old.batch(&arm::activate(&targets, &carrier.migration.plan.source, Direction::Reverse, epoch))
            .await?;
        for (session, what) in [(&old, "changes are carried back here"), (&new, "both sides take writes")] {
            say_open(session, what).await?;
        }
        Ok(interleaved)
    };
    let interleaved = match ready.await {
        Ok(interleaved) => interleaved,
        Err(error) => {
            for session in [&old, &new] {
                session.batch(&Sql::literal("ROLLBACK")).await.ok();
            }
            return Err(error);
        }
    };
    failpoint::reached("bidirectional: about to be opened");
    // What comes first is undone by whoever finds it alone.
    old.batch(&Sql::literal("COMMIT")).await?;
    failpoint::reached("bidirectional: half open");
    new.batch(&Sql::literal("COMMIT")).await?;
    failpoint::reached("bidirectional: open");
    Ok(interleaved)
}

async fn say_open(session: &Session, what: &str) -> Result<()> {
    let say = Sql::literal(
        "WITH event AS (INSERT INTO confiture.event (what) VALUES ($1)) UPDATE confiture.follow SET phase = 'bidirectional'",
    );
    session.execute(&say, &[&what]).await.map(|_| ())
}

/// Rows are written in the order of tables, not in that of foreign keys, and triggers of the application must not answer to
/// what was carried.
fn refuse_bound(follower: &Follower) -> Result<()> {
    if follower.bypasses_constraints {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsafe,
        format!(
            "the role {} may not write past foreign keys and triggers, which carrying changes both ways needs",
            follower.migration.options.target.user
        ),
    )
    .hint("on both sides, from PostgreSQL 15 on: GRANT SET ON PARAMETER session_replication_role TO …; before, a superuser"))
}
