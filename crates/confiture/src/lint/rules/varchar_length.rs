use super::columns_of;
use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A column of the type varchar(n).
pub(crate) static RULE: Rule = Rule {
    code: "varchar-length",
    concern: Concern::Design,
    severity: Severity::Note,
    summary: "a column of the type varchar(n)",
    why: "A limit that nobody has asked for will have to be raised one day, and lowering it reads all rows under a lock. It saves no room.",
    fix: "text, with a CHECK where the length matters: that can be changed without a lock",
    bad: "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(255));",
    good: "CREATE TABLE users (id bigint PRIMARY KEY, name text);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (column, span) in columns_of(subject) {
        if column.data_type.name == "character varying" && column.data_type.modifier.is_some() {
            found.at(span, format!("the length of {} is part of its type", column.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn without_a_length_it_is_text() {
        judge(&RULE, true, &["ALTER TABLE t ADD a character varying (3)"]);
        judge(&RULE, false, &["CREATE TABLE t (a varchar)"]);
    }
}
