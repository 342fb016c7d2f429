use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::cursor::Name;
use crate::lint::shape::{Constraint, ConstraintKind, Shape};
use crate::lint::subject::Subject;

/// A unique constraint or primary key builds its index under a lock.
pub(crate) static RULE: Rule = Rule {
    code: "add-unique-constraint",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a unique constraint or primary key builds its index under a lock",
    why: "The index is built under ACCESS EXCLUSIVE: nobody reads or writes the table until it is done.",
    fix: "build the index with CREATE UNIQUE INDEX CONCURRENTLY, then add the constraint USING INDEX",
    bad: "ALTER TABLE users ADD CONSTRAINT users_email UNIQUE (email);",
    good: "CREATE UNIQUE INDEX CONCURRENTLY users_email ON users (email);\nALTER TABLE users ADD CONSTRAINT users_email UNIQUE USING INDEX users_email;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, one, span) in subject.added_constraints().filter(|(_, one, _)| !one.using_index) {
        if is_of_partitioned(subject, table, one) {
            continue;
        }
        let name = match one.kind {
            ConstraintKind::PrimaryKey => "a primary key",
            ConstraintKind::Unique => "a unique constraint",
            _ => continue,
        };
        found.on(table, span, format!("{name} is built while nobody can read or write {table}"));
    }
}

/// `ONLY` a partitioned table, which has no rows itself: those of the partitions are built apart, and attached.
fn is_of_partitioned(subject: &Subject<'_>, table: &Name, one: &Constraint) -> bool {
    let only = matches!(subject.shape, Shape::AlterTable(alter) if alter.only);
    let live = subject.ground.and_then(|ground| ground.table(table));
    let name = one.name.as_ref().map(|name| (table.key().0, name.as_str().to_owned()));
    let is_attached_to = || name.is_some_and(|name| subject.whole.attached_to.contains(&name));
    only && live.map_or_else(is_attached_to, |live| live.is_partitioned)
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn using_index_is_the_way() {
        judge(
            &RULE,
            true,
            &[
                "ALTER TABLE t ADD PRIMARY KEY (id)",
                "ALTER TABLE t ADD a int UNIQUE",
                "ALTER TABLE ONLY app.t ADD UNIQUE NULLS NOT DISTINCT (a) INCLUDE (b)",
                "ALTER TABLE t ADD UNIQUE (a) USING INDEX TABLESPACE fast",
            ],
        );
        judge(&RULE, false, &["ALTER TABLE t ADD PRIMARY KEY USING INDEX i"]);
    }

    #[test]
    fn keys_of_partitions_are_built_apart() {
        let attach = "ALTER INDEX app.k ATTACH PARTITION app.k1";
        judge(&RULE, false, &[&format!("ALTER TABLE ONLY app.t ADD CONSTRAINT k UNIQUE (a); {attach}")]);
        judge(&RULE, true, &[&format!("ALTER TABLE app.t ADD CONSTRAINT k UNIQUE (a); {attach}")]);
        judge(&RULE, true, &[&format!("ALTER TABLE ONLY app.t ADD CONSTRAINT other UNIQUE (a); {attach}")]);
    }
}
