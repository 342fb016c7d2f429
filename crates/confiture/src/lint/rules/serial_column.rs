use super::columns_of;
use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A serial column.
pub(crate) static RULE: Rule = Rule {
    code: "serial-column",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "a serial column",
    why: "serial leaves a sequence with privileges of its own beside the table, and anybody may write other numbers into the column.",
    fix: "GENERATED ALWAYS AS IDENTITY",
    bad: "CREATE TABLE users (id bigserial PRIMARY KEY);",
    good: "CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (column, span) in columns_of(subject) {
        if column.data_type.name.ends_with("serial") {
            found.at(span, format!("{} has a sequence that is not its own", column.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn all_sizes() {
        judge(&RULE, true, &["CREATE TABLE t (a serial4)", "CREATE TABLE t (a smallserial)"]);
    }
}
