//! The way back, made ready before the cutover: its ledger on the side that the application leaves, its capture on the side that
//! it goes to, and the fence that keeps everybody else away from there until then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::postgres::feed::CapturedTable;
use crate::schema_to_schema::cutover::{fence, locks};
use crate::schema_to_schema::ledger as tables;
use crate::schema_to_schema::live::capture::plan_capture;
use crate::schema_to_schema::live::feed;
use crate::schema_to_schema::live::ledger::{self, Direction, FeedKind, Phase};
use crate::schema_to_schema::live::run::Capture;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::portion;
use crate::schema_to_schema::reverse::ReverseMapping;
use crate::sql::{Literal, QualifiedName, Sql, sql};

/// A migration that is ready to follow as soon as the application has moved.
pub(crate) struct Armed {
    pub(crate) migration: Arc<Migration>,
    pub(crate) id: String,
    pub(crate) feed: FeedKind,
    pub(crate) captured: Vec<CapturedTable>,
    pub(crate) direction: Direction,
}

impl Armed {
    /// Makes `migration` ready, which is the way back, or else the way forward again. `epoch` is the number of switches so far; what an earlier try has left is used.
    pub(crate) async fn between(
        migration: Arc<Migration>,
        way_back: Option<&ReverseMapping>,
        epoch: i64,
        execution: &Execution,
    ) -> Result<Self> {
        let direction = if way_back.is_some() { Direction::Reverse } else { Direction::Forward };
        let side = Session::connect(&migration.options.target).await?;
        let captured = plan_capture(&migration.plan, &migration.source, &migration.source_catalog).await?;
        let (id, feed) = match ledger::read(&side).await? {
            Some(record) if record.direction == direction && record.phase >= Phase::Armed => {
                let arm = Sql::literal("UPDATE confiture.follow SET phase = 'armed'");
                side.execute(&arm, &[]).await?;
                (record.id, record.feed)
            }
            Some(_) => return Err(occupied(&side)),
            None if !tables::read(&side).await?.is_empty() => return Err(occupied(&side)),
            None => {
                let choice =
                    feed::choose(Capture::Auto, &migration, &captured, &Execution::unattended()).await?;
                let id = feed::new_id(&side).await?;
                tables::create(&side).await?;
                ledger::create(&side).await?;
                tables::remember_source(&side, &migration.options).await?;
                ledger::arm(&side, &id, choice.kind, &choice.reason, direction, epoch).await?;
                (id, choice.kind)
            }
        };
        if let Some(way_back) = way_back {
            let remember = Sql::literal("UPDATE confiture.follow SET way_back = $1::text::pg_catalog.jsonb");
            side.execute(&remember, &[&way_back.store()?]).await?;
            portion::create(&side).await?;
        }
        if feed == FeedKind::Wal {
            // Making a slot waits for whoever is writing, so it is never made inside of the fence.
            feed::set_up(feed, &id, &migration.options, &captured, execution).await?;
        }
        Ok(Self { migration, id, feed, captured: captured.tables, direction })
    }

    /// What makes the captured side the application's own: changes are captured from this transaction on, and its fence, that
    /// of the migration `followed`, goes.
    pub(crate) async fn open_up(&self, session: &Session, followed: &str) -> Result<()> {
        let mut all = Sql::default();
        if self.feed == FeedKind::Queue {
            all.push(
                &feed::queue_statements(session, &self.captured, &self.id, &self.migration.options).await?,
            );
        }
        let down = fence::take_down(session, followed).await?;
        all.push(&Sql::join(";\n", down));
        session.batch(&all).await
    }

    /// What makes the other side's ledger the active one and fences its tables, in the transaction that decides the switch.
    pub(crate) fn close_off(&self, tables: &[QualifiedName], epoch: i64) -> Sql {
        let active = self.migration.options.source.to_string();
        let mut all = Sql::join(";\n", fence::put_up(tables, &self.id, &active));
        all.push(&Sql::literal(";\n"));
        all.push(&activate(&self.migration, self.direction, epoch));
        all
    }
}

/// Says in the ledger that `migration` follows from now on. Its first run takes fingerprints and shapes as it finds them.
pub(crate) fn activate(migration: &Migration, direction: Direction, epoch: i64) -> Sql {
    let targets: Vec<QualifiedName> =
        migration.plan.tables.iter().map(|table| table.target.clone()).collect();
    activate_tables(&targets, &migration.plan.source, direction, epoch)
}

/// The same for these target tables of a migration from `source`.
///
/// On the way back nothing is left to do for any of them: the new side is the mapping of the old one, which was just proven,
/// and only what changes from now on is carried back and compared. Another text for the same value, which the way back may
/// give, is no reason to touch a row. After a rollback it is the other way round: rows that were written meanwhile may hold
/// what the old side cannot say, so the new side's are all compared with the mapping, and put right.
pub(crate) fn activate_tables(
    targets: &[QualifiedName],
    source: &str,
    direction: Direction,
    epoch: i64,
) -> Sql {
    let mut all = Sql::literal(
        "DELETE FROM confiture.table_state; DELETE FROM confiture.chunk; DELETE FROM confiture.deferred;
         DELETE FROM confiture.shape; DELETE FROM confiture.coverage; DELETE FROM confiture.touched;
         DELETE FROM confiture.batch;\n",
    );
    let state = match direction {
        Direction::Forward => "catching_up",
        Direction::Reverse => "following",
    };
    for target in targets {
        let (schema, name) = (Literal(target.schema.as_str()), Literal(target.name.as_str()));
        all.push(&sql!(
            "INSERT INTO confiture.table_state (table_schema, table_name, fingerprint, source, state, route, snapshot)
             VALUES ({}, {}, '', {}, {}, 'copy', '');\n",
            schema,
            name,
            Literal(source),
            Literal(state)
        ));
        all.push(&match direction {
            Direction::Forward => sql!(
                "INSERT INTO confiture.deferred (table_schema, table_name, key) VALUES ({}, {}, NULL);\n",
                schema,
                name
            ),
            Direction::Reverse => sql!(
                "INSERT INTO confiture.coverage (table_schema, table_name, batch, rows) VALUES ({}, {}, 0, 0);\n",
                schema,
                name
            ),
        });
    }
    all.push(&sql!(
        "UPDATE confiture.follow SET phase = 'following', epoch = {}, snapshot = NULL, batches = 0, row_changes = 0,
             source_server = NULL, target_server = NULL, stopped_because = NULL;
         INSERT INTO confiture.event (what) VALUES ('the application writes to the other side; changes come from there now')",
        epoch
    ));
    all
}

/// Says in the ledger that the application writes here, so that nothing is applied any more.
pub(crate) fn hand_over(epoch: i64) -> Sql {
    sql!(
        "UPDATE confiture.follow SET phase = 'cut_over', epoch = {};
         INSERT INTO confiture.event (what) VALUES ('the application writes here from now on')",
        epoch
    )
}

/// Fences the tables into which `migration` carries changes, whose ledger calls it `id`.
pub(crate) async fn fence_target(migration: &Migration, id: &str) -> Result<()> {
    let session = Session::connect(&migration.options.target).await?;
    let mut statements = Sql::literal("BEGIN; SET LOCAL lock_timeout = '5s';\n");
    let put_up = fence::put_up(&targets(migration), id, &migration.options.source.to_string());
    statements.push(&Sql::join(";\n", put_up));
    statements.push(&Sql::literal("; COMMIT"));
    session.batch(&statements).await.map_err(|error| error.context("fencing the target's tables"))
}

/// The tables into which `migration` carries changes, and their partitions.
pub(crate) fn targets(migration: &Migration) -> Vec<QualifiedName> {
    let tables = migration.plan.tables.iter();
    let all = tables.flat_map(|table| migration.target_catalog.with_descendants(&table.target));
    let mut all: Vec<QualifiedName> = all.collect();
    all.sort();
    all.dedup();
    all
}

/// Begins a transaction that holds the target's tables against everybody but readers, until `end` at the latest.
pub(crate) async fn hold_target(
    migration: &Migration,
    session: &Session,
    patience: Duration,
    end: Instant,
) -> Result<()> {
    let tables: Vec<QualifiedName> = migration.plan.tables.iter().map(|table| table.target.clone()).collect();
    locks::begin(session, &tables, patience, end).await
}

fn occupied(side: &Session) -> Error {
    Error::refused(format!(
        "{} remembers another migration, which came into it, and the way back needs that place",
        side.connection()
    ))
    .hint("finish that one first: confiture migrate schema-to-schema cleanup --to …")
}
