use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::Shape;
use crate::lint::subject::Subject;

/// An index is dropped without CONCURRENTLY.
pub(crate) static RULE: Rule = Rule {
    code: "drop-index",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "an index is dropped without CONCURRENTLY",
    why: "ACCESS EXCLUSIVE is taken on its table: it waits for every query on it, and everybody else waits behind it.",
    fix: "DROP INDEX CONCURRENTLY",
    bad: "DROP INDEX users_email;",
    good: "DROP INDEX CONCURRENTLY users_email;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::Drop(drop) = subject.shape else { return };
    if drop.kind == "INDEX" && !drop.concurrently {
        found.at(
            subject.all(),
            "dropping an index waits for every query on its table, and everybody else waits behind it",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn only_indexes() {
        judge(&RULE, true, &["DROP INDEX IF EXISTS app.a, b CASCADE"]);
        judge(&RULE, false, &["DROP INDEX CONCURRENTLY IF EXISTS a", "DROP VIEW a"]);
    }
}
