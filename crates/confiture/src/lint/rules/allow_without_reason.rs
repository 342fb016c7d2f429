use super::{Concern, Rule, Severity, silent};

/// `-- confiture: allow` without `because`.
pub(crate) static RULE: Rule = Rule {
    code: "allow-without-reason",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "a comment allows a rule and does not say why",
    why: "Whoever reads the migration later has to find out again whether it was safe. Without a reason nothing is allowed.",
    fix: "add the reason: `-- confiture: allow RULE because …`",
    bad: "-- confiture: allow drop-column\nALTER TABLE users DROP COLUMN age;",
    good: "-- confiture: allow drop-column because nobody reads it since 2.3\nALTER TABLE users DROP COLUMN age;",
    check: silent,
};
