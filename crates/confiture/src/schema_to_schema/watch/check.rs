//! What has to be true before a cutover, as far as it can be seen from outside. Pure.

use serde::Serialize;

use super::{Look, ServerSight, Side, Sight};
use crate::schema_to_schema::live::Phase;

/// Something that has to be true before a cutover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A word that stays: `lag`.
    pub name: &'static str,
    /// What has to be true, in a sentence.
    pub says: &'static str,
    /// Whether it is.
    pub state: CheckState,
    /// What was found.
    pub found: String,
}

/// Whether something is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// It is.
    Pass,
    /// It is not.
    Fail,
    /// Nobody can say now.
    Unknown,
}

/// The lag from which on a cutover would stall writes for longer than it should.
const LAG_MS: f64 = 1000.0;

/// A transaction that has been writing for longer than this would keep the fence waiting.
const WRITER_SECONDS: f64 = 5.0;

/// Everything that has to be true, in the order in which a migration gets there; none before it follows.
#[must_use]
pub fn checks(look: &Look) -> Vec<Check> {
    let Some(sight) = &look.sight else { return Vec::new() };
    let Some(following) = &sight.status.following else { return Vec::new() };
    if matches!(following.phase, Phase::CutOver | Phase::Immediate) {
        return Vec::new();
    }
    let source = look.servers.iter().find(|server| server.side == Side::Source);
    let lag = match following.lag {
        Some(lag) if lag < LAG_MS => (CheckState::Pass, format!("{lag:.0} ms")),
        Some(lag) => (CheckState::Fail, format!("{:.1} seconds", lag / 1e3)),
        None => (CheckState::Unknown, "not measured yet".to_owned()),
    };
    let at_work = match (&sight.status.at_work, following.paused) {
        (Some(_), true) => (CheckState::Fail, "it is paused".to_owned()),
        (Some(who), false) => (CheckState::Pass, who.clone()),
        (None, _) => (CheckState::Fail, "nobody is at work".to_owned()),
    };
    vec![
        check("at_work", "A run is at work", at_work),
        check("following", "Every table follows its source", tables(sight, following.phase)),
        check("lag", "The marker lag is below one second", lag),
        check("indexes", "Keys and indexes are built and valid", indexes(sight)),
        check("foreign_keys", "Foreign keys and triggers are back and valid", foreign_keys(sight)),
        check("equal", "The last comparison found both sides equal", equal(sight)),
        check("covered", "Every table has been compared", covered(sight)),
        check("prepared", "No prepared transaction is open on the source", prepared(source)),
        check("writers", "No writer has been open for five seconds", writers(source)),
    ]
}

fn check(name: &'static str, says: &'static str, (state, found): (CheckState, String)) -> Check {
    Check { name, says, state, found }
}

fn when(pass: bool) -> CheckState {
    if pass { CheckState::Pass } else { CheckState::Fail }
}

fn tables(sight: &Sight, phase: Phase) -> (CheckState, String) {
    let all = sight.status.tables.len();
    let there = sight.status.tables.iter().filter(|table| table.state == "following").count();
    (when(phase == Phase::Following && there == all), format!("{there} of {all}"))
}

fn indexes(sight: &Sight) -> (CheckState, String) {
    let off = &sight.taken_off;
    let found = match (off.indexes_off, off.indexes_not_valid) {
        (0, 0) => "all of them".to_owned(),
        (off, 0) => format!("{off} still to be built"),
        (off, invalid) => format!("{off} still to be built, {invalid} not valid"),
    };
    (when(off.indexes_off + off.indexes_not_valid == 0), found)
}

fn foreign_keys(sight: &Sight) -> (CheckState, String) {
    let off = &sight.taken_off;
    let found = match (off.foreign_keys_and_triggers_off, off.foreign_keys_not_valid) {
        (0, 0) => "all of them".to_owned(),
        (off, 0) => format!("{off} still off"),
        (off, invalid) => format!("{off} still off, {invalid} NOT VALID"),
    };
    (when(off.foreign_keys_and_triggers_off + off.foreign_keys_not_valid == 0), found)
}

fn equal(sight: &Sight) -> (CheckState, String) {
    match sight.comparisons.first() {
        None => (CheckState::Unknown, "not compared yet".to_owned()),
        Some(last) => {
            let found = last.found.clone().unwrap_or_else(|| format!("after batch {}", last.batch));
            (when(last.ok), found)
        }
    }
}

fn covered(sight: &Sight) -> (CheckState, String) {
    let all = sight.status.tables.len();
    let known = sight.status.tables.iter().filter(|table| table.coverage.is_some()).count();
    (when(known == all), format!("{known} of {all}"))
}

fn prepared(source: Option<&ServerSight>) -> (CheckState, String) {
    match source.and_then(|source| source.obstacles.as_ref()) {
        None => unseen(),
        Some(found) => {
            let number = found.prepared_transactions;
            (when(number == 0), if number == 0 { "none".to_owned() } else { format!("{number} open") })
        }
    }
}

fn writers(source: Option<&ServerSight>) -> (CheckState, String) {
    match source.and_then(|source| source.obstacles.as_ref()) {
        None => unseen(),
        Some(found) => {
            let seconds = found.oldest_writer_seconds;
            (when(seconds < WRITER_SECONDS), format!("the oldest: {seconds:.0} seconds"))
        }
    }
}

fn unseen() -> (CheckState, String) {
    (CheckState::Unknown, "the source was not asked".to_owned())
}
