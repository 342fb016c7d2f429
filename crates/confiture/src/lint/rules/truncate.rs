use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A table is emptied.
pub(crate) static RULE: Rule = Rule {
    code: "truncate",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a table is emptied",
    why: "All its rows are lost under ACCESS EXCLUSIVE; with CASCADE those of every table that refers to it as well, whichever these are.",
    fix: "delete what is meant by a DELETE with a WHERE, in batches",
    bad: "TRUNCATE users CASCADE;",
    good: "DELETE FROM users WHERE id < 1000;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut words = subject.words();
    if !words.eat("truncate") {
        return;
    }
    words.eat("table");
    words.eat("only");
    let Some(table) = words.name() else { return };
    if subject.before.created.contains(&table.key()) {
        return;
    }
    if words.holds("cascade") {
        found
            .at(subject.all(), format!("all rows of {table} are lost, and of every table that refers to it"));
    } else {
        found.at(subject.all(), format!("all rows of {table} are lost"));
        found.less(Severity::Warning);
    }
}
