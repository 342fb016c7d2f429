//! The phases of a migration, as stops of a line.

use confiture::schema_to_schema::Phase;
use confiture::schema_to_schema::watch::Sight;
use serde::Serialize;

/// One stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Stop {
    /// What it is called.
    pub(crate) label: &'static str,
    /// Whether it has been reached.
    pub(crate) state: StopState,
}

/// Whether a stop has been reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StopState {
    /// It is behind us.
    Done,
    /// We are there.
    Now,
    /// It is to come.
    Ahead,
    /// We are there, and something is wrong.
    Wrong,
}

/// All stops of the migration as it is.
pub(crate) fn rail(sight: Option<&Sight>) -> Vec<Stop> {
    let follows = sight.is_none_or(|sight| sight.status.following.is_some());
    let labels: &[&'static str] = match follows {
        true => &["Prepare", "Copy", "Catch up", "Follow", "Verified", "Cut over"],
        false => &["Prepare", "Copy", "Indexes and keys", "Done"],
    };
    let (at, wrong) = sight.map_or((None, false), position);
    let stop = |(index, label): (usize, &&'static str)| {
        let state = match at {
            Some(at) if index < at => StopState::Done,
            Some(at) if index == at && wrong => StopState::Wrong,
            Some(at) if index == at => StopState::Now,
            _ => StopState::Ahead,
        };
        Stop { label, state }
    };
    labels.iter().enumerate().map(stop).collect()
}

/// The stop where we are, the one after the last where all is done; and whether something is wrong there.
fn position(sight: &Sight) -> (Option<usize>, bool) {
    let Some(following) = &sight.status.following else {
        let states: Vec<&str> = sight.status.tables.iter().map(|table| table.state.as_str()).collect();
        let at = match states.as_slice() {
            [] => 0,
            all if all.iter().all(|state| *state == "finished") => 4,
            all if all.contains(&"copying") => 1,
            _ => 2,
        };
        return (Some(at), false);
    };
    if let Some(last) = sight.cutovers.first() {
        let is_over = last.kind == "cutover" && last.committed.is_some();
        if is_over || last.outcome.is_none() {
            return (Some(if is_over { 6 } else { 5 }), false);
        }
    }
    let stopped = following.stopped_because.is_some();
    match following.phase {
        Phase::Preparing => (Some(0), stopped),
        Phase::Bidirectional | Phase::Armed => (Some(5), stopped),
        Phase::CutOver => (Some(6), stopped),
        Phase::Immediate => (Some(4), stopped),
        Phase::Copying => (Some(1), stopped),
        Phase::CatchingUp => (Some(2), stopped),
        Phase::Following => match sight.comparisons.first() {
            Some(last) if last.ok && covers_all(sight) => (Some(4), stopped),
            Some(last) if !last.ok => (Some(4), true),
            _ => (Some(3), stopped),
        },
    }
}

fn covers_all(sight: &Sight) -> bool {
    sight.status.tables.iter().all(|table| table.coverage.is_some())
}
