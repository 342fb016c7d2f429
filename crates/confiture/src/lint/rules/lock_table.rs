use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A table is locked by hand.
pub(crate) static RULE: Rule = Rule {
    code: "lock-table",
    concern: Concern::Running,
    severity: Severity::Warning,
    summary: "a table is locked by hand",
    why: "What the lock protects is held up for as long as the transaction lasts, and everybody waits behind it.",
    fix: "leave locks to the statements that need them, or take the weakest mode that will do",
    bad: "LOCK TABLE users;",
    good: "SELECT count(*) FROM users;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut words = subject.words();
    if words.eat("lock") {
        words.eat("table");
        words.eat("only");
        if let Some(table) = words.name() {
            found.on(&table, subject.all(), format!("{table} is locked until the transaction ends"));
        }
    }
}
