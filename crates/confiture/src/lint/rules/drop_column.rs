use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::What;
use crate::lint::subject::Subject;

/// A column is dropped.
pub(crate) static RULE: Rule = Rule {
    code: "drop-column",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a column is dropped",
    why: "What it holds is lost, and an application that still names it fails.",
    fix: "first release an application that does not name it; then drop it, and allow this with the reason",
    bad: "ALTER TABLE users DROP COLUMN age;",
    good: "ALTER TABLE users ALTER COLUMN age DROP NOT NULL;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, what, span) in subject.alterations() {
        if let What::DropColumn(column) = what
            && !subject.goes_back()
            && !subject.before.created.contains(&table.key())
        {
            found.at(span, format!("what {table}.{column} holds is lost, and who still names it fails"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn one_of_several() {
        judge(&RULE, true, &["ALTER TABLE t ADD a int, DROP IF EXISTS b CASCADE"]);
        judge(
            &RULE,
            false,
            &["ALTER TABLE t DROP CONSTRAINT c", "CREATE TABLE t (a int, b int); ALTER TABLE t DROP b"],
        );
    }
}
