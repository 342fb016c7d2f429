use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::Shape;
use crate::lint::subject::Subject;

/// A table is dropped.
pub(crate) static RULE: Rule = Rule {
    code: "drop-table",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a table is dropped",
    why: "Its rows are lost, and an application that still names it fails.",
    fix: "first release an application that does not name it; then drop it, and allow this with the reason",
    bad: "DROP TABLE users;",
    good: "DROP VIEW user_names;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::Drop(drop) = subject.shape else { return };
    if matches!(drop.kind.as_str(), "TABLE" | "MATERIALIZED VIEW" | "FOREIGN TABLE") && !subject.goes_back() {
        for name in drop.names.iter().filter(|name| !subject.before.created.contains(&name.key())) {
            found.at(subject.all(), format!("what {name} holds is lost, and who still names it fails"));
            if drop.kind != "TABLE" {
                found.less(Severity::Warning);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn what_the_file_made_may_go() {
        judge(&RULE, true, &["DROP TABLE IF EXISTS a, app.b CASCADE"]);
        judge(&RULE, false, &["CREATE TEMP TABLE t (a int); DROP TABLE t"]);
    }
}
