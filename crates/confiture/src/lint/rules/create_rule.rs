use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A rule rewrites queries.
pub(crate) static RULE: Rule = Rule {
    code: "create-rule",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "a rule rewrites queries",
    why: "Rules change what a statement says, not what happens to a row: volatile functions run twice, and counts of rows are wrong.",
    fix: "a trigger, or a view that can be written to",
    bad: "CREATE RULE quiet AS ON DELETE TO users DO INSTEAD NOTHING;",
    good: "CREATE TRIGGER quiet BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION refuse();",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let words = subject.words();
    if words.sees("create rule") || words.sees("create or replace rule") {
        found.at(subject.all(), "a rule rewrites statements, which is seldom what is meant");
    }
}
