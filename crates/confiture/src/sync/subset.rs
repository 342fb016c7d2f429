//! Some rows instead of all, and every reference whole: chosen rows, the rows that they refer to, and, where the rules list
//! a table as children, the rows that refer to them; until nothing new comes.
//!
//! Keys are kept in this program's memory: a standby takes no temporary tables, and neither does a read-only transaction.
//! Every question is asked within the snapshot that the rows are read from, so what is chosen is what arrives.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::catalog::{Catalog, Relation};
use crate::config::sync_rules::SubsetRule;
use crate::error::{Error, Result};
use crate::postgres::{Row, Session};
use crate::sql::{Identifier, Literal, QualifiedName, Sql, sql};
use crate::sync::classify::find_table;
use crate::sync::keys::Reference;
use crate::sync::plan::TablePlan;
use crate::sync::planner::Sync;

/// Keys that one question is about.
const BATCH: usize = 5_000;

/// Why a row is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// Another row refers to it: what refers to it stays away.
    Parent,
    /// It was asked for, or is a child of one that was: its children come too.
    Chosen,
}

/// A row whose references have not been followed yet: its key, and why it is there.
type Open = (Box<[u8]>, Why);

/// The chosen rows of one table.
#[derive(Default)]
struct Chosen {
    rows: HashMap<Box<[u8]>, Why>,
    open: VecDeque<Open>,
    because: BTreeMap<String, u64>,
}

/// The rows of a subset.
pub(crate) struct Subset {
    tables: BTreeMap<QualifiedName, Chosen>,
}

/// Checks what can be checked without rows.
pub(crate) fn check(
    rules: &[SubsetRule],
    catalog: &Catalog,
    references: &[Reference],
    tables: &[&QualifiedName],
) -> Result<()> {
    for rule in rules {
        let seed = known(&rule.table, catalog, tables)?;
        keyed(seed).map_err(|error| rule.table.locate(error))?;
        for child in &rule.children {
            let relation = known(child, catalog, tables)?;
            keyed(relation).map_err(|error| child.locate(error))?;
            if !references.iter().any(|reference| reference.from.0 == relation.name) {
                return Err(child.locate(
                    Error::config(format!(
                        "{} refers to no table, so it has no rows that come along",
                        relation.name.short()
                    ))
                    .hint("name a table with a foreign key, or add one under `virtual_fks`"),
                ));
            }
        }
    }
    Ok(())
}

fn known<'a>(
    name: &crate::config::Spanned<crate::config::mapping::TableName>,
    catalog: &'a Catalog,
    tables: &[&QualifiedName],
) -> Result<&'a Relation> {
    let relation = find_table(&name.value, catalog, "the source").map_err(|error| name.locate(error))?;
    if !tables.contains(&&relation.name) {
        return Err(name.locate(Error::config(format!(
            "{} is in the subset, and not among the synced tables",
            relation.name.short()
        ))));
    }
    Ok(relation)
}

fn keyed(relation: &Relation) -> Result<Vec<Identifier>> {
    relation.key().ok_or_else(|| {
        Error::config(format!("{} has no primary key, so its rows cannot be chosen", relation.name.short()))
    })
}

/// Chooses the rows, within the session's snapshot.
pub(crate) async fn choose(sync: &Sync, session: &Session) -> Result<Subset> {
    let mut subset = Subset { tables: BTreeMap::new() };
    for table in &sync.plan.tables {
        subset.tables.insert(table.table.clone(), Chosen::default());
    }
    let children: Vec<&QualifiedName> = sync
        .options
        .rules
        .subset
        .iter()
        .flat_map(|rule| &rule.children)
        .filter_map(|name| find_table(&name.value, &sync.source_catalog, "the source").ok())
        .map(|relation| &relation.name)
        .collect();
    for rule in &sync.options.rules.subset {
        let relation = find_table(&rule.table.value, &sync.source_catalog, "the source")?;
        let mut query = sql!("SELECT {} FROM {} AS r", key_texts("r", &keyed(relation)?), relation.name);
        if let Some(filter) = &rule.filter {
            query = sql!("{} WHERE ({}\n)", query, Sql::from_user(filter.value.clone()));
        }
        let rows = session
            .query(&query, &[])
            .await
            .map_err(|error| rule.table.locate(error.context("the subset")))?;
        subset.add(sync, &relation.name, &rows, Why::Chosen, "asked for")?;
    }
    while let Some((name, batch)) = subset.next() {
        for reference in sync.references.iter().filter(|reference| reference.from.0 == name) {
            let keys: Vec<_> = batch.iter().map(|(key, _)| key.clone()).collect();
            let because = format!("referred to by {}", name.short());
            subset.follow(sync, session, reference, true, &keys, Why::Parent, &because).await?;
        }
        let chosen: Vec<_> =
            batch.iter().filter(|(_, why)| *why == Why::Chosen).map(|(key, _)| key.clone()).collect();
        let down = sync
            .references
            .iter()
            .filter(|reference| reference.to.0 == name && children.contains(&&reference.from.0));
        for reference in down {
            let because = format!("children of {}", name.short());
            subset.follow(sync, session, reference, false, &chosen, Why::Chosen, &because).await?;
        }
    }
    Ok(subset)
}

impl Subset {
    /// Some rows whose references have not been followed yet.
    fn next(&mut self) -> Option<(QualifiedName, Vec<Open>)> {
        let (name, chosen) = self.tables.iter_mut().find(|(_, chosen)| !chosen.open.is_empty())?;
        let count = chosen.open.len().min(BATCH);
        Some((name.clone(), chosen.open.drain(..count).collect()))
    }

    /// Adds the rows at the other end of a reference.
    #[allow(clippy::too_many_arguments, reason = "one question, told apart by all of them")]
    async fn follow(
        &mut self,
        sync: &Sync,
        session: &Session,
        reference: &Reference,
        up: bool,
        keys: &[Box<[u8]>],
        why: Why,
        because: &str,
    ) -> Result<()> {
        let (near, far) =
            if up { (&reference.from, &reference.to) } else { (&reference.to, &reference.from) };
        if keys.is_empty() || !self.tables.contains_key(&far.0) {
            return Ok(());
        }
        let catalog = &sync.source_catalog;
        let (near_table, far_table) = (&catalog.relations[&near.0], &catalog.relations[&far.0]);
        let side = |table: &QualifiedName, refers: bool| match (&reference.when, refers) {
            (Some(when), true) => {
                sql!("(SELECT * FROM {} WHERE ({}\n))", table, Sql::from_user(when.clone()))
            }
            _ => sql!("{}", table),
        };
        let joined = near.1.iter().zip(&far.1).map(|(a, b)| {
            let types = [near_table.column(a), far_table.column(b)]
                .map(|column| column.map(|column| &column.data_type.text));
            // A polymorphic reference may be text on one end.
            if types[0] == types[1] || reference.when.is_none() {
                sql!("near_row.{} = far_row.{}", a, b)
            } else {
                sql!("CAST(near_row.{} AS pg_catalog.text) = CAST(far_row.{} AS pg_catalog.text)", a, b)
            }
        });
        let query = sql!(
            "SELECT DISTINCT {} FROM {} AS near_row JOIN {} AS far_row ON {} WHERE {}",
            key_texts("far_row", &keyed(far_table)?),
            side(&near.0, up),
            side(&far.0, !up),
            Sql::join(" AND ", joined),
            among("near_row", near_table, keys)?
        );
        let rows = session.query(&query, &[]).await.map_err(|error| {
            error.context(format!("following references between {} and {}", near.0.short(), far.0.short()))
        })?;
        let name = far.0.clone();
        self.add(sync, &name, &rows, why, because)
    }

    fn add(
        &mut self,
        sync: &Sync,
        table: &QualifiedName,
        rows: &[Row],
        why: Why,
        because: &str,
    ) -> Result<()> {
        let Some(chosen) = self.tables.get_mut(table) else { return Ok(()) };
        let mut new = 0;
        for row in rows {
            let key = encode(row);
            let known = chosen.rows.get(&key).copied();
            if known.is_none_or(|known| known < why) {
                new += u64::from(known.is_none());
                chosen.rows.insert(key.clone(), why);
                chosen.open.push_back((key, why));
            }
        }
        if new > 0 {
            *chosen.because.entry(because.to_owned()).or_default() += new;
        }
        let total: usize = self.tables.values().map(|chosen| chosen.rows.len()).sum();
        match sync.options.max_rows {
            Some(most) if total as u64 > most => {
                Err(Error::refused(format!("the subset grows beyond {most} rows: nothing was changed"))
                    .detail(self.reasons().join("\n"))
                    .hint("choose fewer rows with `where`, list fewer `children`, or raise --max-rows"))
            }
            _ => Ok(()),
        }
    }

    /// Rows per table and why, one line each.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let line = |(name, chosen): (&QualifiedName, &Chosen)| {
            let reasons: Vec<String> =
                chosen.because.iter().map(|(reason, rows)| format!("{rows} {reason}")).collect();
            let reasons =
                if reasons.is_empty() { "nothing leads to it".to_owned() } else { reasons.join(", ") };
            format!("{}: {} rows ({reasons})", name.short(), chosen.rows.len())
        };
        self.tables.iter().map(line).collect()
    }

    /// What reads the chosen rows of a table.
    pub(crate) fn selects(&self, table: &TablePlan, catalog: &Catalog) -> Result<Vec<Sql>> {
        let Some(chosen) = self.tables.get(&table.table).filter(|chosen| !chosen.rows.is_empty()) else {
            return Ok(Vec::new());
        };
        let relation = &catalog.relations[&table.table];
        let mut keys: Vec<Box<[u8]>> = chosen.rows.keys().cloned().collect();
        keys.sort_unstable();
        keys.chunks(BATCH)
            .map(|keys| {
                let select = sql!("SELECT {} FROM {} AS r", Sql::join(", ", &table.sent), table.table);
                Ok(sql!("{} WHERE {}", select, among("r", relation, keys)?))
            })
            .collect()
    }
}

/// `CAST(r.id AS text)` for every column of a key.
fn key_texts(alias: &'static str, key: &[Identifier]) -> Sql {
    Sql::join(
        ", ",
        key.iter().map(|column| sql!("CAST({}.{} AS pg_catalog.text)", Sql::literal(alias), column)),
    )
}

/// The condition that a row is one of those with these keys.
fn among(alias: &'static str, relation: &Relation, keys: &[Box<[u8]>]) -> Result<Sql> {
    let key = keyed(relation)?;
    let alias = Sql::literal(alias);
    let decoded: Vec<Vec<String>> = keys.iter().map(|key| decode(key)).collect();
    let columns = Sql::join(", ", key.iter().map(|column| sql!("{}.{}", alias, column)));
    let (mut casts, mut arrays, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (index, column) in key.iter().enumerate() {
        let name = Identifier::new(format!("k{index}"));
        let of_type = relation.column(column).map(|column| column.data_type.text.clone()).unwrap_or_default();
        casts.push(sql!("CAST({} AS {})", name, Sql::from_server(of_type)));
        let values = decoded.iter().map(|key| Literal(&key[index]));
        arrays.push(sql!("ARRAY[{}]::pg_catalog.text[]", Sql::join(", ", values)));
        names.push(name);
    }
    Ok(sql!(
        "({}) IN (SELECT {} FROM ROWS FROM (pg_catalog.unnest({})) AS confiture_key({}))",
        columns,
        Sql::join(", ", casts),
        Sql::join("), pg_catalog.unnest(", arrays),
        Sql::join(", ", names)
    ))
}

fn encode(row: &Row) -> Box<[u8]> {
    let mut key = Vec::new();
    for index in 0..row.len() {
        let text: &str = row.get(index);
        key.extend((text.len() as u32).to_be_bytes());
        key.extend_from_slice(text.as_bytes());
    }
    key.into()
}

fn decode(key: &[u8]) -> Vec<String> {
    let (mut texts, mut rest) = (Vec::new(), key);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (text, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        texts.push(String::from_utf8_lossy(text).into_owned());
        rest = after;
    }
    texts
}
