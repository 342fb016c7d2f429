use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::Shape;
use crate::lint::subject::Subject;

/// An index of a partitioned table is built CONCURRENTLY.
pub(crate) static RULE: Rule = Rule {
    code: "concurrently-on-partitioned",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "an index of a partitioned table is built CONCURRENTLY",
    why: "PostgreSQL refuses it.",
    fix: "create it ON ONLY the parent, build one CONCURRENTLY on each partition, and ATTACH these",
    bad: "",
    good: "CREATE INDEX parts_day ON ONLY parts (day);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::CreateIndex(index) = subject.shape else { return };
    let live = subject.ground.and_then(|ground| ground.table(&index.table));
    if index.concurrently && live.is_some_and(|live| live.is_partitioned) {
        found.at(
            subject.all(),
            format!("{} is partitioned, and its index cannot be built concurrently", index.table),
        );
    }
}
