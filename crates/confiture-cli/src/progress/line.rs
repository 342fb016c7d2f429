//! Progress as words.

use std::time::Duration;

use super::meter::Figures;
use crate::output::numbers::{bytes, duration, magnitude};

/// `1.2M rows/s, 84 MB/s, 1.2 minutes left`; without bytes where none are counted.
pub(super) fn speed(figures: &Figures) -> String {
    let mut text = format!("{} rows/s", magnitude(figures.rows_per_second as u64));
    if figures.bytes > 0 {
        text.push_str(&format!(", {}/s", bytes(figures.bytes_per_second as u64)));
    }
    if let Some(remaining) = figures.remaining {
        text.push_str(&format!(", {} left", duration(remaining)));
    }
    text
}

/// `2 of 4 tables, 12M of 100M rows (12%), 1.2M rows/s, 84 MB/s, 1.2 minutes left`.
pub(super) fn total(figures: &Figures, (done, all): (usize, usize)) -> String {
    // Nothing to do is done.
    let percent = figures.rows.saturating_mul(100).checked_div(figures.expected_rows).unwrap_or(100);
    format!(
        "{done} of {}, {} of {} rows ({percent}%), {}",
        crate::output::numbers::count(all, "table"),
        magnitude(figures.rows),
        magnitude(figures.expected_rows),
        speed(figures)
    )
}

/// `Building indexes: 12 sec so far`, for what cannot be measured.
pub(super) fn so_far(what: &str, elapsed: Duration) -> String {
    format!("{what}: {} so far", duration(elapsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_it_all() {
        let figures = Figures {
            rows: 12_300_000,
            expected_rows: 100_000_000,
            bytes: 1_000_000_000,
            rows_per_second: 1_200_000.0,
            bytes_per_second: 84_000_000.0,
            remaining: Some(Duration::from_secs(73)),
        };
        insta::assert_snapshot!(total(&figures, (2, 4)), @"2 of 4 tables, 12M of 100M rows (12%), 1.2M rows/s, 84 MB/s, 73 sec left");
        let compared = Figures { bytes: 0, ..figures };
        assert_eq!(speed(&compared), "1.2M rows/s, 73 sec left");
        let nothing = Figures { rows: 0, expected_rows: 0, remaining: None, ..figures };
        assert!(total(&nothing, (0, 1)).starts_with("0 of 1 table, 0 of 0 rows (100%)"));
    }
}
