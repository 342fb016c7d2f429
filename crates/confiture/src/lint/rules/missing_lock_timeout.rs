use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::Shape;
use crate::lint::subject::Subject;

/// A strong lock is waited for without a limit.
pub(crate) static RULE: Rule = Rule {
    code: "missing-lock-timeout",
    concern: Concern::Running,
    severity: Severity::Warning,
    summary: "a strong lock is waited for without a limit",
    why: "While ACCESS EXCLUSIVE waits for one long query, everybody else queues behind it. A limit makes the migration give up, and the application never notices. `confiture migrate up` sets one by itself (`lock_timeout`), so this speaks only where that is switched off.",
    fix: "SET lock_timeout = '5s' in front, and run the migration again when it gives up",
    bad: "ALTER TABLE users ADD COLUMN age int;",
    good: "SET lock_timeout = '5s';\nALTER TABLE users ADD COLUMN age int;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    if subject.lock_timeout || subject.before.lock_timeout || !subject.before.altered.is_empty() {
        return;
    }
    let table = match subject.shape {
        Shape::AlterTable(alter) => Some(&alter.name),
        Shape::Drop(drop)
            if matches!(drop.kind.as_str(), "TABLE" | "INDEX" | "VIEW") && !drop.concurrently =>
        {
            drop.names.first()
        }
        Shape::CreateIndex(index) if !index.concurrently => Some(&index.table),
        _ => None,
    };
    if let Some(table) = table.filter(|table| !subject.before.created.contains(&table.key())) {
        found.at(
            subject.all(),
            format!("the lock on {table} is waited for without a limit, and everybody else waits behind"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn once_per_file_and_not_for_new_tables() {
        judge(&RULE, true, &["DROP TABLE t"]);
        judge(
            &RULE,
            false,
            &[
                "CREATE TABLE t (a int); ALTER TABLE t ADD b int",
                "SET LOCAL lock_timeout TO '1s'; DROP TABLE t",
            ],
        );
    }
}
