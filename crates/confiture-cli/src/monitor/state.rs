//! What was seen last, shared between whoever looks and whoever asks.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use confiture::schema_to_schema::watch::{Look, Sight, checks};
use serde_json::{Value, json};

use super::history::History;
use super::{headline, metrics, rail};

/// What was seen last.
pub(super) struct State {
    seen: RwLock<Seen>,
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
}

impl State {
    pub(super) fn new(control: bool) -> Self {
        Self { seen: RwLock::default(), control }
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

    /// What the page shows; points only after the second `since`.
    pub(super) fn document(&self, since: i64) -> Value {
        let seen = self.read();
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
            "checks": seen.look.as_ref().map(checks),
            "sight": seen.sight,
            "points": seen.history.after(since),
        })
    }

    /// The metrics, as Prometheus reads them.
    pub(super) fn metrics(&self) -> String {
        metrics::render(&self.read())
    }
}

/// Seconds since 1970.
pub(super) fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
