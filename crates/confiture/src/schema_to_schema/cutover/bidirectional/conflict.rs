//! Rows that both sides have changed since they last agreed: found by their keys, settled by the policy, logged with both rows.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::feed::{KeyColumn, KeySet, array_text};
use crate::postgres::{Parameter, Session};
use crate::schema_to_schema::cutover::bidirectional::Policy;
use crate::schema_to_schema::live::capture::{Captured, key_type};
use crate::schema_to_schema::live::follower::Follower;
use crate::schema_to_schema::live::ledger::Direction;
use crate::schema_to_schema::live::stage::selected;
use crate::schema_to_schema::plan::TablePlan;
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// Rows that are compared, and logged, at once.
const AT_ONCE: usize = 500;

/// A new side's table, as conflicts know it.
pub(super) struct Watched {
    /// Which table the way back has captured.
    captured: usize,
    /// Which columns of its captured key, of so many, are those of the table's key.
    positions: Vec<usize>,
    columns: usize,
    /// The table's key.
    key: Vec<KeyColumn>,
    /// Of the policy `latest`: the column that says when a row was written, and its type.
    written: Option<(Identifier, QualifiedName)>,
}

/// A line of the log: the winner, and both rows.
struct Logged<'a> {
    key: Option<String>,
    winner: Option<&'static str>,
    rows: [Option<&'a str>; 2],
}

/// What both sides have changed of one new table.
#[derive(Debug, Default)]
pub(super) struct Conflict {
    /// Which table of the plan.
    pub(super) table: usize,
    /// The rows: by the text of the key.
    pub(super) rows: BTreeMap<Vec<String>, Contested>,
    /// Whether one side was emptied, or nobody knows which rows it has changed.
    pub(super) is_whole: bool,
}

/// One row.
#[derive(Debug, Default)]
pub(super) struct Contested {
    /// The key of the old row that drives it.
    driving: Option<Vec<String>>,
    /// Both rows, as JSON; `None` where there is none.
    old: Option<String>,
    new: Option<String>,
    /// Whether both sides have come to the same: then nobody loses.
    agrees: bool,
    /// Whose row both get.
    pub(super) winner: Option<Direction>,
}

impl Watched {
    /// How conflicts of the table at `index` of the way forward are known.
    pub(super) fn of(forward: &Follower, back: &Captured, index: usize, policy: &Policy) -> Result<Self> {
        let table = &forward.migration.plan.tables[index];
        let unknown = || {
            Error::refused(format!(
                "{} is not carried back by its key, so that nobody could tell which of its rows both sides change",
                table.target.short()
            ))
            .hint("give both tables a key that the mapping carries both ways, or leave the table out with --tables")
        };
        let (captured, found) = back
            .tables
            .iter()
            .enumerate()
            .find(|(_, captured)| captured.name == table.target)
            .ok_or_else(unknown)?;
        let position = |name: &Identifier| found.key.iter().position(|column| column.name == *name);
        let positions: Option<Vec<usize>> = table.key.iter().map(position).collect();
        let positions = positions.filter(|positions| !positions.is_empty()).ok_or_else(unknown)?;
        let of_type = |name: &Identifier| typed(forward, index, name);
        let key: Option<Vec<KeyColumn>> = table.key.iter().map(of_type).collect();
        let is_filled = |by: &&Identifier| table.columns.iter().any(|column| column.target == **by);
        let written = match policy {
            Policy::Latest(by) => Some(by).filter(is_filled).and_then(of_type),
            _ => None,
        };
        let written = written.map(|column| (column.name, column.data_type));
        let columns = found.key.len();
        Ok(Self { captured, positions, columns, key: key.ok_or_else(unknown)?, written })
    }

    /// True where the policy can say who wins.
    pub(super) fn is_decided(&self, policy: &Policy) -> bool {
        match policy {
            Policy::Source | Policy::Target => true,
            Policy::Latest(_) => self.written.is_some(),
            Policy::Fail => false,
        }
    }

    /// What the new side has changed of the table.
    fn changed<'a>(&self, changed: &'a [KeySet]) -> std::borrow::Cow<'a, KeySet> {
        changed[self.captured].project(&self.positions, self.columns)
    }

    /// Those captured keys of the new side that are of the rows `keys`.
    pub(super) fn captured_of(&self, changed: &[KeySet], keys: &KeySet) -> (usize, KeySet) {
        let mut found = KeySet::default();
        for key in changed[self.captured].iter() {
            let of_row: Vec<&str> = self.positions.iter().map(|position| key[*position].as_str()).collect();
            if keys.contains(&of_row) {
                insert(&mut found, &key);
            }
        }
        (self.captured, found)
    }
}

/// A column of the table that `follower` writes at `index`, with its type.
pub(super) fn typed(follower: &Follower, index: usize, name: &Identifier) -> Option<KeyColumn> {
    let migration = &follower.migration;
    let catalog = &migration.target_catalog;
    let column = catalog.relations.get(&migration.plan.tables[index].target)?.column(name)?;
    Some(KeyColumn { name: name.clone(), data_type: key_type(column.data_type.oid, catalog) })
}

/// Finds what both sides have changed: of the old side the keys of captured tables, as of the new one.
pub(super) async fn find(
    watched: &[Watched],
    forward: &Follower,
    [old, new]: [&[KeySet]; 2],
) -> Result<Vec<Conflict>> {
    let mut conflicts = Vec::new();
    for (index, watched) in watched.iter().enumerate() {
        let theirs = watched.changed(new);
        if theirs.is_empty() {
            continue;
        }
        let ours = forward.applier.keys_of(index, old).await?;
        if ours.is_empty() {
            continue;
        }
        let is_whole = ours.is_whole() || theirs.is_whole();
        let mut conflict = Conflict { table: index, is_whole, ..Conflict::default() };
        if ours.is_whole() {
            conflict.rows = theirs.iter().map(|key| (key, Contested::default())).collect();
        } else {
            for (driving, key) in keys_of_both(forward, index, &ours).await? {
                let texts: Vec<&str> = key.iter().map(String::as_str).collect();
                if theirs.contains(&texts) {
                    conflict.rows.insert(key, Contested { driving: Some(driving), ..Contested::default() });
                }
            }
        }
        if is_whole || !conflict.rows.is_empty() {
            conflicts.push(conflict);
        }
    }
    Ok(conflicts)
}

/// The keys of driving rows with those of the rows that they make.
pub(super) async fn keys_of_both(
    follower: &Follower,
    index: usize,
    keys: &KeySet,
) -> Result<Vec<(Vec<String>, Vec<String>)>> {
    const KEYS_AT_ONCE: usize = 10_000;
    let table = &follower.migration.plan.tables[index];
    let columns = follower.captured.key_columns(&follower.captured.followed[index]);
    let names = Sql::join(", ", columns.iter().map(|column| &column.name));
    let alias = &table.query.alias;
    let driving = columns.iter().map(|column| sql!("{}.{}", alias, column.name));
    let catalog = &follower.migration.target_catalog;
    let made = |name| as_target(table, name, &selected(table, std::slice::from_ref(name), false), catalog);
    let list = Sql::join(", ", driving.chain(table.key.iter().map(made)));
    let mut both = Vec::new();
    for piece in keys.pieces(&columns, KEYS_AT_ONCE) {
        let query = sql!("SELECT {} FROM {} AS {} ({})", list, piece.rows(), alias, names);
        for row in follower.applier.source.texts(&query).await? {
            let row: Option<Vec<String>> = row.into_iter().collect();
            both.extend(row.map(|mut driving| {
                let made = driving.split_off(columns.len());
                (driving, made)
            }));
        }
    }
    Ok(both)
}

impl Conflict {
    /// Looks at both rows of each, which are held on the side that is written to. `old` and `new` are sessions of the two
    /// sides, one of them with the transaction that is going to write.
    pub(super) async fn look(
        &mut self,
        watched: &Watched,
        forward: &Follower,
        written: Direction,
        [old, new]: [&Session; 2],
    ) -> Result<()> {
        let table = &forward.migration.plan.tables[self.table];
        let catalog = &forward.migration.target_catalog;
        let (mut driving, mut keys) = (KeySet::default(), KeySet::default());
        for (key, row) in &self.rows {
            insert(&mut keys, key);
            row.driving.iter().for_each(|key| insert(&mut driving, key));
        }
        let columns = forward.captured.key_columns(&forward.captured.followed[self.table]);
        for piece in driving.pieces(&columns, usize::MAX) {
            let Some(source) = &table.source else { break };
            let among = piece.has_key_of(&table.query.alias);
            if written == Direction::Reverse {
                let hold = sql!("SELECT FROM {} AS {} WHERE {} FOR UPDATE", source, table.query.alias, among);
                old.query(&hold, &[]).await?;
            }
            let query = old_rows(table, source, std::slice::from_ref(&among), catalog);
            for row in old.texts(&query).await? {
                self.take(row, |row, json| row.old = json);
            }
        }
        let columns: Vec<&KeyColumn> = watched.key.iter().collect();
        let alias = Identifier::new("t");
        self.look_for_old(&columns, table, catalog, old).await?;
        for piece in keys.pieces(&columns, usize::MAX) {
            let hold = match written {
                Direction::Forward => Sql::literal("FOR UPDATE"),
                Direction::Reverse => Sql::default(),
            };
            let among = piece.has_key_of(&alias);
            let query = sql!(
                "SELECT {}, pg_catalog.to_jsonb(t)::pg_catalog.text FROM {} AS t WHERE {} {}",
                keys_as_target(table, &alias, catalog),
                table.target,
                among,
                hold
            );
            for row in new.texts(&query).await? {
                self.take(row, |row, json| row.new = json);
            }
        }
        Ok(())
    }

    /// Looks at the old rows of which only the new key is known, because nobody knows which old rows have changed.
    async fn look_for_old(
        &mut self,
        columns: &[&KeyColumn],
        table: &TablePlan,
        catalog: &Catalog,
        old: &Session,
    ) -> Result<()> {
        let mut keys = KeySet::default();
        let unknown = self.rows.iter().filter(|(_, row)| row.driving.is_none());
        unknown.for_each(|(key, _)| insert(&mut keys, key));
        // A type of the new side's own may not be there.
        let is_known = columns.iter().all(|column| column.data_type.schema.as_str() == "pg_catalog");
        let Some(source) = table.source.as_ref().filter(|_| is_known) else { return Ok(()) };
        for piece in keys.pieces(columns, usize::MAX) {
            let among = piece.has_key_of(&Identifier::new("t"));
            let query = sql!("{} WHERE {}", old_rows(table, source, &[], catalog), among);
            for row in old.texts(&query).await? {
                self.take(row, |row, json| row.old = json);
            }
        }
        Ok(())
    }

    /// Takes a row of the key's columns and the whole as JSON.
    fn take(&mut self, mut row: Vec<Option<String>>, set: impl Fn(&mut Contested, Option<String>)) {
        let json = row.pop().flatten();
        let key: Option<Vec<String>> = row.into_iter().collect();
        if let Some(contested) = key.and_then(|key| self.rows.get_mut(&key)) {
            set(contested, json);
        }
    }

    /// Says who wins where they differ. The rows are held meanwhile: many take one round trip.
    pub(super) async fn settle(
        &mut self,
        policy: &Policy,
        watched: &Watched,
        session: &Session,
    ) -> Result<()> {
        let whole = policy.wins_whole().filter(|_| self.is_whole);
        let mut rows: Vec<&mut Contested> = self.rows.values_mut().collect();
        for rows in rows.chunks_mut(AT_ONCE) {
            let agree = compare(rows, &is_same(), &[], session).await?;
            let newer = match (policy, &watched.written) {
                (Policy::Latest(_), Some((by, of))) => {
                    compare(rows, &is_newer(of), &[&by.as_str()], session).await?
                }
                _ => vec![false; rows.len()],
            };
            for ((row, agrees), is_newer) in rows.iter_mut().zip(agree).zip(newer) {
                row.agrees = agrees;
                row.winner = match policy {
                    _ if agrees || !watched.is_decided(policy) => None,
                    _ if whole.is_some() => whole,
                    Policy::Fail => None,
                    Policy::Target => Some(Direction::Reverse),
                    Policy::Latest(_) if is_newer => Some(Direction::Reverse),
                    Policy::Source | Policy::Latest(_) => Some(Direction::Forward),
                };
            }
        }
        Ok(())
    }

    /// True where the sides differ.
    pub(super) fn is_open(&self) -> bool {
        self.is_whole || self.contested().next().is_some()
    }

    /// The rows in which the sides differ.
    pub(super) fn contested(&self) -> impl Iterator<Item = (&Vec<String>, &Contested)> {
        self.rows.iter().filter(|(_, row)| !row.agrees)
    }

    /// The rows that a batch of this direction leaves alone, because the other side wins, or because they are gone on both
    /// sides, where nobody can hold them: one that comes after this look is the other side's new row. Their keys on the old
    /// side, and on the new one.
    pub(super) fn lost_by(&self, way: Direction) -> [KeySet; 2] {
        let mut lost = [KeySet::default(), KeySet::default()];
        for (key, row) in &self.rows {
            let is_gone = row.old.is_none() && row.new.is_none();
            if (is_gone && row.agrees) || row.winner.is_some_and(|winner| winner != way) {
                insert(&mut lost[1], key);
                row.driving.iter().for_each(|driving| insert(&mut lost[0], driving));
            }
        }
        lost
    }

    /// Writes it into the log of a side.
    pub(super) async fn log(
        &self,
        policy: &Policy,
        watched: &Watched,
        forward: &Follower,
        session: &Session,
    ) -> Result<()> {
        let insert = Sql::literal(
            "INSERT INTO confiture.conflict (table_schema, table_name, policy, key, winner, old_row, new_row)
             SELECT $1, $2, $3, key::pg_catalog.text[], winner, old::pg_catalog.jsonb, new::pg_catalog.jsonb
             FROM ROWS FROM (pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::text[]), pg_catalog.unnest($6::text[]),
                 pg_catalog.unnest($7::text[])) WITH ORDINALITY AS contested (key, winner, old, new, at)
             ORDER BY at",
        );
        let table = &forward.migration.plan.tables[self.table].target;
        let (schema, name, word) = (table.schema.as_str(), table.name.as_str(), policy.word());
        let side = |winner: Direction| match winner {
            Direction::Forward => "old",
            Direction::Reverse => "new",
        };
        let texts = |key: &Vec<String>| array_text(key.iter().map(String::as_str));
        let contested = self.contested().map(|(key, row)| Logged {
            key: Some(texts(key)),
            winner: row.winner.map(side),
            rows: [row.old.as_deref(), row.new.as_deref()],
        });
        let winner = policy.wins_whole().filter(|_| watched.is_decided(policy)).map(side);
        let whole = self.is_whole.then_some(Logged { key: None, winner, rows: [None, None] });
        let all: Vec<Logged<'_>> = contested.chain(whole).collect();
        for some in all.chunks(AT_ONCE) {
            let keys: Vec<_> = some.iter().map(|one| one.key.as_deref()).collect();
            let winners: Vec<_> = some.iter().map(|one| one.winner).collect();
            let [old, new] = [0, 1].map(|at| some.iter().map(|one| one.rows[at]).collect::<Vec<_>>());
            session.execute(&insert, &[&schema, &name, &word, &keys, &winners, &old, &new]).await?;
        }
        Ok(())
    }
}

/// What the mapping gives of the old rows: their keys on the new side, and all of them as JSON.
fn old_rows(table: &TablePlan, source: &QualifiedName, among: &[Sql], catalog: &Catalog) -> Sql {
    let names: Vec<Identifier> = table.columns.iter().map(|column| column.target.clone()).collect();
    sql!(
        "SELECT {}, pg_catalog.to_jsonb(t)::pg_catalog.text FROM (SELECT {} {}) AS t ({})",
        keys_as_target(table, &Identifier::new("t"), catalog),
        selected(table, &names, false),
        table.query.from_relation(&sql!("{}", source), among),
        Sql::join(", ", &names)
    )
}

fn keys_as_target(table: &TablePlan, alias: &Identifier, catalog: &Catalog) -> Sql {
    let column = |name| as_target(table, name, &sql!("{}.{}", alias, name), catalog);
    Sql::join(", ", table.key.iter().map(column))
}

/// A value of the key's column `name` as the new side stores and shows it: `5` as `5.00` in a `numeric(8, 2)`. Types of one's
/// own, which the old side may not have, stay as they are.
fn as_target(table: &TablePlan, name: &Identifier, value: &Sql, catalog: &Catalog) -> Sql {
    const FIRST_OWN: u32 = 16384;
    let planned = table.columns.iter().find(|column| column.target == *name);
    let known = catalog.relations.get(&table.target).and_then(|relation| relation.column(name));
    match (planned, known) {
        (Some(planned), Some(column)) if column.data_type.oid < FIRST_OWN => {
            sql!("CAST({} AS {})", value, Sql::from_user(planned.data_type.as_str()))
        }
        _ => value.clone(),
    }
}

/// What `condition` says of each pair of rows, `old` and `new`.
async fn compare(
    rows: &[&mut Contested],
    condition: &Sql,
    parameters: &[Parameter<'_>],
    session: &Session,
) -> Result<Vec<bool>> {
    let query = sql!(
        "SELECT {} FROM (
             SELECT old::pg_catalog.jsonb, new::pg_catalog.jsonb, at
             FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]))
                 WITH ORDINALITY AS given (old, new, at)
         ) AS contested ORDER BY at",
        condition
    );
    let old: Vec<_> = rows.iter().map(|row| row.old.as_deref()).collect();
    let new: Vec<_> = rows.iter().map(|row| row.new.as_deref()).collect();
    let both: [Parameter<'_>; 2] = [&old, &new];
    let parameters: Vec<Parameter<'_>> = both.into_iter().chain(parameters.iter().copied()).collect();
    Ok(session.query(&query, &parameters).await?.iter().map(|row| row.get(0)).collect())
}

/// True where the new row has what the mapping gives, whatever else it has; and where both are gone.
fn is_same() -> Sql {
    Sql::literal(
        "CASE WHEN old IS NULL OR new IS NULL THEN old IS NULL AND new IS NULL
              ELSE (SELECT coalesce(pg_catalog.bool_and(
                        given.value OPERATOR(pg_catalog.=) (new OPERATOR(pg_catalog.->) given.key)), false)
                    FROM pg_catalog.jsonb_each(old) AS given) END",
    )
}

/// True where the new row was written last, by its column `$3`. One that is gone says nothing of when.
fn is_newer(of: &QualifiedName) -> Sql {
    sql!(
        "CASE WHEN old IS NULL OR new IS NULL THEN new IS NOT NULL
              ELSE coalesce(CAST(pg_catalog.jsonb_extract_path_text(old, $3) AS {}) <
                            CAST(pg_catalog.jsonb_extract_path_text(new, $3) AS {}),
                            pg_catalog.jsonb_extract_path_text(old, $3) IS NULL) END",
        of,
        of
    )
}

fn insert(keys: &mut KeySet, key: &[String]) {
    keys.insert(&key.iter().map(String::as_str).collect::<Vec<_>>());
}

/// The error of the policy `fail`.
pub(super) fn undecided(conflicts: &[&Conflict], forward: &Follower) -> Error {
    let rows: usize = conflicts.iter().map(|conflict| conflict.contested().count().max(1)).sum();
    let tables: Vec<String> = conflicts
        .iter()
        .map(|conflict| forward.migration.plan.tables[conflict.table].target.short())
        .collect();
    let what = if rows == 1 { "a row".to_owned() } else { format!("{rows} rows") };
    Error::new(ErrorKind::Found, format!("both sides have changed {what} of {}", tables.join(", ")))
        .hint(format!(
            "see both: SELECT * FROM confiture.conflict WHERE winner IS NULL, on {}",
            forward.migration.plan.target
        ))
        .hint("nothing was carried since; decide with --conflicts source, target or latest, and it goes on")
}
