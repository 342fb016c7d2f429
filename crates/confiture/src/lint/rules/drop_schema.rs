use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::Shape;
use crate::lint::subject::Subject;

/// A schema is dropped.
pub(crate) static RULE: Rule = Rule {
    code: "drop-schema",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a schema is dropped",
    why: "Everything in it is lost with CASCADE, and an application that still names it fails.",
    fix: "drop what is in it by name, then the empty schema, and allow this with the reason",
    bad: "DROP SCHEMA app CASCADE;",
    good: "DROP FUNCTION app.f;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::Drop(drop) = subject.shape else { return };
    if drop.kind == "SCHEMA" && !subject.goes_back() {
        found.at(subject.all(), "a schema is dropped with what it holds");
        if !drop.cascade {
            found.less(Severity::Warning);
        }
    }
}
