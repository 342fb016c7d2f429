use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::cursor::Name;
use crate::lint::shape::{Constraint, ConstraintKind};
use crate::lint::subject::{Subject, foreign_key};

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
        if let ConstraintKind::ForeignKey(to) = &one.kind
            && !is_proved(subject, table, one)
        {
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

/// A partitioned table takes the keys that its partitions have and that are validated.
fn is_proved(subject: &Subject<'_>, table: &Name, one: &Constraint) -> bool {
    let live = subject.ground.and_then(|ground| ground.table(table));
    let has_partitions = live.is_none_or(|live| live.is_partitioned);
    has_partitions && foreign_key(one).is_some_and(|key| subject.whole.proved.contains(&key))
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

    #[test]
    fn keys_of_partitions_prove_that_of_the_whole() {
        let part = "ALTER TABLE t1 ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u NOT VALID; COMMIT;";
        let proved = format!("{part} ALTER TABLE t1 VALIDATE CONSTRAINT f;");
        let whole =
            |column: &str| format!("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY ({column}) REFERENCES u");
        judge(&RULE, false, &[&format!("{proved} {}", whole("a"))]);
        judge(&RULE, true, &[&format!("{part} {}", whole("a")), &format!("{proved} {}", whole("b"))]);
    }
}
