use super::{Concern, Rule, Severity, silent};

/// `-- confiture: allow` with a rule that does not exist.
pub(crate) static RULE: Rule = Rule {
    code: "allow-unknown",
    concern: Concern::Design,
    severity: Severity::Warning,
    summary: "a comment allows a rule that does not exist",
    why: "The rule was renamed or is misspelt: the comment allows nothing.",
    fix: "write the code of a rule that exists",
    bad: "-- confiture: allow drop-colum because nobody reads it\nALTER TABLE users DROP COLUMN age;",
    good: "-- confiture: allow drop-column because nobody reads it\nALTER TABLE users DROP COLUMN age;",
    check: silent,
};
