use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::Shape;
use crate::lint::subject::Subject;

/// A migration begins or ends a transaction itself.
pub(crate) static RULE: Rule = Rule {
    code: "transaction-control",
    concern: Concern::Running,
    severity: Severity::Warning,
    summary: "a migration begins or ends a transaction itself",
    why: "Every migration and its line in the history are one transaction. A COMMIT inside of it leaves a half-applied migration behind when what follows fails.",
    fix: "remove BEGIN and COMMIT; split what has to be committed in between into two migrations",
    bad: "BEGIN;\nALTER TABLE users ADD COLUMN age int;\nCOMMIT;",
    good: "ALTER TABLE users ADD COLUMN age int;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    // There, they say what is one transaction.
    if subject.before.no_transaction {
        return;
    }
    if matches!(subject.shape, Shape::Begin | Shape::EndTransaction) {
        found.at(subject.all(), "the migration is a transaction already");
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn savepoints_are_fine() {
        judge(&RULE, true, &["COMMIT", "rollback work"]);
        judge(&RULE, false, &["SAVEPOINT a; ROLLBACK TO a; RELEASE a", "COMMIT PREPARED 'x'"]);
        judge(
            &RULE,
            false,
            &["-- confiture: no-transaction\nBEGIN; DROP VIEW v; CREATE VIEW v AS SELECT 1; COMMIT"],
        );
        judge(&RULE, true, &["SELECT 1;\n-- confiture: no-transaction\nBEGIN; SELECT 1; COMMIT"]);
    }
}
