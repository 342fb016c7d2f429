use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::ConstraintKind;
use crate::lint::subject::Subject;

/// A unique constraint or primary key builds its index under a lock.
pub(crate) static RULE: Rule = Rule {
    code: "add-unique-constraint",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a unique constraint or primary key builds its index under a lock",
    why: "The index is built under ACCESS EXCLUSIVE: nobody reads or writes the table until it is done.",
    fix: "build the index with CREATE UNIQUE INDEX CONCURRENTLY, then add the constraint USING INDEX",
    bad: "ALTER TABLE users ADD CONSTRAINT users_email UNIQUE (email);",
    good: "CREATE UNIQUE INDEX CONCURRENTLY users_email ON users (email);\nALTER TABLE users ADD CONSTRAINT users_email UNIQUE USING INDEX users_email;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, one, span) in subject.added_constraints().filter(|(_, one, _)| !one.using_index) {
        let name = match one.kind {
            ConstraintKind::PrimaryKey => "a primary key",
            ConstraintKind::Unique => "a unique constraint",
            _ => continue,
        };
        found.on(table, span, format!("{name} is built while nobody can read or write {table}"));
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn using_index_is_the_way() {
        judge(
            &RULE,
            true,
            &[
                "ALTER TABLE t ADD PRIMARY KEY (id)",
                "ALTER TABLE t ADD a int UNIQUE",
                "ALTER TABLE ONLY app.t ADD UNIQUE NULLS NOT DISTINCT (a) INCLUDE (b)",
                "ALTER TABLE t ADD UNIQUE (a) USING INDEX TABLESPACE fast",
            ],
        );
        judge(&RULE, false, &["ALTER TABLE t ADD PRIMARY KEY USING INDEX i"]);
    }
}
