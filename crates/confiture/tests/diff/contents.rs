//! What is in a database: every value of every table, to see that it is still there.

use std::collections::{BTreeMap, BTreeSet};

use confiture::postgres::Session;
use confiture::sql::Sql;

/// All tables, and where sequences stand.
pub(crate) struct Contents {
    tables: BTreeMap<String, Table>,
    sequences: BTreeMap<String, (String, i64)>,
    /// There are event triggers, which may write rows whatever is done.
    listens: bool,
}

struct Table {
    /// It is a partition: its rows are those of the table above.
    is_partition: bool,
    is_partitioned: bool,
    partitions: BTreeSet<String>,
    columns: Vec<Column>,
    rows: Vec<Vec<Option<String>>>,
}

struct Column {
    name: String,
    kind: String,
    /// Its values are compared as text; else only whether there is one.
    is_plain: bool,
    is_generated: bool,
}

const TABLES: &str = include_str!("contents_tables.sql");
const SEQUENCES: &str = "SELECT format('%I.%I', schemaname, sequencename), concat_ws(' ', data_type, start_value, min_value, max_value, increment_by, cycle), last_value \
    FROM pg_catalog.pg_sequences s WHERE last_value IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'i' AND d.classid = 'pg_class'::regclass AND d.objid = format('%I.%I', schemaname, sequencename)::regclass)";

impl Contents {
    pub(crate) async fn of(session: &Session) -> Result<Self, String> {
        let said = |error: confiture::Error| format!("reading rows: {error}");
        session.batch(&Sql::literal("SET row_security = off")).await.map_err(said)?;
        let mut tables = BTreeMap::new();
        for row in session.query(&Sql::literal(TABLES), &[]).await.map_err(said)? {
            let columns: Vec<Column> = (row.get::<_, Vec<String>>(4).into_iter())
                .zip(row.get::<_, Vec<String>>(5))
                .zip(row.get::<_, Vec<bool>>(6).into_iter().zip(row.get::<_, Vec<bool>>(7)))
                .map(|((name, kind), (is_plain, is_generated))| Column { name, kind, is_plain, is_generated })
                .collect();
            let query = Sql::from_user(row.get::<_, String>(3));
            let rows = session.query(&query, &[]).await.map_err(said)?;
            let table = Table {
                is_partition: row.get(1),
                is_partitioned: row.get(8),
                partitions: row.get::<_, Vec<String>>(2).into_iter().collect(),
                columns,
                rows: rows.iter().map(|row| row.get(0)).collect(),
            };
            tables.insert(row.get(0), table);
        }
        let rows = session.query(&Sql::literal(SEQUENCES), &[]).await.map_err(said)?;
        let sequences = rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
        let listens = "SELECT EXISTS (SELECT FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D')";
        let listens = session.query_one(&Sql::literal(listens), &[]).await.map_err(said)?.get(0);
        Ok(Self { tables, sequences, listens })
    }

    /// Every value of a column that is there in both is there in `after`.
    pub(crate) fn survive_in(&self, after: &Self) -> Result<(), String> {
        for (name, before) in &self.tables {
            let Some(now) = after.tables.get(name) else { continue };
            let both_parts = before.is_partition && now.is_partition;
            let both_partitioned = before.is_partitioned && now.is_partitioned;
            let same_parts = !both_partitioned || before.partitions == now.partitions;
            // The rows of a partition that leaves its table, or joins it, stay where they are.
            let leaves = |from: &Table, to: &Table, tables: &BTreeMap<String, Table>| {
                from.partitions.iter().any(|part| tables.contains_key(part) && !to.partitions.contains(part))
            };
            let some_move = leaves(before, now, &after.tables) || leaves(now, before, &self.tables);
            if both_parts || !same_parts || some_move {
                continue;
            }
            let mut common = Vec::new();
            for (at, column) in before.columns.iter().enumerate().filter(|(_, column)| !column.is_generated) {
                if let Some(to) = now.columns.iter().position(|other| other.name == column.name)
                    && !now.columns[to].is_generated
                {
                    let plain = column.is_plain && column.kind == now.columns[to].kind;
                    common.push((at, to, plain));
                }
            }
            let project = |table: &Table, old: bool| -> Vec<Vec<Option<String>>> {
                let value = |row: &Vec<Option<String>>, (at, to, plain): &(usize, usize, bool)| {
                    let value = row[if old { *at } else { *to }].clone();
                    if *plain { value } else { value.map(|_| String::new()) }
                };
                let mut rows: Vec<Vec<_>> =
                    table.rows.iter().map(|row| common.iter().map(|one| value(row, one)).collect()).collect();
                rows.sort_unstable();
                rows
            };
            let (had, mut has) = (project(before, true), project(now, false));
            if self.listens || after.listens {
                let mut left = had.clone();
                has.retain(|row| left.iter().position(|one| one == row).map(|at| left.remove(at)).is_some());
            }
            if had != has {
                let names: Vec<_> = common.iter().map(|(at, ..)| before.columns[*at].name.as_str()).collect();
                return Err(format!(
                    "the rows of {name} ({}) were {had:?} and are {has:?}",
                    names.join(", ")
                ));
            }
        }
        for (name, (kind, value)) in &self.sequences {
            if let Some((other, now)) = after.sequences.get(name)
                && kind == other
                && went_back(kind, *value, *now)
            {
                return Err(format!("the sequence {name} stood at {value} and stands at {now}"));
            }
        }
        Ok(())
    }

    /// Tables whose rows are not there in `after`, and columns whose values are not; but for partitions, whose rows are those of the table above.
    pub(crate) fn lost_in(&self, after: &Self) -> Vec<(&str, Option<&str>)> {
        let mut lost = Vec::new();
        for (name, before) in &self.tables {
            let Some(now) = after.tables.get(name) else {
                let has_rows = !before.rows.is_empty() && !before.is_partition;
                lost.extend(has_rows.then_some((name.as_str(), None)));
                continue;
            };
            let is_lost = |(at, column): &(usize, &Column)| {
                let is_there = |other: &Column| other.name == column.name && !other.is_generated;
                let has_values = before.rows.iter().any(|row| row[*at].is_some());
                has_values && !column.is_generated && !now.columns.iter().any(is_there)
            };
            let columns = before.columns.iter().enumerate().filter(is_lost);
            lost.extend(columns.map(|(_, column)| (name.as_str(), Some(column.name.as_str()))));
        }
        lost
    }
}

/// A column that is new has taken numbers: that is no harm. Numbers that come again are.
fn went_back(kind: &str, value: i64, now: i64) -> bool {
    let descends = kind.split(' ').nth(4).is_some_and(|increment| increment.starts_with('-'));
    if descends { now > value } else { now < value }
}
