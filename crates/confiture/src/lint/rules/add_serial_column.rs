use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::{Generated, What};
use crate::lint::subject::Subject;

/// A serial or identity column is added to a table that is there.
pub(crate) static RULE: Rule = Rule {
    code: "add-serial-column",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a serial or identity column is added to a table that is there",
    why: "Every row needs its own number, so the whole table is written anew under ACCESS EXCLUSIVE.",
    fix: "add a bigint column and its sequence, fill the old rows in batches, then make it the default or an identity",
    bad: "ALTER TABLE users ADD COLUMN number bigserial;",
    good: "CREATE SEQUENCE users_number_seq;\nALTER TABLE users ADD COLUMN number bigint;\nALTER TABLE users ALTER COLUMN number SET DEFAULT nextval('users_number_seq');",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, what, span) in subject.alterations() {
        let What::AddColumn(column) = what else { continue };
        let serial = ["serial", "bigserial", "smallserial"].contains(&column.data_type.name.as_str());
        if serial || column.generated == Some(Generated::Identity) {
            found.on(
                table,
                span,
                format!("adding {} numbers every row of {table}, which writes it anew", column.name),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn identity_counts_too() {
        judge(&RULE, true, &["ALTER TABLE t ADD id bigint GENERATED ALWAYS AS IDENTITY"]);
        judge(&RULE, false, &["CREATE TABLE t (id bigserial)"]);
    }
}
