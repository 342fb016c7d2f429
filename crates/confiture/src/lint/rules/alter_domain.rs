use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A domain gets a constraint that every value has to meet at once.
pub(crate) static RULE: Rule = Rule {
    code: "alter-domain",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a constraint is added to a domain without NOT VALID",
    why: "Every table with a column of the domain is read, and nobody can write to any of them until the transaction ends.",
    fix: "add it NOT VALID, which holds for what is written from now on; or put the CHECK on the tables that need it",
    bad: "ALTER DOMAIN email ADD CHECK (value LIKE '%@%');",
    good: "ALTER DOMAIN email ADD CHECK (value LIKE '%@%') NOT VALID;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut words = subject.words();
    if !words.eat("alter domain") {
        return;
    }
    let Some(domain) = words.name().filter(|name| !subject.before.created_types.contains(&name.key())) else {
        return;
    };
    if words.sees("set not null") || words.sees("add") && !words.holds("not valid") {
        found.at(
            subject.all(),
            format!("all columns of {domain} are read while nobody can write to their tables"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn one_that_is_used() {
        judge(
            &RULE,
            true,
            &["ALTER DOMAIN a.d ADD CONSTRAINT c CHECK (value > 0)", "alter domain d set not null"],
        );
        judge(
            &RULE,
            false,
            &[
                "CREATE DOMAIN d AS int; ALTER DOMAIN d ADD CHECK (value > 0)",
                "ALTER DOMAIN d DROP NOT NULL",
                "ALTER DOMAIN d SET DEFAULT 1",
                "ALTER DOMAIN d VALIDATE CONSTRAINT c",
            ],
        );
    }
}
