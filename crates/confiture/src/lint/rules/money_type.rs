use super::columns_of;
use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A column of the type money.
pub(crate) static RULE: Rule = Rule {
    code: "money-type",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "a column of the type money",
    why: "What it prints and reads depends on the server's locale, and it holds neither a currency nor fractions of a cent.",
    fix: "numeric, and a column for the currency",
    bad: "CREATE TABLE items (id bigint PRIMARY KEY, price money);",
    good: "CREATE TABLE items (id bigint PRIMARY KEY, price numeric(12, 2));",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (column, span) in columns_of(subject) {
        if column.data_type.name == "money" {
            found.at(span, format!("{} depends on the server's locale", column.name));
        }
    }
}
