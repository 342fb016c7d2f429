//! How the tables of a plan travel: a box, or groups.

use std::time::Duration;

use super::numbers::{duration, magnitude, rows};
use super::style::Style;
use super::text::Boxed;

/// One table of a plan, as it is shown.
#[derive(Debug, Clone)]
pub(crate) struct TableLine {
    /// The target table.
    pub(crate) table: String,
    /// Rows expected.
    pub(crate) rows: u64,
    /// `FDW`, `COPY`.
    pub(crate) strategy: &'static str,
    /// True where it goes the fast way.
    pub(crate) fast: bool,
    /// How long it would take, where that can be said.
    pub(crate) estimate: Option<Duration>,
    /// How much faster than the other way, where both were estimated.
    pub(crate) faster: Option<f64>,
    /// Why this way.
    pub(crate) reason: String,
}

/// The box "Table Analysis".
pub(crate) fn boxed(style: Style, tables: &[TableLine], footer: &str) -> String {
    let lines = tables.iter().map(|table| {
        let cells = vec![
            table.table.clone(),
            magnitude(table.rows),
            table.strategy.to_owned(),
            estimate(table.estimate),
            table.reason.clone(),
        ];
        (cells, if table.fast { style.fast() } else { "" })
    });
    let header = [("Table", false), ("Rows", true), ("Strategy", false), ("Est. Time", true), ("Why", false)];
    Boxed { title: "Table Analysis", header: &header, rows: lines.collect(), footer }.render(style)
}

/// The groups "Dimension Tables (FDW)" and "Fact Tables (COPY)".
pub(crate) fn groups(style: Style, tables: &[TableLine], footer: &str) -> String {
    let mut page = String::new();
    for (title, strategy) in
        [("Dimension Tables (FDW):", "FDW"), ("Fact Tables (COPY):", "COPY"), ("Local Tables:", "LOCAL")]
    {
        let group: Vec<&TableLine> = tables.iter().filter(|table| table.strategy == strategy).collect();
        if group.is_empty() {
            continue;
        }
        page.push_str(&style.bold(title));
        let common = common_reason(&group);
        page.push_str(&common.map(|reason| style.dim(format!(" {reason}"))).unwrap_or_default());
        page.push('\n');
        for table in group {
            page.push_str(&format!("  {}\n", line(style, table, common)));
        }
        page.push('\n');
    }
    page.push_str(footer);
    page.push('\n');
    page
}

/// What several tables have in common is said once, above them.
fn common_reason<'a>(group: &[&'a TableLine]) -> Option<&'a str> {
    let reasons = || group.iter().map(|table| table.reason.as_str()).filter(|reason| !reason.is_empty());
    let times = |wanted: &str| reasons().filter(|reason| *reason == wanted).count();
    reasons().filter(|reason| times(reason) > 1).max_by_key(|reason| times(reason))
}

/// `events (100M rows) → COPY (15 sec estimated)`.
pub(crate) fn short(style: Style, table: &TableLine) -> String {
    let estimated = table.estimate.map(|time| format!(" ({} estimated)", duration(time))).unwrap_or_default();
    format!("{} ({}) {} {}{estimated}", table.table, rows(table.rows), style.arrow(), table.strategy)
}

/// `⚡ events (100M rows) → COPY strategy (15 sec) - 10x faster!`
fn line(style: Style, table: &TableLine, said: Option<&str>) -> String {
    let mark = if table.fast { style.fast() } else { style.done() };
    let rows = rows(table.rows);
    let arrow = style.arrow();
    let mut text = format!("{mark} {} ({rows}) {arrow} {} strategy", table.table, table.strategy);
    if table.estimate.is_some() {
        text.push_str(&format!(" ({})", estimate(table.estimate)));
    }
    // What is less than half as fast again is not worth a word.
    match table.faster.filter(|faster| *faster >= 1.5) {
        Some(faster) if faster < 9.5 => text.push_str(&format!(" - {faster:.1}x faster!")),
        Some(faster) => text.push_str(&format!(" - {faster:.0}x faster!")),
        None if table.reason.is_empty() || said == Some(&table.reason) => {}
        None => text.push_str(&style.dim(format!(" - {}", table.reason))),
    }
    text
}

fn estimate(estimate: Option<Duration>) -> String {
    estimate.map_or_else(|| "unknown".to_owned(), duration)
}

/// The line below all tables.
pub(crate) fn total(total: Duration) -> String {
    format!("Estimated total time: {}", duration(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Vec<TableLine> {
        let table = |table: &str, millions: u64, strategy, seconds, faster: Option<f64>| TableLine {
            table: table.to_owned(),
            rows: millions * 1_000_000,
            strategy,
            fast: strategy == "COPY",
            estimate: Some(Duration::from_secs(seconds)),
            faster,
            reason: if faster.is_some() { "large".to_owned() } else { "custom SQL".to_owned() },
        };
        vec![
            table("users", 10, "FDW", 20, None),
            table("posts", 50, "FDW", 90, None),
            table("events", 100, "COPY", 15, Some(10.0)),
            table("page_views", 500, "COPY", 50, Some(10.0)),
        ]
    }

    const TOTAL: &str = "Estimated total time: 2.9 minutes";

    #[test]
    fn the_box_is_that_of_the_seed() {
        insta::assert_snapshot!(boxed(Style::default(), &seed(), TOTAL), @"
        ┌───────────────────────────────────────────────────────┐
        │ Table Analysis                                        │
        ├────────────┬──────┬──────────┬───────────┬────────────┤
        │ Table      │ Rows │ Strategy │ Est. Time │ Why        │
        ├────────────┼──────┼──────────┼───────────┼────────────┤
        │ users      │  10M │ FDW      │    20 sec │ custom SQL │
        │ posts      │  50M │ FDW      │    90 sec │ custom SQL │
        │ events     │ 100M │ COPY     │    15 sec │ large      │ ⚡
        │ page_views │ 500M │ COPY     │    50 sec │ large      │ ⚡
        ├────────────┴──────┴──────────┴───────────┴────────────┤
        │ Estimated total time: 2.9 minutes                     │
        └───────────────────────────────────────────────────────┘
        ");
    }

    #[test]
    fn the_box_is_plain_where_symbols_are_not_wanted() {
        let page = boxed(Style { plain: true, ..Style::default() }, &seed(), TOTAL);
        assert!(page.is_ascii(), "{page}");
        insta::assert_snapshot!(page, @"
        +-------------------------------------------------------+
        | Table Analysis                                        |
        +------------+------+----------+-----------+------------+
        | Table      | Rows | Strategy | Est. Time | Why        |
        +------------+------+----------+-----------+------------+
        | users      |  10M | FDW      |    20 sec | custom SQL |
        | posts      |  50M | FDW      |    90 sec | custom SQL |
        | events     | 100M | COPY     |    15 sec | large      | fast
        | page_views | 500M | COPY     |    50 sec | large      | fast
        +------------+------+----------+-----------+------------+
        | Estimated total time: 2.9 minutes                     |
        +-------------------------------------------------------+
        ");
    }

    #[test]
    fn the_groups_are_those_of_the_seed() {
        insta::assert_snapshot!(groups(Style::default(), &seed(), TOTAL), @"
        Dimension Tables (FDW): custom SQL
          ✅ users (10M rows) → FDW strategy (20 sec)
          ✅ posts (50M rows) → FDW strategy (90 sec)

        Fact Tables (COPY): large
          ⚡ events (100M rows) → COPY strategy (15 sec) - 10x faster!
          ⚡ page_views (500M rows) → COPY strategy (50 sec) - 10x faster!

        Estimated total time: 2.9 minutes
        ");
    }

    #[test]
    fn a_narrow_terminal_wraps_reasons_and_keeps_the_marks_beside_their_rows() {
        let mut tables = seed();
        tables[2].reason = "far above the threshold of ten million rows, so COPY".to_owned();
        insta::assert_snapshot!(boxed(Style { width: Some(72), ..Style::default() }, &tables, TOTAL), @"
        ┌─────────────────────────────────────────────────────────────┐
        │ Table Analysis                                              │
        ├────────────┬──────┬──────────┬───────────┬──────────────────┤
        │ Table      │ Rows │ Strategy │ Est. Time │ Why              │
        ├────────────┼──────┼──────────┼───────────┼──────────────────┤
        │ users      │  10M │ FDW      │    20 sec │ custom SQL       │
        │ posts      │  50M │ FDW      │    90 sec │ custom SQL       │
        │ events     │ 100M │ COPY     │    15 sec │ far above the    │ ⚡
        │            │      │          │           │ threshold of ten │
        │            │      │          │           │ million rows, so │
        │            │      │          │           │ COPY             │
        │ page_views │ 500M │ COPY     │    50 sec │ large            │ ⚡
        ├────────────┴──────┴──────────┴───────────┴──────────────────┤
        │ Estimated total time: 2.9 minutes                           │
        └─────────────────────────────────────────────────────────────┘
        ");
    }
}
