use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::{Shape, What};
use crate::lint::subject::Subject;

/// One table is altered by several statements in a row.
pub(crate) static RULE: Rule = Rule {
    code: "several-alter-table",
    concern: Concern::Running,
    severity: Severity::Warning,
    summary: "one table is altered by several statements in a row",
    why: "Each ALTER TABLE that scans or rewrites does so again. Actions of one statement share one pass and one lock.",
    fix: "join them: ALTER TABLE t ADD …, ALTER …, DROP …",
    bad: "ALTER TABLE users ADD COLUMN age int;\nALTER TABLE users ADD COLUMN size int;",
    good: "ALTER TABLE users ADD COLUMN age int, ADD COLUMN size int;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::AlterTable(alter) = subject.shape else { return };
    let alone = |what: &What| {
        matches!(
            what,
            What::Rename(_)
                | What::RenameColumn(_)
                | What::SetSchema(_)
                | What::AttachPartition(_)
                | What::DetachPartition(_)
                | What::Validate(_)
                | What::Other
        )
    };
    let key = alter.name.key();
    if subject.before.last_altered.as_ref() == Some(&key)
        && !alter.actions.iter().any(|action| alone(&action.what))
        && subject.before.last_joinable
    {
        found.on(
            &alter.name,
            subject.all(),
            format!("{} was altered by the statement above: join the two", alter.name),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn what_cannot_be_joined_is_left() {
        judge(&RULE, true, &["ALTER TABLE a ALTER b SET NOT NULL; ALTER TABLE a DROP c"]);
        judge(
            &RULE,
            false,
            &[
                "ALTER TABLE a RENAME b TO c; ALTER TABLE a DROP c",
                "ALTER TABLE a ADD b int; ALTER TABLE c ADD b int",
                "ALTER TABLE a ADD b int; UPDATE a SET b = 1 WHERE c; ALTER TABLE a ALTER b SET NOT NULL",
            ],
        );
    }
}
