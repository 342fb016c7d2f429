use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::{Shape, What};
use crate::lint::subject::Subject;

/// Something is dropped with everything that depends on it.
pub(crate) static RULE: Rule = Rule {
    code: "drop-cascade",
    concern: Concern::Running,
    severity: Severity::Warning,
    summary: "something is dropped with everything that depends on it",
    why: "What goes along is decided by what happens to be there, and differs between databases.",
    fix: "drop what depends on it by name, in order",
    bad: "DROP TYPE mood CASCADE;",
    good: "DROP TYPE mood;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let cascade = match subject.shape {
        Shape::Drop(drop) => drop.cascade && !matches!(drop.kind.as_str(), "SCHEMA" | "OWNED BY"),
        Shape::AlterTable(alter) => alter.actions.iter().any(|action| {
            matches!(action.what, What::DropColumn(_) | What::DropConstraint(_))
                && subject.text[action.span.clone()].to_ascii_lowercase().ends_with("cascade")
        }),
        _ => false,
    };
    if cascade && !subject.goes_back() {
        found.at(subject.all(), "what depends on it goes along, whatever that is");
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn columns_and_constraints_too() {
        judge(&RULE, true, &["ALTER TABLE t DROP CONSTRAINT c CASCADE"]);
        judge(
            &RULE,
            false,
            &[
                "ALTER TABLE t DROP CONSTRAINT c",
                "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u ON DELETE CASCADE NOT VALID",
            ],
        );
    }
}
