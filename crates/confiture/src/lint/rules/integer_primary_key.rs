use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::{ConstraintKind, Shape};
use crate::lint::subject::Subject;

/// A primary key of 32 bits or fewer.
pub(crate) static RULE: Rule = Rule {
    code: "integer-primary-key",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "a primary key of 32 bits or fewer",
    why: "Numbers are used up by rolled-back inserts as well, and changing the type of a key later is the hardest migration there is.",
    fix: "bigint, or uuid",
    bad: "CREATE TABLE users (id int PRIMARY KEY);",
    good: "CREATE TABLE users (id bigint PRIMARY KEY);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::CreateTable(table) = subject.shape else { return };
    if table.is_temporary {
        return;
    }
    let of_table = table.constraints.iter().find(|one| one.kind == ConstraintKind::PrimaryKey);
    for column in &table.columns {
        // A key of several columns is not counted up.
        let alone = of_table.is_some_and(|key| key.columns.len() == 1 && key.columns[0] == column.name);
        let narrow =
            ["integer", "smallint", "serial", "smallserial"].contains(&column.data_type.name.as_str());
        if narrow && (alone || column.is_primary_key()) {
            found.at(column.span.clone(), format!("{} runs out of numbers", column.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn keys_of_the_table_count() {
        judge(&RULE, true, &["CREATE TABLE t (id serial, PRIMARY KEY (id))"]);
        judge(
            &RULE,
            false,
            &[
                "CREATE TABLE t (a int, b int, PRIMARY KEY (a, b))",
                "CREATE TABLE t (id uuid PRIMARY KEY, n int)",
            ],
        );
    }
}
