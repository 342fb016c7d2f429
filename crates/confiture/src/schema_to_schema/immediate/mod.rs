//! Both schemas of one database written at once: what the application writes to the old tables stands in the new ones when its
//! transaction commits, and the other way round.
//!
//! ```text
//! plan, way back --lanes--> views and functions --open--> [locks, last batch, queue triggers off, these on: one transaction]
//!                                               --stop--> [locks, these off, queue triggers on: one transaction]
//! ```
//!
//! Triggers of both sides write in the application's own transaction. That is exact at every moment, and has a price that
//! batches have not: each write waits for its twin, an error of the other side's constraints is the application's own, and two
//! transactions that write the two twins of one row wait for each other until one of them is the victim of a deadlock.

mod function;
mod lane;
mod made;
mod open;
mod statement;
mod stop;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

pub(crate) use stop::end;
pub use stop::{Stopped, stop};

use crate::catalog::{ConstraintKind, Relation};
use crate::config::Connection;
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::schema_to_schema::immediate::function::Bridge;
use crate::schema_to_schema::live::ledger::{self, Phase};
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::plan::Topology;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::reverse::{Finding, Severity};
use crate::schema_to_schema::sequences::{self, Sided, turns};
use crate::sql::QualifiedName;

/// How to open and to stop.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Open although something that is written on the new side would not stand on the old one.
    pub accept_losses: bool,
    /// How long one try may wait for writers to let go, and new ones behind it.
    pub lock_patience: Duration,
    /// How long to go on trying.
    pub patience: Duration,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            accept_losses: false,
            lock_patience: Duration::from_millis(300),
            patience: Duration::from_secs(60),
        }
    }
}

/// What opening would do, to be shown before.
#[derive(Serialize)]
pub struct Proposal {
    /// The tables that are kept equal: old, new.
    pub tables: Vec<(QualifiedName, QualifiedName)>,
    /// Sequences that number the same rows on both sides: they take turns.
    pub sequences: Vec<Vec<QualifiedName>>,
    /// What of the new side does not stand on the old one, or not as it was.
    pub findings: Vec<Finding>,
    /// What is worth knowing of single tables.
    pub remarks: Vec<String>,
    #[serde(skip)]
    migration: Arc<Migration>,
    #[serde(skip)]
    bridge: Bridge,
}

/// What opening did.
#[derive(Debug, Clone, Serialize)]
pub struct Opened {
    /// The tables that are kept equal: old, new.
    pub tables: Vec<(QualifiedName, QualifiedName)>,
    /// Rows of the last batch.
    pub last_rows: u64,
    /// How long writes had to wait.
    #[serde(rename = "stall_ms", serialize_with = "crate::event::as_milliseconds")]
    pub stall: Duration,
    /// Tries that were given up before, because somebody held a lock.
    pub tries: u32,
}

/// Plans both directions, and refuses what cannot be kept equal at once. Writes nothing.
///
/// # Errors
///
/// [`crate::ErrorKind::Config`], with the place in the mapping, for a table that one row alone does not make;
/// [`crate::ErrorKind::Unsafe`] where nothing follows yet, or there is no way back; [`crate::ErrorKind::Connect`].
pub async fn propose(options: Options, execution: &Execution) -> Result<Proposal> {
    check_phase(&options).await?;
    let options = Options { probe: Duration::ZERO, ..options };
    let migration = Arc::new(Box::pin(Migration::plan(options, execution)).await?);
    if migration.plan.topology != Topology::OneDatabase {
        return Err(Error::config(
            "both sides can be written at once only where they are schemas of one database",
        )
        .hint("between two databases no transaction spans both: `sync: batches`"));
    }
    let way_back = migration.reversed();
    if let Some(blocks) = way_back.findings.iter().find(|finding| finding.severity == Severity::Blocks) {
        let error = Error::refused(format!("{}: {}", blocks.table.short(), blocks.message))
            .context("what is written on the new side has to stand on the old one");
        let error = blocks.hint.iter().fold(error, |error, hint| error.hint(hint.as_str()));
        return Err(match &blocks.place {
            Some(place) => error.at(place.clone()),
            None => error,
        });
    }
    let forward = lane::lanes(&migration).await?;
    let back = Box::pin(migration.plan_reverse(&way_back, execution))
        .await
        .map_err(|error| error.context("planning the way back"))?;
    let reverse = lane::lanes(&back).await?;
    let catalog = &migration.target_catalog;
    let tables = forward.iter().map(|lane| (lane.from.clone(), lane.to.clone())).collect();
    let shared = sequences::shared(&migration.plan, &migration.source_catalog, catalog);
    for group in &shared {
        turns::check(group.iter().map(|(_, name)| (*name, catalog.sequences[*name].increment)))?;
    }
    let names = |group: Vec<Sided<'_>>| group.into_iter().map(|(_, name)| name.clone()).collect();
    let sequences = shared.into_iter().map(names).collect();
    let written = forward.iter().chain(&reverse).filter_map(|lane| catalog.relations.get(&lane.to));
    let remarks = written.flat_map(remarks).collect();
    let bridge = Bridge {
        forward: lane::parents_first(forward, catalog),
        reverse: lane::parents_first(reverse, catalog),
    };
    Ok(Proposal { tables, sequences, findings: way_back.findings, remarks, migration, bridge })
}

/// Refuses where nothing follows, and where that is done already.
async fn check_phase(options: &Options) -> Result<()> {
    let session = Session::connect(&options.target).await?;
    let record = ledger::read(&session).await?;
    match record.map(|record| (record.phase, cut_over(record.direction))) {
        Some((Phase::Following, false)) => Ok(()),
        Some((Phase::Immediate, _)) => Err(Error::refused("both sides are written at once already")
            .hint("to end that: confiture migrate schema-to-schema bidirectional --stop")),
        Some((Phase::Armed | Phase::CutOver, _) | (_, true)) => {
            Err(Error::refused("the application has been cut over").hint(
                "both sides are written before the cutover, or after a rollback: confiture migrate schema-to-schema rollback",
            ))
        }
        _ => Err(Error::refused("the target does not equal its source yet")
            .hint("let it catch up: confiture migrate schema-to-schema sync --until-caught-up")),
    }
}

/// An error of what cannot be done meanwhile.
pub(crate) fn is_open() -> Error {
    Error::refused("both sides are written at once, so no run carries changes and nothing is switched")
        .hint("end that first: confiture migrate schema-to-schema bidirectional --stop")
}

/// Refuses what would remove rows of one side while they are carried to the other.
///
/// # Errors
///
/// [`crate::ErrorKind::Unsafe`] where both sides are written at once; [`crate::ErrorKind::Connect`].
pub async fn refuse_while_both_are_written(target: &Connection) -> Result<()> {
    let session = Session::connect(target).await?;
    match ledger::read(&session).await? {
        Some(record) if record.phase == Phase::Immediate => Err(is_open()),
        _ => Ok(()),
    }
}

fn cut_over(direction: ledger::Direction) -> bool {
    direction == ledger::Direction::Reverse
}

/// What acts on rows that are carried into a table.
fn remarks(table: &Relation) -> Vec<String> {
    let name = table.name.short();
    let own = table.triggers.iter().filter(|trigger| !trigger.name.as_str().starts_with("confiture_"));
    let mut found: Vec<String> = own
        .filter(|trigger| trigger.definition.contains("FOR EACH ROW"))
        .map(|trigger| {
            format!(
                "the trigger {} of {name} acts on rows that come from the other side too: where it alters what the mapping fills, both sides differ",
                trigger.name
            )
        })
        .collect();
    let deferrable = table.constraints.iter().filter(|constraint| {
        constraint.deferrable
            && matches!(constraint.kind, ConstraintKind::Unique | ConstraintKind::PrimaryKey)
    });
    found.extend(deferrable.map(|constraint| {
        format!(
            "{} of {name} may be deferred: rows that exchange its values in one statement are refused, unless SET CONSTRAINTS defers it",
            constraint.name
        )
    }));
    found
}

impl Proposal {
    /// True where something that is written on the new side would not stand on the old one.
    #[must_use]
    pub fn loses(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Loses)
    }
}
