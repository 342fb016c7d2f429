use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::{Generated, What};
use crate::lint::subject::Subject;

/// A stored generated column is added to a table that is there.
pub(crate) static RULE: Rule = Rule {
    code: "add-stored-column",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a stored generated column is added to a table that is there",
    why: "Its value is computed for every row: the whole table is written anew under ACCESS EXCLUSIVE.",
    fix: "add a plain column, keep it up to date by a trigger and fill the old rows in batches; on PostgreSQL 18, `VIRTUAL` costs nothing",
    bad: "ALTER TABLE users ADD COLUMN name_length int GENERATED ALWAYS AS (length(name)) STORED;",
    good: "ALTER TABLE users ADD COLUMN name_length int;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, what, span) in subject.alterations() {
        let What::AddColumn(column) = what else { continue };
        // Without a word, PostgreSQL 18 makes it virtual; before, that is a syntax error.
        if column.generated == Some(Generated::Stored)
            && subject.text[span.clone()].to_ascii_lowercase().contains("stored")
        {
            found.on(table, span, format!("the stored column {} writes {table} anew", column.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn virtual_costs_nothing() {
        judge(&RULE, true, &["ALTER TABLE t ADD a int GENERATED ALWAYS AS (b * 2) STORED NOT NULL"]);
        judge(
            &RULE,
            false,
            &[
                "ALTER TABLE t ADD a int GENERATED ALWAYS AS (b * 2) VIRTUAL",
                "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a) STORED)",
            ],
        );
    }
}
