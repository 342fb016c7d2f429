//! What following did, and how far it is, as text.

use std::fmt::Write as _;
use std::time::Duration;

use confiture::schema_to_schema::{FeedKind, FollowReport, FollowingStatus, Phase, Status};
use confiture::{Error, ErrorKind};

use super::numbers::{bytes, count, duration, milliseconds, thousands};
use super::style::Style;
use super::text::columns;
use super::verification;

/// What there is to say where triggers do the work.
const IMMEDIATE: &str = "Both sides are written at once: triggers carry each write to the other side in its own transaction, so there is nothing to follow.
To follow again: confiture migrate schema-to-schema bidirectional --stop
";

/// What a run that followed did.
pub(crate) fn render(style: Style, report: &FollowReport) -> String {
    let mut text = String::new();
    let mark = if report.phase == Phase::Following { style.done() } else { style.failed() };
    let state = match report.phase {
        Phase::Following => "The target equals the source in a snapshot",
        Phase::Bidirectional => "Both sides take writes",
        Phase::CatchingUp => "All tables are copied; changes are still to be applied",
        Phase::Copying => "Tables are still to be copied",
        Phase::Preparing => "Nothing is copied yet",
        Phase::Armed | Phase::CutOver => "The application writes here; nothing is applied",
        Phase::Immediate => return IMMEDIATE.to_owned(),
    };
    let batches = match report.batches {
        1 => "1 batch".to_owned(),
        batches => format!("{} batches", thousands(batches.unsigned_abs())),
    };
    let _ = writeln!(text, "{mark} {state} ({batches}, {}).", duration(report.elapsed));
    let _ = writeln!(text, "Changes go on being captured by the {}.", feed(report.feed));
    for key in &report.violated {
        let _ = writeln!(
            text,
            "{} {}.{}: rows refer to nothing, so the foreign key is NOT VALID",
            style.failed(),
            key.table.short(),
            key.name
        );
    }
    if let (Some(batch), Some(verification)) = (report.verified_batch, &report.verification) {
        let _ = writeln!(text, "Compared as batch {} left both sides:", thousands(batch.unsigned_abs()));
        text.push_str(&verification::render(style, verification));
    }
    if report.foreign_keys_wait {
        text.push_str("Foreign keys and triggers of the target stay off until `cleanup` puts them back: its role may not write past them.\n");
    }
    text
}

/// "No", where both sides differ, rows violate a foreign key, or the target has not caught up.
pub(crate) fn verdict(report: &FollowReport, shows_values: bool) -> Option<Error> {
    if report.phase < Phase::Following {
        return Some(
            Error::interrupted("stopped before the target had caught up; changes go on being captured")
                .hint("run the same command again: it goes on from here"),
        );
    }
    let differs = report.verification.as_ref().and_then(|found| verification::verdict(found, shows_values));
    if differs.is_some() {
        return differs;
    }
    let violated = report.violated.len();
    (violated > 0).then(|| {
        Error::new(ErrorKind::Found, format!("rows violate {}", count(violated, "foreign key")))
            .hint("the source holds the same orphans, or the mapping leaves out rows that others refer to")
    })
}

fn feed(feed: FeedKind) -> &'static str {
    match feed {
        FeedKind::Wal => "WAL",
        FeedKind::Queue => "queue",
    }
}

/// How far a migration is.
pub(crate) fn status(style: Style, status: &Status) -> String {
    let mut text = format!("{} -> {}\n", status.source, status.target);
    if let Some(following) = &status.following {
        summary(&mut text, style, following);
    }
    let _ = writeln!(text, "At work: {}", status.at_work.as_deref().unwrap_or("nobody"));
    text.push('\n');
    let header = ["table", "state", "rows copied", "keys that wait", "time left", "found equal"];
    let mut rows = vec![header.map(str::to_owned)];
    for one in &status.tables {
        let copied = match one.expected_rows.filter(|_| one.state == "copying") {
            Some(expected) => {
                format!(
                    "{} of about {}",
                    thousands(one.rows.unsigned_abs()),
                    thousands(expected.unsigned_abs())
                )
            }
            None => thousands(one.rows.unsigned_abs()),
        };
        let left = one.seconds_left.map_or(String::new(), |left| duration(Duration::from_secs_f64(left)));
        let waiting = thousands(one.waiting_keys.unsigned_abs());
        let equal = one.coverage.as_ref().map_or(String::new(), |known| {
            let ago = duration(Duration::from_secs_f64(known.seconds_ago.max(0.0)));
            format!(
                "batch {}, {ago} ago; {} touched since",
                thousands(known.batch.unsigned_abs()),
                count(known.touched_keys.unsigned_abs(), "key")
            )
        });
        rows.push([one.table.short(), one.state.replace('_', " "), copied, waiting, left, equal]);
    }
    text.push_str(&columns(&rows));
    if !status.events.is_empty() {
        text.push_str("\nLast events (UTC):\n");
        for event in &status.events {
            let _ = writeln!(text, "  {event}");
        }
    }
    text
}

fn summary(text: &mut String, style: Style, following: &FollowingStatus) {
    let phase = match following.phase {
        Phase::Preparing => "preparing",
        Phase::Copying => "copying; changes wait",
        Phase::CatchingUp => "catching up",
        Phase::Following => "following: every batch leaves the target equal to the source",
        Phase::Bidirectional => "bidirectional: both sides take writes, and changes are carried both ways",
        Phase::Armed => "ready to follow the other way round",
        Phase::CutOver => "cut over: the application writes to the target",
        Phase::Immediate => "immediate: both sides are written at once, by triggers; no run is needed",
    };
    let paused = if following.paused { style.yellow(" (paused)") } else { String::new() };
    let _ = writeln!(text, "Phase: {phase}{paused}");
    let _ = writeln!(text, "Feed: {}, {}", feed(following.feed), following.reason);
    let lag = following.marker_lag().map_or_else(|| "not measured yet".to_owned(), milliseconds);
    let seen = following.seen_seconds_ago.map_or_else(
        || "never".to_owned(),
        |seconds| format!("{} ago", duration(Duration::from_secs_f64(seconds.max(0.0)))),
    );
    let _ = writeln!(text, "Marker lag: {lag}; the target was last a picture of the source {seen}");
    let _ = writeln!(
        text,
        "Batches: {}, {} rows/s in the last minute; {} wait",
        thousands(following.batches.unsigned_abs()),
        thousands(following.rows_per_second as u64),
        count(following.waiting_keys.unsigned_abs(), "key")
    );
    let _ =
        writeln!(text, "Kept on the source for the feed: {}", bytes(following.retained_bytes.unsigned_abs()));
    let oldest = following
        .oldest_snapshot_seconds
        .map_or_else(|| "none".to_owned(), |seconds| duration(Duration::from_secs_f64(seconds.max(0.0))));
    let _ = writeln!(text, "Oldest snapshot that we hold on the source: {oldest}");
    let limits = [
        following.max_rows_per_second.map(|most| format!("{} rows/s", thousands(most))),
        following.max_bytes_per_second.map(|most| format!("{}/s", bytes(most))),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if !limits.is_empty() {
        let _ = writeln!(text, "Throttled to {}", limits.join(" and "));
    }
    if let Some(because) = &following.stopped_because {
        let _ = writeln!(text, "{} The last run stopped: {because}", style.failed());
    }
}
