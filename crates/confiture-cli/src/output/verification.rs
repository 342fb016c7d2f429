//! What verification found: one line for each table and each check.

use super::numbers::thousands;
use super::style::Style;

/// `✅ users: 10,000,000 (old) = 10,000,000 (new)`, or with `≠` where they differ.
///
/// Equal counts are not enough: `same` says whether the contents are equal too.
pub(crate) fn table(style: Style, table: &str, old: u64, new: u64, same: bool) -> String {
    let mark = if same { style.done() } else { style.failed() };
    let sign = match (old == new, style.plain) {
        (true, _) => "=",
        (false, false) => "≠",
        (false, true) => "<>",
    };
    let contents = if old == new && !same { ", but rows differ" } else { "" };
    format!("{mark} {table}: {} (old) {sign} {} (new){contents}", thousands(old), thousands(new))
}

/// `✅ Foreign key integrity verified`, `❌ Custom validations failed: …`.
pub(crate) fn check(style: Style, passed: bool, sentence: &str) -> String {
    format!("{} {sentence}", if passed { style.done() } else { style.failed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_seed() {
        let style = Style::default();
        assert_eq!(
            table(style, "users", 10_000_000, 10_000_000, true),
            "✅ users: 10,000,000 (old) = 10,000,000 (new)"
        );
        assert_eq!(check(style, true, "Foreign key integrity verified"), "✅ Foreign key integrity verified");
    }

    #[test]
    fn a_difference_is_seen_even_where_the_counts_agree() {
        let plain = Style { plain: true, ..Style::default() };
        assert_eq!(table(plain, "users", 3, 2, false), "FAIL users: 3 (old) <> 2 (new)");
        assert_eq!(
            table(plain, "users", 1_000, 1_000, false),
            "FAIL users: 1,000 (old) = 1,000 (new), but rows differ"
        );
    }
}
