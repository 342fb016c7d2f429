use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// Everything is granted, or to everybody.
pub(crate) static RULE: Rule = Rule {
    code: "grant-all",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "everything is granted, or to everybody",
    why: "ALL includes TRUNCATE, TRIGGER and what later versions add. PUBLIC is every role that will ever exist.",
    fix: "name the privileges, and a role",
    bad: "GRANT ALL ON users TO app;",
    good: "GRANT SELECT, INSERT ON users TO app;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut words = subject.words();
    let default = words.sees("alter default privileges") && words.holds("grant");
    if default {
        words.skip_until(|words| words.sees("grant"));
    }
    if !words.eat("grant") {
        return;
    }
    if words.eat("all") {
        found.at(subject.all(), "every privilege is granted, also those of later versions");
    } else if words.holds("to public") && !words.sees("usage") && !words.sees("execute") {
        found.at(subject.all(), "every role that will ever exist gets this");
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn public_is_everybody() {
        judge(
            &RULE,
            true,
            &["GRANT SELECT ON t TO PUBLIC", "ALTER DEFAULT PRIVILEGES IN SCHEMA a GRANT ALL ON TABLES TO b"],
        );
        judge(
            &RULE,
            false,
            &["GRANT USAGE ON SCHEMA a TO public", "GRANT reader TO ada", "REVOKE ALL ON t FROM public"],
        );
    }
}
