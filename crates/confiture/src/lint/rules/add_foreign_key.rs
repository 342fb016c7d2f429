use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::ConstraintKind;
use crate::lint::subject::Subject;

/// A foreign key is added without NOT VALID.
pub(crate) static RULE: Rule = Rule {
    code: "add-foreign-key",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a foreign key is added without NOT VALID",
    why: "All rows are checked while SHARE ROW EXCLUSIVE is held on both tables: nobody writes to either until it is done.",
    fix: "add it NOT VALID, and VALIDATE CONSTRAINT in a later transaction, which lets everybody work",
    bad: "ALTER TABLE posts ADD CONSTRAINT posts_user FOREIGN KEY (user_id) REFERENCES users;",
    good: "ALTER TABLE posts ADD CONSTRAINT posts_user FOREIGN KEY (user_id) REFERENCES users NOT VALID;\nCOMMIT;\nALTER TABLE posts VALIDATE CONSTRAINT posts_user;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, one, span) in subject.added_constraints().filter(|(_, one, _)| !one.not_valid) {
        if let ConstraintKind::ForeignKey(to) = &one.kind {
            found.on(
                table,
                span,
                format!(
                    "the key to {to} is checked for all rows of {table} while nobody can write to either"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn short_and_long_forms() {
        judge(
            &RULE,
            true,
            &[
                "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (id) ON DELETE SET NULL",
                "ALTER TABLE t ADD COLUMN u_id int REFERENCES u",
            ],
        );
        judge(
            &RULE,
            false,
            &[
                "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u NOT VALID",
                "CREATE TABLE t (a int); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u",
                "CREATE TABLE t (a int REFERENCES u)",
            ],
        );
    }
}
