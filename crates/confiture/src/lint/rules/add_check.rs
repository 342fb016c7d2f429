use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::ConstraintKind;
use crate::lint::subject::Subject;

/// A check is added without NOT VALID.
pub(crate) static RULE: Rule = Rule {
    code: "add-check",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a check is added without NOT VALID",
    why: "All rows are read under ACCESS EXCLUSIVE: nobody reads or writes the table until it is done.",
    fix: "add it NOT VALID, and VALIDATE CONSTRAINT in a later transaction, which lets everybody work",
    bad: "ALTER TABLE users ADD CONSTRAINT grown_up CHECK (age >= 18);",
    good: "ALTER TABLE users ADD CONSTRAINT grown_up CHECK (age >= 18) NOT VALID;\nCOMMIT;\nALTER TABLE users VALIDATE CONSTRAINT grown_up;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut told = None;
    for (table, one, span) in subject.added_constraints().filter(|(_, one, _)| !one.not_valid) {
        // Several checks of one column are one scan.
        if matches!(one.kind, ConstraintKind::Check | ConstraintKind::NotNull) && told.as_ref() != Some(&span)
        {
            told = Some(span.clone());
            found.on(
                table,
                span,
                format!("all rows of {table} are checked while nobody can read or write it"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn unnamed_and_named() {
        judge(
            &RULE,
            true,
            &[
                "ALTER TABLE t ADD CHECK (a > 0)",
                "ALTER TABLE t ADD CONSTRAINT c NOT NULL a",
                "ALTER TABLE t ADD b int, ADD CONSTRAINT c CHECK (a > 0)",
            ],
        );
        judge(
            &RULE,
            false,
            &[
                "ALTER TABLE t ADD CHECK (a > 0) NOT VALID",
                "ALTER TABLE t ADD CONSTRAINT c NOT NULL a NOT VALID",
            ],
        );
    }
}
