use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::What;
use crate::lint::subject::Subject;

/// A NOT NULL column is added without a default.
pub(crate) static RULE: Rule = Rule {
    code: "add-not-null-column",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a NOT NULL column is added without a default",
    why: "Rows that are there have no value for it: the statement fails as soon as the table holds one.",
    fix: "add it with a constant default; or add it nullable, fill the rows, then SET NOT NULL",
    bad: "ALTER TABLE users ADD COLUMN age int NOT NULL;",
    good: "ALTER TABLE users ADD COLUMN age int NOT NULL DEFAULT 0;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, what, span) in subject.alterations() {
        let What::AddColumn(column) = what else { continue };
        let serial = column.data_type.name.ends_with("serial");
        let required = column.not_null || column.is_primary_key();
        let null_default = column
            .default
            .as_ref()
            .is_some_and(|at| subject.text[at.clone()].trim().eq_ignore_ascii_case("null"));
        if required && (column.default.is_none() || null_default) && column.generated.is_none() && !serial {
            found.at(
                span,
                format!("{} is NOT NULL and has no default: this fails where {table} has rows", column.name),
            );
            let live = subject.ground.and_then(|ground| ground.table(table));
            if subject.before.created.contains(&table.key())
                || live.is_some_and(|live| live.rows == Some(0) && live.bytes == Some(0))
            {
                found.less(Severity::Note);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn what_fills_itself_is_fine() {
        judge(
            &RULE,
            true,
            &["ALTER TABLE t ADD a int DEFAULT NULL NOT NULL", "ALTER TABLE t ADD a int PRIMARY KEY"],
        );
        judge(
            &RULE,
            false,
            &[
                "ALTER TABLE t ADD a int",
                "ALTER TABLE t ADD a bigint GENERATED ALWAYS AS IDENTITY NOT NULL",
                "ALTER TABLE t ADD a int NOT NULL GENERATED ALWAYS AS (1) STORED",
            ],
        );
    }
}
