use super::columns_of;
use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A column of the type timestamp, without a time zone.
pub(crate) static RULE: Rule = Rule {
    code: "timestamp-without-time-zone",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "a column of the type timestamp, without a time zone",
    why: "It holds what a clock showed, not when that was: the same value means another moment in every session.",
    fix: "timestamptz, which takes as little room",
    bad: "CREATE TABLE visits (id bigint PRIMARY KEY, at timestamp);",
    good: "CREATE TABLE visits (id bigint PRIMARY KEY, at timestamptz);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (column, span) in columns_of(subject) {
        if column.data_type.name == "timestamp" {
            found.at(span, format!("{} does not say which moment it means", column.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn all_spellings() {
        judge(
            &RULE,
            true,
            &[
                "CREATE TABLE t (a timestamp(3) without time zone NOT NULL)",
                "ALTER TABLE t ALTER a TYPE timestamp[]",
            ],
        );
        judge(
            &RULE,
            false,
            &[
                "CREATE TABLE t (a timestamp with time zone)",
                "CREATE TABLE t (a timestamp (3) with time zone)",
            ],
        );
    }
}
