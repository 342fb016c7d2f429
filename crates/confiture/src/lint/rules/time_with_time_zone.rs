use super::columns_of;
use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A column of the type timetz.
pub(crate) static RULE: Rule = Rule {
    code: "time-with-time-zone",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "a column of the type timetz",
    why: "A time of day without its date cannot know its offset; PostgreSQL has the type because the standard does.",
    fix: "timestamptz, or time beside the name of a zone",
    bad: "CREATE TABLE shops (id bigint PRIMARY KEY, opens timetz);",
    good: "CREATE TABLE shops (id bigint PRIMARY KEY, opens time);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (column, span) in columns_of(subject) {
        if column.data_type.name == "timetz" {
            found.at(span, format!("the offset of {} depends on a date that it does not have", column.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn long_form() {
        judge(&RULE, true, &["CREATE TABLE t (a time with time zone)"]);
    }
}
