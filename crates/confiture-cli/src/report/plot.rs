//! Drawings of a report: lines over time, and how long writes had to wait.

use confiture::schema_to_schema::watch::{Cutover, Second};

use super::html::Html;
use crate::output::numbers::milliseconds;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 22.0;
const COLUMNS: usize = 330;

/// A value of every second, over the time of all of them: the highest of the seconds that share a column. `axis` says a value,
/// `value` gives that of a second.
pub(super) fn over_time(
    title: &'static str,
    seconds: &[Second],
    value: impl Fn(&Second) -> Option<f64>,
    axis: impl Fn(f64) -> String,
) -> Html {
    let (Some(first), Some(last)) = (seconds.first(), seconds.last()) else { return Html::default() };
    // Of less there is nothing to see.
    if last.second - first.second < 5 {
        return Html::default();
    }
    let length = (last.second - first.second + 1).max(10) as f64;
    let mut columns: Vec<Option<f64>> = vec![None; COLUMNS.min(length as usize)];
    for second in seconds {
        let at = (second.second - first.second) as f64 / length * columns.len() as f64;
        if let (Some(value), Some(column)) = (value(second), columns.get_mut(at as usize)) {
            *column = Some(column.map_or(value, |other: f64| other.max(value)));
        }
    }
    let most = columns.iter().flatten().copied().fold(0.0, f64::max);
    let top = nice(most);
    let x = |column: f64| LEFT + (WIDTH - LEFT) * (column + 0.5) / columns.len() as f64;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / top);
    let mut inside = Html::default();
    for part in [0.0, 0.5, 1.0] {
        let at = y(top * part);
        inside.push(line("grid", (LEFT, at), (WIDTH, at)));
        let words = if part > 0.0 { axis(top * part) } else { "0".to_owned() };
        inside.push(label(LEFT - 6.0, at + 4.0, "end", words));
    }
    let path: String = columns
        .iter()
        .enumerate()
        .filter_map(|(column, value)| value.map(|value| (column, value)))
        .enumerate()
        .map(|(index, (column, value))| {
            format!("{}{:.1},{:.1}", if index == 0 { 'M' } else { 'L' }, x(column as f64), y(value))
        })
        .collect();
    inside.push(Html::shape("path", &[("class", "line".into()), ("d", path)], Html::default()));
    for (at, anchor, second) in [(LEFT, "start", first.second), (WIDTH, "end", last.second)] {
        inside.push(label(at, HEIGHT - 5.0, anchor, clock(second as f64)));
    }
    figure(title, drawing(HEIGHT, title, inside))
}

/// How long writes had to wait, beside one second.
pub(super) fn stall(cutover: &Cutover, waited: f64) -> Html {
    let title = if cutover.kind == "rollback" { "Rollback" } else { "Cutover" };
    let most = waited.max(1000.0) * 1.15;
    let x = |value: f64| WIDTH * value / most;
    let bar = |class: &'static str, width: f64| {
        let sizes = [("x", 0.0), ("y", 8.0), ("width", width.max(2.0)), ("height", 16.0), ("rx", 3.0)];
        let mut attributes = vec![("class", class.to_owned())];
        attributes.extend(sizes.map(|(name, value)| (name, format!("{value:.1}"))));
        Html::shape("rect", &attributes, Html::default())
    };
    let class = if waited < 1000.0 { "short" } else { "long" };
    let words = format!("writes waited {}", milliseconds(std::time::Duration::from_secs_f64(waited / 1e3)));
    let inside = Html::all([
        bar("ground", WIDTH),
        bar(class, x(waited)),
        line("second", (x(1000.0), 2.0), (x(1000.0), 30.0)),
        label(x(1000.0), 44.0, "middle", "one second".to_owned()),
        label(0.0, 44.0, "start", words),
    ]);
    figure(title, drawing(48.0, title, inside))
}

fn figure(title: &'static str, drawing: Html) -> Html {
    Html::element("figure", "", Html::all([Html::element("figcaption", "", Html::text(title)), drawing]))
}

fn drawing(height: f64, title: &'static str, inside: Html) -> Html {
    let attributes = [
        ("viewBox", format!("0 0 {WIDTH} {height}")),
        ("role", "img".to_owned()),
        ("aria-label", title.to_owned()),
    ];
    Html::shape("svg", &attributes, inside)
}

fn line(class: &'static str, from: (f64, f64), to: (f64, f64)) -> Html {
    let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(|value| format!("{value:.1}"));
    Html::shape(
        "line",
        &[("class", class.into()), ("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2)],
        Html::default(),
    )
}

fn label(x: f64, y: f64, anchor: &'static str, words: String) -> Html {
    let attributes = [("x", format!("{x:.1}")), ("y", format!("{y:.1}")), ("text-anchor", anchor.to_owned())];
    Html::shape("text", &attributes, Html::text(words))
}

/// The next round number.
fn nice(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let size = 10_f64.powf(most.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|step| step * size).find(|step| *step >= most).unwrap_or(most)
}

/// `2026-01-31 23:59:59`, of seconds since 1970, UTC.
pub(super) fn clock(seconds: f64) -> String {
    jiff::Timestamp::from_second(seconds as i64)
        .map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
