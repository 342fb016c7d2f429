use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// Rows are changed in the transaction that alters their table.
pub(crate) static RULE: Rule = Rule {
    code: "backfill-with-schema-change",
    concern: Concern::Running,
    severity: Severity::Warning,
    summary: "rows are changed in the transaction that alters their table",
    why: "The lock of the ALTER TABLE is held until the last row is changed: nobody reads or writes the table meanwhile.",
    fix: "put the rows into a migration of their own, after this one",
    bad: "ALTER TABLE users ADD COLUMN age int;\nUPDATE users SET age = 0 WHERE age IS NULL;",
    good: "UPDATE users SET age = 0 WHERE id BETWEEN 1 AND 5000;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut words = subject.words();
    if !(words.eat("update") || words.eat("delete from")) {
        return;
    }
    words.eat("only");
    if let Some(table) = words.name()
        && subject.before.altered.contains_key(&table.key())
    {
        found.on(
            &table,
            subject.all(),
            format!("{table} was altered in this transaction, and its lock is held while rows are changed"),
        );
    }
}
