use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::Shape;
use crate::lint::subject::Subject;

/// A table without a primary key.
pub(crate) static RULE: Rule = Rule {
    code: "table-without-primary-key",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "a table without a primary key",
    why: "Rows cannot be told apart: logical replication and Confiture's own migrations cannot follow updates and deletes in it.",
    fix: "add a primary key",
    bad: "CREATE TABLE visits (at timestamptz);",
    good: "CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::CreateTable(table) = subject.shape else { return };
    let derived = table.is_derived || table.inherits || table.is_temporary;
    if !derived && !subject.whole.keyed.contains(&table.name.key()) {
        found.at(subject.all(), format!("{} has no primary key", table.name));
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn a_later_statement_may_add_it() {
        judge(
            &RULE,
            false,
            &[
                "CREATE TABLE t (a int); ALTER TABLE ONLY t ADD CONSTRAINT k PRIMARY KEY (a)",
                "CREATE TABLE t PARTITION OF u DEFAULT",
                "CREATE TEMP TABLE t (a int)",
                "CREATE TABLE t AS SELECT 1",
                "CREATE TABLE t (LIKE u INCLUDING ALL)",
            ],
        );
    }
}
