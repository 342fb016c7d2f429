//! How the mapped tables look, and what the functions say that the mapping calls, looked at before every batch: rows of a
//! table that was altered meanwhile must not be taken for what the mapping means.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::postgres::Session;
use crate::schema_to_schema::live::function;
use crate::sql::{Literal, Sql, sql};

/// How the line begins that is about what captures a table's changes.
const CAPTURE: &str = "capture ";

/// How the line begins that is about where and as what its rows are stored.
const STORED: &str = "stored ";

/// How the name of functions begins, among those of tables.
const FUNCTION: &str = "function ";

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// Tables and their partitions.
    pub(crate) oids: Vec<u32>,
    /// Names of functions.
    pub(crate) functions: Vec<String>,
    /// The publication that captures their changes; empty where triggers do. What captures them for other migrations, which
    /// come and go, is theirs.
    pub(crate) publication: String,
}

/// How tables look: by name, a line for each column and partition. And functions: a line for each of that name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shapes {
    /// A digest that changes with every ALTER TABLE and CREATE OR REPLACE FUNCTION, and that costs little.
    digest: String,
    tables: BTreeMap<String, String>,
}

impl Shapes {
    /// How the relations and functions look in the session's open transaction.
    pub(crate) async fn read(session: &Session, scope: &Scope) -> Result<Self> {
        let digest = Self::digest(session, scope).await?;
        let query = Sql::literal(include_str!("../../postgres/queries/shapes.sql"));
        let rows = session.query(&query, &[&scope.oids, &scope.publication]).await?;
        let mut tables: BTreeMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        if !scope.functions.is_empty() {
            for found in function::functions(session, &scope.functions, &[], false).await? {
                let lines = tables.entry(format!("{FUNCTION}{}", found.name)).or_default();
                lines.push_str(&found.line);
                lines.push('\n');
            }
        }
        Ok(Self { digest, tables })
    }

    /// What changes with them and costs little: in a transaction, as its snapshot has it.
    pub(crate) async fn digest(session: &Session, scope: &Scope) -> Result<String> {
        let query = Sql::literal(include_str!("../../postgres/queries/shapes_digest.sql"));
        Ok(session.query_one(&query, &[&scope.oids, &scope.functions, &scope.publication]).await?.get(0))
    }

    /// What has changed since, a sentence each; nothing where nothing has.
    pub(crate) async fn changes(&mut self, session: &Session, scope: &Scope) -> Result<Vec<String>> {
        let digest = Self::digest(session, scope).await?;
        if digest == self.digest {
            return Ok(Vec::new());
        }
        let now = Self::read(session, scope).await?;
        let changes = self.differences(&now);
        if changes.is_empty() {
            // Something that is none of ours: statistics targets, privileges, VACUUM FULL.
            *self = now;
        }
        Ok(changes)
    }

    /// What differs between then and `now`.
    pub(crate) fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = self.differing_functions(now);
        for (table, before) in self.only_tables() {
            let Some(after) = now.tables.get(table) else {
                found.push(format!("{table} was dropped or renamed"));
                continue;
            };
            let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
            let is_column = |line: &&&str| !line.starts_with(CAPTURE) && !line.starts_with(STORED);
            let gone = before.iter().filter(|line| !after.contains(line));
            let come = after.iter().filter(|line| !before.contains(line));
            let mut sentences: Vec<String> =
                gone.filter(is_column).map(|line| format!("had `{}`", described(line))).collect();
            sentences.extend(come.filter(is_column).map(|line| format!("has `{}` now", described(line))));
            if captures(&before) != captures(&after) {
                sentences.push("has lost or changed what captures its changes".into());
            }
            if sentences.is_empty() && are_rewritten(&before, &after) {
                sentences.push("was rewritten by ALTER TABLE".into());
            }
            if !sentences.is_empty() {
                found.push(format!("{table} {}", sentences.join(", ")));
            }
        }
        found
    }

    fn only_tables(&self) -> impl Iterator<Item = (&String, &String)> {
        self.tables.iter().filter(|(name, _)| !name.starts_with(FUNCTION))
    }

    /// What has become of functions, a sentence each.
    fn differing_functions(&self, now: &Self) -> Vec<String> {
        let signatures = |name: &str, shapes: &Self| -> BTreeMap<String, String> {
            let lines = shapes.tables.get(name).map(String::as_str).unwrap_or_default().lines();
            lines.filter_map(|line| line.rsplit_once(' ')).map(|(of, is)| (of.into(), is.into())).collect()
        };
        let mut found = Vec::new();
        for name in self.changed_functions(now) {
            let name = format!("{FUNCTION}{name}");
            let (before, after) = (signatures(&name, self), signatures(&name, now));
            let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for signature in all {
                let what = match (before.get(signature), after.get(signature)) {
                    (Some(before), Some(after)) if before == after => continue,
                    (Some(_), Some(_)) => "was replaced",
                    (Some(_), None) => "was dropped or renamed",
                    (None, _) => "is new",
                };
                found.push(format!("the function {signature} {what}"));
            }
        }
        found
    }

    /// The names of functions that are not what they were.
    pub(crate) fn changed_functions(&self, now: &Self) -> BTreeSet<String> {
        let all = self.tables.keys().chain(now.tables.keys());
        all.filter(|name| self.tables.get(*name) != now.tables.get(*name))
            .filter_map(|name| name.strip_prefix(FUNCTION))
            .map(str::to_owned)
            .collect()
    }

    /// The tables whose rows may have changed with it, though nobody captured that: a column that is there before and after
    /// has another type, or was made anew; partitions came or went.
    pub(crate) fn rewritten(&self, now: &Self) -> Vec<String> {
        let column = |line: &str| described(line).split(' ').next().unwrap_or_default().to_owned();
        let is_rewritten = |(table, before): &(&String, &String)| {
            let Some(after) = now.tables.get(*table) else { return true };
            let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
            let plain = |line: &str| line.trim_end_matches(" NOT NULL").to_owned();
            let is_column = |line: &&&str| !line.starts_with(CAPTURE) && !line.starts_with(STORED);
            let mut lines = before.iter().chain(&after).filter(is_column);
            lines.any(|line| {
                let other = if before.contains(line) { &after } else { &before };
                let same = other.iter().any(|one| plain(one) == plain(line));
                let named = other.iter().any(|one| column(one) == column(line));
                !same && (named || line.starts_with("partition "))
            }) || captures(&before) != captures(&after)
                || are_rewritten(&before, &after)
        };
        self.only_tables().filter(is_rewritten).map(|(table, _)| table.clone()).collect()
    }

    /// Remembers it in the target's ledger.
    pub(crate) async fn remember(&self, target: &Session, side: &'static str) -> Result<()> {
        let mut all = sql!("BEGIN; DELETE FROM confiture.shape WHERE side = {};", Literal(side));
        for (table, shape) in &self.tables {
            all.push(&sql!(
                "INSERT INTO confiture.shape VALUES ({}, {}, {});",
                Literal(side),
                Literal(table),
                Literal(shape)
            ));
        }
        all.push(&Sql::literal("COMMIT"));
        target.batch(&all).await
    }

    /// Takes what captures the source's tables as it is now, in the open transaction, and leaves the rest as it was
    /// remembered: a capture that stood still while nothing was missed is none that was broken.
    pub(crate) async fn recapture(session: &Session, scope: &Scope) -> Result<()> {
        let now = Self::read(session, scope).await?;
        let Some(mut before) = Self::remembered(session, "source").await? else { return Ok(()) };
        for (table, shape) in &mut before.tables {
            let Some(now) = now.tables.get(table) else { continue };
            let is_other = |line: &&str| !line.starts_with(CAPTURE);
            let lines = shape.lines().filter(is_other).chain(now.lines().filter(|line| !is_other(line)));
            let taken = lines.collect::<Vec<_>>().join("\n");
            let update =
                Sql::literal("UPDATE confiture.shape SET shape = $2 WHERE side = 'source' AND relation = $1");
            session.execute(&update, &[table, &taken]).await?;
            *shape = taken;
        }
        Ok(())
    }

    /// How it looked when it was remembered; `None` where nothing was.
    pub(crate) async fn remembered(target: &Session, side: &str) -> Result<Option<Self>> {
        let query = Sql::literal("SELECT relation, shape FROM confiture.shape WHERE side = $1");
        let rows = target.query(&query, &[&side]).await?;
        let tables: BTreeMap<_, _> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        Ok((!tables.is_empty()).then(|| Self { digest: String::new(), tables }))
    }
}

/// True where rows are in another file, and columns were altered: `ALTER TABLE … TYPE text USING lower(name)` may give the
/// same type, and other values. TRUNCATE, VACUUM FULL and CLUSTER leave the columns alone.
fn are_rewritten(before: &[&str], after: &[&str]) -> bool {
    let stored = |lines: &[&str]| -> Vec<String> {
        let line = lines.iter().find_map(|line| line.strip_prefix(STORED)).unwrap_or_default();
        line.split(' ').map(str::to_owned).collect()
    };
    let (before, after) = (stored(before), stored(after));
    before.len() == after.len() && before.iter().zip(&after).all(|(before, after)| before != after)
}

/// What captures the changes of a table.
fn captures<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    lines.iter().copied().filter(|line| line.starts_with(CAPTURE)).collect()
}

/// A line without the column's number.
fn described(line: &str) -> &str {
    match line.split_once(' ') {
        Some((number, rest)) if number.parse::<u16>().is_ok() => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(shape: &str) -> Shapes {
        Shapes { digest: String::new(), tables: [("public.t".to_owned(), shape.to_owned())].into() }
    }

    #[test]
    fn what_changed_is_said() {
        let before = shapes("1 id bigint NOT NULL\n2 name text");
        assert!(before.differences(&before.clone()).is_empty());
        let after = shapes("1 id bigint NOT NULL\n2 name text NOT NULL\n3 age integer");
        assert_eq!(
            before.differences(&after),
            ["public.t had `name text`, has `name text NOT NULL` now, has `age integer` now"]
        );
        assert!(before.rewritten(&after).is_empty());
    }

    #[test]
    fn functions_that_changed_are_told_apart_from_tables() {
        let functions = |lines: &str| {
            let mut shapes = shapes("1 id bigint");
            shapes.tables.insert("function f".into(), lines.into());
            shapes
        };
        let before = functions("app.f(integer) 12ab\napp.f(text, \"a b\") 34cd\n");
        assert!(before.differences(&before.clone()).is_empty());
        let after = functions("app.f(bigint) 12ab\napp.f(text, \"a b\") 34ce\n");
        assert_eq!(
            before.differences(&after),
            [
                "the function app.f(bigint) is new",
                "the function app.f(integer) was dropped or renamed",
                "the function app.f(text, \"a b\") was replaced"
            ]
        );
        assert!(before.rewritten(&after).is_empty());
        assert_eq!(before.changed_functions(&after), BTreeSet::from(["f".to_owned()]));
        let gone = shapes("1 id bigint");
        assert_eq!(before.changed_functions(&gone), gone.changed_functions(&before));
        assert_eq!(before.differences(&gone).len(), 2);
    }

    #[test]
    fn changes_that_nobody_captured_are_read_again() {
        let before = shapes("1 id bigint NOT NULL\ncapture 3 17");
        for after in ["1 id bigint NOT NULL\ncapture 3 18", "1 id bigint NOT NULL"] {
            let after = shapes(after);
            assert_eq!(before.rewritten(&after), ["public.t"]);
            assert_eq!(
                before.differences(&after),
                ["public.t has lost or changed what captures its changes"]
            );
        }
        assert!(before.rewritten(&before.clone()).is_empty());
    }

    #[test]
    fn rows_that_alter_table_has_rewritten_are_read_again() {
        let before = shapes("1 id bigint\nstored 17 900");
        for after in ["1 id bigint\nstored 18 900", "1 id bigint\nstored 17 901"] {
            assert!(
                before.rewritten(&shapes(after)).is_empty() && before.differences(&shapes(after)).is_empty()
            );
        }
        let after = shapes("1 id bigint\nstored 18 901");
        assert_eq!(before.rewritten(&after), ["public.t"]);
        assert_eq!(before.differences(&after), ["public.t was rewritten by ALTER TABLE"]);
    }

    #[test]
    fn rows_that_may_have_changed_are_read_again() {
        let before = shapes("1 id bigint NOT NULL\n2 name text\npartition p1");
        for after in [
            "1 id bigint NOT NULL\n2 name character varying(3)\npartition p1",
            "1 id bigint NOT NULL\n3 name text\npartition p1",
            "1 id bigint NOT NULL\n2 name text\npartition p1\npartition p2",
            "1 id bigint NOT NULL\n2 name text",
        ] {
            assert_eq!(before.rewritten(&shapes(after)), ["public.t"], "{after}");
        }
        assert!(before.rewritten(&shapes("1 id bigint NOT NULL\npartition p1")).is_empty());
    }
}
