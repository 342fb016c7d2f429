use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::What;
use crate::lint::subject::Subject;

/// A column may be null from now on.
pub(crate) static RULE: Rule = Rule {
    code: "drop-not-null",
    concern: Concern::Running,
    severity: Severity::Warning,
    summary: "a column may be null from now on",
    why: "Readers that never met a null will.",
    fix: "make sure that every reader takes a null, and allow this with the reason",
    bad: "ALTER TABLE users ALTER COLUMN email DROP NOT NULL;",
    good: "ALTER TABLE users ALTER COLUMN email DROP DEFAULT;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, what, span) in subject.alterations() {
        if let What::DropNotNull(column) = what
            && !subject.goes_back()
            && !subject.before.created.contains(&table.key())
        {
            found.at(span, format!("{table}.{column} may be null from now on"));
        }
    }
}
