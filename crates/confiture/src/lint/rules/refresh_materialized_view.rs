use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A materialized view is refreshed without CONCURRENTLY.
pub(crate) static RULE: Rule = Rule {
    code: "refresh-materialized-view",
    concern: Concern::Running,
    severity: Severity::Warning,
    summary: "a materialized view is refreshed without CONCURRENTLY",
    why: "Nobody can read it until the query is done.",
    fix: "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on it",
    bad: "REFRESH MATERIALIZED VIEW totals;",
    good: "REFRESH MATERIALIZED VIEW CONCURRENTLY totals;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut words = subject.words();
    if words.eat("refresh materialized view")
        && !words.eat("concurrently")
        && let Some(view) = words.name()
        && !words.holds("with no data")
    {
        found.on(&view, subject.all(), format!("nobody can read {view} until it is refreshed"));
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn a_new_one_has_no_readers() {
        judge(&RULE, true, &["refresh materialized view app.v"]);
        judge(&RULE, false, &["CREATE MATERIALIZED VIEW v AS SELECT 1; REFRESH MATERIALIZED VIEW v"]);
    }
}
