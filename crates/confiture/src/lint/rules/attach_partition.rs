use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::What;
use crate::lint::subject::Subject;

/// A partition is attached without a check that proves its bounds.
pub(crate) static RULE: Rule = Rule {
    code: "attach-partition",
    concern: Concern::Running,
    severity: Severity::Warning,
    summary: "a partition is attached without a check that proves its bounds",
    why: "All its rows are read under ACCESS EXCLUSIVE on it, and those of the default partition under ACCESS EXCLUSIVE as well, unless validated checks prove that they fit.",
    fix: "first add to it a CHECK of its bounds NOT VALID, and VALIDATE that; drop it after the ATTACH",
    bad: "ALTER TABLE events ATTACH PARTITION events_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');",
    good: "CREATE TABLE events_2024 (LIKE events);\nALTER TABLE events ATTACH PARTITION events_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, what, span) in subject.alterations() {
        let What::AttachPartition(partition) = what else { continue };
        let known = subject.before.altered.contains_key(&partition.key())
            || subject.whole.validated.contains(&partition.key());
        if !known {
            found.on(partition, span, format!("unless a check proves them, all rows of {partition} are read before it is part of {table}"));
        }
    }
}
