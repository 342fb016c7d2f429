use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::{Shape, What};
use crate::lint::subject::Subject;

/// A table is written anew.
pub(crate) static RULE: Rule = Rule {
    code: "rewrite-table",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a table is written anew",
    why: "SET LOGGED, SET UNLOGGED, SET TABLESPACE and SET ACCESS METHOD copy the whole table under ACCESS EXCLUSIVE.",
    fix: "do it in a maintenance window, or move the rows into a new table in batches",
    bad: "ALTER TABLE users SET TABLESPACE fast;",
    good: "ALTER TABLE users SET (fillfactor = 80);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::AlterTable(alter) = subject.shape else { return };
    for action in &alter.actions {
        if let What::Rewrite(what) = action.what {
            found.on(
                &alter.name,
                action.span.clone(),
                format!("{what} writes {} anew while nobody can read or write it", alter.name),
            );
        }
    }
}
