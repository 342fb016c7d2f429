use super::columns_of;
use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A column of the type char(n).
pub(crate) static RULE: Rule = Rule {
    code: "char-type",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "a column of the type char(n)",
    why: "It is filled up with blanks, which comparisons ignore and casts drop; it saves no room.",
    fix: "text, with a CHECK where the length matters",
    bad: "CREATE TABLE countries (id bigint PRIMARY KEY, code char(2));",
    good: "CREATE TABLE countries (id bigint PRIMARY KEY, code text CHECK (length(code) = 2));",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (column, span) in columns_of(subject) {
        if column.data_type.name == "character" && !quoted_char(subject.text, &column.data_type) {
            found.at(span, format!("{} is filled up with blanks", column.name));
        }
    }
}

/// `"char"` in quotes is another type, of one byte.
fn quoted_char(text: &str, data_type: &crate::lint::shape::DataType) -> bool {
    text[data_type.span.clone()].starts_with('"')
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn all_spellings() {
        judge(
            &RULE,
            true,
            &[
                "CREATE TABLE t (a character(3))",
                "ALTER TABLE t ADD a CHAR",
                "ALTER TABLE t ALTER a TYPE bpchar",
            ],
        );
        judge(
            &RULE,
            false,
            &[
                "CREATE TABLE t (a varchar)",
                "CREATE TABLE t (a character varying(3))",
                "CREATE TABLE t (a \"char\")",
            ],
        );
    }
}
