use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::What;
use crate::lint::subject::Subject;

/// A partition is detached without CONCURRENTLY.
pub(crate) static RULE: Rule = Rule {
    code: "detach-partition",
    concern: Concern::Running,
    severity: Severity::Warning,
    summary: "a partition is detached without CONCURRENTLY",
    why: "ACCESS EXCLUSIVE is taken on the parent: it waits for every query on it, and everybody else waits behind it.",
    fix: "DETACH PARTITION … CONCURRENTLY",
    bad: "ALTER TABLE events DETACH PARTITION events_2020;",
    good: "ALTER TABLE events DETACH PARTITION events_2020 CONCURRENTLY;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, what, span) in subject.alterations() {
        if matches!(what, What::DetachPartition(false)) {
            found.on(
                table,
                span,
                format!("detaching waits for every query on {table}, and everybody else waits behind it"),
            );
        }
    }
}
