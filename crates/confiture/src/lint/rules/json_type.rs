use super::columns_of;
use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A column of the type json.
pub(crate) static RULE: Rule = Rule {
    code: "json-type",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "a column of the type json",
    why: "It has no equality: DISTINCT, GROUP BY and UNION on rows with it fail. It cannot be indexed.",
    fix: "jsonb",
    bad: "CREATE TABLE events (id bigint PRIMARY KEY, body json);",
    good: "CREATE TABLE events (id bigint PRIMARY KEY, body jsonb);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (column, span) in columns_of(subject) {
        if column.data_type.name == "json" {
            found.at(span, format!("rows with {} cannot be compared", column.name));
        }
    }
}
