use super::{Concern, Rule, Severity, silent};

/// `-- confiture: allow` where there is nothing to allow.
pub(crate) static RULE: Rule = Rule {
    code: "allow-unused",
    concern: Concern::Design,
    severity: Severity::Note,
    summary: "a comment allows what is not there",
    why: "What it was written for has gone. Left in place, it would allow the next thing that nobody has thought about.",
    fix: "remove the comment",
    bad: "-- confiture: allow drop-column because nobody reads it\nSELECT 1;",
    good: "-- confiture: allow drop-column because nobody reads it\nALTER TABLE users DROP COLUMN age;",
    check: silent,
};
