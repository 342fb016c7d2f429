//! How the mapped tables look, looked at before every batch: rows of a table that was altered meanwhile must not be taken
//! for what the mapping means.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::postgres::Session;
use crate::sql::{Literal, Sql, sql};

/// How the line begins that is about what captures a table's changes.
const CAPTURE: &str = "capture ";

/// How the line begins that is about where and as what its rows are stored.
const STORED: &str = "stored ";

/// How tables look: by name, a line for each column and partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shapes {
    /// A digest that changes with every ALTER TABLE, and that costs little.
    digest: String,
    tables: BTreeMap<String, String>,
}

impl Shapes {
    /// How the relations look in the session's open transaction.
    pub(crate) async fn read(session: &Session, oids: &[u32]) -> Result<Self> {
        let digest = Self::digest(session, oids).await?;
        let query = Sql::literal(include_str!("../../postgres/queries/shapes.sql"));
        let rows = session.query(&query, &[&oids]).await?;
        let tables = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        Ok(Self { digest, tables })
    }

    /// What changes with them and costs little: in a transaction, as its snapshot has it.
    pub(crate) async fn digest(session: &Session, oids: &[u32]) -> Result<String> {
        let query = Sql::literal(include_str!("../../postgres/queries/shapes_digest.sql"));
        Ok(session.query_one(&query, &[&oids]).await?.get(0))
    }

    /// What has changed since, a sentence each; nothing where nothing has.
    pub(crate) async fn changes(&mut self, session: &Session, oids: &[u32]) -> Result<Vec<String>> {
        let digest = Self::digest(session, oids).await?;
        if digest == self.digest {
            return Ok(Vec::new());
        }
        let now = Self::read(session, oids).await?;
        let changes = self.differences(&now);
        if changes.is_empty() {
            // Something that is none of ours: statistics targets, privileges, VACUUM FULL.
            *self = now;
        }
        Ok(changes)
    }

    /// What differs between then and `now`.
    pub(crate) fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for (table, before) in &self.tables {
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
        self.tables.iter().filter(is_rewritten).map(|(table, _)| table.clone()).collect()
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
