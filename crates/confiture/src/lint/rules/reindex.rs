use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// An index is rebuilt without CONCURRENTLY.
pub(crate) static RULE: Rule = Rule {
    code: "reindex",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "an index is rebuilt without CONCURRENTLY",
    why: "Nobody can write to the table, nor read by the index, until it is rebuilt.",
    fix: "REINDEX … CONCURRENTLY",
    bad: "REINDEX TABLE users;",
    good: "REINDEX TABLE CONCURRENTLY users;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let words = subject.words();
    if words.sees("reindex") && !subject.text.to_ascii_lowercase().contains("concurrently") {
        found.at(subject.all(), "nobody can write to the table until its index is rebuilt");
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn options_count() {
        judge(&RULE, true, &["REINDEX (VERBOSE) INDEX i"]);
        judge(&RULE, false, &["REINDEX (CONCURRENTLY) INDEX i"]);
    }
}
