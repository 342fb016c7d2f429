use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A policy of a table whose row security is not enabled.
pub(crate) static RULE: Rule = Rule {
    code: "policy-without-row-security",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "a policy of a table whose row security is not enabled",
    why: "A policy does nothing until ALTER TABLE … ENABLE ROW LEVEL SECURITY.",
    fix: "enable it: ALTER TABLE … ENABLE ROW LEVEL SECURITY",
    bad: "CREATE TABLE accounts (id bigint PRIMARY KEY, owner text);\nCREATE POLICY own ON accounts USING (owner = current_user);",
    good: "CREATE TABLE accounts (id bigint PRIMARY KEY, owner text);\nALTER TABLE accounts ENABLE ROW LEVEL SECURITY;\nCREATE POLICY own ON accounts USING (owner = current_user);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut words = subject.words();
    if !words.eat("create policy") || words.identifier().is_none() || !words.eat("on") {
        return;
    }
    let Some(table) = words.name() else { return };
    // A migration sees only its own part of the story.
    let whole_story = !subject.is_migration() || subject.before.created.contains(&table.key());
    if whole_story && !subject.whole.secured.contains(&table.key()) {
        found
            .at(subject.all(), format!("row security of {table} is not enabled, so the policy does nothing"));
    }
}
