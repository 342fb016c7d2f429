use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::What;
use crate::lint::subject::Subject;

/// SET NOT NULL reads the whole table under a lock.
pub(crate) static RULE: Rule = Rule {
    code: "set-not-null",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "SET NOT NULL reads the whole table under a lock",
    why: "All rows are read under ACCESS EXCLUSIVE, unless a validated CHECK (column IS NOT NULL) proves it: then nothing is read.",
    fix: "add CHECK (column IS NOT NULL) NOT VALID, VALIDATE it in a later transaction, SET NOT NULL, drop the check; on PostgreSQL 18: ADD CONSTRAINT … NOT NULL … NOT VALID",
    bad: "ALTER TABLE users ALTER COLUMN email SET NOT NULL;",
    good: "ALTER TABLE users ADD CONSTRAINT email_there CHECK (email IS NOT NULL) NOT VALID;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, what, span) in subject.alterations() {
        let What::SetNotNull(column) = what else { continue };
        let live = subject.ground.and_then(|ground| ground.table(table));
        let proven = live.is_some_and(|live| live.checked_not_null.iter().any(|one| one == column.as_str()))
            || subject.whole.checked.contains(&(table.key(), column.as_str().to_owned()));
        if !proven {
            found.on(table, span, format!("all rows of {table} are read for a {column} that is null, while nobody can read or write it"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn a_validated_check_proves_it() {
        judge(
            &RULE,
            true,
            &[
                "ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE t ALTER a SET NOT NULL",
            ],
        );
        judge(
            &RULE,
            false,
            &[
                "ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID; COMMIT; ALTER TABLE t VALIDATE CONSTRAINT c; COMMIT; ALTER TABLE t ALTER a SET NOT NULL",
            ],
        );
    }
}
