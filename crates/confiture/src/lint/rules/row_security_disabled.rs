use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::What;
use crate::lint::subject::Subject;

/// Row security is switched off.
pub(crate) static RULE: Rule = Rule {
    code: "row-security-disabled",
    concern: Concern::Design,
    severity: Severity::Error,
    summary: "row security is switched off",
    why: "From then on every role with a privilege on the table sees and changes all its rows; its policies say nothing.",
    fix: "leave it on, and change the policies",
    bad: "ALTER TABLE accounts DISABLE ROW LEVEL SECURITY;",
    good: "ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, what, span) in subject.alterations() {
        if matches!(what, What::RowSecurity(false)) && !subject.goes_back() {
            found.at(span, format!("the policies of {table} hold no more"));
        }
    }
}
