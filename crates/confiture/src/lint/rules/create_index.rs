use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::Shape;
use crate::lint::subject::Subject;

/// An index is built without CONCURRENTLY.
pub(crate) static RULE: Rule = Rule {
    code: "create-index",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "an index is built without CONCURRENTLY",
    why: "SHARE is held on the table until the index is built: everybody reads, nobody writes.",
    fix: "CREATE INDEX CONCURRENTLY; `confiture migrate up` runs it outside of the transaction by itself",
    bad: "CREATE INDEX users_email ON users (email);",
    good: "CREATE INDEX CONCURRENTLY users_email ON users (email);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::CreateIndex(index) = subject.shape else { return };
    let live = subject.ground.and_then(|ground| ground.table(&index.table));
    // A partitioned table has no other way: an index on it alone first, then one on each partition.
    let partitioned = index.only || live.is_some_and(|live| live.is_partitioned && index.concurrently);
    if !index.concurrently && !partitioned {
        found.on(
            &index.table,
            subject.all(),
            format!("nobody can write to {} until the index is built", index.table),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn new_tables_have_no_writers() {
        judge(
            &RULE,
            true,
            &["CREATE UNIQUE INDEX IF NOT EXISTS i ON ONLY_t (a)", "create index on t using gin (a)"],
        );
        judge(
            &RULE,
            false,
            &[
                "CREATE TABLE t (a int); CREATE INDEX ON t (a)",
                "CREATE INDEX i ON ONLY t (a)",
                "CREATE TABLE app.t (a int); CREATE INDEX ON app.t (a)",
            ],
        );
    }
}
