//! The one sentence that says how it is.

use std::time::Duration;

use confiture::schema_to_schema::Phase;
use confiture::schema_to_schema::watch::{Look, Side, Sight};
use serde::Serialize;

use crate::output::numbers::{bytes, count, duration, magnitude, milliseconds};

/// How it is, in a sentence, and what else has to be said about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Headline {
    /// How it feels.
    pub(crate) tone: Tone,
    /// The sentence.
    pub(crate) text: String,
    /// What to know or to do besides; empty for nothing.
    pub(crate) more: String,
}

/// How something feels at three in the morning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tone {
    /// Nothing is wrong, and nothing is going on.
    Calm,
    /// All is as it should be.
    Good,
    /// At work, and getting there.
    Busy,
    /// Somebody should look at it.
    Look,
    /// Something is wrong.
    Wrong,
}

/// The sentence about a look; about the last that saw something, where `look` did not.
pub(crate) fn headline(look: &Look, last: Option<&Sight>, away_for: Option<Duration>) -> Headline {
    if let Some(target) = look.servers.iter().find(|server| server.side == Side::Target)
        && let Some(error) = &target.error
    {
        let since = away_for.map_or(String::new(), |away| format!(", last seen {} ago", duration(away)));
        let more = match last {
            Some(_) => format!("{error}. What is shown below is what was seen last."),
            None => error.clone(),
        };
        return say(Tone::Wrong, format!("The new database does not answer{since}"), more);
    }
    let Some(sight) = &look.sight else {
        return say(
            Tone::Calm,
            "No migration yet",
            "As soon as one begins into this database, it is shown here.",
        );
    };
    let found = of_sight(sight);
    let source = look.servers.iter().find(|server| server.side == Side::Source);
    match source.and_then(|source| source.error.as_ref()) {
        Some(error) if found.tone != Tone::Wrong => {
            say(Tone::Look, "The old database does not answer", format!("{error}. {}.", found.text))
        }
        _ => found,
    }
}

fn of_sight(sight: &Sight) -> Headline {
    let Some(following) = &sight.status.following else { return of_copy(sight) };
    let at_work = sight.status.at_work.is_some();
    if let Some(switch) = sight.cutovers.first().filter(|switch| switch.outcome.is_none()) {
        let (what, done) = match switch.kind.as_str() {
            "rollback" => ("rollback", "Rolling back"),
            _ => ("cutover", "Cutting over"),
        };
        return match at_work {
            true => say(Tone::Busy, done, "Writes may have to wait for a moment."),
            false => say(
                Tone::Look,
                format!("A {what} was begun, and nobody is at work"),
                format!("Run `{what}` again: it looks at what is there and goes on or gives up."),
            ),
        };
    }
    if following.phase == Phase::CutOver {
        return say(
            Tone::Good,
            "Cut over",
            "The application writes to the new database. `sync` carries its changes back to the old one, for a rollback.",
        );
    }
    if following.phase == Phase::Immediate {
        return say(
            Tone::Good,
            "Both sides are written at once",
            "Triggers carry each write to the other side in its own transaction. `bidirectional --stop` ends that before the cutover.",
        );
    }
    if let Some(because) = &following.stopped_because {
        return say(Tone::Wrong, "The last run stopped", format!("{because}. Changes go on being captured."));
    }
    if following.paused {
        let kept = bytes(following.retained_bytes.unsigned_abs());
        let more = format!(
            "Nothing is copied or applied until somebody says resume. Changes go on being captured; {kept} of them are kept on the \
             old database."
        );
        return say(Tone::Look, "Paused", more);
    }
    if !at_work {
        return say(
            Tone::Look,
            "No run is at work",
            "Changes go on being captured on the old database, which keeps them until `sync` is called again.",
        );
    }
    if let Some(last) = sight.comparisons.first().filter(|last| !last.ok) {
        let found = last.found.clone().unwrap_or_default();
        return say(Tone::Wrong, "Both sides differ", format!("{found}. `verify` says where."));
    }
    match following.phase {
        Phase::Preparing => say(Tone::Busy, "Preparing", "Changes are about to be captured."),
        Phase::Copying => copying(sight),
        Phase::CatchingUp => {
            let waits = count(following.waiting_keys.unsigned_abs(), "key");
            say(Tone::Busy, "Catching up", format!("All rows are there; {waits} wait to be applied."))
        }
        Phase::Armed | Phase::CutOver | Phase::Immediate => {
            say(Tone::Busy, "Ready to switch", "The way back is ready; the application has not moved yet.")
        }
        Phase::Bidirectional => say(
            Tone::Good,
            "Both sides take writes",
            "Changes are carried both ways. `cutover` ends that for the new database, `rollback` for the old one.",
        ),
        Phase::Following => {
            let lag = following.marker_lag();
            let behind = lag.map_or_else(String::new, |lag| format!(", {} behind", milliseconds(lag)));
            match lag {
                Some(lag) if lag >= Duration::from_secs(10) => {
                    say(Tone::Look, format!("Following{behind}"), "The new database falls behind.")
                }
                _ => say(
                    Tone::Good,
                    format!("Following{behind}"),
                    "Every batch leaves the new database equal to the old one.",
                ),
            }
        }
    }
}

fn copying(sight: &Sight) -> Headline {
    let tables = &sight.status.tables;
    let done = tables.iter().filter(|table| table.state != "copying").count();
    let left = tables.iter().filter_map(|table| table.seconds_left).fold(0.0, f64::max);
    let left = match left > 0.0 {
        true => format!(", about {} left", duration(Duration::from_secs_f64(left))),
        false => String::new(),
    };
    let rows = magnitude(sight.copied_rows.unsigned_abs());
    let text = format!("Copying{left}");
    say(
        Tone::Busy,
        text,
        format!(
            "{done} of {}, {rows} rows so far. What changes meanwhile waits.",
            count(tables.len(), "table")
        ),
    )
}

/// A migration that copies once.
fn of_copy(sight: &Sight) -> Headline {
    let tables = &sight.status.tables;
    let all = tables.len();
    let rows = magnitude(sight.copied_rows.unsigned_abs());
    let finished = tables.iter().filter(|table| table.state == "finished").count();
    match (finished == all && all > 0, sight.status.at_work.is_some()) {
        (true, _) => say(
            Tone::Good,
            "Copied",
            format!("{}, {rows} rows. Changes made since are not in it.", count(all, "table")),
        ),
        (false, true) => copying(sight),
        (false, false) => say(
            Tone::Look,
            "No run is at work",
            format!(
                "{finished} of {} finished. The same command goes on where it stopped.",
                count(all, "table")
            ),
        ),
    }
}

fn say(tone: Tone, text: impl Into<String>, more: impl Into<String>) -> Headline {
    Headline { tone, text: text.into(), more: more.into() }
}
