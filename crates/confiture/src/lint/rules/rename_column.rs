use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::{Shape, What};
use crate::lint::subject::Subject;

/// A column is renamed.
pub(crate) static RULE: Rule = Rule {
    code: "rename-column",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a column is renamed",
    why: "An application that runs meanwhile names the old one, and fails; a new one fails until the migration has run.",
    fix: "add the new column, keep both up to date, move readers, then drop the old one; or put a view with the old name in front",
    bad: "ALTER TABLE users RENAME COLUMN name TO full_name;",
    good: "ALTER TABLE users ADD COLUMN full_name text;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::AlterTable(alter) = subject.shape else { return };
    for action in &alter.actions {
        if let What::RenameColumn(column) = &action.what
            && !subject.goes_back()
            && !subject.before.created.contains(&alter.name.key())
        {
            found.at(action.span.clone(), format!("who still says {}.{column} fails", alter.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn short_form() {
        judge(&RULE, true, &["ALTER TABLE t RENAME a TO b", "ALTER VIEW v RENAME COLUMN a TO b"]);
        judge(&RULE, false, &["ALTER TABLE t RENAME CONSTRAINT a TO b"]);
    }
}
