//! What was seen last, shared between whoever looks and whoever asks.

use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use confiture::Result;
use confiture::schema_to_schema::watch::{Look, Sight};
use confiture::schema_to_schema::{Check, Phase};
use serde_json::{Value, json};

use super::history::History;
use super::{headline, metrics, rail};

/// Whoever has asked within this time is still watching.
const WATCHING: Duration = Duration::from_secs(10);

/// What was seen last.
pub(super) struct State {
    seen: RwLock<Seen>,
    /// When somebody asked last.
    asked: Mutex<Option<Instant>>,
    control: bool,
}

/// Everything that a request may want.
#[derive(Default)]
pub(super) struct Seen {
    /// The last look.
    pub(super) look: Option<Look>,
    /// What the ledger said when it last said something.
    pub(super) sight: Option<Sight>,
    /// When that was.
    pub(super) seen_at: Option<SystemTime>,
    /// When it was last looked.
    pub(super) looked_at: Option<SystemTime>,
    /// How long that took.
    pub(super) took: Duration,
    /// Looks so far.
    pub(super) looks: u64,
    history: History,
    /// The list before a cutover, or why it cannot be looked at; and when that was.
    list: Option<(std::result::Result<Vec<Check>, String>, SystemTime)>,
}

impl State {
    pub(super) fn new(control: bool) -> Self {
        Self { seen: RwLock::default(), asked: Mutex::default(), control }
    }

    fn read(&self) -> RwLockReadGuard<'_, Seen> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// From when on seconds are wanted by the next look.
    pub(super) fn since(&self) -> f64 {
        self.read().history.since()
    }

    /// Takes in what was seen.
    pub(super) fn take_in(&self, look: Look, took: Duration) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        (seen.looked_at, seen.took, seen.looks) = (Some(now), took, seen.looks + 1);
        match &look.sight {
            Some(sight) => {
                seen.history.take_in(sight);
                (seen.sight, seen.seen_at) = (Some(sight.clone()), Some(now));
            }
            // The target answers, and remembers nothing: whatever was seen is over.
            None if look.servers.iter().all(|server| server.error.is_none()) => {
                seen.history.clear();
                (seen.sight, seen.seen_at) = (None, None);
            }
            None => {}
        }
        seen.look = Some(look);
    }

    /// True while somebody watches a migration that may be cut over.
    pub(super) fn wants_list(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| asked.elapsed() < WATCHING) && is_before_cutover(self.read().sight.as_ref())
    }

    /// Takes in the list, or why it cannot be looked at.
    pub(super) fn take_in_list(&self, found: Result<Vec<Check>>) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        seen.list = Some((found.map_err(|error| error.message().to_owned()), SystemTime::now()));
    }

    /// What the page shows; points only after the second `since`.
    pub(super) fn document(&self, since: i64) -> Value {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let seen = self.read();
        let list = seen.list.as_ref().filter(|_| is_before_cutover(seen.sight.as_ref()));
        let away = seen.seen_at.and_then(|at| at.elapsed().ok());
        let said = seen.look.as_ref().map(|look| headline(look, seen.sight.as_ref(), away));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "now": seconds(SystemTime::now()),
            "seen_at": seen.seen_at.map(seconds),
            "is_fresh": seen.look.as_ref().is_some_and(|look| look.sight.is_some()),
            "control": self.control,
            "headline": said,
            "rail": rail(seen.sight.as_ref()),
            "servers": seen.look.as_ref().map(|look| &look.servers),
            "checks": list.and_then(|(found, _)| found.as_ref().ok()),
            "checks_failed": list.and_then(|(found, _)| found.as_ref().err()),
            "checked_at": list.map(|(_, at)| seconds(*at)),
            "sight": seen.sight,
            "points": seen.history.after(since),
        })
    }

    /// The metrics, as Prometheus reads them.
    pub(super) fn metrics(&self) -> String {
        metrics::render(&self.read())
    }
}

fn is_before_cutover(sight: Option<&Sight>) -> bool {
    let following = sight.and_then(|sight| sight.status.following.as_ref());
    following.is_some_and(|following| !matches!(following.phase, Phase::CutOver | Phase::Immediate))
}

/// Seconds since 1970.
pub(super) fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
