use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::What;
use crate::lint::subject::Subject;

/// A constraint is validated in the transaction that added it.
pub(crate) static RULE: Rule = Rule {
    code: "validate-in-same-transaction",
    concern: Concern::Running,
    severity: Severity::Warning,
    summary: "a constraint is validated in the transaction that added it",
    why: "The strong lock of ADD … NOT VALID is held until the transaction ends, so the check of all rows happens under it: nothing is won.",
    fix: "commit in between: put VALIDATE CONSTRAINT into a migration of its own",
    bad: "ALTER TABLE users ADD CONSTRAINT grown_up CHECK (age >= 18) NOT VALID;\nALTER TABLE users VALIDATE CONSTRAINT grown_up;",
    good: "ALTER TABLE users VALIDATE CONSTRAINT grown_up;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, what, span) in subject.alterations() {
        let What::Validate(name) = what else { continue };
        if subject.before.not_valid.contains(&(table.key(), name.as_str().to_owned())) {
            found.on(
                table,
                span,
                format!("{name} was added in this very transaction, whose lock is still held"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn a_statement_that_is_a_transaction_has_let_go() {
        judge(&RULE, false, &[&format!("-- confiture: no-transaction\n{}", RULE.bad)]);
        judge(&RULE, true, &[&format!("-- confiture: no-transaction\nBEGIN;\n{}\nCOMMIT;", RULE.bad)]);
    }
}
