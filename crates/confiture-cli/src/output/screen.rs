//! `status --watch` on a terminal: one screen, drawn in place, never wider or higher than the terminal.

use std::time::Duration;

use confiture::schema_to_schema::TableStatus;
use confiture::schema_to_schema::watch::{Check, CheckState, Look, Sight, checks};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::numbers::{bytes, count, duration, magnitude, milliseconds, thousands};
use super::style::Style;
use crate::monitor::{Headline, History, Stop, StopState, Tone, rail};

/// How a piece of a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Plain,
    Strong,
    Soft,
    Good,
    Busy,
    Look,
    Wrong,
}

/// A line, in pieces.
#[derive(Debug, Clone, Default)]
struct Line(Vec<(Ink, String)>);

/// What a screen shows.
pub(crate) struct Shown<'a> {
    /// The last look.
    pub(crate) look: &'a Look,
    /// What the ledger said when it last said something.
    pub(crate) sight: Option<&'a Sight>,
    /// The sentence.
    pub(crate) headline: Headline,
    /// What was before.
    pub(crate) history: &'a History,
    /// The time of day, UTC.
    pub(crate) clock: String,
}

/// The screen as lines, `width` columns wide and `height` lines high at most.
pub(crate) fn render(style: Style, shown: &Shown<'_>, width: usize, height: usize) -> Vec<String> {
    let mut lines = top(style, shown, width);
    if let Some(sight) = shown.sight {
        let checks = checks(shown.look);
        let below = below(style, sight, &checks);
        let room = height.saturating_sub(lines.len() + 2);
        lines.push(Line::default());
        let most = sight.status.tables.len().min(room.saturating_sub(below.len().min(room / 2)).max(1));
        lines.extend(tables(style, sight, most, width));
        lines.extend(below);
    }
    lines.truncate(height.saturating_sub(2));
    lines.push(Line::default());
    lines.push(Line::of(Ink::Soft, "Ctrl-C ends this view, not the migration."));
    lines.into_iter().take(height).map(|line| line.paint(style, width)).collect()
}

/// What is said of a look on a pipe.
pub(crate) fn sentence(shown: &Shown<'_>) -> String {
    let mut text = format!("{} {}", shown.clock, shown.headline.text);
    if let Some(following) = shown.sight.and_then(|sight| sight.status.following.as_ref()) {
        text.push_str(&format!(
            "; {} rows/s, {} waiting, {} kept on the source, batch {}",
            thousands(following.rows_per_second as u64),
            count(following.waiting_keys.unsigned_abs(), "key"),
            bytes(following.retained_bytes.unsigned_abs()),
            thousands(following.batches.unsigned_abs())
        ));
    } else if let Some(sight) = shown.sight {
        text.push_str(&format!("; {} copied", super::numbers::rows(sight.copied_rows.unsigned_abs())));
    }
    text
}

fn top(style: Style, shown: &Shown<'_>, width: usize) -> Vec<Line> {
    let headline = &shown.headline;
    let (ink, mark) = match headline.tone {
        Tone::Calm => (Ink::Soft, mark(style, StopState::Ahead)),
        Tone::Good => (Ink::Good, mark(style, StopState::Done)),
        Tone::Busy => (Ink::Busy, mark(style, StopState::Now)),
        Tone::Look => (Ink::Look, if style.plain { "!" } else { "▲" }),
        Tone::Wrong => (Ink::Wrong, mark(style, StopState::Wrong)),
    };
    let mut first = Line::of(ink, mark);
    first.push(Ink::Plain, " ");
    first.push(Ink::Strong, &headline.text);
    let clock = format!("{} UTC", shown.clock);
    let gap = width.saturating_sub(first.width() + clock.width());
    if gap > 0 {
        first.push(Ink::Plain, " ".repeat(gap));
        first.push(Ink::Soft, clock);
    }
    let mut lines = vec![first];
    lines.extend(
        wrapped(&headline.more, width.saturating_sub(2)).map(|text| Line::of(Ink::Soft, format!("  {text}"))),
    );
    if let Some(sight) = shown.sight {
        let (arrow, status) = (style.arrow(), &sight.status);
        lines.push(Line::of(Ink::Soft, format!("  {} {arrow} {}", status.source, status.target)));
    }
    lines.push(Line::default());
    lines.push(stops(style, &rail(shown.sight), width));
    if let Some(sight) = shown.sight {
        lines.push(Line::default());
        lines.extend(figures(style, sight, shown.history, width));
    }
    lines
}

fn mark(style: Style, state: StopState) -> &'static str {
    match (state, style.plain) {
        (StopState::Done, true) => "*",
        (StopState::Now, true) => ">",
        (StopState::Ahead, true) => ".",
        (StopState::Wrong, true) => "!",
        (StopState::Done, false) => "✓",
        (StopState::Now, false) => "●",
        (StopState::Ahead, false) => "○",
        (StopState::Wrong, false) => "✗",
    }
}

fn ink(state: StopState) -> Ink {
    match state {
        StopState::Done => Ink::Good,
        StopState::Now => Ink::Busy,
        StopState::Ahead => Ink::Soft,
        StopState::Wrong => Ink::Wrong,
    }
}

/// The phases; where they do not fit, the one where we are, and how many there are.
fn stops(style: Style, stops: &[Stop], width: usize) -> Line {
    let dash = if style.plain { "--" } else { "──" };
    let mut line = Line::default();
    for (index, stop) in stops.iter().enumerate() {
        if index > 0 {
            line.push(Ink::Soft, format!(" {dash} "));
        }
        line.push(ink(stop.state), mark(style, stop.state));
        let label = if matches!(stop.state, StopState::Now | StopState::Wrong) {
            Ink::Strong
        } else {
            ink(stop.state)
        };
        line.push(if stop.state == StopState::Done { Ink::Plain } else { label }, format!(" {}", stop.label));
    }
    if line.width() <= width {
        return line;
    }
    let mut short = Line::default();
    for stop in stops {
        short.push(ink(stop.state), mark(style, stop.state));
        short.push(Ink::Plain, " ");
    }
    if let Some(now) = stops.iter().find(|stop| matches!(stop.state, StopState::Now | StopState::Wrong)) {
        short.push(Ink::Strong, now.label);
    }
    short
}

fn figures(style: Style, sight: &Sight, history: &History, width: usize) -> Vec<Line> {
    let row = |name: &str, value: String, spark: &[f64], more: String| {
        let mut line = Line::of(Ink::Soft, format!("{name:<8}"));
        line.push(Ink::Strong, format!("{value:>9}  "));
        let room = width.saturating_sub(line.width() + more.width() + 2).min(60);
        if room >= 8 && !spark.is_empty() {
            line.push(Ink::Busy, sparkline(style, spark, room));
            line.push(Ink::Plain, "  ");
        }
        line.push(Ink::Soft, more);
        line
    };
    let now = sight.at;
    let mut lines = Vec::new();
    if let Some(following) = &sight.status.following {
        let lag = following.marker_lag().map_or_else(|| "-".to_owned(), milliseconds);
        let most = sight.pace.as_ref().and_then(|pace| pace.lag_ms).map_or(String::new(), |[_, _, most]| {
            format!("99 % under {}", milliseconds(Duration::from_secs_f64(most / 1e3)))
        });
        lines.push(row("Lag", lag, &history.lags(now, 60), most));
    }
    let rates = history.rates(now, 60);
    let rate = rates.iter().rev().skip(1).take(10).sum::<f64>() / 10.0;
    let copied = format!("{} copied", super::numbers::rows(sight.copied_rows.unsigned_abs()));
    lines.push(row("Rows/s", magnitude(rate.round() as u64), &rates, copied));
    if let Some(following) = &sight.status.following {
        let waits = magnitude(following.waiting_keys.unsigned_abs());
        let more = format!(
            "keys; {} kept on the source; {}",
            bytes(following.retained_bytes.unsigned_abs()),
            count(following.batches.unsigned_abs(), "batch").replace("batchs", "batches")
        );
        lines.push(row("Waiting", waits, &[], more));
    }
    lines
}

/// The last values as bars of eight heights.
fn sparkline(style: Style, values: &[f64], room: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const LETTERS: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];
    let levels = if style.plain { LETTERS } else { BLOCKS };
    let values = &values[values.len().saturating_sub(room)..];
    let most = values.iter().copied().fold(0.0, f64::max);
    let level = |value: &f64| match most > 0.0 && value.is_finite() {
        true => levels[((value / most * 7.0).round() as usize).min(7)],
        false => levels[0],
    };
    values.iter().map(level).collect()
}

fn tables(style: Style, sight: &Sight, most: usize, width: usize) -> Vec<Line> {
    const ORDER: [&str; 6] = ["copying", "copied", "indexing", "catching_up", "following", "finished"];
    let rank = |table: &TableStatus| ORDER.iter().position(|state| *state == table.state);
    let mut all: Vec<&TableStatus> = sight.status.tables.iter().collect();
    all.sort_by_key(|table| (rank(table), std::cmp::Reverse(table.rows)));
    let shown = if all.len() > most { most.saturating_sub(1).max(1) } else { most };
    let names = all.iter().take(shown).map(|table| table.table.short().width()).max().unwrap_or_default();
    let names = names.min((width / 3).max(12));
    let bar = if width < 60 { 4 } else { (width / 5).clamp(6, 24) };
    let mut lines: Vec<Line> =
        all.iter().take(shown).map(|table| table_line(style, table, names, bar)).collect();
    if all.len() > shown {
        lines.push(Line::of(Ink::Soft, format!("and {} more", all.len() - shown)));
    }
    lines
}

fn table_line(style: Style, table: &TableStatus, names: usize, bar: usize) -> Line {
    let is_there = matches!(table.state.as_str(), "following" | "finished");
    let mut line = Line::of(Ink::Plain, fitted(&table.table.short(), names));
    let share = match (table.state.as_str(), table.expected_rows) {
        ("copying", Some(expected)) if expected > 0 => (table.rows as f64 / expected as f64).min(0.995),
        ("copying", _) => 0.0,
        _ => 1.0,
    };
    let done = (share * bar as f64).round() as usize;
    let [full, rest] = if style.plain { ["#", "-"] } else { ["━", "─"] };
    line.push(Ink::Plain, "  ");
    line.push(if is_there { Ink::Good } else { Ink::Busy }, full.repeat(done));
    line.push(Ink::Soft, rest.repeat(bar - done));
    line.push(Ink::Plain, format!("  {:<11}", table.state.replace('_', " ")));
    let rows = match table.expected_rows.filter(|_| table.state == "copying") {
        Some(expected) => {
            format!("{} of {}", magnitude(table.rows.unsigned_abs()), magnitude(expected.unsigned_abs()))
        }
        None => thousands(table.rows.unsigned_abs()),
    };
    line.push(Ink::Strong, format!("{rows:>12}"));
    let mut more = Vec::new();
    if let Some(left) = table.seconds_left {
        more.push(format!("{} left", duration(Duration::from_secs_f64(left.max(0.0)))));
    }
    if table.waiting_keys > 0 {
        more.push(format!("{} waiting", count(table.waiting_keys.unsigned_abs(), "key")));
    }
    if let Some(known) = &table.coverage {
        let ago = duration(Duration::from_secs_f64(known.seconds_ago.max(0.0)));
        more.push(format!("equal {ago} ago, {} since", count(known.touched_keys.unsigned_abs(), "key")));
    }
    line.push(Ink::Soft, format!("  {}", more.join(", ")));
    line
}

/// Checks that do not pass, and what was done last.
fn below(style: Style, sight: &Sight, checks: &[Check]) -> Vec<Line> {
    let mut lines = Vec::new();
    if !checks.is_empty() {
        let open: Vec<&Check> = checks.iter().filter(|check| check.state != CheckState::Pass).collect();
        lines.push(Line::default());
        if open.is_empty() {
            let mut line = Line::of(Ink::Good, mark(style, StopState::Done));
            line.push(Ink::Plain, format!(" All {} checks before a cutover pass", checks.len()));
            lines.push(line);
        }
        for check in open {
            let (ink, state) = match check.state {
                CheckState::Unknown => (Ink::Soft, StopState::Ahead),
                _ => (Ink::Look, StopState::Wrong),
            };
            let mut line = Line::of(ink, mark(style, state));
            line.push(Ink::Plain, format!(" {}", check.says));
            line.push(Ink::Soft, format!(": {}", check.found));
            lines.push(line);
        }
    }
    lines.push(Line::default());
    for entry in sight.trail.iter().take(5) {
        let mut line = Line::of(Ink::Soft, format!("{}  ", entry.at.get(11..19).unwrap_or_default()));
        line.push(Ink::Plain, &entry.what);
        line.push(Ink::Soft, format!("  {}", entry.who()));
        lines.push(line);
    }
    lines
}

/// Words on lines of `width` columns.
fn wrapped(text: &str, width: usize) -> impl Iterator<Item = String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width.max(20) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter().take(3)
}

/// A text exactly `width` columns wide.
fn fitted(text: &str, width: usize) -> String {
    let cut = cut(text, width);
    let pad = width.saturating_sub(cut.width());
    cut + &" ".repeat(pad)
}

/// As much of a text as fits.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let mut kept: String = text
        .chars()
        .take_while(|character| {
            let wide = character.width().unwrap_or_default();
            let fits = wide <= left;
            left = left.saturating_sub(if fits { wide } else { left });
            fits
        })
        .collect();
    if width > 0 {
        kept.push('…');
    }
    kept
}

impl Line {
    fn of(ink: Ink, text: impl Into<String>) -> Self {
        Self(vec![(ink, text.into())])
    }

    fn push(&mut self, ink: Ink, text: impl Into<String>) {
        self.0.push((ink, text.into()));
    }

    fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    /// The line as it is written, at most `width` columns of it.
    fn paint(self, style: Style, width: usize) -> String {
        let mut left = width;
        let mut text = String::new();
        for (ink, piece) in self.0 {
            let piece = cut(&piece.replace(|character: char| character.is_control(), " "), left);
            left -= piece.width().min(left);
            let ended = piece.ends_with('…') && left == 0;
            // Where no more than ASCII can be shown, no more is.
            let piece = if style.plain { piece.replace('…', ">") } else { piece };
            text.push_str(&match ink {
                Ink::Plain => piece,
                Ink::Strong => style.bold(piece),
                Ink::Soft => style.dim(piece),
                Ink::Good => style.green(piece),
                Ink::Busy => style.cyan(piece),
                Ink::Look => style.yellow(piece),
                Ink::Wrong => style.red(piece),
            });
            if ended || left == 0 {
                break;
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_never_wider_than_the_terminal() {
        let mut line = Line::of(Ink::Strong, "Following, 4 ms behind");
        line.push(Ink::Soft, "  表が広い  and more");
        for width in 0..50 {
            let text = line.clone().paint(Style::default(), width);
            assert!(text.width() <= width, "{width}: {text}");
        }
        assert_eq!(line.clone().paint(Style::default(), 12), "Following, …");
        assert_eq!(line.paint(Style { plain: true, ..Style::default() }, 12), "Following, >");
    }

    #[test]
    fn phases_that_do_not_fit_become_marks_and_one_word() {
        let all = [("Copy", StopState::Done), ("Catch up", StopState::Now), ("Follow", StopState::Ahead)];
        let all = all.map(|(label, state)| Stop { label, state });
        let at = |width| stops(Style::default(), &all, width).paint(Style::default(), width);
        assert_eq!(at(60), "✓ Copy ── ● Catch up ── ○ Follow");
        assert_eq!(at(20), "✓ ● ○ Catch up");
    }

    #[test]
    fn a_sparkline_shows_the_last_values() {
        assert_eq!(sparkline(Style::default(), &[9.0, 0.0, 3.5, 7.0], 3), "▁▅█");
        assert_eq!(sparkline(Style { plain: true, ..Style::default() }, &[0.0, 0.0], 8), "__");
        assert_eq!(sparkline(Style::default(), &[f64::NAN, 1.0], 8), "▁█");
    }
}
