//! The way back, made ready before the cutover: its ledger on the side that the application leaves, its capture on the side that
//! it goes to, and the fence that keeps everybody else away from there until then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Connection, Mapping};
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::postgres::feed::CapturedTable;
use crate::schema_to_schema::cutover::{fence, locks};
use crate::schema_to_schema::ledger as tables;
use crate::schema_to_schema::live::capture::plan_capture;
use crate::schema_to_schema::live::feed;
use crate::schema_to_schema::live::ledger::{self, Direction, FeedKind, FollowRecord, Phase};
use crate::schema_to_schema::live::run::Capture;
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::portion;
use crate::schema_to_schema::reverse::ReverseMapping;
use crate::sql::{Identifier, Literal, QualifiedName, Sql, sql};

/// The other direction, ready to begin as soon as the application has moved.
pub(crate) struct Armed {
    pub(crate) id: String,
    pub(crate) direction: Direction,
    /// Where the application writes from then on.
    active: String,
    /// The tables that it leaves.
    left: Vec<QualifiedName>,
    /// What carries its changes; `None` where there is to be no way back.
    pub(crate) carrier: Option<Carrier>,
}

/// What carries changes in the other direction.
pub(crate) struct Carrier {
    pub(crate) migration: Arc<Migration>,
    pub(crate) feed: FeedKind,
    pub(crate) captured: Vec<CapturedTable>,
}

impl Armed {
    /// With a migration that stands ready.
    pub(crate) fn carrying(
        migration: Arc<Migration>,
        id: String,
        feed: FeedKind,
        captured: Vec<CapturedTable>,
        direction: Direction,
    ) -> Self {
        let left = migration.plan.tables.iter().map(|table| table.target.clone()).collect();
        let active = migration.options.source.to_string();
        Self { id, direction, active, left, carrier: Some(Carrier { migration, feed, captured }) }
    }

    /// Makes `migration` ready, which is the way back, or else the way forward again. `epoch` is the number of switches so far; what an earlier try has left is used. Open transactions are waited for as long as `patience` says.
    pub(crate) async fn between(
        migration: Arc<Migration>,
        way_back: Option<&ReverseMapping>,
        epoch: i64,
        patience: Duration,
        execution: &Execution,
    ) -> Result<Self> {
        let direction = if way_back.is_some() { Direction::Reverse } else { Direction::Forward };
        let side = Session::connect(&migration.options.target).await?;
        let captured = plan_capture(&migration.plan, &migration.source, &migration.source_catalog).await?;
        let (id, feed) = match armed_before(&side, direction).await? {
            Some(record) => (record.id, record.feed),
            None => {
                let choice =
                    feed::choose(Capture::Auto, &migration, &captured, &Execution::unattended()).await?;
                (make_ledger(&side, &migration.options, &choice, direction, epoch).await?, choice.kind)
            }
        };
        if let Some(way_back) = way_back {
            let remember = Sql::literal("UPDATE confiture.follow SET way_back = $1::text::pg_catalog.jsonb");
            side.execute(&remember, &[&way_back.store()?]).await?;
            portion::create(&side).await?;
        }
        if feed == FeedKind::Wal {
            // Making a slot waits for whoever is writing, so it is never made inside of the fence.
            feed::set_up(feed, &id, &migration.options, &captured, patience, execution).await?;
        }
        Ok(Self::carrying(migration, id, feed, captured.tables, direction))
    }

    /// Makes ready what a cutover without a way back needs on the old side: the fence, and a ledger that says where its tables
    /// are. `forward` is the migration that ends.
    pub(crate) async fn without_way_back(forward: &Migration, epoch: i64) -> Result<Self> {
        let (old, new) = (&forward.options.source, &forward.options.target);
        let side = Session::connect(old).await?;
        let made = async {
            match armed_before(&side, Direction::Reverse).await? {
                Some(record) => Ok(record.id),
                None => {
                    let options = Options::new(new.clone(), old.clone(), Mapping::default());
                    let choice =
                        feed::Choice { kind: FeedKind::Queue, reason: "there is no way back".into() };
                    make_ledger(&side, &options, &choice, Direction::Reverse, epoch).await
                }
            }
        };
        let id = made.await.map_err(|error| match error.sqlstate_code() {
            Some("42501") => error
                .context("the old side has to remember that its tables have moved")
                .hint(format!("as a superuser of {old}: {}", may_make_schema(old))),
            _ => error,
        })?;
        side.execute(&Sql::literal("UPDATE confiture.follow SET way_back = NULL"), &[]).await?;
        let (direction, active) = (Direction::Reverse, new.to_string());
        Ok(Self { id, direction, active, left: driving_tables(forward), carrier: None })
    }

    /// What makes the captured side the application's own: changes are captured from this transaction on, and its fence, that
    /// of the migration `followed`, goes.
    pub(crate) async fn open_up(&self, session: &Session, followed: &str) -> Result<Sql> {
        let mut all = Sql::default();
        if let Some(Carrier { migration, feed: FeedKind::Queue, captured }) = &self.carrier {
            all.push(&feed::queue_statements(session, captured, &self.id, &migration.options).await?);
        }
        all.push(&Sql::join(";\n", fence::take_down(session, followed).await?));
        Ok(all)
    }

    /// What makes the other side's ledger the active one and fences its tables, in the transaction that decides the switch.
    pub(crate) fn close_off(&self, tables: &[QualifiedName], epoch: i64) -> Sql {
        let mut all = Sql::join(";\n", fence::put_up(tables, &self.id, &self.active));
        all.push(&Sql::literal(";\n"));
        all.push(&activate(&self.left, &self.active, self.direction, epoch));
        all
    }
}

/// What an earlier try has made ready for this direction.
async fn armed_before(side: &Session, direction: Direction) -> Result<Option<FollowRecord>> {
    match ledger::read(side).await? {
        Some(record) if record.direction == direction && record.phase >= Phase::Armed => {
            side.execute(&Sql::literal("UPDATE confiture.follow SET phase = 'armed'"), &[]).await?;
            Ok(Some(record))
        }
        Some(_) => Err(occupied(side)),
        None if !tables::read(side).await?.is_empty() => Err(occupied(side)),
        None => Ok(None),
    }
}

/// Makes a ledger for a direction that does not follow yet; returns its name.
async fn make_ledger(
    side: &Session,
    options: &Options,
    choice: &feed::Choice,
    direction: Direction,
    epoch: i64,
) -> Result<String> {
    let id = feed::new_id(side).await?;
    tables::create(side).await?;
    ledger::create(side).await?;
    tables::remember_source(side, options).await?;
    ledger::arm(side, &id, choice.kind, &choice.reason, direction, epoch).await?;
    Ok(id)
}

/// What lets a role make the schema that holds the ledger and the fence.
fn may_make_schema(side: &Connection) -> Sql {
    let role = Identifier::new(side.user.as_str());
    sql!("CREATE SCHEMA IF NOT EXISTS confiture AUTHORIZATION {}", role)
}

/// The old tables that rows of `migration` come from, each once.
pub(crate) fn driving_tables(migration: &Migration) -> Vec<QualifiedName> {
    let sources = migration.plan.tables.iter().filter_map(|table| table.source.clone());
    sources.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Says in the ledger that a migration from `source` into these tables follows from now on. Its first run takes fingerprints and
/// shapes as it finds them.
///
/// On the way back nothing is left to do for any of them: the new side is the mapping of the old one, which was just proven,
/// and only what changes from now on is carried back and compared. Another text for the same value, which the way back may
/// give, is no reason to touch a row. After a rollback it is the other way round: rows that were written meanwhile may hold
/// what the old side cannot say, so the new side's are all compared with the mapping, and put right.
pub(crate) fn activate(targets: &[QualifiedName], source: &str, direction: Direction, epoch: i64) -> Sql {
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
