use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;
use crate::sql::cannot_run_in_transaction;

/// What cannot run in a transaction stands in one.
pub(crate) static RULE: Rule = Rule {
    code: "concurrently-in-transaction",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "what cannot run in a transaction stands in one",
    why: "PostgreSQL refuses it between BEGIN and COMMIT.",
    fix: "take BEGIN and COMMIT away: `confiture migrate up` makes the transactions, and leaves such statements out of them",
    bad: "BEGIN;\nCREATE INDEX CONCURRENTLY users_email ON users (email);\nCOMMIT;",
    good: "CREATE INDEX CONCURRENTLY users_email ON users (email);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    if subject.before.in_block
        && let Some(what) = cannot_run_in_transaction(subject.text)
    {
        found.at(subject.all(), format!("{what} cannot run in a transaction, and BEGIN stands above"));
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn what_is_committed_is_over() {
        judge(&RULE, true, &["START TRANSACTION; VACUUM t; COMMIT"]);
        judge(
            &RULE,
            false,
            &["BEGIN; SELECT 1; COMMIT; VACUUM t", "BEGIN; SELECT 1; END; DROP INDEX CONCURRENTLY i"],
        );
    }
}
