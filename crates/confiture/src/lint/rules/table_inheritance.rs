use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::Shape;
use crate::lint::subject::Subject;

/// A table inherits from another.
pub(crate) static RULE: Rule = Rule {
    code: "table-inheritance",
    concern: Concern::Design,
    severity: Severity::Note,
    summary: "a table inherits from another",
    why: "Keys and foreign keys are not inherited, and queries on the parent find the children's rows.",
    fix: "partitions, or a foreign key to the parent",
    bad: "CREATE TABLE admins (id bigint PRIMARY KEY) INHERITS (users);",
    good: "CREATE TABLE events_2024 PARTITION OF events DEFAULT;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::CreateTable(table) = subject.shape else { return };
    if table.inherits {
        found.at(subject.all(), format!("keys of its parents do not hold for {}", table.name));
    }
}
