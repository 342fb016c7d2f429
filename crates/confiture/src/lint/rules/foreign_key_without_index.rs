use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::{ConstraintKind, Shape};
use crate::lint::subject::Subject;
use crate::sql::Identifier;

/// The columns of a foreign key have no index.
pub(crate) static RULE: Rule = Rule {
    code: "foreign-key-without-index",
    concern: Concern::Design,
    severity: Severity::Note,
    summary: "the columns of a foreign key have no index",
    why: "Every delete and every change of a key in the table that is referred to reads this table whole.",
    fix: "add an index that begins with the columns of the key",
    bad: "CREATE TABLE posts (id bigint PRIMARY KEY, user_id bigint REFERENCES users);",
    good: "CREATE TABLE posts (id bigint PRIMARY KEY, user_id bigint REFERENCES users);\nCREATE INDEX ON posts (user_id);",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Shape::CreateTable(table) = subject.shape else { return };
    let indexed =
        |column: &Identifier| subject.whole.indexed.contains(&(table.name.key(), column.as_str().to_owned()));
    let of_columns = table
        .columns
        .iter()
        .flat_map(|column| column.constraints.iter().map(move |one| (one, Some(&column.name))));
    let of_table = table.constraints.iter().map(|one| (one, one.columns.first()));
    for (constraint, first) in of_columns.chain(of_table) {
        if let (ConstraintKind::ForeignKey(to), Some(first)) = (&constraint.kind, first)
            && !indexed(first)
        {
            found.at(
                constraint.span.clone(),
                format!("no index of {} begins with {first}, which refers to {to}", table.name),
            );
        }
    }
}
