use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::cursor::string_value;
use crate::lint::subject::Subject;

/// A new enum value is used in the transaction that adds it.
pub(crate) static RULE: Rule = Rule {
    code: "enum-value-in-same-transaction",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a new enum value is used in the transaction that adds it",
    why: "PostgreSQL refuses a value that is not committed yet.",
    fix: "commit in between: put what uses the value into a migration of its own",
    bad: "ALTER TYPE mood ADD VALUE 'great';\nUPDATE users SET mood = 'great' WHERE id = 1;",
    good: "ALTER TYPE mood ADD VALUE 'great';",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let words = subject.words();
    if words.sees("alter type") {
        return;
    }
    for token in words.rest() {
        if let Some(value) = string_value(token, subject.text)
            && subject.before.enum_values.contains(&value)
        {
            found.at(token.span.clone(), format!("'{value}' was added to its type in this very transaction"));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn a_new_type_is_free() {
        judge(
            &RULE,
            false,
            &[
                "CREATE TYPE m AS ENUM ('a'); ALTER TYPE m ADD VALUE 'b'; SELECT 'b'::m",
                "ALTER TYPE m ADD VALUE 'b'; COMMIT; SELECT 'b'::m",
            ],
        );
    }
}
