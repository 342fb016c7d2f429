//! What has to be so before a cutover, looked at: each point with what was found, and what to do where it is not so.
//!
//! The servers tell most of it. What only people know is asked, and counts once they say so. Nothing is changed.

mod exchange;
mod following;
mod roles;
mod tables;
mod way_back;
mod writers;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::postgres::feed::CapturedTable;
use crate::postgres::{Session, read_catalog};
use crate::schema_to_schema::live::capture::{Captured, plan_capture};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::reverse::ReverseMapping;

/// One point of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A word that stays the same: for programs, and for whoever confirms it.
    pub id: &'static str,
    /// What has to be so.
    pub what: &'static str,
    /// Whether it is.
    pub outcome: Outcome,
    /// What was found, in one sentence without a full stop.
    pub evidence: String,
    /// What to do, where it is not so.
    pub hint: Option<String>,
}

/// Whether a point of the list is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is.
    Pass,
    /// It is, with something that is worth knowing.
    Warn,
    /// Only people know, and nobody has said so.
    Ask,
    /// It is not.
    Fail,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Standard {
    /// What people have confirmed, by the points' words.
    pub confirmed: BTreeSet<String>,
    /// The longest that the target may be behind: the marker's round trip.
    pub max_lag: Duration,
    /// The longest that writes may wait: a transaction that has held its locks for longer is in the way.
    pub max_stall: Duration,
    /// How long ago all rows must have been compared at most; `None` for ever since they were found equal.
    pub verified_within: Option<Duration>,
    /// Numbers that the target's sequences must have left beyond those of the source.
    pub sequence_gap: u32,
    /// The way back; `None` for what follows from the plan.
    pub way_back: Option<ReverseMapping>,
    /// There is to be none, as somebody has decided.
    pub no_way_back: bool,
    /// What the caller knows of it: that it stands ready, or why it does not.
    pub way_back_ready: Option<std::result::Result<String, String>>,
}

impl Default for Standard {
    fn default() -> Self {
        Self {
            confirmed: BTreeSet::new(),
            max_lag: Duration::from_secs(1),
            max_stall: Duration::from_secs(5),
            verified_within: None,
            sequence_gap: 1000,
            way_back: None,
            no_way_back: false,
            way_back_ready: None,
        }
    }
}

/// What only people know, by its word.
const PEOPLE: [(&str, &str, &str); 4] = [
    (
        "backup",
        "A backup of both databases is made, and was restored once",
        "a backup that nobody restored is a hope",
    ),
    (
        "application",
        "The application was tested against the new schema",
        "point a copy of it at a clone of the target",
    ),
    ("team", "The team on call knows, and is there", "who decides on a rollback, and until when?"),
    (
        "rollback-plan",
        "Going back was tried",
        "rehearse cutover and rollback on clones of both databases, with writers at work",
    ),
];

/// The words that people may confirm.
#[must_use]
pub fn confirmable() -> Vec<&'static str> {
    PEOPLE.iter().map(|(id, ..)| *id).chain(["losses"]).collect()
}

/// What the checks look at.
struct Ground<'a> {
    migration: &'a Migration,
    standard: &'a Standard,
    source: Session,
    target: Session,
    /// The target's, as it is now.
    catalog: Catalog,
    captured: Result<Captured>,
}

impl Ground<'_> {
    /// The tables of the source that the application writes to, with their partitions.
    fn written(&self) -> Vec<u32> {
        match &self.captured {
            Ok(captured) => captured.tables.iter().flat_map(CapturedTable::oids).collect(),
            Err(_) => {
                let tables = &self.migration.plan.tables;
                tables.iter().flat_map(|table| &table.query.storage).map(|storage| storage.oid).collect()
            }
        }
    }
}

/// Looks at every point of the list. Changes nothing.
///
/// # Errors
///
/// [`crate::ErrorKind::Connect`], and where a server cannot be asked.
pub async fn read(migration: &Migration, standard: &Standard) -> Result<Vec<Check>> {
    let options = &migration.options;
    let (source, target) =
        tokio::try_join!(Session::connect(&options.source), Session::connect(&options.target))?;
    let captured = plan_capture(&migration.plan, &source, &migration.source_catalog).await;
    let catalog = read_catalog(&target).await?;
    let ground = Ground { migration, standard, source, target, catalog, captured };
    // On the heap: what plans a way back is large.
    let mut checks = Box::pin(following::look(&ground)).await?;
    checks.extend(Box::pin(tables::look(&ground)).await?);
    checks.extend(Box::pin(writers::look(&ground)).await?);
    checks.push(Box::pin(roles::look(&ground)).await?);
    checks.extend(exchange::look(&ground).await?);
    checks.extend(Box::pin(way_back::look(&ground)).await?);
    checks.extend(PEOPLE.iter().map(|(id, what, hint)| {
        let confirmed = standard.confirmed.contains(*id);
        ask(id, what, confirmed, "nobody has said so", hint)
    }));
    Ok(checks)
}

fn pass(id: &'static str, what: &'static str, evidence: impl Into<String>) -> Check {
    Check { id, what, outcome: Outcome::Pass, evidence: evidence.into(), hint: None }
}

fn fail(id: &'static str, what: &'static str, evidence: impl Into<String>, hint: impl Into<String>) -> Check {
    let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
    Check { id, what, outcome: Outcome::Fail, evidence: evidence.into(), hint }
}

fn warn(id: &'static str, what: &'static str, evidence: impl Into<String>, hint: &str) -> Check {
    Check { id, what, outcome: Outcome::Warn, evidence: evidence.into(), hint: Some(hint.to_owned()) }
}

fn ask(id: &'static str, what: &'static str, confirmed: bool, evidence: &str, hint: &str) -> Check {
    match confirmed {
        true => pass(id, what, "confirmed"),
        false => Check {
            id,
            what,
            outcome: Outcome::Ask,
            evidence: evidence.to_owned(),
            hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()),
        },
    }
}

/// The first few of many, and how many more there are.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// `3.2 s`, `40 min`, `2.5 h`.
fn ago(seconds: f64) -> String {
    match seconds {
        _ if seconds < 1.0 => format!("{:.0} ms", (seconds * 1e3).max(0.0)),
        _ if seconds < 100.0 => format!("{seconds:.1} s"),
        _ if seconds < 6000.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

fn tables(number: usize) -> String {
    if number == 1 { "1 table".to_owned() } else { format!("{number} tables") }
}
