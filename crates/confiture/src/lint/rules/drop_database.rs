use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::Shape;
use crate::lint::subject::Subject;

/// A database is dropped.
pub(crate) static RULE: Rule = Rule {
    code: "drop-database",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a database is dropped",
    why: "Everything is lost at once.",
    fix: "drop databases by hand, never in a migration",
    bad: "DROP DATABASE shop;",
    good: "DROP VIEW shop;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::Drop(drop) = subject.shape else { return };
    if drop.kind == "DATABASE" {
        found.at(subject.all(), "a whole database is lost");
    }
}
