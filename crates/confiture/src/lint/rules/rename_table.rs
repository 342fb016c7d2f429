use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::{Shape, What};
use crate::lint::subject::Subject;

/// A table, view or schema is renamed or moved.
pub(crate) static RULE: Rule = Rule {
    code: "rename-table",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a table, view or schema is renamed or moved",
    why: "An application that runs meanwhile names the old one, and fails; a new one fails until the migration has run.",
    fix: "rename it and, in the same transaction, create a view with the old name, until nobody uses that any more",
    bad: "ALTER TABLE users RENAME TO people;",
    good: "ALTER INDEX users_email RENAME TO people_email;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    if let Shape::AlterTable(alter) = subject.shape
        && !matches!(alter.kind, "index" | "sequence")
    {
        let moved =
            alter.actions.iter().any(|action| matches!(action.what, What::Rename(_) | What::SetSchema(_)));
        if moved && !subject.goes_back() && !subject.before.created.contains(&alter.name.key()) {
            found.at(subject.all(), format!("who still says {} fails", alter.name));
        }
    }
    let mut words = subject.words();
    if words.eat("alter schema") && !subject.goes_back() {
        let schema = words.identifier();
        if words.sees("rename to") {
            found.at(subject.all(), format!("who still says {} fails", schema.unwrap_or_default()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn schemas_too() {
        judge(&RULE, true, &["ALTER VIEW v SET SCHEMA app", "ALTER SCHEMA a RENAME TO b"]);
        judge(&RULE, false, &["ALTER SCHEMA a OWNER TO b"]);
    }
}
