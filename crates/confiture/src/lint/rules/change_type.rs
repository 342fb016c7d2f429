use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::{DataType, What};
use crate::lint::subject::Subject;

/// A column changes its type.
pub(crate) static RULE: Rule = Rule {
    code: "change-type",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a column changes its type",
    why: "Unless the new type holds the same bytes, the table and its indexes are written anew under ACCESS EXCLUSIVE, and views on the column have to go first. PostgreSQL only spares the rewrite for a longer or unlimited `varchar`, `varchar` to `text`, a wider `numeric` of the same scale, and their kin.",
    fix: "add a new column, keep both up to date, fill it in batches, switch; or move the table with `confiture migrate schema-to-schema`",
    bad: "ALTER TABLE users ALTER COLUMN id TYPE bigint;",
    good: "ALTER TABLE users ADD COLUMN new_id bigint;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, what, span) in subject.alterations() {
        let What::AlterType { column, data_type, using } = what else { continue };
        let live = subject.ground.and_then(|ground| ground.table(table));
        let old = live.and_then(|live| live.columns.get(column.as_str()));
        match old {
            Some(old) if !using && keeps_bytes(old, data_type) => {}
            Some(old) => {
                found.on(table, span, format!("{column} changes from {old}, which writes {table} anew"));
            }
            None => {
                found.on(
                    table,
                    span,
                    format!(
                        "{column} changes its type, which writes {table} anew unless the bytes stay the same"
                    ),
                );
                if !using && may_keep_bytes(data_type) {
                    found.less(Severity::Warning);
                }
            }
        }
    }
}

/// True for types to which some other type changes without a rewrite.
fn may_keep_bytes(new: &DataType) -> bool {
    ["text", "character varying", "numeric", "timestamptz", "bit varying", "cidr", "inet"]
        .contains(&new.name.as_str())
}

/// True where a column of the type `old` becomes `new` without a rewrite.
fn keeps_bytes(old: &str, new: &DataType) -> bool {
    let (old_name, old_modifier) = match old.split_once('(') {
        Some((name, rest)) => (name, Some(rest.trim_end_matches(')'))),
        None => (old, None),
    };
    let new_modifier = new.modifier.as_deref();
    let numbers =
        |text: &str| text.split(',').map(|part| part.trim().parse::<i64>().ok()).collect::<Option<Vec<_>>>();
    match (old_name, new.name.as_str()) {
        ("character varying" | "text", "text") => true,
        ("character varying" | "bit varying", same) if same == old_name => match (old_modifier, new_modifier)
        {
            (_, None) => true,
            (Some(old), Some(new)) => numbers(old) <= numbers(new),
            (None, Some(_)) => false,
        },
        ("text", "character varying") => new_modifier.is_none(),
        ("numeric", "numeric") => match (old_modifier.and_then(numbers), new_modifier.map(numbers)) {
            (_, None) => true,
            (Some(old), Some(Some(new))) => {
                old.first() <= new.first() && old.get(1).unwrap_or(&0) == new.get(1).unwrap_or(&0)
            }
            _ => false,
        },
        ("cidr", "inet") => true,
        (old, _) => old == new.name && old_modifier == new_modifier && !new.is_array,
    }
}

#[cfg(test)]
mod bytes {
    use super::*;

    #[test]
    fn what_postgresql_does_not_write_anew() {
        let parse = |text: &str| {
            let shape = crate::lint::shape::parse_shape(text);
            let crate::lint::shape::Shape::AlterTable(alter) = shape else { panic!("{text}") };
            let What::AlterType { data_type, .. } = alter.actions[0].what.clone() else { panic!("{text}") };
            data_type
        };
        for (old, new, expected) in [
            ("character varying(20)", "varchar(40)", true),
            ("character varying(20)", "varchar(10)", false),
            ("character varying(20)", "varchar", true),
            ("character varying(20)", "text", true),
            ("text", "character varying", true),
            ("text", "varchar(10)", false),
            ("numeric(10,2)", "numeric(12, 2)", true),
            ("numeric(10,2)", "numeric(12,3)", false),
            ("numeric(10,2)", "numeric", true),
            ("numeric", "numeric(10,2)", false),
            ("integer", "bigint", false),
            ("integer", "int", true),
            ("cidr", "inet", true),
        ] {
            let new = parse(&format!("ALTER TABLE t ALTER a TYPE {new}"));
            assert_eq!(keeps_bytes(old, &new), expected, "{old} {new:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn text_only_may() {
        judge(
            &RULE,
            true,
            &[
                "ALTER TABLE t ALTER a TYPE bigint USING a::bigint",
                "ALTER TABLE t ALTER COLUMN a SET DATA TYPE text, ALTER b TYPE date",
            ],
        );
        judge(
            &RULE,
            false,
            &[
                "CREATE TABLE t (a int); ALTER TABLE t ALTER a TYPE bigint",
                "ALTER TABLE t ALTER a SET DEFAULT 1",
            ],
        );
    }
}
