use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// Every row of a table is updated or deleted in one statement.
pub(crate) static RULE: Rule = Rule {
    code: "update-without-where",
    concern: Concern::Running,
    severity: Severity::Warning,
    summary: "every row of a table is updated or deleted in one statement",
    why: "All rows are locked until the transaction ends, the table grows to twice its size, and replicas fall behind.",
    fix: "fill or delete in batches of a few thousand rows, each in its own transaction",
    bad: "UPDATE users SET age = 0;",
    good: "UPDATE users SET age = 0 WHERE age IS NULL AND id BETWEEN 1 AND 5000;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut words = subject.words();
    let verb = if words.eat("update") {
        "updated"
    } else if words.eat("delete from") {
        "deleted"
    } else {
        return;
    };
    words.eat("only");
    if let Some(table) = words.name()
        && !words.holds("where")
    {
        found.on(&table, subject.all(), format!("every row of {table} is {verb} at once"));
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn a_where_in_parentheses_is_none() {
        judge(&RULE, true, &["UPDATE t SET a = (SELECT 1 WHERE true)", "DELETE FROM ONLY app.t"]);
        judge(&RULE, false, &["DELETE FROM t USING u WHERE t.id = u.id"]);
    }
}
