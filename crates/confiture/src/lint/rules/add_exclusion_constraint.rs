use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::ConstraintKind;
use crate::lint::subject::Subject;

/// An exclusion constraint is added to a table that is there.
pub(crate) static RULE: Rule = Rule {
    code: "add-exclusion-constraint",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "an exclusion constraint is added to a table that is there",
    why: "Its index is built, and all rows are checked, under ACCESS EXCLUSIVE. PostgreSQL has no online way to it.",
    fix: "add it in a maintenance window, or move the rows into a new table that has it",
    bad: "ALTER TABLE bookings ADD CONSTRAINT once EXCLUDE USING gist (room WITH =, during WITH &&);",
    good: "CREATE TABLE bookings (id bigint PRIMARY KEY, room bigint, during tstzrange, EXCLUDE USING gist (room WITH =, during WITH &&));",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, one, span) in subject.added_constraints() {
        if one.kind == ConstraintKind::Exclusion {
            found.on(
                table,
                span,
                format!("an exclusion constraint is built while nobody can read or write {table}"),
            );
        }
    }
}
